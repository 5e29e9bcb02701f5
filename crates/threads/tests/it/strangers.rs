//! Who is no member of a thread learns nothing of it from any call, and changes nothing.

use confab_rpc::Reason;
use confab_rpc::threads::{AppendExchangeRequest, CreateThreadRequest, ReplaceSummaryRequest};

use crate::world::{World, all, keyed, new_thread, outcome, question, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_of_somebody_else_is_not_there() {
    for world in World::both().await {
        let owner = uuid();
        let thread = world.thread(&owner).await.id;
        world
            .append(keyed(&owner, &thread, "secret", "key"))
            .await
            .unwrap();
        let before = world.get(&owner, &thread).await.unwrap();
        for stranger in [uuid(), "nobody".into(), String::new()] {
            assert_eq!(
                world.get(&stranger, &thread).await,
                Err(Reason::ThreadNotFound)
            );
            assert_eq!(
                world.page(all(&stranger, &thread)).await,
                Err(Reason::ThreadNotFound)
            );
            assert_eq!(
                world.delete(&stranger, &thread).await,
                Err(Reason::ThreadNotFound)
            );
            assert_eq!(
                world.append(question(&stranger, &thread, "hello")).await,
                Err(Reason::ThreadNotFound)
            );
            assert_eq!(
                world
                    .append(keyed(&stranger, &thread, "secret", "key"))
                    .await,
                Err(Reason::ThreadNotFound)
            );
            let summary = ReplaceSummaryRequest {
                user_id: stranger.clone(),
                thread_id: thread.clone(),
                expected_seq: 0,
                summary: "mine".into(),
                summary_seq: 1,
                expected_deletions: 0,
            };
            assert_eq!(
                outcome(world.client().replace_summary(summary).await),
                Err(Reason::ThreadNotFound)
            );
        }
        assert_eq!(world.get(&owner, &thread).await.unwrap(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_neither_holds_nor_starts_at_threads_of_others() {
    for world in World::both().await {
        let thread = world.thread(&uuid()).await.id;
        let stranger = uuid();
        assert_eq!(world.list(&stranger, 0, "").await.unwrap(), []);
        assert_eq!(
            world.list(&stranger, 0, &thread).await,
            Err(Reason::ThreadNotFound)
        );
        assert_eq!(
            world.list(&stranger, 0, "seven").await,
            Err(Reason::ThreadNotFound)
        );
        assert_eq!(world.list("nobody", 0, "").await, Err(Reason::Invalid));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_of_somebody_else_is_not_joined_by_making_it() {
    for world in World::both().await {
        let owner = uuid();
        let thread = world.thread(&owner).await.id;
        let stranger = uuid();
        let request = AppendExchangeRequest {
            new_thread: Some(CreateThreadRequest {
                id: thread.clone(),
                ..new_thread(&stranger)
            }),
            ..question(&stranger, "", "hello")
        };
        assert_eq!(world.append(request).await, Err(Reason::ThreadNotFound));
        assert_eq!(
            world.get(&stranger, &thread).await,
            Err(Reason::ThreadNotFound)
        );
        assert_eq!(world.get(&owner, &thread).await.unwrap().last_seq, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_ids_name_nothing() {
    for world in World::both().await {
        let user = uuid();
        for thread in ["", "seven", "00000000-0000-0000-0000-00000000000g"] {
            assert_eq!(world.get(&user, thread).await, Err(Reason::ThreadNotFound));
            assert_eq!(
                world.delete(&user, thread).await,
                Err(Reason::ThreadNotFound)
            );
            assert_eq!(
                world.page(all(&user, thread)).await,
                Err(Reason::ThreadNotFound)
            );
            assert_eq!(
                world.append(question(&user, thread, "hello")).await,
                Err(Reason::ThreadNotFound)
            );
        }
    }
}
