//! The client against a real gRPC agent.

use std::sync::{Arc, Mutex};

use confab_rpc::agent::ai_service_server::{AiService, AiServiceServer};
use confab_rpc::agent::{Request, Response};
use confab_runtime::Tasks;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Code, Status};

use super::{Agent, dollars, microdollars};
use crate::provider::tests::{prompt, read};
use crate::provider::{AskBack, Bill, Provider, ProviderError, Role, Turn};

type Answers = Box<dyn Fn() -> Result<Response, Status> + Send + Sync>;

/// Answers every question alike and remembers them.
#[derive(Clone)]
struct Scripted {
    answers: Arc<Answers>,
    asked: Arc<Mutex<Vec<(MetadataMap, Request)>>>,
}

#[tonic::async_trait]
impl AiService for Scripted {
    async fn process(
        &self,
        request: tonic::Request<Request>,
    ) -> Result<tonic::Response<Response>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.asked.lock().unwrap().push((metadata, request));
        (self.answers)().map(tonic::Response::new)
    }
}

async fn serve(
    answers: impl Fn() -> Result<Response, Status> + Send + Sync + 'static,
) -> (Scripted, Agent) {
    let scripted = Scripted {
        answers: Arc::new(Box::new(answers)),
        asked: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = AiServiceServer::new(scripted.clone()).max_encoding_message_size(usize::MAX);
    Tasks::new().spawn("agent", async move {
        Server::builder()
            .add_service(server)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    });
    (scripted, agent(&url, 60_000))
}

fn agent(url: &str, timeout_ms: u64) -> Agent {
    Agent::new(&url.parse().unwrap(), timeout_ms).unwrap()
}

fn response(text: &str, cost: f32) -> Response {
    Response {
        response_text: text.to_owned(),
        cost,
        timestamp: None,
    }
}

fn failed(text: &str) -> ProviderError {
    ProviderError::Failed(text.to_owned())
}

async fn refusal(agent: &Agent) -> ProviderError {
    let asked = agent.ask(&prompt("Why?"), 0).await;
    asked.err().expect("an error").error
}

#[tokio::test]
async fn an_agent_is_told_everything_and_its_answer_comes_whole() {
    let (scripted, agent) = serve(|| Ok(response("Because.", 0.000_25))).await;
    let mut prompt = prompt("Why?");
    prompt.instructions = "Be brief.".to_owned();
    prompt.summary = "They met.".to_owned();
    prompt.files = vec!["http://a/1".to_owned()];
    prompt.history = [(Role::User, "\"Hi\""), (Role::Assistant, "Hello")]
        .map(|(role, content)| Turn {
            role,
            content: content.to_owned(),
        })
        .to_vec();
    prompt.ask_back = Some(AskBack {
        address: "127.0.0.1:50060".to_owned(),
        token: "run-token".to_owned().into(),
    });
    let answer = agent.ask(&prompt, 0).await.unwrap();
    assert_eq!(
        read(answer).await,
        ("Because.".to_owned(), Ok(Bill::Cost(250)))
    );

    let (metadata, request) = scripted.asked.lock().unwrap().remove(0);
    assert_eq!(metadata.get("confab-run-token").unwrap(), "run-token");
    assert_eq!(
        metadata.get("confab-agent-address").unwrap(),
        "127.0.0.1:50060"
    );
    assert!(metadata.contains_key("grpc-timeout"));
    let expected = Request {
        user_id: prompt.user_id.to_string(),
        session_id: prompt.thread_id.to_string(),
        chat_message: "Why?".to_owned(),
        model_name: "gpt-3.5-turbo-0125".to_owned(),
        session_prompt: "Be brief.".to_owned(),
        file_name: vec!["http://a/1".to_owned()],
        chat_summary: "They met.".to_owned(),
        chat_history:
            r#"[{"role":"user","content":"\"Hi\""},{"role":"assistant","content":"Hello"}]"#
                .to_owned(),
        balance: 1.5,
        timestamp: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 5_000,
        }),
        model_provider: "openai".to_owned(),
    };
    assert_eq!(request, expected);
}

#[tokio::test]
async fn an_empty_history_is_null_and_an_empty_answer_has_no_text() {
    let (scripted, agent) = serve(|| Ok(response("", 0.0))).await;
    let answer = agent.ask(&prompt("Why?"), 0).await.unwrap();
    assert_eq!(read(answer).await, (String::new(), Ok(Bill::Cost(0))));
    let (metadata, request) = scripted.asked.lock().unwrap().remove(0);
    assert_eq!(request.chat_history, "null");
    assert!(!metadata.contains_key("confab-run-token"));
}

#[tokio::test]
async fn refusals_have_their_meaning_and_are_never_retried() {
    for (code, error) in [
        (Code::Unavailable, ProviderError::NoMoney),
        (Code::InvalidArgument, ProviderError::TooLong),
        (Code::Internal, failed("the agent answered Internal")),
        (Code::Unknown, failed("the agent answered Unknown")),
    ] {
        let (scripted, agent) = serve(move || Err(Status::new(code, "canary"))).await;
        assert_eq!(refusal(&agent).await, error);
        assert_eq!(scripted.asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_no_lack_of_money() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let agent = agent(&url, 60_000);
    drop(listener);
    assert_eq!(refusal(&agent).await, failed("the agent cannot be reached"));
}

#[tokio::test]
async fn an_agent_that_hangs_up_is_no_lack_of_money() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agent = agent(
        &format!("http://{}", listener.local_addr().unwrap()),
        60_000,
    );
    let hang_up = async { drop(listener.accept().await) };
    let (asked, ()) = tokio::join!(refusal(&agent), hang_up);
    assert_eq!(asked, failed("the agent cannot be reached"));
}

#[tokio::test]
async fn a_proxy_without_an_agent_is_no_lack_of_money() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = tonic::service::Routes::from(
        axum::Router::new().fallback(|| async { axum::http::StatusCode::SERVICE_UNAVAILABLE }),
    );
    Tasks::new().spawn("proxy", async move {
        Server::builder()
            .add_routes(proxy)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    });
    let error = refusal(&agent(&url, 60_000)).await;
    assert_eq!(error, failed("the agent cannot be reached"));
}

#[tokio::test]
async fn an_agent_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let agent = agent(&format!("http://{}", listener.local_addr().unwrap()), 1);
    assert_eq!(refusal(&agent).await, failed("the agent is late"));
}

#[tokio::test]
async fn an_answer_that_is_too_large_fails() {
    let (_, agent) = serve(|| Ok(response(&"x".repeat(5 * 1024 * 1024), 0.0))).await;
    assert_eq!(
        refusal(&agent).await,
        failed("the agent answered OutOfRange")
    );
}

#[test]
fn money_is_rounded_and_nonsense_costs_nothing() {
    for (cost, expected) in [
        (0.000_25, 250),
        (0.000_000_4, 0),
        (1.0, 1_000_000),
        (-0.0, 0),
        (-1.0, 0),
        (f32::NAN, 0),
        (f32::INFINITY, 0),
        (f32::MAX, i64::MAX),
    ] {
        assert_eq!(microdollars(cost), expected, "{cost}");
    }
    assert!((dollars(999_500) - 0.9995).abs() < 1e-6);
}
