//! What is refused.

use confab_rpc::Reason;
use confab_rpc::search::FindRequest;
use confab_search::Settings;

use crate::embedder::MEANING;
use crate::world::{World, default_settings, request, texts, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_before_anything_is_asked() {
    for world in World::both().await {
        let user = uuid();
        let bad = [
            request(&user, ""),
            request(&user, " \n "),
            request(&user, &"x".repeat(8 * 1024 + 1)),
            request("nobody", "text"),
            FindRequest {
                limit: 101,
                ..request(&user, "text")
            },
        ];
        for bad in bad {
            let refused = world.search.find(bad).await;
            assert_eq!(refused.unwrap_err(), Reason::Invalid);
        }
        for thread_id in ["nothing".to_owned(), uuid()] {
            let unknown = FindRequest {
                thread_id,
                ..request(&user, "text")
            };
            let refused = world.search.find(unknown).await;
            assert_eq!(refused.unwrap_err(), Reason::ThreadNotFound);
        }
        assert_eq!(world.embedder.made(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_exist_is_our_failure() {
    for world in
        World::both_with(|settings| "nothing".clone_into(&mut settings.embedding_model)).await
    {
        let refused = world.search.find(request(&uuid(), "text")).await;
        assert_eq!(refused.unwrap_err(), Reason::Internal);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_built_in_model_another_one_is_enough() {
    for world in World::both().await {
        world.embedder.remove_built_in();
        let other = world.another(|settings| MEANING.clone_into(&mut settings.embedding_model));
        let user = uuid();
        let thread = world.thread(&user).await;
        world.say(&thread, "an automobile").await;
        let found = other.find(request(&user, "a car")).await.unwrap();
        assert_eq!(texts(&found), ["an automobile"]);
        let refused = world.search.find(request(&user, "a car")).await;
        assert_eq!(refused.unwrap_err(), Reason::Internal);
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    default_settings().validate().unwrap();
    let mut settings = default_settings();
    settings.embedding_model = " ".to_owned();
    settings.validate().unwrap_err();
    let changes: [fn(&mut Settings); 5] = [
        |settings| settings.messages_per_call = 0,
        |settings| settings.indexing_seconds = 0,
        |settings| settings.embedding_seconds = 0,
        |settings| settings.minimum_similarity = 1.5,
        |settings| settings.minimum_similarity = f32::NAN,
    ];
    for change in changes {
        let mut settings = default_settings();
        change(&mut settings);
        settings.validate().unwrap_err();
    }
}
