//! An agent of `proto/ai_service.proto` answers, and asks back.

use confab_rpc::agents::agent_context_client::AgentContextClient;
use confab_rpc::agents::{
    GetSummaryRequest, ListAttachmentsRequest, ListMessagesRequest, ListPreviousSessionsRequest,
    ReadAttachmentRequest,
};
use confab_testkit::agent::{Agent, Call, answer};
use confab_testkit::assistant::Client;
use confab_testkit::{Shape, System};
use reqwest::multipart::{Form, Part};
use serde_json::json;
use tokio_stream::StreamExt;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

const MODEL: &str = "llama3.1:8b";
const DOLLAR: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_what_its_contract_names_and_is_paid_what_it_says() {
    for shape in Shape::ALL {
        let agent = Agent::start().await;
        let system =
            System::start_with(shape, &[("completions.providers.agent.url", &agent.url())]).await;
        let user = system.add_user("Test User", &[8], DOLLAR).await;
        let mut client = Client::connect(system.address()).await;
        let first = json!({
            "user_id": user, "session_id": "NEW", "model_id": 8, "message": "First", "session_prompt": "Be kind.",
            "file_name": "",
        });
        let reply = client.call(3, first).await;
        assert_eq!(reply["data"]["message"], "Agent heard: First");
        let session = reply["data"]["session_id"].as_str().unwrap().to_owned();
        client.ask(user, &session, MODEL, "Second").await;
        let balance = client.call(6, json!({ "user_id": user })).await;
        assert_eq!(balance["data"]["balance"], 0.999);

        let calls = agent.calls();
        let (first, second) = (&calls[0].request, &calls[1].request);
        assert_eq!(first.user_id, user.to_string());
        assert_eq!(first.session_id, session);
        assert_eq!(first.chat_message, "First");
        assert_eq!(first.model_name, MODEL);
        assert_eq!(first.model_provider, "ollama");
        assert_eq!(first.session_prompt, "Be kind.");
        assert_eq!(first.chat_history, "null");
        assert_eq!(first.chat_summary, "");
        assert!((first.balance - 1.0).abs() < f32::EPSILON);
        assert!(first.timestamp.is_some());
        let history: serde_json::Value = serde_json::from_str(&second.chat_history).unwrap();
        assert_eq!(
            history,
            json!([
                { "role": "user", "content": "First" },
                { "role": "assistant", "content": "Agent heard: First" },
            ])
        );
        assert!((second.balance - 0.9995).abs() < 1e-6);
        assert_eq!(system.account(user).await.balance_microdollars, 999_000);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_refuses_has_its_text_and_costs_nothing() {
    for shape in [Shape::Sqlite, Shape::Split] {
        let agent = Agent::start_with(|call| {
            Box::pin(async move {
                Err(match call.request.chat_message.as_str() {
                    "poor" => Status::unavailable("Insufficient funds"),
                    "long" => Status::invalid_argument("Input token limit exceeded"),
                    _ => Status::internal("Failed to generate response from API"),
                })
            })
        })
        .await;
        let system =
            System::start_with(shape, &[("completions.providers.agent.url", &agent.url())]).await;
        let user = system.add_user("Test User", &[8], DOLLAR).await;
        let mut client = Client::connect(system.address()).await;
        for (message, expected) in [
            ("poor", "Insufficient balance"),
            ("long", "Unable to Receive Response To Query"),
            ("fail", "Unable to Receive Response To Query"),
        ] {
            let reply = client.ask(user, "NEW", MODEL, message).await;
            assert_eq!(reply, json!({ "error": expected }), "{message}");
        }
        assert_eq!(agent.calls().len(), 3, "an agent is never asked twice");
        let account = system.account(user).await;
        assert_eq!(
            (account.balance_microdollars, account.reserved_microdollars),
            (DOLLAR, 0)
        );
        let reply = client.call(1, json!({ "user_id": user })).await;
        assert_eq!(
            reply["data"]["session_info"],
            json!([]),
            "no session of a failed first ask"
        );
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_fetches_files_and_asks_back_while_it_answers_and_not_afterwards() {
    for shape in Shape::ALL {
        let agent = Agent::start_with(|call| Box::pin(look_around(call))).await;
        let system = System::start_with(
            shape,
            &[
                ("completions.providers.agent.url", &agent.url()),
                ("gateway.auth.mode", "open"),
            ],
        )
        .await;
        let user = system.add_user("Test User", &[8], DOLLAR).await;
        let mut client = Client::connect(system.address()).await;
        client
            .ask(user, "NEW", MODEL, "In an earlier session")
            .await;
        let part = Part::text("file content").file_name("notes.txt");
        let form = Form::new()
            .part("file", part)
            .text("user_id", user.to_string())
            .text("session_id", "NEW")
            .text("model_name", MODEL);
        let uploaded = reqwest::Client::new()
            .post(system.url("/upload"))
            .multipart(form);
        let uploaded: serde_json::Value = uploaded.send().await.unwrap().json().await.unwrap();
        let (session, file) = (
            &uploaded["data"]["sessionId"],
            &uploaded["data"]["fileName"],
        );
        let session = session.as_str().unwrap();
        client.ask(user, session, MODEL, "Before").await;
        let asked = json!({
            "user_id": user, "session_id": session, "model_name": MODEL, "message": "Look around",
            "session_prompt": "", "file_name": file,
        });
        let reply = client.call(3, asked).await;
        assert_eq!(
            reply["data"]["message"],
            "session: user Before, assistant saw; earlier: In an earlier session; file: file content"
        );

        // The link is good for somebody without a credential, the token for nobody any more.
        let call = agent.calls().pop().unwrap();
        let link = call.request.file_name[0].replace("http://127.0.0.1:8000", &system.url(""));
        assert_eq!(
            reqwest::get(&link).await.unwrap().text().await.unwrap(),
            "file content"
        );
        let mut context = context(&call).await;
        let late = context
            .get_summary(with_token(&call, GetSummaryRequest {}))
            .await;
        assert_eq!(late.unwrap_err().code(), Code::Unauthenticated);
        system.stop().await;
    }
}

async fn context(call: &Call) -> AgentContextClient<Channel> {
    let address = if call.address.contains("://") {
        call.address.clone()
    } else {
        format!("http://{}", call.address)
    };
    let endpoint = Endpoint::from_shared(address).unwrap();
    AgentContextClient::new(endpoint.connect().await.unwrap())
}

fn with_token<T>(call: &Call, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = call.token.parse().unwrap();
    request.metadata_mut().insert("confab-run-token", token);
    request
}

/// Answers `saw`, or with everything there is to see.
async fn look_around(call: Call) -> Result<confab_rpc::agent::Response, Status> {
    if call.request.chat_message != "Look around" {
        return Ok(answer("saw", 0.0001));
    }
    let mut context = context(&call).await;
    let messages = ListMessagesRequest { limit: 10 };
    let messages = context.list_messages(with_token(&call, messages)).await?;
    let said: Vec<String> = messages
        .into_inner()
        .messages
        .into_iter()
        .map(|message| format!("{} {}", message.role, message.content))
        .collect();
    let earlier = ListPreviousSessionsRequest {
        sessions: 1,
        messages_each: 2,
    };
    let earlier = context
        .list_previous_sessions(with_token(&call, earlier))
        .await?;
    let earlier = earlier
        .into_inner()
        .sessions
        .remove(0)
        .messages
        .remove(0)
        .content;
    let files = context
        .list_attachments(with_token(&call, ListAttachmentsRequest {}))
        .await?;
    let name = files.into_inner().attachments.remove(0).name;
    let read = ReadAttachmentRequest { name };
    let mut chunks = context
        .read_attachment(with_token(&call, read))
        .await?
        .into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend(chunk?.data);
    }
    let text = format!(
        "session: {}; earlier: {earlier}; file: {}",
        said.join(", "),
        String::from_utf8_lossy(&bytes)
    );
    Ok(answer(&text, 0.0001))
}
