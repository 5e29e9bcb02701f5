//! Chats: requests of OpenAI's chat completions that pass through. Nothing of them is kept but a run's row, under whose
//! lease the money is set aside and settled, as for every other run: a process that dies leaves it to the next one,
//! which gives the money back.
//!
//! The caller hears what the provider says as it says it. When the caller goes away, the provider's call ends, and what
//! was read until then is charged.

mod accounting;
mod relay;
mod request;

use std::sync::Arc;
use std::time::Duration;

use confab_rpc::completions::{ChatEnd, ChatEvent, ChatHead, ChatRequest, Usage, chat_event};
use confab_rpc::sessions::ReserveRequest;
use confab_rpc::{Fault, Reason};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tonic::Status;
use uuid::Uuid;

pub(crate) use self::accounting::fault_of;
use self::accounting::{Limits, receipt};
use self::relay::{Passage, TooLong};
use self::request::Asked;
pub(crate) use self::request::api_key;
use crate::error::Error;
use crate::provider::{Bill, Chat, Relay, RoutedChat, Said};
use crate::run::{Engine, Receipt};
use crate::store::{Purpose, Run};

/// Events that wait for the caller; then the provider waits.
const EVENTS: usize = 64;
/// How long a caller may leave an event lying before it counts as gone: it holds a place at the provider.
const PATIENCE: Duration = Duration::from_mins(1);
/// More than any answer costs: an agent is given all that is available, as only it knows its price.
const WHOLE_BALANCE: i64 = 1_000_000_000_000;

type Events = mpsc::Sender<Result<ChatEvent, Status>>;

/// How passing an answer through ended.
enum Passed {
    /// The provider said that this was all.
    Ended(Bill),
    /// The caller went away.
    Gone,
    Failed(Fault),
}

