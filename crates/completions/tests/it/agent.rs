//! A real agent that does what the test says.

use std::sync::{Arc, Mutex};

use confab_rpc::agent::ai_service_server::{AiService, AiServiceServer};
use confab_rpc::agent::{Request, Response};
use confab_runtime::Tasks;
use futures_util::future::BoxFuture;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;

/// One call as the agent got it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) token: String,
    pub(crate) address: String,
}

type Script = dyn Fn(Call) -> BoxFuture<'static, Result<Response, Status>> + Send + Sync;

/// An agent that listens and remembers its calls.
#[derive(Clone)]
pub(crate) struct Agent {
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<Call>>>,
    pub(crate) url: String,
}

impl Agent {
    /// One that answers "Heard: …" for a tenth of a cent, unless it is told to "fail" or is "poor".
    pub(crate) async fn start() -> Self {
        Self::start_with(|call| {
            Box::pin(async move {
                match call.request.chat_message.as_str() {
                    "fail" => Err(Status::internal("told to")),
                    "poor" => Err(Status::unavailable("Insufficient funds")),
                    message => Ok(answer(&format!("Heard: {message}"))),
                }
            })
        })
        .await
    }

    pub(crate) async fn start_with(
        script: impl Fn(Call) -> BoxFuture<'static, Result<Response, Status>> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let agent = Self {
            script: Arc::new(script),
            calls: Arc::default(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let server = tonic::transport::Server::builder()
            .add_service(AiServiceServer::new(agent.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Tasks::new().spawn("agent", async move { server.await.unwrap() });
        agent
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The last call's.
    pub(crate) fn asked(&self) -> Request {
        self.calls().pop().unwrap().request
    }
}

pub(crate) fn answer(text: &str) -> Response {
    Response {
        response_text: text.to_owned(),
        cost: 0.001,
        timestamp: None,
    }
}

#[tonic::async_trait]
impl AiService for Agent {
    async fn process(
        &self,
        request: tonic::Request<Request>,
    ) -> Result<tonic::Response<Response>, Status> {
        let metadata = |name: &str| {
            let value = request.metadata().get(name);
            value
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        let call = Call {
            token: metadata("confab-run-token"),
            address: metadata("confab-agent-address"),
            request: request.get_ref().clone(),
        };
        self.calls.lock().unwrap().push(call.clone());
        (self.script)(call).await.map(tonic::Response::new)
    }
}
