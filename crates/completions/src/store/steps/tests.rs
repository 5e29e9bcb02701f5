//! Steps of several runs in one transaction: each as if it were alone.

use chrono::{DateTime, TimeDelta, Utc};
use confab_database::scratch::Scratch;
use confab_migrations::completions::Migrator;
use confab_runtime::Tasks;
use confab_runtime::batches::Work;
use sea_orm::EntityTrait;
use uuid::Uuid;

use super::{Step, Steps};
use crate::run::Receipt;
use crate::store::run::Entity;
use crate::store::{Appended, Lease, Outcome, Purpose, Rows, Run, RunEnd, State, Store};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn run(user_id: Uuid, key: Option<&str>) -> Run {
    Run {
        id: Uuid::now_v7(),
        purpose: Purpose::Answer,
        user_id,
        thread_id: Uuid::now_v7(),
        new_thread: false,
        after_seq: 0,
        answer_id: None,
        answer_seq: None,
        client_msg_id: key.map(str::to_owned),
        fingerprint: None,
        model_id: 4,
        model: "gpt".to_owned(),
        provider: "openai".to_owned(),
        state: State::Reserving,
        lease_owner: Uuid::now_v7(),
        lease_until: now() + TimeDelta::seconds(7),
        fence: 1,
        reserved_microdollars: 0,
        prompt_tokens: 10,
        outcome: None,
        failure: None,
        input_tokens: None,
        output_tokens: None,
        cost_microdollars: None,
        agent_token_hash: None,
        error: None,
        cancel_requested_at: None,
        stored: false,
        api_key_id: None,
        parameters: Some("{}".to_owned()),
        instructions: None,
        attempts: 1,
        generation: 1,
        finish_reason: None,
        first_token_ms: None,
        duration_ms: None,
        started_at: now(),
        ended_at: None,
    }
}

fn appended(answer_id: i64) -> Appended {
    Appended {
        answer_id,
        answer_seq: 2,
        reserved_microdollars: 100,
        agent_token_hash: None,
    }
}

fn end(charged: i64, forget_key: bool) -> RunEnd {
    let receipt = Receipt {
        outcome: Outcome::Complete,
        failure: None,
        error: None,
        input_tokens: 10,
        output_tokens: 5,
        cost_microdollars: charged,
        finish_reason: Some("stop".to_owned()),
        first_token_ms: 3,
        duration_ms: 4,
    };
    RunEnd {
        receipt,
        answer_id: Some(11),
        answer_seq: Some(2),
        reserved_microdollars: 100,
        charged,
        forget_key,
        at: now(),
    }
}

async fn take(steps: &Steps, wanted: Vec<Step>) -> Vec<Option<bool>> {
    let taken = steps.work(wanted).await;
    taken.into_iter().map(Result::ok).collect()
}

async fn found(steps: &Steps, id: Uuid) -> Run {
    let found = Entity::find_by_id(id).one(steps.0.read()).await;
    found.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_takes_its_own_step() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let steps = Steps(scratch.database.clone());
        let user = Uuid::now_v7();
        let runs = [run(user, Some("a")), run(user, Some("b")), run(user, None)];
        let insert = |run: &Run| Step::Insert(Box::new(run.clone()));
        let taken = take(&steps, runs.iter().map(insert).collect()).await;
        assert_eq!(taken, [Some(true); 3]);
        for run in &runs {
            assert_eq!(&found(&steps, run.id).await, run);
        }

        let [first, second, third] = runs;
        let stale = Lease {
            fence: 2,
            ..third.lease()
        };
        let taken = take(
            &steps,
            vec![
                Step::Running(first.lease(), appended(11)),
                Step::Running(second.lease(), appended(22)),
                Step::Running(stale, appended(33)),
                Step::Ended(third.lease(), end(7, false)),
                Step::Insert(Box::new(run(user, None))),
            ],
        )
        .await;
        let expected = [Some(true), Some(true), Some(false), Some(true), Some(true)];
        assert_eq!(taken, expected);
        let running = Run {
            state: State::Running,
            answer_id: Some(22),
            answer_seq: Some(2),
            reserved_microdollars: 100,
            ..second.clone()
        };
        assert_eq!(found(&steps, second.id).await, running);

        let taken = take(
            &steps,
            vec![
                Step::Ended(first.lease(), end(30, false)),
                Step::Ended(second.lease(), end(40, true)),
                Step::Ended(third.lease(), end(50, false)),
            ],
        )
        .await;
        assert_eq!(taken, [Some(true), Some(true), Some(false)]);
        for (run, charged, key) in [
            (&first, 30, Some("a")),
            (&second, 40, None),
            (&third, 7, None),
        ] {
            let run = found(&steps, run.id).await;
            assert_eq!(
                (run.state, run.cost_microdollars),
                (State::Ended, Some(charged))
            );
            assert_eq!(run.client_msg_id.as_deref(), key);
            assert_eq!((run.outcome, run.failure), (Some(Outcome::Complete), None));
            assert_eq!((run.input_tokens, run.output_tokens), (Some(10), Some(5)));
            assert_eq!(run.finish_reason.as_deref(), Some("stop"));
            assert_eq!((run.first_token_ms, run.duration_ms), (Some(3), Some(4)));
            assert_eq!((run.parameters, run.ended_at), (None, Some(now())));
            // Not each of them was running before.
            let place = (run.answer_id, run.answer_seq, run.reserved_microdollars);
            assert_eq!(place, (Some(11), Some(2), 100));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_back_to_running() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let steps = Steps(scratch.database.clone());
        let rows = Rows(&scratch.database);
        let user = Uuid::now_v7();
        let runs = [run(user, None), run(user, None)];
        let insert = |run: &Run| Step::Insert(Box::new(run.clone()));
        take(&steps, runs.iter().map(insert).collect()).await;
        let [answered, ended] = runs;
        let store = Store::new(scratch.database.clone(), Tasks::new());
        let receipt = end(7, false).receipt;
        assert!(store.answered(&answered, &receipt).await.unwrap());
        let ends = take(&steps, vec![Step::Ended(ended.lease(), end(7, false))]).await;
        assert_eq!(ends, [Some(true)]);
        let late = |run: &Run| Step::Running(run.lease(), appended(22));
        let together = take(&steps, vec![late(&answered), late(&ended)]).await;
        assert_eq!(together, [Some(false); 2]);
        for run in [&answered, &ended] {
            assert!(!rows.running(run.lease(), &appended(22)).await.unwrap());
        }
        assert_eq!(found(&steps, answered.id).await.state, State::Answered);
        assert_eq!(found(&steps, ended.id).await.answer_id, Some(11));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_takes_no_other_along() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let steps = Steps(scratch.database.clone());
        let user = Uuid::now_v7();
        let first = run(user, Some("key"));
        let insert = |run: &Run| Step::Insert(Box::new(run.clone()));
        assert_eq!(take(&steps, vec![insert(&first)]).await, [Some(true)]);
        let other = run(user, Some("other"));
        let again = Run {
            client_msg_id: None,
            ..first.clone()
        };
        let taken = take(
            &steps,
            vec![
                insert(&other),
                insert(&run(user, Some("key"))),
                Step::Running(first.lease(), appended(1)),
                insert(&again),
            ],
        )
        .await;
        assert_eq!(taken, [Some(true), Some(false), Some(true), None]);
        assert_eq!(found(&steps, other.id).await, other);
        assert_eq!(found(&steps, first.id).await.state, State::Running);
    }
}
