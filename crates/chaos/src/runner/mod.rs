//! Runs scenarios: start, warm up, fault, heal, come to rest, judge.

mod evidence;
mod measures;
mod row;
mod stage;
mod verdict;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use confab_testkit::openai::{OpenAi, Reply};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::load::Running;
use crate::scenario::Scenario;
use crate::supervisor::Servers;
use crate::topology::{Layout, Settings, Topology};
pub use evidence::Evidence;
pub use measures::{Measures, percentile};
pub use row::{Counts, Row};
pub use stage::{Stage, Timing};

/// How long everything may take to come to rest before it is said that it does not.
const REST: Duration = Duration::from_secs(30);

/// What a suite is run with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that the processes of Confab run.
    pub program: PathBuf,
    /// Where logs, histories and rows go.
    pub out: PathBuf,
    /// What every choice at random is made from.
    pub seed: u64,
    /// What is tested, as its history names it; empty: nobody knows.
    pub commit: String,
    /// How long each scenario lasts, from the end of the warm-up to the last new send.
    pub length: Duration,
}

/// Runs scenarios one after another and shares the servers between them.
pub struct Suite {
    options: Options,
    servers: Option<Servers>,
}

impl Suite {
    /// One that has not run anything.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let servers = None;
        Self { options, servers }
    }

    /// Runs one; a scenario that panics is red, and the next one gets new servers.
    pub async fn run(&mut self, scenario: Box<dyn Scenario>) -> Row {
        let mut row = Row::new(&*scenario, &self.options);
        if let Some(missing) = scenario.missing() {
            row.not_run(missing);
            return row;
        }
        let folder = self.options.out.join(scenario.id());
        if let Err(error) = fresh(&folder) {
            row.panicked(&error.to_string());
            return row;
        }
        let servers = match scenario.layout() {
            Layout::Split => match self.servers.take() {
                Some(servers) => Some(servers),
                None => Some(Servers::start().await),
            },
            Layout::One => None,
        };
        let whole = scenario.leaves_servers_whole();
        let run = play(&*scenario, &self.options, &folder, servers, row.clone());
        match AssertUnwindSafe(Box::pin(run)).catch_unwind().await {
            Ok((done, servers)) => {
                row = done;
                self.servers = servers.filter(|_| whole);
            }
            Err(panic) => row.panicked(&said(&*panic)),
        }
        row
    }
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no text").to_owned()
}

fn fresh(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)
}

async fn play(
    scenario: &dyn Scenario,
    options: &Options,
    folder: &Path,
    servers: Option<Servers>,
    mut row: Row,
) -> (Row, Option<Servers>) {
    let began = Instant::now();
    if let Some(servers) = &servers {
        row.versions = servers.versions().await;
    }
    let provider = OpenAi::start_with([], Reply::Slow(vec!["word "; 40], 20, 40)).await;
    let chosen = scenario.settings().into_iter();
    let settings = Settings {
        chosen: chosen.map(|(key, value)| (key.to_owned(), value)).collect(),
        provider: provider.url(),
        failpoints: scenario.failpoints(&mut fastrand::Rng::with_seed(options.seed)),
        clocks: scenario.clocks(),
        exchange: format!("confab-chaos-{}", Uuid::new_v4().simple()),
    };
    let topology = Topology::start(
        scenario.layout(),
        &options.program,
        folder,
        servers.as_ref(),
        settings,
    )
    .await;
    let started = began.elapsed();
    let load = Running::start(&scenario.load(), &topology, options.seed).await;
    let mut stage = Stage::new(topology, servers, load, provider, options);
    stage.note(&format!(
        "started after {started:?}, ready after {:?}",
        began.elapsed()
    ));
    stage.until_fault().await;
    stage.note("fault");
    scenario.fault(&mut stage).await;
    stage.until_heal().await;
    scenario.heal(&mut stage).await;
    stage.healed();
    stage.until_end().await;
    let evidence = stage.rest(REST).await;
    scenario.judge(&mut stage, &evidence).await;
    stage.write(&evidence);
    verdict::judge(scenario, &mut stage, &evidence, &mut row);
    if let Some(servers) = &stage.servers
        && scenario.leaves_servers_whole()
    {
        servers.forget_last().await;
    }
    (row, stage.servers.take())
}
