//! The checker sees what it is there to see: a system that breaks one of its rules on purpose turns the matching
//! invariant red and no other, and the same system that keeps them none.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use confab_chaos::load::{Load, Running, said_before};
use confab_chaos::supervisor::Servers;
use confab_chaos::topology::{Layout, Part, Settings, Topology};
use confab_testkit::checker::{Invariant, check};
use confab_testkit::in_time;

/// What is said in each run.
const SENDS: usize = 100;

/// What goes wrong in threads and gateways, and what clients must be seen to suffer.
const CONTROLS: [(&str, &[Invariant]); 6] = [
    ("", &[]),
    ("ack_before_commit=20%return", &[Invariant::NoLoss]),
    ("drop_hint=30%return;no_repair=return", &[Invariant::NoLoss]),
    ("dup_hint=50%return;no_dedupe=return", &[Invariant::Once]),
    ("swap_hints=50%return;no_order=return", &[Invariant::Order]),
    ("no_membership=return", &[Invariant::Outsiders]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_rule_is_noticed_and_nothing_else() {
    let _alone = crate::MACHINE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let servers = Servers::start().await;
    let program = Path::new(env!("CARGO_BIN_EXE_confab-faulty"));
    let settings = Settings {
        exchange: "confab-controls".to_owned(),
        ..Settings::default()
    };
    let layout = Layout::Split;
    let mut topology =
        Topology::start(layout, program, folder.path(), Some(&servers), settings).await;
    // All that is published goes one way, so that what is late is late and not lost.
    topology.process_mut(Part::threads(1)).kill();
    for (points, expected) in CONTROLS {
        for part in [Part::threads(0), Part::gateway(0), Part::gateway(1)] {
            let process = topology.process_mut(part);
            process.kill();
            process.fail_at(points);
            process.start().await;
        }
        let found = broken(&topology, expected.is_empty()).await;
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        assert_eq!(found, expected, "{points}");
    }
}

/// Lets people talk, and says which promises were broken.
async fn broken(topology: &Topology, is_whole: bool) -> BTreeSet<Invariant> {
    let load = Load {
        pairs: 2,
        groups: 1,
        sends_per_second: 50.0,
        outsiders: 1,
        askers: 0,
        read_every: 4,
        ..Load::default()
    };
    let mut running = Running::start(&load, topology, 1).await;
    let said = running.conductor.acknowledged(SENDS);
    in_time("enough is said", said).await;
    let auditor = topology.auditor();
    let unsettled = running.settle(Duration::from_secs(4)).await;
    assert!(!is_whole || unsettled.is_empty(), "{unsettled:?}");
    running.end().await;
    let mut table = auditor.table(&running.threads).await;
    table.messages.retain(|message| !said_before(&message.body));
    let violations = check(&running.history.story(), &table);
    violations
        .into_iter()
        .map(|found| found.invariant)
        .collect()
}
