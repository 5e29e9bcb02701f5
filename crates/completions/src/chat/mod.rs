//! Chats: requests of OpenAI's chat completions that pass through. Nothing of them is kept but what was charged
//! ([`purse`]).
//!
//! The caller hears what the provider says as it says it. When the caller goes away, the provider's call ends, and what
//! was read until then is charged.
//!
//! Setting money aside is a transaction that is on disk before anybody is answered. Whoever had plenty left a moment ago
//! need not wait for it: the provider is asked, and heard, meanwhile. If the money is refused after all, the answer is cut.
//! The trade: what such a call took until then nobody pays. It is rare, as eight times the most that it can cost was there
//! at most half a minute ago; short, as long as a transaction takes; and bounded ([`purse::Funds`]).

mod accounting;
mod purse;
mod relay;
mod request;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use confab_rpc::completions::{
    ChatData, ChatEnd, ChatEvent, ChatHead, ChatRequest, Usage, chat_event,
};
use confab_rpc::{Fault, Reason};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;
use uuid::Uuid;

pub(crate) use self::accounting::fault_of;
use self::accounting::{Limits, spent};
use self::purse::{Booked, Spent};
pub(crate) use self::purse::{Call, Funds, LONGEST_CALL};
use self::relay::Passage;
use self::request::Asked;
pub(crate) use self::request::api_key;
use crate::error::Error;
use crate::provider::{Bill, Chat, ProviderError, Relay, RoutedChat, Said};
use crate::run::Engine;

/// Messages that wait for the caller; then the provider waits.
const EVENTS: usize = 64;
/// What is there of an answer is handed on at once: the first event alone, then as one so many, and so many bytes and an
/// event, at most.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 64 * 1024;
/// How long a caller may leave an event lying before it counts as gone: it holds a place at the provider.
const PATIENCE: Duration = Duration::from_mins(1);
/// For how long setting money aside waits for the first word, where it may come later: the two want the same cores.
const HEAD_START: Duration = Duration::from_millis(5);
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

/// A call with what is asked for it.
struct Order {
    call: Call,
    asked: Asked,
    /// With the most it may cost as its budget.
    chat: Chat,
    deadline: Instant,
    /// Told when the first word is out.
    begun: Notify,
}

