//! When vectors are made, and how many.

use std::collections::HashSet;

use confab_rpc::Reason;

use crate::embedder::{MEANING, REFUSED};
use crate::world::{World, request, texts, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_indexed_before_somebody_searches_and_then_only_theirs() {
    for world in World::both().await {
        let (user, other) = (uuid(), uuid());
        let (mine, theirs) = (world.thread(&user).await, world.thread(&other).await);
        for number in 0..5 {
            world.say(&mine, &format!("mine {number}")).await;
            world.say(&theirs, &format!("theirs {number}")).await;
        }
        assert_eq!(world.embedder.made(), 0);
        world.find(&user, "mine").await;
        assert_eq!(world.embedder.made(), 5 + 1);
        world.find(&user, "mine").await;
        assert_eq!(world.embedder.made(), 5 + 2, "nothing is made twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_indexes_no_more_than_it_may_and_the_rest_follows() {
    for world in World::both_with(|settings| settings.messages_per_call = 30).await {
        let user = uuid();
        for number in 0..3 {
            let thread = world.thread(&user).await;
            for _ in 0..20 {
                world.say(&thread, &format!("orchard {number}")).await;
            }
        }
        world.embedder.hold();
        let finding = world.search.find(request(&user, "orchard 2"));
        // The query's vector, the first thread's, ten of the second's: everything else is later.
        let watching = async {
            world.embedder.held().await;
            world.embedder.admit(3);
        };
        let (found, ()) = tokio::join!(finding, watching);
        let found = found.unwrap();
        assert!(!found.complete);
        assert_eq!(world.embedder.made(), 1 + 30);
        assert_eq!(texts(&found)[0], "orchard 2", "the last active is first");
        world.embedder.release();
        world.embedder.wait_for(1 + 60).await;
        let found = world
            .search
            .find(request(&user, "orchard 0"))
            .await
            .unwrap();
        assert_eq!(texts(&found)[0], "orchard 0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_at_the_same_time_make_each_vector_once() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        for number in 0..50 {
            world.say(&thread, &format!("meadow {number}")).await;
        }
        let find = || world.find(&user, "meadow");
        let (one, two, three) = tokio::join!(find(), find(), find());
        assert_eq!(one.len(), 10);
        assert!(one == two && two == three);
        assert_eq!(world.embedder.made(), 50 + 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_index_the_same_threads_at_the_same_time() {
    for world in World::both().await {
        let user = uuid();
        let other = world.another(|_| {});
        for _ in 0..5 {
            let thread = world.thread(&user).await;
            for number in 0..30 {
                world.say(&thread, &format!("glacier {number}")).await;
            }
        }
        for _ in 0..3 {
            let (here, there) = tokio::join!(
                world.search.find(request(&user, "glacier 7")),
                other.find(request(&user, "glacier 7")),
            );
            let (here, there) = (here.unwrap(), there.unwrap());
            assert!(here.complete && there.complete);
            let best = |found| texts(found).into_iter().take(5).collect::<HashSet<_>>();
            assert_eq!(best(&here), HashSet::from(["glacier 7".to_owned()]));
            assert_eq!(texts(&here), texts(&there));
        }
        assert_eq!(world.vectors().await, 150);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_vectors_there_is_no_answer_and_then_there_is() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        world.say(&thread, "a candle").await;
        world.embedder.set_away(true);
        let refused = world.search.find(request(&user, "candle")).await;
        assert_eq!(refused.unwrap_err(), Reason::Overloaded);
        world.embedder.set_away(false);
        assert_eq!(world.find(&user, "candle").await, ["a candle"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_the_model_refuses_keeps_no_other_from_being_found() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        world.say(&thread, "an anchor").await;
        world.say(&thread, &format!("an anchor, {REFUSED}")).await;
        world.say(&thread, "another anchor").await;
        assert_eq!(world.find(&user, "anchor").await.len(), 2);
        let made = world.embedder.made();
        world.find(&user, "anchor").await;
        assert_eq!(world.embedder.made(), made + 1, "it is not tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_or_length_makes_vectors_of_its_own() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        world.say(&thread, "a vehicle").await;
        assert_eq!(world.find(&user, "vehicle").await.len(), 1);
        let other = world.another(|settings| MEANING.clone_into(&mut settings.embedding_model));
        let found = other.find(request(&user, "car")).await.unwrap();
        assert_eq!(texts(&found), ["a vehicle"]);
        assert_eq!(world.vectors().await, 2);
        world.embedder.set_dimensions(100);
        assert_eq!(world.find(&user, "vehicle").await, ["a vehicle"]);
        assert_eq!(world.vectors().await, 3);
    }
}
