//! An AI agent of `proto/ai_service.proto`, scripted by the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use confab_rpc::agent::ai_service_server::{AiService, AiServiceServer};
use confab_rpc::agent::{Request, Response};
use futures_util::future::BoxFuture;
use tokio::task::AbortHandle;
use tonic::Status;
use tonic::transport::server::TcpIncoming;

/// One call as the agent got it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The message.
    pub request: Request,
    /// Metadata `confab-run-token`; empty when absent.
    pub token: String,
    /// Metadata `confab-agent-address`; empty when absent.
    pub address: String,
}

/// What the agent does with a call.
pub type Script = dyn Fn(Call) -> BoxFuture<'static, Result<Response, Status>> + Send + Sync;

/// An agent that listens; it ends when dropped.
pub struct Agent {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    server: AbortHandle,
}

impl Agent {
    /// Starts one that answers `Agent heard: …` for 0.0005 dollars.
    pub async fn start() -> Self {
        Self::start_with(|call| {
            Box::pin(async move {
                Ok(answer(
                    &format!("Agent heard: {}", call.request.chat_message),
                    0.0005,
                ))
            })
        })
        .await
    }

    /// Starts one that does what the script says.
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    pub async fn start_with(
        script: impl Fn(Call) -> BoxFuture<'static, Result<Response, Status>> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port for the agent");
        let address = listener.local_addr().expect("the agent's address");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let service = Scripted {
            script: Box::new(script),
            calls: Arc::clone(&calls),
        };
        let server = tonic::transport::Server::builder()
            .add_service(AiServiceServer::new(service))
            .serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(server).abort_handle();
        Self {
            address,
            calls,
            server,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The calls it got, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer at a price in dollars.
#[must_use]
pub fn answer(text: &str, cost: f32) -> Response {
    Response {
        response_text: text.to_owned(),
        cost,
        timestamp: None,
    }
}

struct Scripted {
    script: Box<Script>,
    calls: Arc<Mutex<Vec<Call>>>,
}

#[tonic::async_trait]
impl AiService for Scripted {
    async fn process(
        &self,
        request: tonic::Request<Request>,
    ) -> Result<tonic::Response<Response>, Status> {
        let metadata = |name: &str| {
            let value = request.metadata().get(name);
            let text = value.and_then(|value| value.to_str().ok());
            text.unwrap_or_default().to_owned()
        };
        let call = Call {
            token: metadata("confab-run-token"),
            address: metadata("confab-agent-address"),
            request: request.get_ref().clone(),
        };
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(call.clone());
        (self.script)(call).await.map(tonic::Response::new)
    }
}
