//! An answer as it comes, across the death of the process that writes it.
//!
//! Nothing is buffered here: who reads slowly holds up nobody, as the completions service keeps the text.

use std::time::Duration;

use confab_rpc::completions::ask_event::Event;
use confab_rpc::completions::{
    AskEvent, AskRequest, Finished, FollowRequest, GetRunRequest, RunState, Started,
};
use confab_rpc::{Fault, Reason};
use futures_util::Stream;
use tokio::time::{Instant, sleep};
use tonic::{Status, Streaming};

use crate::backends::Backends;

/// How long a process that has gone is waited for: longer than a lease, after which another one takes its runs.
const PATIENCE: Duration = Duration::from_secs(45);

/// The pauses between looks for it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What an answer is made of.
#[derive(Debug)]
pub(super) enum Piece {
    /// What comes next, and how many bytes of the answer there are with it.
    Text { text: String, until: i64 },
    /// What came so far is superseded; the answer begins anew.
    Restarted,
    /// It is whole.
    Done(Box<Finished>),
}

/// An answer that is being read.
pub(super) struct Answer {
    backends: Backends,
    user_id: String,
    run_id: String,
    /// Bytes that were read.
    offset: i64,
    events: Streaming<AskEvent>,
    /// How long a stream that has broken off is looked for; none while it goes on.
    until: Option<Instant>,
    over: bool,
}

impl Answer {
    /// Asks, and waits until the answer has its place. From then on the run goes on without the caller.
    pub(super) async fn ask(
        backends: &Backends,
        request: AskRequest,
    ) -> Result<(Started, Self), Fault> {
        let user_id = request.user_id.clone();
        let events = backends.completions().ask(request).await?.into_inner();
        Self::open(backends, user_id, events, 0).await
    }

    /// Reads a run from a place in its answer.
    pub(super) async fn follow(
        backends: &Backends,
        request: FollowRequest,
    ) -> Result<(Started, Self), Fault> {
        let (user_id, offset) = (request.user_id.clone(), request.offset);
        let events = backends.completions().follow(request).await?.into_inner();
        Self::open(backends, user_id, events, offset).await
    }

    async fn open(
        backends: &Backends,
        user_id: String,
        mut events: Streaming<AskEvent>,
        offset: i64,
    ) -> Result<(Started, Self), Fault> {
        let started = started(&mut events).await?;
        let answer = Self {
            backends: backends.clone(),
            user_id,
            run_id: started.run_id.clone(),
            offset,
            events,
            until: None,
            over: false,
        };
        Ok((started, answer))
    }

    /// Piece after piece up to the end, or to the reason why it did not come to one.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Piece, Fault>> + Send {
        futures_util::stream::unfold(self, |mut answer| async move {
            let piece = answer.next().await?;
            Some((piece, answer))
        })
    }

    async fn next(&mut self) -> Option<Result<Piece, Fault>> {
        while !self.over {
            let lost = match self.events.message().await {
                Ok(Some(event)) => match self.take(event) {
                    Some(piece) => {
                        self.until = None;
                        return Some(Ok(piece));
                    }
                    None => continue,
                },
                Ok(None) => Status::unavailable("the answer broke off"),
                Err(status) => status,
            };
            if let Err(fault) = self.go_on(lost).await {
                self.over = true;
                return Some(Err(fault));
            }
        }
        None
    }

    fn take(&mut self, event: AskEvent) -> Option<Piece> {
        match event.event? {
            Event::Started(_) => None,
            Event::Delta(delta) => {
                // What was read before the reader was cut off is not read twice.
                let known = usize::try_from(self.offset - delta.offset).unwrap_or(0);
                let text = delta.text.get(known..).filter(|text| !text.is_empty())?;
                self.offset += i64::try_from(text.len()).unwrap_or(0);
                Some(Piece::Text {
                    text: text.to_owned(),
                    until: self.offset,
                })
            }
            Event::Restarted(_) => {
                self.offset = 0;
                Some(Piece::Restarted)
            }
            Event::Finished(finished) => {
                self.over = true;
                Some(Piece::Done(Box::new(finished)))
            }
        }
    }

    /// Finds the run again, where another process goes on with it.
    async fn go_on(&mut self, lost: Status) -> Result<(), Fault> {
        let until = *self.until.get_or_insert_with(|| Instant::now() + PATIENCE);
        let mut lost = lost;
        let mut pause = FIRST_PAUSE;
        while Instant::now() < until && self.is_under_way(&lost).await {
            tracing::info!(
                run = self.run_id,
                "an answer broke off and is followed again"
            );
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.reopen().await {
                Ok(events) => {
                    self.events = events;
                    return Ok(());
                }
                Err(status) => lost = status,
            }
        }
        Err(lost.into())
    }

    /// Whether the run goes on although its stream has ended so. A process that stops says that its runs are interrupted;
    /// whether another one takes them is seen at the run itself.
    async fn is_under_way(&self, lost: &Status) -> bool {
        if is_transport(lost) {
            return true;
        }
        if Fault::from(lost).reason != Reason::RunInterrupted {
            return false;
        }
        let request = GetRunRequest {
            user_id: self.user_id.clone(),
            run_id: self.run_id.clone(),
        };
        match self.backends.completions().get_run(request).await {
            Ok(run) => run.into_inner().state() == RunState::Running,
            Err(status) => is_transport(&status),
        }
    }

    async fn reopen(&self) -> Result<Streaming<AskEvent>, Status> {
        let request = FollowRequest {
            user_id: self.user_id.clone(),
            run_id: self.run_id.clone(),
            offset: self.offset,
        };
        let followed = self.backends.completions().follow(request).await;
        let mut events = followed.map_err(behind)?.into_inner();
        started(&mut events).await?;
        Ok(events)
    }
}

/// What was read of an answer before its process died may not have been stored: its end then lies before the reader's place
/// until another process begins the answer anew, or for good if none does.
fn behind(status: Status) -> Status {
    if Fault::from(&status).reason == Reason::Invalid {
        return Fault::new(Reason::RunInterrupted, "the end of the answer is lost").into();
    }
    status
}

async fn started(events: &mut Streaming<AskEvent>) -> Result<Started, Status> {
    let first = events.message().await?;
    match first.and_then(|event| event.event) {
        Some(Event::Started(started)) => Ok(started),
        _ => Err(Status::unavailable("the answer did not begin")),
    }
}

/// Whether it was the way to the service that broke, or the service that went away: its own refusals carry a fault.
fn is_transport(status: &Status) -> bool {
    use tonic::Code;
    if !status.details().is_empty() {
        return Fault::from(status).reason == Reason::Overloaded;
    }
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::DeadlineExceeded
    )
}
