//! Chats: requests of OpenAI's chat completions that pass through. Nothing of them is kept but what was charged
//! ([`purse`]).
//!
//! The caller hears what the provider says as it says it. When the caller goes away, the provider's call ends, and what
//! was read until then is charged.
//!
//! Setting money aside is a transaction that is on disk before anybody is answered. Whoever had plenty left a moment ago
//! need not wait for it: the provider is asked meanwhile, and nothing of its answer is handed on before the money is
//! there. If it is refused, the call is dropped. The trade: what the provider asks for such a call nobody pays. It is
//! rare, as eight times the most that it can cost was there at most half a minute ago, and bounded ([`purse::Funds`]).

mod accounting;
mod purse;
mod relay;
mod request;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use confab_rpc::completions::{ChatEnd, ChatEvent, ChatHead, ChatRequest, Usage, chat_event};
use confab_rpc::{Fault, Reason};
use futures_util::future::{BoxFuture, Either, ready, select};
use futures_util::stream::{BoxStream, unfold};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;
use uuid::Uuid;

pub(crate) use self::accounting::fault_of;
use self::accounting::{Limits, spent};
use self::purse::{Booked, Spent};
pub(crate) use self::purse::{Call, Funds, LONGEST_CALL};
use self::relay::{Passage, TooLong};
use self::request::Asked;
pub(crate) use self::request::api_key;
use crate::error::Error;
use crate::provider::{Bill, Chat, ProviderError, Relay, RoutedChat, Said};
use crate::run::Engine;

/// Events that wait for the caller; then the provider waits.
const EVENTS: usize = 64;
/// How long a caller may leave an event lying before it counts as gone: it holds a place at the provider.
const PATIENCE: Duration = Duration::from_mins(1);
/// More than any answer costs: an agent is given all that is available, as only it knows its price.
const WHOLE_BALANCE: i64 = 1_000_000_000_000;