impl Engine {
    /// Puts a request to a model; returns when it may go on, or it was refused.
    pub(crate) async fn chat(
        self: &Arc<Self>,
        request: ChatRequest,
    ) -> Result<BoxStream<'static, Result<ChatEvent, Status>>, Error> {
        let mut asked = Asked::read(request, &self.catalogue)?;
        let call = self.call_for(&asked);
        let order = Order {
            chat: asked.chat(call.maximum, self.clock.now()),
            call,
            asked,
            deadline: Instant::now() + LONGEST_CALL,
            begun: Notify::new(),
        };
        let (events, received) = mpsc::channel(EVENTS);
        let engine = Arc::clone(self);
        if self.funds.suffice(&order.call) {
            self.tasks.spawn("chat", async move {
                engine.carry_trusted(&order, &events).await;
            });
        } else {
            let (seat, seated) = oneshot::channel();
            self.tasks.spawn("chat", async move {
                engine.carry_paid(order, seat, &events).await;
            });
            seated.await.unwrap_or(Err(Error::Interrupted))?;
        }
        let stream = unfold(received, |mut received| async move {
            Some((received.recv().await?, received))
        });
        Ok(stream.boxed())
    }

    /// Sets money aside, then asks.
    async fn carry_paid(
        &self,
        mut order: Order,
        seat: oneshot::Sender<Result<(), Error>>,
        events: &Events,
    ) {
        match self.set_aside(&order.call).await {
            Ok(reserved) => order.chat.budget_microdollars = reserved,
            Err(error) => {
                let _ = seat.send(Err(error));
                return;
            }
        }
        // A caller that went away closes the events, too.
        let _ = seat.send(Ok(()));
        let outcome = self.pass_chat(&order, events).await;
        self.close_chat(&order.call, outcome, events).await;
    }

    /// Asks while money is set aside. When that is refused, the call is dropped. When it is less than the most that the call
    /// may cost, the rest is taken from what is left in the end, as far as that goes.
    async fn carry_trusted(&self, order: &Order, events: &Events) {
        let mut passing = pin!(self.pass_chat(order, events));
        let mut reserving = pin!(async {
            let _ = timeout(HEAD_START, order.begun.notified()).await;
            self.set_aside(&order.call).await
        });
        let (outcome, reserved) = tokio::select! {
            outcome = &mut passing => (Some(outcome), reserving.await),
            reserved = &mut reserving => (None, reserved),
        };
        if let Err(error) = reserved {
            let _ = events.send(Err(error.into())).await;
            return;
        }
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => passing.await,
        };
        self.close_chat(&order.call, outcome, events).await;
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

    /// Asks, and hands on what is answered; gives how that ended and what it took.
    async fn pass_chat(&self, order: &Order, events: &Events) -> (Passed, Spent) {
        let Order {
            call, asked, chat, ..
        } = order;
        let failed = |fault| (Passed::Failed(fault), Spent::default());
        if chat.most_output(&asked.model) == 0 {
            return failed(Error::BalanceInsufficient.fault());
        }
        let routed = tokio::select! {
            routed = timeout_at(order.deadline, self.providers.chat(chat)) => routed,
            () = events.closed() => return (Passed::Gone, Spent::default()),
        };
        let RoutedChat {
            model,
            provider,
            mut relay,
        } = match routed {
            Ok(Ok(routed)) => routed,
            Ok(Err(error)) => return failed(fault_of(error)),
            Err(_) => return failed(too_slow()),
        };
        let id = format!("chatcmpl-{}", call.id.simple());
        let most_tokens = chat.most_output(&model);
        let mut passage = Passage::new(&id, asked, &model, most_tokens, self.settings.answer_bytes);
        let head = ChatHead {
            id,
            model: model.name.clone(),
            provider,
        };
        let passing = pass(head, &mut relay, &mut passage, events, &order.begun);
        let passed = timeout_at(order.deadline, passing).await;
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
                send_data(events, vec![usage]).await;
            }
        }
        (passed, spent)
    }

    /// Books what a call took, and tells its caller how it ended.
    async fn close_chat(&self, call: &Call, (passed, spent): (Passed, Spent), events: &Events) {
        match self.book(call, spent.cost_microdollars).await {
            Ok(booked) => end_chat(passed, spent, booked, events).await,
            Err(error) => {
                tracing::warn!(call = %call.id, %error, "a chat is left for its reservation to run out");
                let _ = events.send(Err(error.into())).await;
            }
        }
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
async fn pass(
    head: ChatHead,
    relay: &mut Relay,
    passage: &mut Passage,
    events: &Events,
    begun: &Notify,
) -> Passed {
    if !send(events, chat_event::Event::Head(head)).await {
        return Passed::Gone;
    }
    let mut most = 1;
    loop {
        let batch = tokio::select! {
            batch = waiting(relay, most) => batch,
            () = events.closed() => return Passed::Gone,
        };
        most = BATCH;
        if batch.is_empty() {
            return cut(passage);
        }
        let mut texts = Vec::with_capacity(batch.len());
        let mut bytes = 0;
        for said in batch {
            match read(said, passage) {
                Ok(text) => {
                    bytes += text.as_ref().map_or(0, Vec::len);
                    texts.extend(text);
                }
                Err(passed) => {
                    send_data(events, texts).await;
                    return passed;
                }
            }
            if bytes >= BATCH_BYTES {
                bytes = 0;
                if !send_data(events, std::mem::take(&mut texts)).await {
                    return Passed::Gone;
                }
            }
        }
        if !send_data(events, texts).await {
            return Passed::Gone;
        }
        begun.notify_one();
    }
}

/// What waits to be read, at most so many, as soon as there is something; nothing at the end.
async fn waiting(relay: &mut Relay, most: usize) -> Vec<Result<Said, ProviderError>> {
    relay.ready_chunks(most).next().await.unwrap_or_default()
}

/// What the caller gets of what was said, or how the answer ended with it.
fn read(
    said: Result<Said, ProviderError>,
    passage: &mut Passage,
) -> Result<Option<Vec<u8>>, Passed> {
    match said {
        Ok(Said::Data(data)) => passage.pass(&data).map_err(|unfit| {
            let fault = Fault::new(Reason::ProviderFailed, unfit.to_string());
            Passed::Failed(fault)
        }),
        Ok(Said::End(bill)) => Err(Passed::Ended(bill)),
        Err(_) if passage.is_finished() => Err(Passed::Ended(Bill::Unknown)),
        Err(error) => {
            tracing::warn!(%error, "a provider failed in the middle of an answer");
            Err(Passed::Failed(fault_of(error)))
        }
    }
}

/// How an answer ended that is not said to be whole.
fn cut(passage: &Passage) -> Passed {
    if passage.is_finished() {
        return Passed::Ended(Bill::Unknown);
    }
    let text = "the provider's answer was cut";
    Passed::Failed(Fault::new(Reason::ProviderFailed, text))
}

/// False when the caller is gone.
async fn send_data(events: &Events, ready: Vec<Vec<u8>>) -> bool {
    let data = ChatData { events: ready };
    data.events.is_empty() || send(events, chat_event::Event::Data(data)).await
}

/// False when the caller is gone.
async fn send(events: &Events, event: chat_event::Event) -> bool {
    let event = ChatEvent { event: Some(event) };
    matches!(timeout(PATIENCE, events.send(Ok(event))).await, Ok(Ok(())))
}
