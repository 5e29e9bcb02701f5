//! From a question to a run under way: one message, one run, one charge, also when the same ask comes twice at once.

use std::sync::Arc;
use std::time::Duration;

use confab_rpc::completions::AskRequest;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::Engine;
use super::admission::Admitted;
use super::answer::Whole;
use super::cancel::Entered;
use super::feed::{Feed, Follower};
use super::opening::Opened;
use super::question::Question;
use super::receipt::Measure;
use super::replay::Earlier;
use super::work::{self, started};
use crate::error::Error;
use crate::store::{Purpose, Run, State};

/// How often an ask that waits for its turn tries again.
const TURN: Duration = Duration::from_millis(200);

/// Where the caller of an ask waits for its run.
type Seat = oneshot::Sender<Result<Follower, Error>>;

enum Begun {
    Earlier(Follower),
    Run(Box<Run>, Box<Admitted>),
}

impl Engine {
    /// Asks; returns when the run is under way or was refused. It goes on when the caller goes away.
    pub(crate) async fn ask(self: &Arc<Self>, request: AskRequest) -> Result<Follower, Error> {
        let question = Question::read(request)?;
        let (seat, seated) = oneshot::channel();
        let engine = Arc::clone(self);
        self.tasks.spawn("ask", async move {
            engine.serve(question, seat).await;
        });
        seated.await.unwrap_or(Err(Error::Interrupted))
    }

    async fn serve(self: Arc<Self>, question: Question, seat: Seat) {
        // A caller that went away leaves its seat empty: nobody needs to be told.
        match self.begin(&question).await {
            Ok(Begun::Earlier(follower)) => {
                let _ = seat.send(Ok(follower));
            }
            Ok(Begun::Run(run, admitted)) => self.lead(*run, *admitted, &question, seat).await,
            Err(error) => {
                // Of two asks with one key the one that waited in vain must not take the other's files away.
                if !matches!(error, Error::RunLimit) {
                    self.drop_files_of(&question).await;
                }
                let _ = seat.send(Err(error));
            }
        }
    }

    /// Finds the run that the question's key belongs to, or makes one. While another ask with the key is at it, this
    /// one waits.
    async fn begin(self: &Arc<Self>, question: &Question) -> Result<Begun, Error> {
        let patience = Instant::now() + self.queue_length();
        let mut turn = turns();
        loop {
            turn.tick().await;
            match self.earlier(question).await? {
                Earlier::Run(follower) => return Ok(Begun::Earlier(follower)),
                Earlier::None => {
                    let admitted = self.admit(question).await?;
                    let run = self.new_run(question, &admitted);
                    if self.store.insert(run.clone()).await? {
                        return Ok(Begun::Run(Box::new(run), Box::new(admitted)));
                    }
                }
                Earlier::Beginning => {}
            }
            if Instant::now() >= patience {
                return Err(Error::RunLimit);
            }
        }
    }

    fn new_run(&self, question: &Question, admitted: &Admitted) -> Run {
        let model = &admitted.prompt.model;
        Run {
            new_thread: admitted.new_thread.is_some(),
            after_seq: admitted.after_seq,
            client_msg_id: question.key.clone(),
            fingerprint: question.key.is_some().then(|| question.fingerprint()),
            model_id: model.id,
            model: model.name.clone(),
            provider: model.provider.clone(),
            prompt_tokens: i64::from(admitted.prompt.estimated_tokens()),
            stored: question.stored,
            api_key_id: question.api_key_id,
            parameters: question.parameters_json(),
            instructions: Some(question.instructions.clone()).filter(|text| !text.is_empty()),
            ..self.blank_run(Purpose::Answer, question.user_id, admitted.thread_id)
        }
    }

    /// A run that has just begun here.
    pub(crate) fn blank_run(&self, purpose: Purpose, user_id: Uuid, thread_id: Uuid) -> Run {
        Run {
            id: Uuid::now_v7(),
            purpose,
            user_id,
            thread_id,
            new_thread: false,
            after_seq: 0,
            answer_id: None,
            answer_seq: None,
            client_msg_id: None,
            fingerprint: None,
            model_id: 0,
            model: String::new(),
            provider: String::new(),
            state: State::Reserving,
            lease_owner: self.owner,
            lease_until: self.lease_until(),
            fence: 1,
            reserved_microdollars: 0,
            prompt_tokens: 0,
            outcome: None,
            failure: None,
            input_tokens: None,
            output_tokens: None,
            cost_microdollars: None,
            agent_token_hash: None,
            error: None,
            cancel_requested_at: None,
            stored: false,
            api_key_id: None,
            parameters: None,
            instructions: None,
            attempts: 1,
            generation: 1,
            finish_reason: None,
            first_token_ms: None,
            duration_ms: None,
            started_at: self.clock.now(),
            ended_at: None,
        }
    }

    async fn lead(self: &Arc<Self>, run: Run, admitted: Admitted, question: &Question, seat: Seat) {
        let entered = self.under_way.enter(run.id);
        let begun = work::Begun::new();
        let carry = Box::pin(self.carry(&run, admitted, question, seat, &begun, &entered));
        self.work(&run, &begun, carry).await;
    }

    async fn carry(
        self: &Arc<Self>,
        run: &Run,
        admitted: Admitted,
        question: &Question,
        seat: Seat,
        begun: &work::Begun,
        entered: &Entered,
    ) -> Result<(), Error> {
        let opened = match self.open(run, admitted, question, entered).await {
            Ok(opened) => opened,
            Err(error) => {
                let taken_back = self.take_back(run).await;
                self.drop_files_of(question).await;
                let _ = seat.send(Err(error));
                return taken_back;
            }
        };
        let Opened {
            run,
            untold,
            exchange,
            prompt,
        } = opened;
        let feed = Feed::new(started(&run, &exchange, false), run.generation);
        let (_, feed) = begun.get_or_init(|| (run.clone(), feed));
        let _published = self.feeds.publish(run.id, feed.subscribe());
        let _ = seat.send(Ok(Follower::new(feed.subscribe(), false)));

        let (model, measure) = (prompt.model.clone(), Measure::of(&prompt));
        let answering = Box::pin(async {
            match self.put(prompt, &entered.stop).await {
                Ok(routed) => {
                    let run = run.clone();
                    self.see_through(run, routed, measure, feed, &entered.stop)
                        .await
                }
                Err(read) => {
                    let stored = true;
                    let nothing = Whole { read, stored };
                    self.wind_up(&run, &model, measure, nothing, feed).await
                }
            }
        });
        self.note_meanwhile(&run, untold, answering).await
    }

    pub(super) fn queue_length(&self) -> Duration {
        Duration::from_secs(self.settings.queue_seconds)
    }
}

/// The first one is at once.
pub(super) fn turns() -> tokio::time::Interval {
    let mut turns = interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}
