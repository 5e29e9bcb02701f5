//! Steps 2 to 4: money is set aside, the exchange is put into the thread, the run is under way.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use confab_rpc::Reason;
use confab_rpc::sessions::ReserveRequest;
use confab_rpc::threads::{
    AppendExchangeRequest, CreateThreadRequest, Exchange, Message, ThreadKind,
};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::Engine;
use super::admission::Admitted;
use super::ask::turns;
use super::cancel::Entered;
use super::question::Question;
use super::trust::Asker;
use super::work::stopped;
use crate::catalogue::Model;
use crate::error::Error;
use crate::provider::{AskBack, Prompt};
use crate::store::{Appended, Run, State};

/// More than any answer costs: an agent is given all that is available, as only it knows its price.
const WHOLE_BALANCE: i64 = 1_000_000_000_000;
const TOKEN_BYTES: usize = 32;
/// What takes longer is written down as running. Of an answer that is there sooner the last step says all at once.
const SOON: Duration = Duration::from_secs(1);

/// A run whose exchange is in the thread.
pub(super) struct Opened {
    pub(super) run: Run,
    /// What its row has not been told yet.
    pub(super) untold: Option<Appended>,
    pub(super) exchange: Exchange,
    pub(super) prompt: Prompt,
}

/// What came of waiting for one's turn.
struct Turn {
    reserved: i64,
    /// Others were answered meanwhile, perhaps in the same thread.
    context_has_changed: bool,
}

impl Engine {
    /// Sets the money aside and puts the exchange into the thread.
    pub(super) async fn open(
        &self,
        run: &Run,
        admitted: Admitted,
        question: &Question,
        entered: &Entered,
    ) -> Result<Opened, Error> {
        let asker = Asker::of(question, &admitted.prompt.model);
        let turn = self
            .reserve_in_turn(run, &admitted, question.open_limit, entered)
            .await
            .inspect(|_| self.trusted.add(asker))
            .inspect_err(|_| self.trusted.remove(asker))?;
        stopped(&entered.stop)?;
        let reserved = turn.reserved;
        let admitted = if turn.context_has_changed {
            self.admit(question).await?
        } else {
            admitted
        };
        let affordable = pays_for(&admitted.prompt, reserved)?;
        let Admitted {
            new_thread,
            attachments,
            mut prompt,
            ..
        } = admitted;
        let request = AppendExchangeRequest {
            user_id: run.user_id.to_string(),
            thread_id: run.thread_id.to_string(),
            content: question.content.clone(),
            attachments,
            client_msg_id: key_of(question),
            run_id: run.id.to_string(),
            model: run.model.clone(),
            new_thread: new_thread.map(|new| CreateThreadRequest {
                user_id: run.user_id.to_string(),
                kind: ThreadKind::Assistant.into(),
                title: new.title,
                instructions: new.instructions,
                model_id: Some(run.model_id),
                id: run.thread_id.to_string(),
            }),
            answer_only: question.stored,
        };
        let exchange = self
            .insist(|| self.backends.append(request.clone()))
            .await?;
        let answer = own_answer(run, &exchange)?;
        let (ask_back, agent_token_hash) = self.ask_back(&prompt)?;
        let appended = Appended {
            answer_id: answer.id,
            answer_seq: answer.seq,
            reserved_microdollars: reserved,
            agent_token_hash,
        };
        let (run, untold) = if ask_back.is_some() {
            // The row vouches for the token.
            (self.start(run, appended).await?, None)
        } else {
            (running(run, &appended), Some(appended))
        };
        prompt.max_output_tokens = affordable;
        prompt.budget_microdollars = reserved;
        prompt.ask_back = ask_back;
        Ok(Opened {
            run,
            untold,
            exchange,
            prompt,
        })
    }

    /// Writes down that the exchange is in the thread.
    pub(super) async fn start(&self, run: &Run, appended: Appended) -> Result<Run, Error> {
        let running = running(run, &appended);
        let lease = run.lease();
        let held = self
            .insist(|| async { Ok(self.store.running(lease, appended.clone()).await?) })
            .await?;
        if held {
            Ok(running)
        } else {
            Err(Error::Interrupted)
        }
    }

