//! What is found, and in which order.

use confab_rpc::search::FindRequest;

use crate::embedder::MEANING;
use crate::world::{World, request, texts, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_message_comes_first_and_unlike_ones_not_at_all() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        world
            .say(&thread, "The red bicycle stands in the garden")
            .await;
        world.say(&thread, "A red bicycle").await;
        world.say(&thread, "Nothing of that kind").await;
        let found = world
            .search
            .find(request(&user, "a red bicycle"))
            .await
            .unwrap();
        assert_eq!(
            texts(&found),
            ["A red bicycle", "The red bicycle stands in the garden"]
        );
        let hit = &found.hits[0];
        assert!((hit.similarity - 1.0).abs() < 0.01, "{}", hit.similarity);
        let of = hit.thread.as_ref().unwrap();
        assert_eq!((&of.id, of.title.as_str()), (&thread.id, "A thread"));
        assert_eq!(of.instructions, "", "threads are listed without them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_stored_is_found() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        for number in 0..5 {
            let text = format!("lighthouse number {number}");
            world.say(&thread, &text).await;
            let found = world.find(&user, &text).await;
            assert_eq!(found.len(), number + 1);
            assert_eq!(found[0], text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_found_when_it_has_ended_and_what_follows_it_before() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        let exchange = world.ask(&thread, "Where is the comet?").await;
        world.say(&thread, "Meanwhile: another comet").await;
        let mut before = world.find(&user, "comet").await;
        before.sort();
        assert_eq!(before, ["Meanwhile: another comet", "Where is the comet?"]);
        let made = world.embedder.made();
        world.find(&user, "comet").await;
        assert_eq!(world.embedder.made(), made + 1, "only the query again");
        world.answer(&exchange, "The comet is near Jupiter").await;
        let after = world.find(&user, "comet near jupiter").await;
        assert_eq!(after.len(), 3);
        assert_eq!(after[0], "The comet is near Jupiter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_no_more_hits_than_asked_for() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        for number in 0..120 {
            world.say(&thread, &format!("walnut {number}")).await;
        }
        for (limit, hits) in [(0, 10), (1, 1), (37, 37), (100, 100)] {
            let found = FindRequest {
                limit,
                ..request(&user, "walnut")
            };
            let found = world.search.find(found).await.unwrap();
            assert_eq!(found.hits.len(), hits);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_in_one_thread_finds_that_thread_only() {
    for world in World::both().await {
        let user = uuid();
        let (one, other) = (world.thread(&user).await, world.thread(&user).await);
        world.say(&one, "harbour here").await;
        world.say(&other, "harbour there").await;
        let found = FindRequest {
            thread_id: one.id.clone(),
            ..request(&user, "harbour")
        };
        let found = world.search.find(found).await.unwrap();
        assert_eq!(texts(&found), ["harbour here"]);
        assert_eq!(world.find(&user, "harbour").await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_far_down_in_a_long_message_is_found() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        let filler: Vec<String> = (0..2000).map(|n| format!("somethingelse{n:08}")).collect();
        let long = format!("{} xylophone lessons", filler.join(" "));
        world.say(&thread, &long).await;
        world.say(&thread, "and so on").await;
        let found = world.find(&user, "xylophone lessons").await;
        assert!(found == [long], "the long one alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_model_that_knows_meaning_other_words_are_found() {
    for world in
        World::both_with(|settings| MEANING.clone_into(&mut settings.embedding_model)).await
    {
        let user = uuid();
        let thread = world.thread(&user).await;
        world.say(&thread, "My automobile is blue").await;
        world.say(&thread, "My car is blue").await;
        world.say(&thread, "Nothing to drive").await;
        let found = world.search.find(request(&user, "car blue")).await.unwrap();
        assert_eq!(texts(&found), ["My car is blue", "My automobile is blue"]);
        let similarity: Vec<f64> = found.hits.iter().map(|hit| hit.similarity).collect();
        assert!(
            (similarity[0] - similarity[1]).abs() < 0.001,
            "{similarity:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_messages_end_an_answer_early() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        for _ in 0..20 {
            let exchange = world.ask(&thread, "?").await;
            world.answer(&exchange, &"granite ".repeat(64 * 1024)).await;
        }
        let found = FindRequest {
            limit: 20,
            ..request(&user, "granite")
        };
        let found = world.search.find(found).await.unwrap();
        assert_eq!(found.hits.len(), 4, "of half a MiB each");
    }
}
