//! Processes that die, or stand still for too long, at every step of a run.

use std::time::Duration;

use confab_rpc::completions::AskRequest;
use confab_rpc::sessions::User;
use confab_rpc::threads::MessageState;
use confab_rpc::{Fault, Reason};

use crate::asking::{Answered, echo, new_ask};
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA, LOOKS, Process};

const DOLLAR: i64 = 1_000_000;
/// How often what was being answered is asked anew.
const RESTARTS: [&str; 2] = ["0", "1"];
/// What was being answered is not asked anew.
const GIVES_UP: (&str, &str) = ("restarts", "0");

/// What a run is in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As if it had not been asked for.
    Nothing,
    /// Interrupted before any text; free.
    Silent,
    /// Interrupted with text; paid for.
    Partial,
    /// Answered and paid for.
    Whole,
}

impl End {
    /// What is asked anew is answered.
    fn with(self, restarts: &str) -> Self {
        match self {
            Self::Silent | Self::Partial if restarts != "0" => Self::Whole,
            end => end,
        }
    }
}

type Step = (&'static str, When, End);

/// Houses that give up at once, and houses that ask anew, with answers of both kinds.
async fn all_ways() -> Vec<(&'static str, &'static [Step], House)> {
    let mut houses = Vec::new();
    for restarts in RESTARTS {
        for (behaviour, steps) in [("echo", &STEPS[..]), ("slow", &SLOW_STEPS)] {
            let settings = [
                ("restarts", restarts),
                ("providers.scripted.behaviour", behaviour),
            ];
            let both = House::both_with(&settings).await;
            houses.extend(both.into_iter().map(|house| (restarts, steps, house)));
        }
    }
    houses
}

/// An answer that takes a while is stored piece by piece.
const SLOW_STEPS: [Step; 4] = [
    ("Checkpoint", When::Before, End::Silent),
    ("Checkpoint", When::After, End::Partial),
    ("Finish", When::Before, End::Whole),
    ("Finish", When::After, End::Whole),
];

/// A quick answer goes into the thread with its end.
const STEPS: [Step; 10] = [
    ("Reserve", When::Before, End::Nothing),
    ("Reserve", When::After, End::Nothing),
    ("AppendExchange", When::Before, End::Nothing),
    ("AppendExchange", When::After, End::Silent),
    ("Finish", When::Before, End::Silent),
    ("Finish", When::After, End::Whole),
    ("Settle", When::Before, End::Whole),
    ("Settle", When::After, End::Whole),
    ("GetUser", When::Before, End::Nothing),
    ("GetAccount", When::After, End::Nothing),
];

fn keyed(user: &User) -> AskRequest {
    AskRequest {
        client_msg_id: "key".to_owned(),
        open_limit: 1,
        ..new_ask(user, "Are you there?")
    }
}

/// Asks and waits until the call is held; the ask is left to itself.
#[expect(clippy::disallowed_methods, reason = "it ends with its process")]
async fn ask_until_held(process: &Process, user: &User) -> tokio::task::JoinHandle<()> {
    let mut client = process.client.clone();
    let request = keyed(user);
    let asking = tokio::spawn(async move {
        if let Ok(events) = client.ask(request).await {
            let mut events = events.into_inner();
            while let Ok(Some(_)) = events.message().await {}
        }
    });
    process.wire.held().await;
    asking
}

async fn check(house: &House, user: &User, end: End, step: &str) {
    let threads = house.threads(user).await;
    let charges = house.charges(user).await;
    if end == End::Nothing {
        assert!(threads.is_empty() && charges.is_empty(), "{step}");
        return;
    }
    assert_eq!(threads.len(), 1, "{step}");
    let messages = house.messages(user, &threads[0].id).await;
    assert_eq!(messages.len(), 2, "{step}");
    let (answer, whole) = (&messages[1], echo("Are you there?"));
    assert!(whole.starts_with(&answer.content));
    let state = match end {
        End::Whole => MessageState::Complete,
        End::Nothing | End::Silent | End::Partial => MessageState::Interrupted,
    };
    assert_eq!(answer.state(), state, "{step}");
    assert_eq!(answer.content.is_empty(), end == End::Silent, "{step}");
    assert_eq!(charges.len(), usize::from(end != End::Silent), "{step}");
    assert!(charges.iter().all(|charge| *charge > 0), "{step}");
    if end == End::Whole {
        assert_eq!(answer.content, whole, "{step}");
    }
}

/// What the same ask gets afterwards.
fn check_again(again: Result<Answered, Fault>, end: End) {
    match end {
        End::Nothing => assert!(!again.unwrap().started.replayed),
        End::Silent | End::Partial => {
            assert_eq!(again.unwrap_err().reason, Reason::RunInterrupted);
        }
        End::Whole => {
            let again = again.unwrap();
            assert!(again.started.replayed);
            assert_eq!(again.text, echo("Are you there?"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_once_wherever_its_process_dies() {
    for (restarts, steps, house) in all_ways().await {
        for &(method, when, end) in steps {
            let end = end.with(restarts);
            let step = format!("killed {when:?} {method}");
            let ann = house.user(DOLLAR, &[LLAMA]).await;
            let dying = house.start_on(Wire::holding(method, 1, when)).await;
            let asking = ask_until_held(&dying, &ann).await;
            dying.kill();
            asking.await.unwrap();

            let (here, there) = (house.start().await, house.start().await);
            assert_eq!(here.look().await, 0, "its lease may be good");
            // Both may find it at the same time.
            for _ in 0..LOOKS {
                let (one, other) = tokio::join!(here.look(), there.look());
                if one + other > 0 {
                    break;
                }
            }
            here.stop().await;
            there.stop().await;
            check(&house, &ann, end, &step).await;
            house.check_books(&ann).await;

            let heir = house.start().await;
            check_again(heir.ask(keyed(&ann)).await, end);
            heir.stop().await;
            house.check_books(&ann).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_wakes_up_too_late_changes_nothing() {
    for (restarts, steps, house) in all_ways().await {
        for &(method, when, end) in steps {
            let end = end.with(restarts);
            let step = format!("stood still {when:?} {method}");
            let ann = house.user(DOLLAR, &[LLAMA]).await;
            let sleeping = house.start_on(Wire::holding(method, 1, when)).await;
            let asking = ask_until_held(&sleeping, &ann).await;
            let awake = house.start().await;
            awake.reap().await;
            awake.stop().await;
            sleeping.wire.open();
            asking.await.unwrap();
            sleeping.stop().await;
            match end {
                // It had not begun, or begins for nothing: what it did late is taken back.
                End::Nothing => {}
                end => check(&house, &ann, end, &step).await,
            }
            house.check_books(&ann).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_being_read_is_kept_as_far_as_it_was_stored() {
    for house in House::both_with(&[GIVES_UP, ("providers.scripted.behaviour", "slow")]).await {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let wire = Wire::holding("Checkpoint", 3, When::Before);
        let dying = house.start_on(wire).await;
        let asking = ask_until_held(&dying, &ann).await;
        dying.kill();
        asking.await.unwrap();
        let heir = house.start().await;
        heir.reap().await;
        heir.stop().await;
        check(&house, &ann, End::Partial, "killed while reading").await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wakes_up_leaves_the_run_to_who_has_it() {
    for house in House::both().await {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let wire = Wire::holding("Finish", 1, When::Before);
        // It renews its lease every three seconds, sees then that it is lost, and has nine.
        let brief = [("lease_seconds", "9")];
        let sleeping = house.start_with(wire, &brief).await;
        let asking = ask_until_held(&sleeping, &ann).await;
        let wire = Wire::holding("GetThread", 1, When::Before);
        let heir = house.start_on(wire).await;
        while heir.reap().await == 0 {}
        heir.wire.held().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(sleeping.wire.calls("Finish"), 1, "nothing is taken back");
        heir.wire.open();
        asking.await.unwrap();
        sleeping.stop().await;
        heir.stop().await;
        check(&house, &ann, End::Whole, "taken over").await;
        house.check_books(&ann).await;
    }
}
