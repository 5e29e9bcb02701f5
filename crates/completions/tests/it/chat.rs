//! Chats: what passes through, what is exchanged, and what is charged.

use confab_rpc::completions::{ChatEnd, ChatEvent, ChatHead, ChatRequest, chat_event};
use confab_rpc::sessions::User;
use confab_rpc::{Fault, Reason};
use serde_json::{Value, json};
use tonic::Streaming;

use crate::raw::{RawServer, Says, Then, says};
use crate::world::{House, LLAMA, Process};

pub(crate) const DOLLAR: i64 = 1_000_000;
/// What `LLAMA` costs for 7 tokens read and 5 written: 0.0015 and 0.002 dollars per 1,000.
pub(crate) const SEVEN_FIVE: i64 = 21;
pub(crate) const TEXT: &str = "data: {\"id\":\"up\",\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße\"}}]}\n\n";
pub(crate) const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub(crate) const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// What a chat brought.
#[derive(Debug)]
pub(crate) struct Chatted {
    pub(crate) head: Option<ChatHead>,
    pub(crate) events: Vec<Value>,
    pub(crate) end: Result<ChatEnd, Fault>,
}

impl Chatted {
    /// The text of the first choice.
    pub(crate) fn text(&self) -> String {
        let texts = self.events.iter().map(|event| {
            let choice = &event["choices"][0];
            let text = choice["delta"]["content"].as_str();
            text.or_else(|| choice["message"]["content"].as_str())
                .unwrap_or_default()
        });
        texts.collect()
    }

    pub(crate) fn fault(self) -> Fault {
        self.end.unwrap_err()
    }
}

pub(crate) fn request(user: &User, body: &Value) -> ChatRequest {
    ChatRequest {
        user_id: user.id.clone(),
        model_name: "llama3.1:8b".to_owned(),
        stream: body["stream"] == json!(true),
        body: body.to_string().into_bytes(),
        api_key_id: String::new(),
    }
}

fn asking(question: &str) -> Value {
    json!({"model": "anything", "messages": [{"role": "user", "content": question}]})
}

pub(crate) fn streaming(question: &str) -> Value {
    let mut body = asking(question);
    body["stream"] = json!(true);
    body
}

pub(crate) async fn begin(
    process: &Process,
    request: ChatRequest,
) -> Result<Streaming<ChatEvent>, Fault> {
    let mut client = process.client.clone();
    let begun = client.chat(request).await.map_err(Fault::from)?;
    Ok(begun.into_inner())
}

pub(crate) async fn chat(process: &Process, request: ChatRequest) -> Chatted {
    let mut chatted = Chatted {
        head: None,
        events: Vec::new(),
        end: Err(Fault::new(Reason::Internal, "the stream has no end")),
    };
    let mut stream = match begin(process, request).await {
        Ok(stream) => stream,
        Err(fault) => {
            chatted.end = Err(fault);
            return chatted;
        }
    };
    loop {
        match stream.message().await {
            Ok(Some(ChatEvent { event: Some(event) })) => match event {
                chat_event::Event::Head(head) => {
                    assert!(chatted.head.is_none() && chatted.events.is_empty());
                    chatted.head = Some(head);
                }
                chat_event::Event::Data(data) => {
                    assert!(chatted.head.is_some(), "the head comes first");
                    let events = data.events.iter();
                    let events = events.map(|event| serde_json::from_slice(event).unwrap());
                    chatted.events.extend(events);
                }
                chat_event::Event::End(end) => {
                    chatted.end = Ok(end);
                    assert_eq!(stream.message().await.unwrap(), None, "nothing follows");
                    return chatted;
                }
            },
            Ok(_) => return chatted,
            Err(status) => {
                chatted.end = Err(status.into());
                return chatted;
            }
        }
    }
}

