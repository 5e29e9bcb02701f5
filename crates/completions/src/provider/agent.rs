//! An agent: a gRPC server of `ai_service.proto`, which answers whole and says what it cost.

use std::error::Error;
use std::time::Duration;

use confab_rpc::agent::Request;
use confab_rpc::agent::ai_service_client::AiServiceClient;
use confab_rpc::transport;
use futures_util::StreamExt;
use futures_util::stream;
use secrecy::ExposeSecret;
use serde::Serialize;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Status, TimeoutExpired};
use url::Url;

use crate::catalogue::Model;
use crate::provider::rendering::render;
use crate::provider::{
    Answer, AskBack, Bill, Cause, Chat, Embedded, End, Failure, Piece, Prompt, Provider,
    ProviderError, Relay, Role, Texts, Turn,
};

#[cfg(test)]
mod tests;

/// Metadata with which an agent may ask back.
const RUN_TOKEN: &str = "confab-run-token";
/// Metadata that says where to ask back.
const CONTEXT_ADDRESS: &str = "confab-agent-address";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A dead peer is noticed by TCP. HTTP/2 pings are no alternative: gRPC servers hang up on a client that pings more than
/// once in five minutes while an answer is being worked on.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
const MICRODOLLARS: f64 = 1e6;
/// How tonic begins the status that it makes of an HTTP error of something between Confab and the agent.
const NOT_FROM_THE_AGENT: &str = "grpc-status header missing";

/// An agent. It is called once for each question, never again.
#[derive(Debug)]
pub(super) struct Agent {
    client: AiServiceClient<Channel>,
    timeout: Duration,
}

impl Agent {
    /// Connects when it is first asked. Must be called inside a tokio runtime, which the connection lives on.
    pub(super) fn new(url: &Url, timeout_ms: u64) -> Result<Self, tonic::transport::Error> {
        let channel = transport::endpoint(url.to_string())?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Some(TCP_KEEPALIVE))
            .connect_lazy();
        Ok(Self {
            client: AiServiceClient::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES)
                .max_encoding_message_size(MESSAGE_BYTES),
            timeout: Duration::from_millis(timeout_ms),
        })
    }
}

#[async_trait::async_trait]
impl Provider for Agent {
    async fn ask(&self, prompt: &Prompt, _: usize) -> Result<Answer, Failure> {
        let mut request = tonic::Request::new(Request::default());
        request.set_timeout(self.timeout);
        if let Some(ask_back) = &prompt.ask_back {
            tell(ask_back, request.metadata_mut())?;
        }
        *request.get_mut() = encode(prompt)?;

        let mut client = self.client.clone();
        // The channel's own limit ends with the response head.
        let response = tokio::time::timeout(self.timeout, client.process(request))
            .await
            .map_err(|_| late())?
            .map_err(|status| refused(&status))?
            .into_inner();

        let text = Some(response.response_text)
            .filter(|text| !text.is_empty())
            .map(Piece::Text);
        let end = Piece::End(End {
            bill: Bill::Cost(microdollars(response.cost)),
            finish_reason: None,
        });
        Ok(stream::iter(text.into_iter().chain([end]).map(Ok)).boxed())
    }

    async fn chat(&self, chat: &Chat, model: &Model, key: usize) -> Result<Relay, Failure> {
        if chat.has_tools()? {
            return Err(Failure::refused(
                "this model is an agent, which takes no `tools`",
            ));
        }
        let answer = self.ask(&chat.prompt(model)?, key).await?;
        Ok(render(chat, answer))
    }

    async fn embed(&self, _: &Texts, _: &Model, _: usize) -> Result<Embedded, Failure> {
        Err(Failure::new(Cause::Settings, "an agent makes no vectors"))
    }
}

fn tell(ask_back: &AskBack, metadata: &mut MetadataMap) -> Result<(), Failure> {
    let value = |text: &str| {
        MetadataValue::<Ascii>::try_from(text)
            .map_err(|_| failed("an agent cannot be told where to ask back"))
    };
    let mut token = value(ask_back.token.expose_secret())?;
    token.set_sensitive(true);
    metadata.insert(RUN_TOKEN, token);
    metadata.insert(CONTEXT_ADDRESS, value(&ask_back.address)?);
    Ok(())
}

fn encode(prompt: &Prompt) -> Result<Request, Failure> {
    Ok(Request {
        user_id: prompt.user_id.to_string(),
        session_id: prompt.thread_id.to_string(),
        chat_message: prompt.question.clone(),
        model_name: prompt.model.name.clone(),
        session_prompt: prompt.instructions.clone(),
        file_name: prompt.files.clone(),
        chat_summary: prompt.summary.clone(),
        chat_history: encode_history(&prompt.history)?,
        balance: dollars(prompt.budget_microdollars),
        timestamp: Some(confab_rpc::time::to_wire(prompt.asked_at)),
        model_provider: prompt.model.vendor.clone(),
    })
}

fn encode_history(history: &[Turn]) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Entry<'a> {
        role: &'static str,
        content: &'a str,
    }
    let entries: Vec<_> = history
        .iter()
        .map(|turn| Entry {
            role: match turn.role {
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::System => "system",
            },
            content: &turn.content,
        })
        .collect();
    let entries = Some(entries).filter(|entries| !entries.is_empty());
    serde_json::to_string(&entries).map_err(|_| failed("the history cannot be written"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "agents are told floats"
)]
fn dollars(microdollars: i64) -> f32 {
    (microdollars as f64 / MICRODOLLARS) as f32
}

#[expect(clippy::cast_possible_truncation, reason = "floats saturate")]
fn microdollars(dollars: f32) -> i64 {
    if !dollars.is_finite() || dollars < 0.0 {
        tracing::warn!(dollars, "an agent's cost is not one; nothing is charged");
        return 0;
    }
    (f64::from(dollars) * MICRODOLLARS).round() as i64
}

/// An agent says UNAVAILABLE when there is no money; the transport says it when there is no agent, and then knows why.
fn refused(status: &Status) -> Failure {
    let mut causes = std::iter::successors(status.source(), |&cause| cause.source());
    if causes.any(<dyn Error>::is::<TimeoutExpired>) {
        return late();
    }
    let from_agent = status.source().is_none() && !status.message().starts_with(NOT_FROM_THE_AGENT);
    match status.code() {
        _ if !from_agent => Failure::new(Cause::Moment(None), "the agent cannot be reached"),
        Code::Unavailable => Failure {
            error: ProviderError::NoMoney,
            cause: Cause::Request,
        },
        // How much an agent takes in is not what the catalogue says: no other model is tried.
        Code::InvalidArgument => Failure {
            error: ProviderError::TooLong,
            cause: Cause::Request,
        },
        code => failed(format!("the agent answered {code:?}")),
    }
}

fn late() -> Failure {
    failed("the agent is late")
}

/// It may have begun to work, and what it did may cost: nothing else is asked.
fn failed(text: impl Into<String>) -> Failure {
    Failure::new(Cause::Request, text)
}
