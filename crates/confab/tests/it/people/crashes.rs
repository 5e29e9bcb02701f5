//! Processes die under load: nothing that was acknowledged is lost, doubled or out of order, and nobody is told what is
//! not for them.

use confab_testkit::walker::Conductor;
use confab_testkit::{Part, Shape, System};

use super::load::Load;

const SENDS: usize = 60;
/// Of five people.
const TOTAL: usize = 5 * SENDS;

async fn killable(shape: Shape) -> System {
    System::start_killable(shape, env!("CARGO_BIN_EXE_confab"), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_faults_nothing_is_broken() {
    for shape in Shape::ALL {
        let mut system = System::start(shape).await;
        let load = Load::prepare(&system, SENDS).await;
        let broken = load.run(&mut system, async |_, _| {}).await;
        assert_eq!(broken, [], "{shape:?}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_in_one_dies() {
    for shape in [Shape::Sqlite, Shape::Postgres] {
        let mut system = System::start(shape).await;
        let load = Load::prepare(&system, SENDS).await;
        system.restart_killable(env!("CARGO_BIN_EXE_confab")).await;
        let kill = async |system: &mut System, load: &Conductor| {
            for share in [4, 3, 2] {
                load.acknowledged(TOTAL / share).await;
                system.kill(Part::Gateway(0));
                system.start_part(Part::Gateway(0)).await;
            }
            // The tables are read through the test's own process.
            system.restart_here().await;
        };
        assert_eq!(load.run(&mut system, kill).await, [], "{shape:?}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_dies() {
    let mut system = killable(Shape::Split).await;
    let load = Load::prepare(&system, SENDS).await;
    let kill = async |system: &mut System, load: &Conductor| {
        for (share, copy) in [(4, 0), (2, 1)] {
            load.acknowledged(TOTAL / share).await;
            system.kill(Part::Gateway(copy));
            system.start_part(Part::Gateway(copy)).await;
        }
    };
    assert_eq!(load.run(&mut system, kill).await, []);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_dies_and_stays_away() {
    let mut system = killable(Shape::Split).await;
    let load = Load::prepare(&system, SENDS).await;
    let kill = async |system: &mut System, load: &Conductor| {
        load.acknowledged(TOTAL / 3).await;
        system.kill(Part::Gateway(0));
    };
    assert_eq!(load.run(&mut system, kill).await, []);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_threads_die_in_turn() {
    let mut system = killable(Shape::Split).await;
    let load = Load::prepare(&system, SENDS).await;
    let kill = async |system: &mut System, load: &Conductor| {
        for (share, copy) in [(5, 0), (3, 1), (2, 0)] {
            load.acknowledged(TOTAL / share).await;
            system.kill(Part::Threads(copy));
            system.start_part(Part::Threads(copy)).await;
        }
    };
    assert_eq!(load.run(&mut system, kill).await, []);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_restarted_in_order() {
    let mut system = System::start(Shape::Split).await;
    let load = Load::prepare(&system, SENDS).await;
    let parts = [
        Part::Gateway(0),
        Part::Threads(0),
        Part::Gateway(1),
        Part::Threads(1),
    ];
    let restart = async |system: &mut System, load: &Conductor| {
        for (index, part) in parts.into_iter().enumerate() {
            load.acknowledged(TOTAL * (index + 1) / 6).await;
            system.stop_part(part).await;
            system.start_part(part).await;
        }
    };
    assert_eq!(load.run(&mut system, restart).await, []);
    system.stop().await;
}
