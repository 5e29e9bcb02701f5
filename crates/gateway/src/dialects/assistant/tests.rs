//! The language itself: what is read, what is written, byte for byte. What the services make of it is tested with them.

use confab_rpc::completions::ask_request::Model;
use confab_rpc::threads::{AttachmentRef, AuthorKind, Message, MessageState, Thread};
use confab_rpc::{Fault, Reason};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fault::{Failure, Problem};
use super::wire::{Entry, Kind, Reply, Request, Role, Session};
use super::{chat, mirror, names};

const USER: &str = "0192f0a1-0000-7000-8000-000000000001";
const SESSION: &str = "0192f0a1-0000-7000-8000-000000000002";

fn parse(message: &Value) -> Result<Request, Failure> {
    Request::parse(message.to_string().as_bytes())
}

fn golden(kind: Kind, reply: &Reply, expected: &str) {
    assert_eq!(reply.render(kind).unwrap(), expected.trim_end());
    let value: Value = serde_json::from_str(expected).unwrap();
    assert!(value.get("error").is_none(), "its presence means failure");
}

#[test]
fn replies_are_what_the_front_end_reads() {
    let user_id = USER.to_owned();
    golden(
        Kind::Details,
        &Reply::Details {
            user_id: user_id.clone(),
            username: "Test User".to_owned(),
        },
        include_str!("golden/details.json"),
    );
    let session = |id: &str, name: &str| Session {
        session_id: id.to_owned(),
        session_name: name.to_owned(),
    };
    golden(
        Kind::Sessions,
        &Reply::Sessions {
            user_id: user_id.clone(),
            session_info: vec![
                session(SESSION, "Hello there, I have"),
                session("0192f0a1-0000-7000-8000-000000000003", "New Chat"),
            ],
        },
        include_str!("golden/sessions.json"),
    );
    golden(
        Kind::Sessions,
        &Reply::Sessions {
            user_id: user_id.clone(),
            session_info: Vec::new(),
        },
        include_str!("golden/no_sessions.json"),
    );
    let mut question = question(1, "Hello \"there\"");
    question.attachments.push(AttachmentRef {
        id: String::new(),
        name: "1f0c.pdf".to_owned(),
        ..AttachmentRef::default()
    });
    golden(
        Kind::Chats,
        &Reply::Chats {
            user_id: user_id.clone(),
            session_id: SESSION.to_owned(),
            chat: chat::render(&chat::entries(&[
                question,
                answer(2, 1, MessageState::Complete, "Hi"),
            ])),
        },
        include_str!("golden/chats.json"),
    );
    golden(
        Kind::Ask,
        &Reply::Ask {
            user_id: user_id.clone(),
            session_id: SESSION.to_owned(),
            session_name: names::derive("Hello there, I have a question").to_owned(),
            message: "Hi".to_owned(),
        },
        include_str!("golden/ask.json"),
    );
    golden(
        Kind::Delete,
        &Reply::Delete { user_id },
        include_str!("golden/delete.json"),
    );
    golden(
        Kind::Models,
        &Reply::Models {
            models: vec!["gpt-4".to_owned(), "llama3.1:8b".to_owned()],
        },
        include_str!("golden/models.json"),
    );
    golden(
        Kind::Balance,
        &Reply::Balance { balance: 0.999_499 },
        include_str!("golden/balance.json"),
    );
    let failure = include_str!("golden/failure.json").trim_end();
    assert_eq!(Failure::UserDoesNotExist.render(), failure);
}

#[test]
fn only_an_object_with_an_integer_type_is_a_request() {
    for junk in [
        "",
        "{",
        "[]",
        "[1]",
        "null",
        "\"x\"",
        "3",
        "{\"type\":1",
        "{\"type\":1}x",
        "\u{feff}{}",
        "{\"type\":\"1\"}",
        "{\"type\":1.5}",
        "{\"type\":1.0}",
        "{\"type\":true}",
        "{\"type\":[1]}",
        "{\"type\":{}}",
        "{\"type\":99999999999999999999}",
    ] {
        let failure = Request::parse(junk.as_bytes()).unwrap_err();
        assert_eq!(failure, Failure::JsonParsing, "{junk}");
    }
    for invalid in [&b"{\"type\":0,\"x\":\"\xff\"}"[..], b"\xff"] {
        assert_eq!(Request::parse(invalid).unwrap_err(), Failure::JsonParsing);
    }
    let deep = format!(
        "{{\"type\":0,\"data\":{}{}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert_eq!(
        Request::parse(deep.as_bytes()).unwrap_err(),
        Failure::JsonParsing
    );
    for unknown in [
        json!({}),
        json!({"type": null}),
        json!({"type": 7}),
        json!({"type": -1}),
    ] {
        assert_eq!(
            parse(&unknown).unwrap_err(),
            Failure::UnknownMessage,
            "{unknown}"
        );
    }
    for number in 0..=6 {
        let request = parse(&json!({"type": number, "data": {}, "more": [1]})).unwrap();
        assert_eq!(request.kind as i64, number);
    }
}

