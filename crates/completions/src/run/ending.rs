//! The end of a run. Every step can be repeated, by this process or by the one that finds the run after a crash.

use std::collections::BTreeSet;
use std::time::Duration;

use confab_rpc::threads::{AttachmentRef, Exchange, FinishRequest, Message, MessageState};
use confab_rpc::{Fault, Reason};
use tokio::time::{Instant, sleep};

use super::Engine;
use super::receipt::Receipt;
use crate::error::Error;
use crate::history::Span;
use crate::store::{Failure, Run, RunEnd, State};

/// How often it is looked what became of a run that somebody else took over.
const LOOK: Duration = Duration::from_millis(100);

/// A run that is over.
pub(super) struct Concluded {
    /// As it is stored; `None` when its thread was removed.
    pub(super) answer: Option<Message>,
    /// As it has ended.
    pub(super) run: Run,
    /// What the account has left.
    pub(super) balance: i64,
}

impl Engine {
    /// Writes the receipt down: from here on the end of the run is decided.
    pub(crate) async fn record(&self, run: &Run, receipt: &Receipt) -> Result<(), Error> {
        if let Some(error) = &receipt.error {
            tracing::warn!(run = %run.id, provider = run.provider, model = run.model, %error, "a provider failed");
        }
        let recorded = self
            .insist(|| async move { Ok(self.store.answered(run, receipt).await?) })
            .await?;
        if recorded {
            Ok(())
        } else {
            Err(Error::Interrupted)
        }
    }

    /// Carries out what the receipt says: in the thread, in the account, in the row.
    pub(super) async fn conclude(&self, run: &Run, receipt: &Receipt) -> Result<Concluded, Error> {
        let answer = self.finish(run, receipt, None).await?;
        self.settle_up(run, receipt, answer).await
    }

    /// Ends an answer of which nothing is stored yet: with its text the thread gets the receipt, and that decides how the
    /// run ended.
    pub(super) async fn complete(
        &self,
        run: &Run,
        receipt: &Receipt,
        text: String,
    ) -> Result<Concluded, Error> {
        match self.finish(run, receipt, Some(text)).await {
            Ok(Some(answer))
                if answer.state() == MessageState::from(receipt.outcome)
                    && answer.receipt.as_ref() == Some(&receipt.told(run)) =>
            {
                self.settle_up(run, receipt, Some(answer)).await
            }
            // Whoever took the run over has ended it.
            Ok(Some(_)) => Err(Error::Interrupted),
            Ok(None) => {
                self.record(run, receipt).await?;
                self.settle_up(run, receipt, None).await
            }
            Err(error) if error.reason() == Some(Reason::StaleWrite) => Err(Error::Interrupted),
            Err(error) => Err(error),
        }
    }

    async fn settle_up(
        &self,
        run: &Run,
        receipt: &Receipt,
        answer: Option<Message>,
    ) -> Result<Concluded, Error> {
        let (charged, balance) = self.settle(run, receipt).await?;
        let thread_removed = match &answer {
            None => true,
            Some(answer) => self.tidy(run, receipt, answer).await,
        };
        let run = receipt.ending(run, charged, self.clock.now());
        self.close(&run, receipt, charged, thread_removed).await?;
        Ok(Concluded {
            answer,
            run,
            balance,
        })
    }

    async fn finish(
        &self,
        run: &Run,
        receipt: &Receipt,
        content: Option<String>,
    ) -> Result<Option<Message>, Error> {
        let request = FinishRequest {
            thread_id: run.thread_id.to_string(),
            message_id: run.answer_id.unwrap_or_default(),
            run_id: run.id.to_string(),
            fence: run.fence,
            state: MessageState::from(receipt.outcome).into(),
            content,
            receipt: Some(receipt.told(run)),
            model: run.model.clone(),
        };
        self.insist(|| self.backends.finish(request.clone())).await
    }

    /// Books what the run cost; says what was charged and what is left.
    pub(crate) async fn settle(&self, run: &Run, receipt: &Receipt) -> Result<(i64, i64), Error> {
        let cost = receipt.cost_microdollars;
        let settlement = self
            .insist(|| self.backends.settle(run.id, cost))
            .await?
            .unwrap_or_default();
        let account = settlement.account.unwrap_or_default();
        Ok((
            settlement.charged_microdollars,
            account.balance_microdollars,
        ))
    }

    /// The last word in the row.
    pub(crate) async fn close(
        &self,
        run: &Run,
        receipt: &Receipt,
        charged: i64,
        forget_key: bool,
    ) -> Result<(), Error> {
        let end = RunEnd {
            receipt: receipt.clone(),
            answer_id: run.answer_id,
            answer_seq: run.answer_seq,
            reserved_microdollars: run.reserved_microdollars,
            charged,
            forget_key,
            at: self.clock.now(),
        };
        let lease = run.lease();
        let close = || async { Ok(self.store.ended(lease, end.clone()).await?) };
        // When the lease is lost here, another process does the same with the same result.
        self.insist(close).await.map(drop)
    }

    /// Ends a run of which nothing was said yet, also one whose exchange may or may not be in the thread.
    pub(super) async fn abandon(&self, run: &Run) -> Result<(), Error> {
        if let Some(exchange) = self.insist(|| self.exchange_of(run)).await? {
            let failure = wish_or(run, Failure::Interrupted);
            return self.cut_short(run, exchange, failure).await;
        }
        self.release(run).await
    }

