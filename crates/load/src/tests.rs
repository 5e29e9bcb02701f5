//! Plans, paces and checks, without a target.

use std::time::Duration;

use tokio::time::Instant;

use crate::check::{Checks, Seen};
use crate::dialect::{Dialect, Heard, To};
use crate::measure::Latencies;
use crate::options::{Amount, Plan, Scenario, plans_of};
use crate::pace::paces;

#[tokio::test]
async fn an_open_pace_does_not_wait_for_slow_sends() {
    let start = Instant::now();
    let end = start + Duration::from_millis(40);
    // Two senders of 100 a second together: each every 20 ms, 10 ms apart.
    let mut paces = paces(start, end, Some(100.0), 2).unwrap();
    let mut dues = Vec::new();
    for pace in paces.iter_mut().rev() {
        // The first one looks when everything was due long ago, and is told since when.
        while let Some(due) = pace.due().await {
            dues.push((due - start).as_millis());
        }
    }
    assert_eq!(dues, [10, 30, 0, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_closed_pace_ends_with_the_time() {
    let start = Instant::now();
    let mut paces = paces(start, start + Duration::from_secs(1), None, 8).unwrap();
    assert_eq!(paces[3].due().await, Some(start));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(paces[3].due().await, None);
}

#[test]
fn each_wrong_is_counted_as_what_it_is() {
    let checks = Checks::default();
    let mut seen = Seen::default();
    // The first one says where the thread stands.
    assert!(seen.take(7, &checks));
    assert!(seen.take(8, &checks));
    assert!(checks.now().is_none());
    assert!(!seen.take(8, &checks));
    assert_eq!(checks.now().doubled, 1);
    assert!(!seen.take(6, &checks));
    assert_eq!(checks.now().reordered, 1);
    assert!(seen.take(10, &checks));
    assert_eq!(checks.now().gaps, 1);
    checks.lost(3);
    assert_eq!(checks.now().lost, 3);
    assert!(!checks.now().is_none());
}

#[test]
fn an_error_breaks_no_promise() {
    let checks = Checks::default();
    checks.error(&"refused");
    checks.error(&"again");
    assert_eq!(checks.first_error(), Some("refused"));
    assert_eq!(checks.now().errors, 2);
    assert!(checks.now().is_none());
}

#[test]
fn quantiles_are_of_everything_recorded() {
    let latencies = Latencies::default();
    assert_eq!(latencies.summary(), None);
    for milliseconds in 1..=1_000 {
        let index = usize::try_from(milliseconds).unwrap();
        latencies.record(index, Duration::from_millis(milliseconds));
    }
    let summary = latencies.summary().unwrap();
    assert_eq!(summary.count, 1_000);
    assert!((summary.p50 - 500.0).abs() < 2.0, "{summary:?}");
    assert!((summary.p99 - 990.0).abs() < 2.0, "{summary:?}");
    assert!((summary.max - 1_000.0).abs() < 2.0, "{summary:?}");
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let plan = |text: &str| Plan::new(Scenario::Direct, &toml::from_str::<Amount>(text).unwrap());
    assert_eq!(plan("").unwrap().sockets, 256);
    assert!(plan("rate = 0.0").is_err());
    assert!(plan("duration = -1.0").is_err());
    assert!(plan("people = 3\nsockets = 6").is_err());
    assert!(plan("people = 8\nsockets = 4").is_err());
    assert!(plan("people = 4\nsockets = 6").is_err());
    assert!(plan("dialect = \"openai\"").is_err());
    assert_eq!(
        plan("dialect = \"groups\"").unwrap().dialect,
        Dialect::Groups
    );
    assert!(toml::from_str::<Amount>("sokets = 4").is_err());
    let room = |text: &str| Plan::new(Scenario::Room, &toml::from_str::<Amount>(text).unwrap());
    assert_eq!(room("").unwrap().rate, Some(5.0));
    assert_eq!(room("closed = true").unwrap().rate, None);
    let day = |text: &str| Plan::new(Scenario::Mixed, &toml::from_str::<Amount>(text).unwrap());
    assert!(day("sockets = 4\npeople = 4").is_err());
    assert!(day("closed = true").is_err());
}

#[test]
fn the_example_of_a_scenario_file_can_be_read() {
    let plans = plans_of(include_str!("../../../docs/load.toml")).unwrap();
    assert!(plans.len() > 3);
    assert_eq!(plans[0].title(), "everybody writes");
    assert!(plans_of("[[load]]\nrate = 3").is_err());
    assert!(plans_of("[[load]]\nscenario = \"direct\"\nsokets = 3").is_err());
}

#[test]
fn what_is_sent_is_heard() {
    let text = "load 3 12";
    let direct = r#"{"action":"conf_message","message_body":"load 3 12","thread":7,"seq":2,"created_msg_id":9}"#;
    let groups = r#"{"type":"messageCreated","data":{"id":9,"chat":7,"sender":{"id":1,"username":"a"},"text":"load 3 12","seq":2}}"#;
    let heard = Heard {
        text: Some(text.into()),
        thread: 7,
        seq: 2,
        id: 9,
    };
    assert_eq!(Dialect::Direct.hear(direct).unwrap(), heard);
    assert_eq!(Dialect::Groups.hear(groups).unwrap(), heard);
    let joined =
        r#"{"type":"chatJoined","data":{"chat":7,"user":{"id":1,"username":"a"},"seq":3}}"#;
    assert_eq!(Dialect::Groups.hear(joined).unwrap().text, None);
    for refusal in [
        r#"{"action":"error","message":"Invalid message","request_action":null}"#,
        r#"{"type":"error","message":"Chat not found."}"#,
        "nonsense",
    ] {
        assert!(Dialect::Direct.hear(refusal).is_err(), "{refusal}");
        assert!(Dialect::Groups.hear(refusal).is_err(), "{refusal}");
    }
    for to in [To::Person("a".to_owned()), To::Chat(7)] {
        let frame = Dialect::message(&to, text);
        assert!(
            serde_json::from_str::<serde_json::Value>(&frame).is_ok(),
            "{frame}"
        );
    }
}
