//! What happens on the way between completions and the other services: every call is counted, and one can be held.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use confab_rpc::Lane;
use tokio::sync::watch;
use tonic::body::Body;
use tower::{Service, service_fn};

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// Where a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The service has not seen it.
    Before,
    /// The service has done it, and nobody knows.
    After,
}

/// The one call that is held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold {
    /// Name of the method.
    pub(crate) method: &'static str,
    /// Which of its calls, from 1.
    pub(crate) nth: usize,
    pub(crate) when: When,
}

#[derive(Default)]
struct Seen {
    arrived: Vec<String>,
    done: Vec<String>,
    held: bool,
    open: bool,
}

/// The calls of one process.
#[derive(Clone)]
pub(crate) struct Wire {
    hold: Option<Hold>,
    seen: Arc<watch::Sender<Seen>>,
}

impl Wire {
    pub(crate) fn free() -> Self {
        Self::new(None)
    }

    pub(crate) fn holding(method: &'static str, nth: usize, when: When) -> Self {
        Self::new(Some(Hold { method, nth, when }))
    }

    fn new(hold: Option<Hold>) -> Self {
        Self {
            hold,
            seen: Arc::new(watch::Sender::new(Seen::default())),
        }
    }

    /// A lane to a server in this process.
    pub(crate) fn lane<S>(&self, server: S) -> Lane
    where
        S: Service<Request, Response = Response, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let wire = self.clone();
        let watched = service_fn(move |request: Request| {
            let (wire, mut server) = (wire.clone(), server.clone());
            async move {
                let path = request.uri().path().to_owned();
                let method = path.rsplit('/').next().unwrap_or_default();
                let nth = wire.arrive(method);
                wire.stop_at(method, nth, When::Before).await;
                let response = server.call(request).await;
                wire.seen
                    .send_modify(|seen| seen.done.push(method.to_owned()));
                wire.stop_at(method, nth, When::After).await;
                response
            }
        });
        Lane::local(watched, Duration::from_mins(1))
    }

    fn arrive(&self, method: &str) -> usize {
        self.seen
            .send_modify(|seen| seen.arrived.push(method.to_owned()));
        count(&self.seen.borrow().arrived, method)
    }

    async fn stop_at(&self, method: &str, nth: usize, now: When) {
        let here = |hold: Hold| hold.method == method && hold.nth == nth && hold.when == now;
        if self.hold.is_some_and(here) {
            self.seen.send_modify(|seen| seen.held = true);
            self.wait(|seen| seen.open).await;
        }
    }

    /// Returns when the call is being held.
    pub(crate) async fn held(&self) {
        self.wait(|seen| seen.held).await;
    }

    /// Lets the call that is held go on.
    pub(crate) fn open(&self) {
        self.seen.send_modify(|seen| seen.open = true);
    }

    /// Returns when so many calls of this method have been answered.
    pub(crate) async fn done(&self, method: &str, times: usize) {
        self.wait(|seen| count(&seen.done, method) >= times).await;
    }

    /// How many calls of this method there were.
    pub(crate) fn calls(&self, method: &str) -> usize {
        count(&self.seen.borrow().arrived, method)
    }

    async fn wait(&self, until: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        seen.wait_for(until).await.unwrap();
    }
}

fn count(calls: &[String], method: &str) -> usize {
    calls.iter().filter(|call| *call == method).count()
}
