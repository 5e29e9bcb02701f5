//! What leaves the index although nobody searches for it.

use chrono::TimeDelta;

use crate::embedder::MEANING;
use crate::world::{World, request, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_thread_leaves_the_index_within_a_day() {
    for world in World::both().await {
        let user = uuid();
        let (kept, deleted) = (world.thread(&user).await, world.thread(&user).await);
        world.say(&kept, "a quiet river").await;
        world.say(&deleted, "a loud river").await;
        world.find(&user, "river").await;
        world.delete_thread(&deleted).await;
        world.search.service.sweep_once().await.unwrap();
        assert_eq!(world.vectors().await, 2, "it was there a moment ago");
        world.clock.advance(TimeDelta::hours(25));
        world.search.service.sweep_once().await.unwrap();
        assert_eq!(world.vectors().await, 1);
        assert_eq!(world.find(&user, "river").await, ["a quiet river"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_leaves_the_index_within_a_day() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        let first = world.say(&thread, "a quiet river").await;
        let last = world.say(&thread, "a loud river").await;
        world.find(&user, "river").await;
        world.delete_message(&user, &first).await;
        world.delete_message(&user, &last).await;
        world.clock.advance(TimeDelta::hours(25));
        world.search.service.sweep_once().await.unwrap();
        assert_eq!(world.vectors().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_of_a_model_that_is_not_used_any_more_are_removed() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        world.say(&thread, "a vehicle").await;
        let other = world.another(|settings| MEANING.clone_into(&mut settings.embedding_model));
        other.find(request(&user, "car")).await.unwrap();
        assert_eq!(world.vectors().await, 2, "one of each model");
        world.search.service.sweep_once().await.unwrap();
        assert_eq!(world.vectors().await, 2, "somebody may use it");
        world.clock.advance(TimeDelta::hours(25));
        other.service.sweep_once().await.unwrap();
        assert_eq!(world.vectors().await, 2, "both are in use");
        world.clock.advance(TimeDelta::hours(25));
        world.search.service.sweep_once().await.unwrap();
        assert_eq!(world.vectors().await, 1);
        let spaces = "SELECT COUNT(*) AS number FROM vector_space";
        assert_eq!(world.number(spaces).await, 1);
        assert_eq!(world.find(&user, "vehicle").await, ["a vehicle"]);
    }
}
