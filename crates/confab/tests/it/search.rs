//! Search in what was said with models.

use confab_rpc::search::{FindRequest, FindResponse};
use confab_rpc::threads::{
    AppendMessageRequest, AuthorKind, CreateThreadRequest, DeleteMessageRequest, Message, Thread,
    ThreadKind,
};
use confab_testkit::{Part, Shape, System};
use uuid::Uuid;

async fn thread(system: &System, user: Uuid) -> Thread {
    let request = CreateThreadRequest {
        user_id: user.to_string(),
        kind: ThreadKind::Assistant.into(),
        ..Default::default()
    };
    let thread = system.threads().create_thread(request).await;
    thread.unwrap().into_inner()
}

async fn say(system: &System, thread: &Thread, content: &str) -> Message {
    let request = AppendMessageRequest {
        user_id: thread.owner_id.clone(),
        thread_id: thread.id.clone(),
        author_kind: AuthorKind::Person.into(),
        content: content.to_owned(),
        ..Default::default()
    };
    let said = system.threads().append_message(request).await;
    said.unwrap().into_inner()
}

async fn find(system: &System, user: Uuid, query: &str) -> FindResponse {
    let request = FindRequest {
        user_id: user.to_string(),
        query: query.to_owned(),
        ..Default::default()
    };
    let found = system.search().find(request).await;
    found.unwrap().into_inner()
}

fn texts(found: &FindResponse) -> Vec<&str> {
    let messages = found.hits.iter().filter_map(|hit| hit.message.as_ref());
    messages.map(|message| message.content.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_found_by_whom_it_belongs_to() {
    for shape in Shape::ALL {
        let system = System::start(shape).await;
        let ann = system.add_user("ann", &[], 0).await;
        let bob = system.add_user("bob", &[], 0).await;
        let (hers, his) = (thread(&system, ann).await, thread(&system, bob).await);
        let nearest = "The lighthouse keeper counts the ships";
        let said = say(&system, &hers, nearest).await;
        say(&system, &hers, "Bread needs flour, water and salt").await;
        say(&system, &his, "His lighthouse keeper counts the ships too").await;
        let found = find(
            &system,
            ann,
            "how many ships does the lighthouse keeper count",
        )
        .await;
        assert!(found.complete, "{shape:?}");
        assert_eq!(texts(&found)[0], nearest, "{shape:?}");
        assert!(texts(&found).iter().all(|text| !text.contains("His")));
        assert!(found.hits[0].similarity > 0.2, "{:?}", found.hits);

        let request = DeleteMessageRequest {
            user_id: ann.to_string(),
            message_id: said.id,
        };
        system.threads().delete_message(request).await.unwrap();
        let found = find(&system, ann, nearest).await;
        assert!(!texts(&found).contains(&nearest), "{shape:?}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_search_everything_else_goes_on() {
    let mut system = System::start(Shape::Split).await;
    let ann = system.person("ann").await;
    system.stop_part(Part::Search).await;
    let (status, _) = system.rest(&ann).get("/readyz").await;
    assert_eq!(status, 200);
    let (status, body) = system.rest(&ann).get("/auth/me").await;
    assert_eq!(status, 200, "{body}");
    system.start_part(Part::Search).await;
    assert!(find(&system, ann.id, "anything").await.hits.is_empty());
}