#[test]
fn what_is_not_text_is_empty() {
    for data in [
        Value::Null,
        json!({}),
        json!([USER, SESSION]),
        json!("text"),
        json!(5),
        json!({"user_id": 5, "session_id": null, "message": ["x"], "session_prompt": {}, "file_name": true}),
    ] {
        let data = parse(&json!({"type": 3, "data": data})).unwrap().data;
        let texts = [
            &data.user_id,
            &data.session_id,
            &data.message,
            &data.session_prompt,
            &data.file_name,
            &data.client_msg_id,
        ];
        assert_eq!(texts, [""; 6]);
        assert_eq!(data.model(), None);
    }
    let data =
        parse(&json!({"type": 3, "data": {"user_id": USER, "message": "a\u{0}b", "extra": 1}}));
    let data = data.unwrap().data;
    assert_eq!((data.user_id.as_str(), data.message.as_str()), (USER, "ab"));
}

#[test]
fn a_model_has_a_name_or_a_number() {
    let model = |data: Value| {
        parse(&json!({"type": 3, "data": data}))
            .unwrap()
            .data
            .model()
    };
    let name = |name: &str| Some(Model::ModelName(name.to_owned()));
    assert_eq!(model(json!({"model_name": "gpt-4"})), name("gpt-4"));
    assert_eq!(
        model(json!({"model_name": "gpt-4", "model_id": 8})),
        name("gpt-4")
    );
    assert_eq!(model(json!({"model_id": 8})), Some(Model::ModelId(8)));
    assert_eq!(model(json!({"model_id": "8"})), Some(Model::ModelId(8)));
    assert_eq!(model(json!({"model_id": 0})), Some(Model::ModelId(0)));
    assert_eq!(
        model(json!({"model_name": "", "model_id": 8})),
        Some(Model::ModelId(8))
    );
    assert_eq!(
        model(json!({"model_name": 5, "model_id": 8})),
        Some(Model::ModelId(8))
    );
    for none in [
        json!({}),
        json!({"model_id": null}),
        json!({"model_id": 1.5}),
        json!({"model_id": "eight"}),
        json!({"model_id": ""}),
        json!({"model_id": 99_999_999_999_i64}),
    ] {
        assert_eq!(model(none.clone()), None, "{none}");
    }
}

#[test]
fn failures_have_the_texts_of_their_situation() {
    let text = |kind, reason| {
        let problem = Problem::Fault(Fault::new(reason, ""));
        problem.failure(kind).text()
    };
    for (kind, reason, expected) in [
        (Kind::Details, Reason::UserNotFound, "User Does Not Exists"),
        (Kind::Sessions, Reason::UserNotFound, "User Does Not Exists"),
        (Kind::Chats, Reason::ThreadNotFound, "Unable to Load Chats"),
        (
            Kind::Ask,
            Reason::UserNotFound,
            "User Does Not Have Model Access",
        ),
        (
            Kind::Ask,
            Reason::ModelNotFound,
            "User Does Not Have Model Access",
        ),
        (
            Kind::Ask,
            Reason::ModelNotGranted,
            "User Does Not Have Model Access",
        ),
        (
            Kind::Ask,
            Reason::BalanceInsufficient,
            "Insufficient balance",
        ),
        (Kind::Ask, Reason::ThreadNotFound, "Unable to Load Session"),
        (
            Kind::Ask,
            Reason::ProviderFailed,
            "Unable to Receive Response To Query",
        ),
        (
            Kind::Ask,
            Reason::ContextTooLong,
            "Unable to Receive Response To Query",
        ),
        (
            Kind::Ask,
            Reason::AttachmentNotFound,
            "Unable to Receive Response To Query",
        ),
        (
            Kind::Ask,
            Reason::Overloaded,
            "Unable to Receive Response To Query",
        ),
        (
            Kind::Delete,
            Reason::ThreadNotFound,
            "Unable to Delete Session",
        ),
        (
            Kind::Models,
            Reason::Overloaded,
            "Unable to Generate AI Model List",
        ),
        (
            Kind::Balance,
            Reason::UserNotFound,
            "Unable to get balance details",
        ),
        (Kind::Details, Reason::Overloaded, "Internal Server Error"),
    ] {
        assert_eq!(text(kind, reason), expected, "{kind:?} {reason:?}");
    }
}

fn question(id: i64, content: &str) -> Message {
    Message {
        id,
        seq: id,
        author_kind: AuthorKind::Person.into(),
        state: MessageState::Complete.into(),
        content: content.to_owned(),
        ..Default::default()
    }
}

fn answer(id: i64, answers: i64, state: MessageState, content: &str) -> Message {
    Message {
        id,
        seq: id,
        author_kind: AuthorKind::Model.into(),
        state: state.into(),
        content: content.to_owned(),
        answers,
        ..Default::default()
    }
}

fn entry(role: Role, content: &str) -> Entry {
    Entry {
        role,
        content: content.to_owned(),
    }
}

