//! Agents: what they are given, what they may ask back, what they cost.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use confab_rpc::agents::agent_context_client::AgentContextClient;
use confab_rpc::agents::agent_context_server::AgentContextServer;
use confab_rpc::agents::{
    GetSummaryRequest, ListAttachmentsRequest, ListMessagesRequest, ListPreviousSessionsRequest,
    PreviousSession, ReadAttachmentRequest,
};
use confab_rpc::completions::AskRequest;
use confab_rpc::{Fault, Lane, Reason};
use tonic::{Request, Status};

use crate::agent::{Agent, Call, answer};
use crate::asking::{ask_in, new_ask, reason, refusal, thread_of};
use crate::world::{House, LLAMA};

const DOLLAR: i64 = 1_000_000;

type Client = AgentContextClient<Lane>;

fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("confab-run-token", token.parse().unwrap());
    request
}

/// What an agent learnt by asking back.
#[derive(Debug, Default, Clone)]
struct Learnt {
    token: String,
    messages: Vec<String>,
    sessions: Vec<PreviousSession>,
    summary: String,
    files: Vec<String>,
    bytes: Vec<u8>,
    foreign: Option<Reason>,
}

/// Asks back for everything, and for a file that is none of its business.
async fn learn(mut client: Client, call: Call) -> Result<Learnt, Status> {
    let token = call.token;
    let listed = client
        .list_messages(with_token(&token, ListMessagesRequest { limit: 0 }))
        .await?
        .into_inner();
    let request = ListPreviousSessionsRequest {
        sessions: 0,
        messages_each: 1,
    };
    let sessions = client
        .list_previous_sessions(with_token(&token, request))
        .await?
        .into_inner();
    let summary = client
        .get_summary(with_token(&token, GetSummaryRequest {}))
        .await?
        .into_inner();
    let files = client
        .list_attachments(with_token(&token, ListAttachmentsRequest {}))
        .await?
        .into_inner();
    let files: Vec<_> = files
        .attachments
        .into_iter()
        .map(|file| file.name)
        .collect();
    let mut bytes = Vec::new();
    for name in &files {
        let request = ReadAttachmentRequest { name: name.clone() };
        let read = client.read_attachment(with_token(&token, request)).await?;
        let mut chunks = read.into_inner();
        while let Some(chunk) = chunks.message().await? {
            bytes.extend(chunk.data);
        }
    }
    let request = ReadAttachmentRequest {
        name: call.request.chat_message,
    };
    let foreign = client.read_attachment(with_token(&token, request)).await;
    Ok(Learnt {
        messages: listed.messages.into_iter().map(|one| one.content).collect(),
        sessions: sessions.sessions,
        summary: summary.text,
        foreign: foreign.err().map(|status| Fault::from(status).reason),
        files,
        bytes,
        token,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_asks_back_for_its_run_alone() {
    let desk: Arc<Mutex<Option<Client>>> = Arc::default();
    let learnt: Arc<Mutex<Learnt>> = Arc::default();
    let (asks, keeps) = (Arc::clone(&desk), Arc::clone(&learnt));
    let agent = Agent::start_with(move |call| {
        let client = asks.lock().unwrap().clone().unwrap();
        let keeps = Arc::clone(&keeps);
        Box::pin(async move {
            let learnt = learn(client, call).await?;
            *keeps.lock().unwrap() = learnt;
            Ok(answer("Learnt."))
        })
    })
    .await;
    let settings = [
        ("providers.agent.url", agent.url.as_str()),
        ("agent_context.advertise", "agents.example.org:1"),
    ];
    for house in House::both_with(&settings).await {
        let process = house.start().await;
        let server = AgentContextServer::new(process.service.agent_context().unwrap());
        let mut client = Client::new(Lane::local(server, Duration::from_secs(30)));
        *desk.lock().unwrap() = Some(client.clone());

        let (ann, bob) = (
            house.user(DOLLAR, &[LLAMA]).await,
            house.user(DOLLAR, &[LLAMA]).await,
        );
        process.ask(new_ask(&bob, "Bob's secret")).await.unwrap();
        let other = process.ask(new_ask(&ann, "Elsewhere")).await.unwrap();
        let (thread, elsewhere) = (house.thread(&ann).await, house.thread(&ann).await);
        let foreign = house.upload(&ann, &elsewhere).await.name;
        let own = house.upload(&ann, &thread).await.name;
        process
            .ask(ask_in(&ann, &thread.id, "Before"))
            .await
            .unwrap();
        house.set_summary(&ann, &thread.id, "Long ago.").await;
        process
            .ask(ask_in(&ann, &thread.id, &foreign))
            .await
            .unwrap();

        let learnt = learnt.lock().unwrap().clone();
        assert_eq!(learnt.messages, ["Before", "Learnt."]);
        let sessions: Vec<_> = learnt.sessions.iter().map(|one| &one.session_id).collect();
        assert_eq!(sessions, [&elsewhere.id, &thread_of(&other.started)]);
        let last = &learnt.sessions[1].messages;
        assert_eq!(last.len(), 1);
        assert_eq!(
            (last[0].role.as_str(), last[0].content.as_str()),
            ("assistant", "Learnt.")
        );
        assert_eq!(learnt.summary, "Long ago.");
        assert_eq!(learnt.files, [own]);
        assert_eq!(learnt.bytes, b"Some notes.");
        assert_eq!(learnt.foreign, Some(Reason::AttachmentNotFound));

        // The token ended with the run.
        for token in [learnt.token.as_str(), "guessed"] {
            let late = client.get_summary(with_token(token, GetSummaryRequest {}));
            assert_eq!(refusal(late.await), Reason::TokenInvalid);
        }
        let without = client.get_summary(GetSummaryRequest {}).await;
        assert_eq!(refusal(without), Reason::TokenInvalid);
        let tokens: BTreeSet<_> = agent.calls().into_iter().map(|call| call.token).collect();
        assert_eq!(tokens.len(), agent.calls().len(), "each run has its own");
        assert_eq!(agent.calls()[0].address, "agents.example.org:1");
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_links_and_the_whole_balance_and_names_its_price() {
    let agent = Agent::start().await;
    let settings = [
        ("providers.agent.url", agent.url.as_str()),
        ("files_url", "http://files.example.org/"),
    ];
    for house in House::both_with(&settings).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let thread = house.thread(&ann).await;
        let file = house.upload(&ann, &thread).await;
        let request = AskRequest {
            attachment_names: vec![file.name.clone()],
            ..ask_in(&ann, &thread.id, "Read this")
        };
        let answered = process.ask(request).await.unwrap();
        assert_eq!(answered.text, "Heard: Read this");
        assert_eq!(answered.finished.cost_microdollars, 1_000);
        assert_eq!(answered.finished.balance_microdollars, DOLLAR - 1_000);
        let asked = agent.asked();
        assert_eq!(asked.user_id, ann.id);
        assert_eq!(asked.session_id, thread.id);
        assert_eq!(asked.model_name, "llama3.1:8b");
        assert_eq!(asked.model_provider, "ollama");
        assert!((asked.balance - 1.0).abs() < f32::EPSILON);
        assert_eq!(asked.file_name.len(), 1);
        let link = format!("http://files.example.org/uploads/{}?expires=", file.name);
        assert!(
            asked.file_name[0].starts_with(&link),
            "{}",
            asked.file_name[0]
        );
        process.stop().await;
        assert_eq!(house.charges(&ann).await, [1_000]);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_not_paid_enough_says_so() {
    let agent = Agent::start().await;
    for house in House::both_with(&[("providers.agent.url", agent.url.as_str())]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let refused = process.ask(new_ask(&ann, "poor")).await;
        assert_eq!(reason(refused), Reason::BalanceInsufficient);
        let failed = process.ask(new_ask(&ann, "fail")).await;
        assert_eq!(reason(failed), Reason::ProviderFailed);
        assert_eq!(
            agent
                .calls()
                .iter()
                .filter(|call| call.request.user_id == ann.id)
                .count(),
            2
        );
        process.stop().await;
        assert!(house.threads(&ann).await.is_empty());
        assert!(house.charges(&ann).await.is_empty());
        house.check_books(&ann).await;
    }
}