pub(crate) async fn check(house: &House, process: Process, user: &User, charges: &[i64]) {
    process.stop().await;
    assert_eq!(house.charges(user).await, charges);
    house.check_books(user).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripted_model_chats_in_events_and_whole() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let mut charges = Vec::new();
        for body in [streaming("Hello 日本"), asking("Hello 日本")] {
            let chatted = chat(&process, request(&ann, &body)).await;
            let says = "This is Confab's scripted model, not a real one. You said: Hello 日本";
            assert_eq!(chatted.text(), says);
            let head = chatted.head.as_ref().unwrap();
            assert!(head.id.starts_with("chatcmpl-"), "{head:?}");
            assert_eq!(
                (head.model.as_str(), head.provider.as_str()),
                ("llama3.1:8b", "scripted")
            );
            for event in &chatted.events {
                assert_eq!(
                    (&event["id"], &event["model"]),
                    (&json!(head.id), &json!(head.model))
                );
            }
            let end = chatted.end.unwrap();
            assert!(end.cost_microdollars > 0);
            charges.push(end.cost_microdollars);
            assert_eq!(
                end.balance_microdollars,
                DOLLAR - charges.iter().sum::<i64>()
            );
            // It bills no more than there was.
            let read = end.usage.unwrap().input_tokens;
            let told = chatted.events.iter().map(|event| &event["usage"]);
            let told: Vec<_> = told.filter(|usage| usage.is_object()).collect();
            assert_eq!(told.len(), usize::from(body == asking("Hello 日本")));
            assert!(told.iter().all(|usage| usage["prompt_tokens"] == read));
        }
        check(&house, process, &ann, &charges).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripted_model_calls_tools_when_it_is_told_to() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let mut body = streaming("call weather {\"city\": \"Bonn\"}");
        let without = chat(&process, request(&ann, &body)).await;
        assert!(without.text().contains("call weather"), "no tools, no call");
        body["tools"] = json!([{"type": "function", "function": {"name": "weather"}}]);
        for stream in [true, false] {
            body["stream"] = json!(stream);
            let chatted = chat(&process, request(&ann, &body)).await;
            let part = if stream { "delta" } else { "message" };
            let call = &chatted.events[0]["choices"][0][part]["tool_calls"][0];
            assert_eq!(
                call["function"],
                json!({"name": "weather", "arguments": "{\"city\":\"Bonn\"}"})
            );
            let last = chatted
                .events
                .iter()
                .rfind(|event| event["choices"][0].is_object());
            assert_eq!(last.unwrap()["choices"][0]["finish_reason"], "tool_calls");
        }
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_passes_through_and_is_charged_as_the_provider_counts() {
    let server = RawServer::with([]).await;
    for house in House::both_with(&server.settings()).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let mut body = streaming("x");
        body["temperature"] = json!(0.25);
        body["user"] = json!("me");
        body["max_tokens"] = json!(1_000_000);
        server.then(says([TEXT, STOP, USAGE, DONE].concat()));
        let quiet = chat(&process, request(&ann, &body)).await;
        assert_eq!((quiet.text().as_str(), quiet.events.len()), ("Grüße", 2));
        assert_eq!(quiet.end.unwrap().cost_microdollars, SEVEN_FIVE);
        let (path, mut sent) = server.asked();
        assert_eq!(path, "/v1/chat/completions");
        assert_eq!(sent["max_tokens"], 1024, "the model's longest answer");
        assert_eq!(sent["stream_options"], json!({"include_usage": true}));
        sent.as_object_mut().unwrap().remove("stream_options");
        sent["max_tokens"] = json!(1_000_000);
        body["model"] = json!("llama3.1:8b");
        assert_eq!(sent, body, "all else is as it was");

        body["stream_options"] = json!({"include_usage": true});
        server.then(says([TEXT, STOP, USAGE, DONE].concat()));
        let told = chat(&process, request(&ann, &body)).await;
        assert_eq!(told.events[2]["usage"]["prompt_tokens"], 7);

        // One that does not count, and hangs up when the model has finished.
        server.then(says([TEXT, STOP].concat()));
        let measured = chat(&process, request(&ann, &body)).await;
        let end = measured.end.unwrap();
        assert_eq!(measured.events[2]["usage"]["completion_tokens"], 3);
        assert_eq!(end.usage.unwrap().output_tokens, 3);
        let charges = [SEVEN_FIVE, SEVEN_FIVE, end.cost_microdollars];
        check(&house, process, &ann, &charges).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_in_the_providers_words_and_free() {
    let server = RawServer::with([]).await;
    for house in House::both_with(&server.settings()).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        for (status, body, reason, message) in [
            (
                400,
                r#"{"error":{"message":"temperature is odd"}}"#,
                Reason::ProviderRefused,
                "temperature is odd",
            ),
            (
                422,
                r#"{"error":{"message":"no"}}"#,
                Reason::ProviderRefused,
                "no",
            ),
            (
                404,
                r#"{"error":{"message":"no such model"}}"#,
                Reason::ProviderRefused,
                "no such model",
            ),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded"}}"#,
                Reason::ContextTooLong,
                "too long",
            ),
            (
                401,
                r#"{"error":{"message":"canary"}}"#,
                Reason::ProviderFailed,
                "provider failed",
            ),
            (500, "canary", Reason::ProviderFailed, "provider failed"),
            (
                200,
                "data: nonsense\n\n",
                Reason::ProviderFailed,
                "provider failed",
            ),
            (
                200,
                "{\"choices\":",
                Reason::ProviderFailed,
                "provider failed",
            ),
            (
                200,
                "data: {\"error\":{\"type\":\"invalid_request_error\",\"message\":\"bad\"}}\n\n",
                Reason::ProviderRefused,
                "bad",
            ),
        ] {
            server.then(Says {
                status,
                ..says(body)
            });
            let fault = chat(&process, request(&ann, &streaming("x"))).await.fault();
            assert_eq!(fault.reason, reason, "{body}");
            assert!(fault.message.contains(message), "{fault}");
            assert!(!fault.message.contains("canary"), "{fault}");
        }
        check(&house, process, &ann, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_the_other_form_is_refused_and_free() {
    let server = RawServer::with([]).await;
    let whole = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    for house in House::both_with(&server.settings()).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        for (asked, answered) in [
            (asking("x"), format!("{TEXT}{DONE}")),
            (streaming("x"), whole.to_owned()),
        ] {
            server.then(says(answered));
            let chatted = chat(&process, request(&ann, &asked)).await;
            assert_eq!(chatted.events, [] as [Value; 0]);
            assert_eq!(chatted.fault().reason, Reason::ProviderFailed);
        }
        check(&house, process, &ann, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_is_charged_as_far_as_it_was_read() {
    let server = RawServer::with([]).await;
    let short = ("answer_bytes", "50");
    for house in House::both_with(&[&server.settings()[..], &[short]].concat()).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let cut = [
            TEXT.as_bytes(),
            &TEXT.as_bytes()[..=TEXT.find('ü').unwrap()],
        ]
        .concat();
        server.then(says(cut));
        let broken = chat(&process, request(&ann, &streaming("x"))).await;
        assert_eq!(broken.text(), "Grüße", "never a part of a character");
        assert_eq!(broken.fault().reason, Reason::ProviderFailed);

        server.then(Says {
            then: Then::Repeat,
            ..says(TEXT)
        });
        let endless = chat(&process, request(&ann, &streaming("x"))).await;
        assert_eq!(endless.text().len(), 7 * 7);
        assert!(endless.fault().message.contains("longer"));

        process.stop().await;
        let charges = house.charges(&ann).await;
        assert!(
            charges.len() == 2 && charges[0] > 0 && charges[0] < charges[1],
            "{charges:?}"
        );
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_ends_the_call_and_pays_for_what_was_read() {
    let server = RawServer::with([]).await;
    for (round, house) in (1..).zip(House::both_with(&server.settings()).await) {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        server.then(Says {
            then: Then::Hang,
            ..says(TEXT)
        });
        let mut stream = begin(&process, request(&ann, &streaming("x")))
            .await
            .unwrap();
        stream.message().await.unwrap();
        stream.message().await.unwrap();
        drop(stream);
        server.was_left(round).await;
        process.stop().await;
        let charges = house.charges(&ann).await;
        assert!(charges.len() == 1 && charges[0] > 0, "{charges:?}");
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_leaves_no_money_set_aside() {
    let server = RawServer::with([]).await;
    for house in House::both_with(&server.settings()).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        server.then(Says {
            then: Then::Hang,
            ..says(TEXT)
        });
        let mut stream = begin(&process, request(&ann, &streaming("x")))
            .await
            .unwrap();
        stream.message().await.unwrap();
        assert!(house.account(&ann).await.reserved_microdollars > 0);
        process.kill();
        house.let_reservations_expire();
        let other = house.start().await;
        house.nothing_is_set_aside(&ann).await;
        check(&house, other, &ann, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_or_cannot_pay_is_refused_before_the_provider_hears_of_it() {
    let server = RawServer::with([]).await;
    for house in House::both_with(&server.settings()).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[0]).await;
        let poor = house.user(10, &[LLAMA]).await;
        let body = streaming("x");
        let named = |name: &str| ChatRequest {
            model_name: name.to_owned(),
            ..request(&ann, &body)
        };
        let with = |field: &str, value: Value| {
            let mut body = body.clone();
            body[field] = value;
            request(&poor, &body)
        };
        for (request, reason) in [
            (request(&ann, &body), Reason::ModelNotGranted),
            (request(&poor, &body), Reason::BalanceInsufficient),
            (named("gpt-9"), Reason::ModelNotFound),
            (named("confab-hash-384"), Reason::ModelNotFound),
            (with("messages", json!([])), Reason::Invalid),
            (with("messages", json!("x")), Reason::Invalid),
            (with("n", json!(9)), Reason::Invalid),
            (with("n", json!(-1)), Reason::Invalid),
            (with("max_tokens", json!("many")), Reason::Invalid),
            (with("max_completion_tokens", json!(0)), Reason::Invalid),
        ] {
            assert_eq!(chat(&process, request).await.fault().reason, reason);
        }
        assert_eq!(server.times_asked(), 0);
        process.stop().await;
        house.check_books(&ann).await;
        house.check_books(&poor).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_longer_than_the_balance_pays_for() {
    let server = RawServer::with([]).await;
    for house in House::both_with(&server.settings()).await {
        let process = house.start().await;
        // 73 tokens are thought to be read: 110 micro-dollars; what is left pays for 45 tokens.
        let ann = house.user(200, &[LLAMA]).await;
        let mut body = streaming("x");
        body["n"] = json!(3);
        let claim = USAGE
            .replace(":7,", ":9000000,")
            .replace(":5}", ":9000000}");
        server.then(says([TEXT, STOP, &claim, DONE].concat()));
        let chatted = chat(&process, request(&ann, &body)).await;
        assert_eq!(server.asked().1["max_tokens"], 15);
        assert_eq!(chatted.end.unwrap().balance_microdollars, 0);
        check(&house, process, &ann, &[200]).await;
    }
}