#[test]
fn a_history_pairs_questions_with_their_answers() {
    let messages = [
        question(1, "one"),
        answer(2, 1, MessageState::Complete, "1"),
        question(3, "two"),
        answer(4, 3, MessageState::Failed, "half of"),
        question(5, "three"),
        answer(6, 5, MessageState::Interrupted, "cut"),
        // Asked while three was being answered.
        question(7, "four"),
        question(8, "five"),
        answer(9, 8, MessageState::Cancelled, ""),
        answer(10, 7, MessageState::Streaming, "so far"),
        question(11, "six"),
    ];
    let (user, assistant) = (Role::User, Role::Assistant);
    assert_eq!(
        chat::entries(&messages),
        [
            entry(user, "one"),
            entry(assistant, "1"),
            entry(user, "three"),
            entry(assistant, "cut"),
            entry(user, "four"),
            entry(assistant, "so far"),
            entry(user, "five"),
            entry(assistant, ""),
            entry(user, "six"),
        ]
    );
    assert_eq!(chat::render(&[]), "[]");
}

#[test]
fn a_history_shows_what_other_languages_wrote() {
    let system = Message {
        author_kind: AuthorKind::System.into(),
        ..question(3, "be brief")
    };
    let messages = [
        question(1, "hello"),
        question(2, "anybody there?"),
        system,
        answer(4, 2, MessageState::Failed, ""),
        answer(5, 2, MessageState::Complete, "yes"),
        answer(6, 2, MessageState::Complete, "still"),
        // Its question was removed.
        answer(8, 7, MessageState::Complete, "no"),
        answer(10, 9, MessageState::Failed, ""),
        // Said by a model that nobody asked.
        answer(11, 0, MessageState::Complete, "by the way"),
    ];
    let (user, assistant) = (Role::User, Role::Assistant);
    assert_eq!(
        chat::entries(&messages),
        [
            entry(user, "hello"),
            entry(user, "anybody there?"),
            entry(assistant, "yes"),
            entry(assistant, "still"),
            entry(assistant, "no"),
            entry(assistant, "by the way"),
        ]
    );
}

#[test]
fn names_are_the_beginning_of_the_message() {
    for (message, name) in [
        ("", "New Chat"),
        ("   ", "New Chat"),
        ("Hello", "Hello"),
        ("Nineteen characters", "Nineteen characters"),
        ("Twenty characters ok", "Twenty characters"),
        ("Twenty characters is it", "Twenty characters"),
        ("What is the capital of France?", "What is the capital"),
        (" abcdefghijklmnopqrstuvwxyz", "New Chat"),
        ("https://example.org/a/long/path", "https://example.org/"),
        (
            "你好你好你好你好你好你好你好你好你好你好你好",
            "你好你好你好你好你好你好你好你好你好你好",
        ),
        ("你好 你好你好你好你好你好你好你好你好你好你好", "你好"),
        ("ééééééé ééééééé éééééééé", "ééééééé ééééééé"),
    ] {
        assert_eq!(names::derive(message), name, "{message}");
    }
}

proptest! {
    #[test]
    fn a_name_is_short_and_never_empty(message in any::<String>()) {
        let name = names::derive(&message);
        prop_assert!(!name.trim().is_empty());
        prop_assert!(name.chars().count() <= 20);
        prop_assert!(message.starts_with(name) || name == names::NEW_CHAT);
        if (1..20).contains(&message.chars().count()) && !message.trim().is_empty() {
            prop_assert_eq!(name, &message);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(junk in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::parse(&junk);
    }

    #[test]
    fn any_content_comes_back_from_a_chat(content in any::<String>()) {
        let text = chat::render(&chat::entries(&[question(1, &content)]));
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, json!([{"role": "user", "content": content}]));
    }
}

#[test]
fn a_mirrored_exchange_has_the_nine_fields_of_the_worker() {
    let mut asked = question(1, "Hello");
    asked.attachments.push(AttachmentRef {
        id: String::new(),
        name: "1f0c.pdf".to_owned(),
        ..AttachmentRef::default()
    });
    let exchange = mirror::Exchange {
        thread: Thread {
            id: SESSION.to_owned(),
            owner_id: USER.to_owned(),
            title: "Hello".to_owned(),
            instructions: "Be brief".to_owned(),
            model_id: Some(8),
            summary: "Nothing yet".to_owned(),
            ..Default::default()
        },
        question: asked,
        answer: answer(2, 1, MessageState::Complete, "Hi"),
        balance_microdollars: 999_500,
    };
    let chats = r#"[{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi"},{"role":"file","content":"1f0c.pdf"}]"#;
    let fields: Vec<(String, String)> = mirror::fields(&exchange, true);
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("userId", USER),
            ("sessionId", SESSION),
            ("sessionPrompt", "Be brief"),
            ("modelId", "8"),
            ("chats", chats),
            ("chatsSummary", "Nothing yet"),
            ("sessionName", "Hello"),
            ("isNew", "new"),
            ("balance", "0.999500"),
        ]
    );
    assert_eq!(mirror::fields(&exchange, false)[7].1, "old");
}