/// A provider's answer that has not begun.
type Asking<'a> = BoxFuture<'a, Result<RoutedChat, ProviderError>>;
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
        mut asked: Asked,
        seat: oneshot::Sender<Result<(), Error>>,
        events: Events,
    ) {
        let deadline = Instant::now() + LONGEST_CALL;
        let call = self.call_for(&asked);
        let wished = asked.chat(call.maximum, self.clock.now());
        let (reserved, early) = if self.funds.suffice(&call) {
            let asking = self.providers.chat(&wished).boxed();
            let (reserved, asking) = self.set_aside_while(&call, asking).await;
            (reserved, Some(asking))
        } else {
            (self.set_aside(&call).await, None)
        };
        let reserved = match reserved {
            Ok(reserved) => reserved,
            Err(error) => {
                drop(early);
                let _ = seat.send(Err(error));
                return;
            }
        };
        // A caller that went away closes the events, too.
        let _ = seat.send(Ok(()));
        let chat = Chat {
            budget_microdollars: reserved,
            ..wished.clone()
        };
        // With less money than was hoped for it has to be asked for less.
        let asking = early
            .filter(|_| reserved == call.maximum)
            .unwrap_or_else(|| self.providers.chat(&chat).boxed());
        let passing = self.pass_chat(&call, &asked, &chat, asking, deadline, &events);
        if let Err(error) = passing.await {
            tracing::warn!(call = %call.id, %error, "a chat is left for its reservation to run out");
            let _ = events.send(Err(error.into())).await;
        }
    }

    /// What a chat may cost.
    fn call_for(&self, asked: &Asked) -> Call {
        let candidates = self.catalogue.candidates(&asked.model).into_iter();
        let most = candidates.map(|model| {
            let output = model
                .max_output_tokens
                .min(asked.limit.unwrap_or(u32::MAX))
                .saturating_mul(asked.choices);
            model.cost(asked.most_input.min(model.context_length), output)
        });
        let maximum = if self.may_be_agent(&asked.model) {
            WHOLE_BALANCE
        } else {
            most.max().unwrap_or_default()
        };
        Call {
            id: Uuid::now_v7(),
            user_id: asked.user_id,
            api_key_id: asked.api_key_id,
            model_id: asked.model.id,
            minimum: asked.model.cost(asked.estimated_input, asked.choices),
            maximum,
        }
    }

    /// Sets money aside while the provider is being asked already.
    async fn set_aside_while<'a>(
        &self,
        call: &Call,
        asking: Asking<'a>,
    ) -> (Result<i64, Error>, Asking<'a>) {
        match select(pin!(self.set_aside(call)), asking).await {
            Either::Left((reserved, asking)) => (reserved, asking),
            Either::Right((routed, reserving)) => (reserving.await, ready(routed).boxed()),
        }
    }

    async fn pass_chat(
        &self,
        call: &Call,
        asked: &Asked,
        chat: &Chat,
        asking: Asking<'_>,
        deadline: Instant,
        events: &Events,
    ) -> Result<(), Error> {
        if chat.most_output(&asked.model) == 0 {
            return self
                .refuse(call, Error::BalanceInsufficient.fault(), events)
                .await;
        }
        let routed = tokio::select! {
            routed = timeout_at(deadline, asking) => routed,
            () = events.closed() => return self.book(call, 0).await.map(drop),
        };
        let RoutedChat {
            model,
            provider,
            mut relay,
        } = match routed {
            Ok(Ok(routed)) => routed,
            Ok(Err(error)) => return self.refuse(call, fault_of(error), events).await,
            Err(_) => return self.refuse(call, too_slow(), events).await,
        };
        let id = format!("chatcmpl-{}", call.id.simple());
        let most_tokens = chat.most_output(&model);
        let mut passage = Passage::new(&id, asked, &model, most_tokens, self.settings.answer_bytes);
        let head = ChatHead {
            id,
            model: model.name.clone(),
            provider,
        };
        let passing = pass(head, &mut relay, &mut passage, events);
        let passed = timeout_at(deadline, passing).await;
        let passed = passed.unwrap_or_else(|_| Passed::Failed(too_slow()));
        drop(relay);
        let limits = Limits {
            input: asked.most_input.min(model.context_length),
            output: most_tokens.saturating_mul(asked.choices),
            estimated_input: asked.estimated_input.min(model.context_length),
        };
        let spent = spent(&model, &limits, passage.tally(), &passed);
        if let Passed::Ended(_) = passed {
            let created = chat.asked_at.timestamp();
            let usage = passage.missing_usage(created, spent.input_tokens, spent.output_tokens);
            if let Some(usage) = usage {
                send(events, chat_event::Event::Data(usage)).await;
            }
        }
        let booked = self.book(call, spent.cost_microdollars).await?;
        end_chat(passed, spent, booked, events).await;
        Ok(())
    }

    /// Gives the money back and says why there is no answer.
    async fn refuse(&self, call: &Call, fault: Fault, events: &Events) -> Result<(), Error> {
        self.book(call, 0).await?;
        let _ = events.send(Err(fault.into())).await;
        Ok(())
    }
}

async fn end_chat(passed: Passed, spent: Spent, booked: Booked, events: &Events) {
    match passed {
        Passed::Gone => {}
        Passed::Failed(fault) => {
            let _ = events.send(Err(fault.into())).await;
        }
        Passed::Ended(_) => {
            let end = ChatEnd {
                usage: Some(Usage {
                    input_tokens: spent.input_tokens,
                    output_tokens: spent.output_tokens,
                }),
                cost_microdollars: booked.charged,
                balance_microdollars: booked.balance,
            };
            send(events, chat_event::Event::End(end)).await;
        }
    }
}

/// Of a call that was not over when it had to be.
pub(crate) fn too_slow() -> Fault {
    Fault::new(
        Reason::ProviderFailed,
        "the model's provider did not finish within 15 minutes",
    )
}

/// Hands the events on until the end, or until the caller is gone.
async fn pass(head: ChatHead, relay: &mut Relay, passage: &mut Passage, events: &Events) -> Passed {
    if !send(events, chat_event::Event::Head(head)).await {
        return Passed::Gone;
    }
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