    /// Gives the money back and forgets a run that came to nothing.
    pub(crate) async fn release(&self, run: &Run) -> Result<(), Error> {
        self.insist(|| self.backends.settle(run.id, 0)).await?;
        let lease = run.lease();
        self.insist(|| async move { Ok(self.store.delete(lease).await?) })
            .await
    }

    /// Ends a run that did not get under way, or whose lease was lost.
    ///
    /// Whoever took it over from before its exchange may have found nothing and forgotten it before our last call
    /// arrived: then what that call did is taken back here.
    pub(super) async fn take_back(&self, run: &Run) -> Result<(), Error> {
        let patience = Instant::now() + self.lease_length();
        loop {
            let found = self
                .insist(|| async { Ok(self.store.find(run.id).await?) })
                .await?;
            match found {
                Some(found) if found.fence == run.fence => return self.abandon(run).await,
                Some(found) if found.state != State::Reserving => return Err(Error::Interrupted),
                // Whoever has it now goes on with it, or forgets it, when they have looked for the exchange.
                Some(_) if Instant::now() < patience => sleep(LOOK).await,
                Some(_) | None => return self.undo(run).await,
            }
        }
    }

    async fn undo(&self, run: &Run) -> Result<(), Error> {
        let receipt = Receipt::cut_short(None, 0, "", Failure::Interrupted);
        if let Some(answer) = self.exchange_of(run).await?.and_then(|found| found.answer) {
            let run = Run {
                answer_id: Some(answer.id),
                ..run.clone()
            };
            self.finish(&run, &receipt, None).await?;
        }
        self.settle(run, &receipt).await.map(drop)
    }

    /// The exchange of a run, if it is in the thread.
    pub(super) async fn exchange_of(&self, run: &Run) -> Result<Option<Exchange>, Error> {
        let span = Span {
            user_id: run.user_id,
            thread_id: run.thread_id,
            after_seq: run.answer_seq.map_or(run.after_seq, |seq| seq - 2),
            before_seq: run.answer_seq.map_or(0, |seq| seq + 1),
        };
        let id = run.id.to_string();
        let mut before = None;
        let found = span
            .find(&self.backends, |message| {
                if message.run_id == id {
                    return Some((before.take(), message));
                }
                before = Some(message);
                None
            })
            .await;
        match found {
            Ok(found) => Ok(found.map(|(question, answer)| Exchange {
                thread: None,
                question: question.filter(|question| !run.stored && question.id == answer.answers),
                answer: Some(answer),
                replayed: true,
            })),
            Err(Error::Refused(Fault {
                reason: Reason::ThreadNotFound,
                ..
            })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Clears away what a refused or failed ask must not leave; says whether the thread was removed.
    async fn tidy(&self, run: &Run, receipt: &Receipt, answer: &Message) -> bool {
        match receipt.failure {
            // After a crash or a stop everything stays as it is: nobody was told that the ask failed.
            None | Some(Failure::Interrupted | Failure::Cancelled) => return false,
            Some(Failure::ThreadGone) => return true,
            Some(Failure::NoMoney | Failure::TooLong | Failure::Provider) => {}
        }
        let tidied = if run.new_thread && answer.content.is_empty() {
            self.remove_thread(run).await
        } else {
            self.drop_question_files(run).await
        };
        tidied.unwrap_or_else(|error| {
            tracing::warn!(run = %run.id, %error, "cannot tidy up after a failed run");
            false
        })
    }

    /// Removes the thread that the run made, unless something else was said in it.
    async fn remove_thread(&self, run: &Run) -> Result<bool, Error> {
        let thread = self.backends.thread(run.user_id, run.thread_id).await?;
        if Some(thread.last_seq) != run.answer_seq {
            return Ok(false);
        }
        self.backends
            .delete_thread(run.user_id, run.thread_id)
            .await?;
        Ok(true)
    }

    async fn drop_question_files(&self, run: &Run) -> Result<bool, Error> {
        let exchange = self.exchange_of(run).await?;
        if let Some(question) = exchange.and_then(|exchange| exchange.question)
            && !question.attachments.is_empty()
        {
            let thread = Span {
                user_id: run.user_id,
                thread_id: run.thread_id,
                after_seq: 0,
                before_seq: 0,
            };
            self.drop_unused(thread, question.attachments, Some(question.id))
                .await;
        }
        Ok(false)
    }

    /// Removes those of a thread's files that no message carries, except perhaps the given one.
    pub(super) async fn drop_unused(
        &self,
        thread: Span,
        files: Vec<AttachmentRef>,
        except: Option<i64>,
    ) {
        let mut unused: BTreeSet<_> = files.into_iter().map(|file| file.id).collect();
        if unused.is_empty() {
            return;
        }
        let looked = thread
            .find(&self.backends, |message| {
                if Some(message.id) != except {
                    for file in &message.attachments {
                        unused.remove(&file.id);
                    }
                }
                unused.is_empty().then_some(())
            })
            .await;
        if let Err(error) = looked {
            tracing::warn!(%error, "cannot see whether the files of a failed ask are used");
            return;
        }
        for id in unused {
            if let Err(error) = self.backends.delete_attachment(thread.user_id, id).await {
                tracing::warn!(%error, "cannot remove a file of a failed ask");
            }
        }
    }
}

/// Why a run ends that nobody can go on with.
pub(super) fn wish_or(run: &Run, failure: Failure) -> Failure {
    match run.cancel_requested_at {
        Some(_) => Failure::Cancelled,
        None => failure,
    }
}
