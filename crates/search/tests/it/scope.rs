//! Only what a user may read now is found.

use confab_rpc::Reason;
use confab_rpc::search::FindRequest;

use crate::world::{World, request, texts, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_messages_are_never_found() {
    for world in World::both().await {
        let (user, stranger) = (uuid(), uuid());
        let mine = world.thread(&user).await;
        let theirs = world.thread(&stranger).await;
        world.say(&mine, "the code is mine").await;
        world.say(&theirs, "the code is theirs").await;
        assert_eq!(world.find(&stranger, "code").await, ["the code is theirs"]);
        assert_eq!(world.find(&user, "code").await, ["the code is mine"]);
        assert_eq!(world.find(&uuid(), "code").await, Vec::<String>::new());
        let within = FindRequest {
            thread_id: theirs.id.clone(),
            ..request(&user, "code")
        };
        assert_eq!(
            world.search.find(within).await.unwrap_err(),
            Reason::ThreadNotFound
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_leaves_the_index_with_the_next_search_whatever_it_is_for() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        let message = world.say(&thread, "a secret garden").await;
        world.say(&thread, "a garden").await;
        assert_eq!(world.find(&user, "secret garden").await.len(), 2);
        world.delete_message(&user, &message).await;
        let made = world.embedder.made();
        assert!(world.find(&user, "something else").await.is_empty());
        assert_eq!(world.vectors().await, 1);
        assert_eq!(world.find(&user, "secret garden").await, ["a garden"]);
        assert_eq!(world.embedder.made(), made + 2, "only the queries");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_deleted_messages_do_not_hide_the_others() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        world.say(&thread, "pelican and other birds").await;
        let mut gone = Vec::new();
        for _ in 0..60 {
            gone.push(world.say(&thread, "pelican").await);
        }
        assert_eq!(world.find(&user, "pelican").await.len(), 10);
        for message in &gone {
            world.delete_message(&user, message).await;
        }
        let found = FindRequest {
            limit: 3,
            ..request(&user, "pelican")
        };
        let found = world.search.find(found).await.unwrap();
        assert_eq!(texts(&found), ["pelican and other birds"]);
        assert_eq!(world.vectors().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_deleted_during_a_search_are_not_found_by_it() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        let mut gone = Vec::new();
        for _ in 0..50 {
            gone.push(world.say(&thread, "pelican").await);
        }
        world.say(&thread, "pelican and other birds").await;
        assert_eq!(world.find(&user, "pelican").await.len(), 10);
        world.embedder.hold();
        let finding = world.search.find(request(&user, "pelican"));
        let deleting = async {
            world.embedder.held().await;
            for message in &gone {
                world.delete_message(&user, message).await;
            }
            world.embedder.release();
        };
        let (found, ()) = tokio::join!(finding, deleting);
        assert_eq!(texts(&found.unwrap()), ["pelican and other birds"]);
        assert_eq!(world.vectors().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_deleted_during_a_search_is_not_found_by_it() {
    for world in World::both().await {
        let user = uuid();
        let (kept, deleted) = (world.thread(&user).await, world.thread(&user).await);
        world.say(&kept, "a quiet river").await;
        world.say(&deleted, "a loud river").await;
        assert_eq!(world.find(&user, "river").await.len(), 2);
        world.embedder.hold();
        let finding = world.search.find(request(&user, "river"));
        let deleting = async {
            world.embedder.held().await;
            world.delete_thread(&deleted).await;
            world.embedder.release();
        };
        let (found, ()) = tokio::join!(finding, deleting);
        assert_eq!(texts(&found.unwrap()), ["a quiet river"]);
        let within = FindRequest {
            thread_id: deleted.id.clone(),
            ..request(&user, "river")
        };
        assert_eq!(
            world.search.find(within).await.unwrap_err(),
            Reason::ThreadNotFound
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_changed_is_found_by_what_it_says_now() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        let message = world.say(&thread, "the old wording").await;
        assert_eq!(world.find(&user, "old").await.len(), 1);
        let id = message.id;
        world
            .execute(&format!(
                "UPDATE message SET content = 'the new text', updated_at = '2027-01-15 09:00:00+00:00' WHERE id = {id}"
            ))
            .await;
        assert!(world.find(&user, "old wording").await.is_empty());
        assert_eq!(world.find(&user, "new text").await, ["the new text"]);
    }
}