impl Engine {
    /// Puts a request to a model; returns when money is set aside for it, or it was refused.
    pub(crate) async fn chat(
        self: &Arc<Self>,
        request: ChatRequest,
    ) -> Result<BoxStream<'static, Result<ChatEvent, Status>>, Error> {
        let asked = Asked::read(request, &self.catalogue)?;
        let (events, received) = mpsc::channel(EVENTS);
        let (seat, seated) = oneshot::channel();
        let engine = Arc::clone(self);
        self.tasks.spawn("chat", async move {
            engine.carry_chat(asked, seat, events).await;
        });
        seated.await.unwrap_or(Err(Error::Interrupted))?;
        let stream = unfold(received, |mut received| async move {
            Some((received.recv().await?, received))
        });
        Ok(stream.boxed())
    }

    async fn carry_chat(
        self: Arc<Self>,
        asked: Asked,
        seat: oneshot::Sender<Result<(), Error>>,
        events: Events,
    ) {
        let run = Run {
            model_id: asked.model.id,
            model: asked.model.name.clone(),
            provider: asked.model.provider.clone(),
            prompt_tokens: i64::from(asked.estimated_input),
            api_key_id: asked.api_key_id,
            ..self.blank_run(Purpose::Chat, asked.user_id, Uuid::nil())
        };
        let reserved = match self.open_chat(&run, &asked).await {
            Ok(reserved) => reserved,
            Err(error) => {
                let _ = seat.send(Err(error));
                return;
            }
        };
        // A caller that went away closes the events, too.
        let _ = seat.send(Ok(()));
        let work = Box::pin(self.pass_chat(&run, asked, reserved, &events));
        let done = self.hold(run.lease(), work).await;
        if let Err(error) = done.unwrap_or(Err(Error::Interrupted)) {
            tracing::warn!(run = %run.id, %error, "a chat is left for its lease to run out");
            let _ = events.send(Err(error.into())).await;
        }
    }

    /// The run's row, and the money.
    async fn open_chat(&self, run: &Run, asked: &Asked) -> Result<i64, Error> {
        let candidates = self.catalogue.candidates(&asked.model).into_iter();
        let most = candidates.map(|model| {
            let output = model
                .max_output_tokens
                .min(asked.limit.unwrap_or(u32::MAX))
                .saturating_mul(asked.choices);
            model.cost(asked.most_input.min(model.context_length), output)
        });
        let may_be_agent = self.may_be_agent(&asked.model);
        let maximum = if may_be_agent {
            Some(WHOLE_BALANCE)
        } else {
            most.max()
        };
        let minimum = asked.model.cost(asked.estimated_input, asked.choices);
        self.open_call(run, minimum, maximum.unwrap_or_default())
            .await
    }

    /// Writes the row of a run without a thread, then sets money aside for it.
    pub(crate) async fn open_call(
        &self,
        run: &Run,
        minimum: i64,
        maximum: i64,
    ) -> Result<i64, Error> {
        self.store.insert(run.clone()).await?;
        let request = ReserveRequest {
            user_id: run.user_id.to_string(),
            run_id: run.id.to_string(),
            model_id: run.model_id,
            minimum_microdollars: minimum.min(maximum),
            maximum_microdollars: maximum,
            open_limit: 0,
            // Whoever asks in a thread meanwhile does not wait for it.
            background: true,
            api_key_id: run.api_key_id.map(|id| id.to_string()).unwrap_or_default(),
        };
        match self.backends.reserve(request).await {
            Ok(reserved) => Ok(reserved),
            Err(error) => {
                self.release(run).await?;
                Err(error)
            }
        }
    }

    async fn pass_chat(
        &self,
        run: &Run,
        mut asked: Asked,
        reserved: i64,
        events: &Events,
    ) -> Result<(), Error> {
        let chat = Chat {
            model: asked.model.clone(),
            user_id: asked.user_id,
            body: std::mem::take(&mut asked.body).into(),
            stream: asked.stream,
            choices: asked.choices,
            asked_output: asked.limit,
            estimated_input: asked.estimated_input,
            budget_microdollars: reserved,
            asked_at: run.started_at,
        };
        if chat.most_output(&asked.model) == 0 {
            self.release(run).await?;
            let _ = events.send(Err(Error::BalanceInsufficient.into())).await;
            return Ok(());
        }
        let routed = tokio::select! {
            routed = self.providers.chat(&chat) => routed,
            () = events.closed() => return self.release(run).await,
        };
        let RoutedChat {
            model,
            provider,
            mut relay,
        } = match routed {
            Ok(routed) => routed,
            Err(error) => {
                self.release(run).await?;
                let _ = events.send(Err(fault_of(error).into())).await;
                return Ok(());
            }
        };
        let id = format!("chatcmpl-{}", run.id.simple());
        let most_tokens = chat.most_output(&model);
        let mut passage =
            Passage::new(&id, &asked, &model, most_tokens, self.settings.answer_bytes);
        let head = ChatHead {
            id,
            model: model.name.clone(),
            provider: provider.clone(),
        };
        let passed = if send(events, chat_event::Event::Head(head)).await {
            pass(&mut relay, &mut passage, events).await
        } else {
            Passed::Gone
        };
        drop(relay);
        let run = Run {
            model_id: model.id,
            model: model.name.clone(),
            provider,
            ..run.clone()
        };
        let limits = Limits {
            input: asked.most_input.min(model.context_length),
            output: most_tokens.saturating_mul(asked.choices),
            estimated_input: asked.estimated_input.min(model.context_length),
        };
        let receipt = receipt(&model, &limits, passage.tally(), &passed);
        let charged = self.settle_call(&run, &receipt).await;
        self.end_chat(
            passed,
            &passage,
            &receipt,
            charged,
            run.started_at.timestamp(),
            events,
        )
        .await
    }

    /// Books what a run without a thread cost; says what was charged and what is left.
    pub(crate) async fn settle_call(
        &self,
        run: &Run,
        receipt: &Receipt,
    ) -> Result<(i64, i64), Error> {
        self.record(run, receipt).await?;
        let settled = self.settle(run, receipt).await?;
        self.close(run, settled.0, false).await?;
        Ok(settled)
    }

    async fn end_chat(
        &self,
        passed: Passed,
        passage: &Passage,
        receipt: &Receipt,
        charged: Result<(i64, i64), Error>,
        created: i64,
        events: &Events,
    ) -> Result<(), Error> {
        let fault = match passed {
            Passed::Gone => return charged.map(drop),
            Passed::Failed(fault) => Some(fault),
            Passed::Ended(_) => None,
        };
        let (cost_microdollars, balance_microdollars) = charged?;
        if let Some(fault) = fault {
            let _ = events.send(Err(fault.into())).await;
            return Ok(());
        }
        let (input_tokens, output_tokens) = (receipt.input_tokens, receipt.output_tokens);
        if let Some(usage) = passage.missing_usage(created, input_tokens, output_tokens) {
            send(events, chat_event::Event::Data(usage)).await;
        }
        let end = ChatEnd {
            usage: Some(Usage {
                input_tokens,
                output_tokens,
            }),
            cost_microdollars,
            balance_microdollars,
        };
        send(events, chat_event::Event::End(end)).await;
        Ok(())
    }
}

/// Hands the events on until the end, or until the caller is gone.
async fn pass(relay: &mut Relay, passage: &mut Passage, events: &Events) -> Passed {
    loop {
        let said = tokio::select! {
            said = relay.next() => said,
            () = events.closed() => return Passed::Gone,
        };
        match said {
            Some(Ok(Said::Data(data))) => match passage.pass(&data) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    if !send(events, chat_event::Event::Data(event)).await {
                        return Passed::Gone;
                    }
                }
                Err(TooLong) => {
                    let text = "the provider's answer is longer than it may be";
                    return Passed::Failed(Fault::new(Reason::ProviderFailed, text));
                }
            },
            Some(Ok(Said::End(bill))) => return Passed::Ended(bill),
            _ if passage.is_finished() => return Passed::Ended(Bill::Unknown),
            Some(Err(error)) => {
                tracing::warn!(%error, "a provider failed in the middle of an answer");
                return Passed::Failed(fault_of(error));
            }
            None => {
                let text = "the provider's answer was cut";
                return Passed::Failed(Fault::new(Reason::ProviderFailed, text));
            }
        }
    }
}

/// False when the caller is gone.
async fn send(events: &Events, event: chat_event::Event) -> bool {
    let event = ChatEvent { event: Some(event) };
    matches!(timeout(PATIENCE, events.send(Ok(event))).await, Ok(Ok(())))
}
