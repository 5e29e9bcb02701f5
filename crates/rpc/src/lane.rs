//! Carries calls to a service, in this process or across the network.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt, service_fn};
use tracing::Instrument;

use crate::trace;

type Carrier = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;
type Reply = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

/// Carries calls to a service: `ThreadsClient::new(lane)` is what everybody holds, whether the service is a value in
/// this process or a pod elsewhere. Encoding, limits and statuses are the same on both.
///
/// The deadline bounds the time to the head of the response, on both kinds; a stream of tokens may then last. Cloning
/// is cheap.
#[derive(Clone)]
pub struct Lane {
    carrier: Carrier,
    deadline: Duration,
}

impl Lane {
    /// A lane to a generated server in this process; no socket is involved.
    ///
    /// Calls run on the multi-thread runtime that this is called from, not on the caller's (an HTTP worker has one
    /// thread). A caller that goes away aborts its call; a panic becomes `INTERNAL`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn local<S>(server: S, deadline: Duration) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let runtime = Handle::current();
        let carrier = service_fn(move |mut request: Request<Body>| {
            // What the caller's middleware left on the request must not leak into the service.
            request.extensions_mut().clear();
            let span = trace::server_span(&request);
            let call = server.clone().oneshot(request).instrument(span);
            let task = AbortOnDropHandle::new(runtime.spawn(call));
            async move {
                match task.await {
                    Ok(Ok(response)) => Ok(response),
                    Ok(Err(never)) => match never {},
                    Err(error) if error.is_panic() => Err(Status::internal("the service panicked")),
                    Err(_) => Err(Status::unavailable("the service is stopping")),
                }
            }
        });
        Self {
            carrier: BoxCloneSyncService::new(carrier),
            deadline,
        }
    }

    /// A lane across the network; the channel connects when it is first used and again when it must.
    #[must_use]
    pub fn remote(channel: Channel, deadline: Duration) -> Self {
        let carrier = channel.map_err(|error| Status::from_error(Box::new(error)));
        Self {
            carrier: BoxCloneSyncService::new(carrier),
            deadline,
        }
    }

    /// The same lane with another deadline, for calls that are allowed to take longer.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            carrier: self.carrier.clone(),
            deadline,
        }
    }
}

impl Service<Request<Body>> for Lane {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Reply;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.carrier.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Reply {
        trace::inject(request.headers_mut());
        let reply = self.carrier.call(request);
        let deadline = self.deadline;
        Box::pin(async move {
            tokio::time::timeout(deadline, reply)
                .await
                .unwrap_or_else(|_| Err(Status::deadline_exceeded("the service took too long")))
        })
    }
}