    /// Does the work, and meanwhile writes down what the run's row has not been told yet, if the work takes longer than a
    /// moment. Whoever finds the run before that looks for its exchange in the thread ([`Engine::placed`]).
    pub(super) async fn note_meanwhile<T>(
        &self,
        run: &Run,
        untold: Option<Appended>,
        work: impl Future<Output = T>,
    ) -> T {
        let noting = async {
            if let Some(appended) = untold {
                sleep(SOON).await;
                if let Err(error) = self.start(run, appended).await {
                    // Its last step says it again, if the run is still ours by then.
                    tracing::debug!(run = %run.id, %error, "a run is not written down as running");
                }
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            done = work => done,
            never = noting => match never {},
        }
    }

    /// The user's run with this id, with the place of its answer.
    pub(crate) async fn placed_run(&self, user_id: &str, run_id: &str) -> Result<Run, Error> {
        let run = self.own_run(user_id, run_id).await?;
        self.placed(run).await
    }

    /// With the place of its answer, which a row that is still `reserving` does not tell.
    pub(super) async fn placed(&self, run: Run) -> Result<Run, Error> {
        if run.state != State::Reserving {
            return Ok(run);
        }
        let answer = if let Some(feed) = self.feeds.find(run.id) {
            feed.borrow().started().answer.clone()
        } else {
            let exchange = self.exchange_of(&run).await?;
            exchange.and_then(|exchange| exchange.answer)
        };
        Ok(Run {
            answer_id: answer.as_ref().map(|answer| answer.id),
            answer_seq: answer.as_ref().map(|answer| answer.seq),
            ..run
        })
    }

    /// Sets money aside as soon as fewer than `open_limit` of the user's runs are under way.
    async fn reserve_in_turn(
        &self,
        run: &Run,
        admitted: &Admitted,
        open_limit: u32,
        entered: &Entered,
    ) -> Result<Turn, Error> {
        let prompt = &admitted.prompt;
        let mut request = self.reservation(run, prompt, open_limit);
        let patience = Instant::now() + self.queue_length();
        let mut turn = turns();
        let mut context_has_changed = false;
        loop {
            turn.tick().await;
            // Between two calls only: one that is dropped might still set money aside.
            stopped(&entered.stop)?;
            match self.backends.reserve(request.clone()).await {
                Err(error)
                    if error.reason() == Some(Reason::RunLimit) && Instant::now() < patience =>
                {
                    // What is waited for may be the thread's last answer: how long it is shows only later.
                    context_has_changed = admitted.new_thread.is_none();
                    if context_has_changed {
                        request.maximum_microdollars =
                            self.most_cost(&prompt.model, prompt.model.context_length);
                    }
                }
                Err(error) => return Err(error),
                Ok(reserved) => {
                    return Ok(Turn {
                        reserved,
                        context_has_changed,
                    });
                }
            }
        }
    }

    /// What is asked to be set aside, so that whatever may answer can be paid.
    pub(super) fn reservation(
        &self,
        run: &Run,
        prompt: &Prompt,
        open_limit: u32,
    ) -> ReserveRequest {
        ReserveRequest {
            user_id: run.user_id.to_string(),
            run_id: run.id.to_string(),
            model_id: run.model_id,
            minimum_microdollars: prompt.model.cost(prompt.estimated_tokens(), 1),
            maximum_microdollars: self.most_cost(&prompt.model, prompt.most_tokens()),
            open_limit,
            background: false,
            api_key_id: run.api_key_id.map(|id| id.to_string()).unwrap_or_default(),
            // The run's own row sees to its end.
            lifetime_seconds: 0,
        }
    }

    /// The most that an answer to so many tokens can cost, by the dearest of those that may answer.
    fn most_cost(&self, model: &Model, most_input: u32) -> i64 {
        if self.may_be_agent(model) {
            return WHOLE_BALANCE;
        }
        let candidates = self.catalogue.candidates(model).into_iter();
        candidates
            .map(|model| model.max_cost(most_input))
            .max()
            .unwrap_or_default()
    }

    /// With which the agent may ask back, and the token's hash.
    fn ask_back(&self, prompt: &Prompt) -> Result<(Option<AskBack>, Option<Vec<u8>>), Error> {
        if !self.may_be_agent(&prompt.model) {
            return Ok((None, None));
        }
        let mut token = [0_u8; TOKEN_BYTES];
        getrandom::fill(&mut token).map_err(|_| Error::Interrupted)?;
        let token = BASE64_URL_SAFE_NO_PAD.encode(token);
        let hash = Sha256::digest(&token).to_vec();
        let ask_back = AskBack {
            address: self.agent_context_address(),
            token: SecretString::from(token),
        };
        Ok((Some(ask_back), Some(hash)))
    }
}

/// The run when its exchange is in the thread.
fn running(run: &Run, appended: &Appended) -> Run {
    Run {
        answer_id: Some(appended.answer_id),
        answer_seq: Some(appended.answer_seq),
        state: State::Running,
        reserved_microdollars: appended.reserved_microdollars,
        agent_token_hash: appended.agent_token_hash.clone(),
        ..run.clone()
    }
}

/// The answer that this run is to write. Another one's means that the key belongs to a message of which this service
/// knows no run.
fn own_answer<'a>(run: &Run, exchange: &'a Exchange) -> Result<&'a Message, Error> {
    exchange
        .answer
        .as_ref()
        .filter(|answer| answer.run_id == run.id.to_string())
        .ok_or(Error::KeyReused)
}

/// How many tokens of an answer are paid for.
pub(super) fn pays_for(prompt: &Prompt, reserved: i64) -> Result<u32, Error> {
    let model = &prompt.model;
    match model.affordable_output(reserved, prompt.estimated_tokens()) {
        0 => Err(Error::BalanceInsufficient),
        tokens => Ok(tokens),
    }
}

/// The thread knows a question by its key; where there is no question, the run alone has it.
fn key_of(question: &Question) -> String {
    let key = question.key.clone().filter(|_| !question.stored);
    key.unwrap_or_default()
}
