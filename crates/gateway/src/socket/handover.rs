//! HTTP → something else on the same connection: how a handler gets the connection that its request came on.
//!
//! While a connection speaks HTTP, actix keeps two buffers of 8 KiB and a dispatcher for it, and everything that is sent
//! goes through a channel and that dispatcher. A socket stays for hours and mostly idle, so the connection is taken out
//! of HTTP altogether (RFC 9110 section 7.8): actix hands requests that ask for it to the service made here, it lets the
//! rooms answer as ever, and with a 101 the connection goes to whoever asked for it.

use std::cell::RefCell;
use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_codec::Framed;
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::h1::{Codec, SendResponse};
use actix_http::{ConnectionType, HttpMessage, Request, Response};
use actix_web::dev::{AppConfig, Service, ServiceFactory, fn_factory, fn_service};
use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use actix_web::{Error, HttpRequest};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

/// A request that asks to leave HTTP, and its connection.
type Upgrade = (Request, Framed<TcpStream, Codec>);

/// What is done with a connection, and what its peer has sent already.
type Taker = Box<dyn FnOnce(TcpStream, Bytes)>;

/// In the extensions of a request whose connection can be had.
#[derive(Clone, Default)]
struct Handover(Rc<RefCell<Option<Taker>>>);

/// Has `taker` called with the connection of the request once the answer to it, a 101, has left. `false`: it cannot be
/// had, as with HTTP/2, where many requests share it.
pub(super) fn take(request: &HttpRequest, taker: impl FnOnce(TcpStream, Bytes) + 'static) -> bool {
    let extensions = request.extensions();
    let Some(Handover(place)) = extensions.get() else {
        return false;
    };
    *place.borrow_mut() = Some(Box::new(taker));
    true
}

/// The service for requests that ask to leave HTTP: `app` answers them like any others. One that stays in HTTP after all is
/// the last of its connection.
pub(crate) fn upgrades<A, B>(
    app: A,
) -> impl ServiceFactory<Upgrade, Config = (), Response = (), Error = Error, InitError = ()>
where
    A: ServiceFactory<Request, Config = AppConfig, Error = Error> + 'static,
    A::Response: Into<Response<B>>,
    A::InitError: Debug,
    B: MessageBody + 'static,
{
    let app = Rc::new(app);
    fn_factory(move || {
        let app = app.new_service(AppConfig::default());
        async move {
            let app = app.await.map_err(|error| {
                tracing::error!(?error, "the rooms cannot be opened");
            })?;
            let app = Rc::new(app);
            Ok(fn_service(move |(request, connection)| {
                answer(Rc::clone(&app), request, connection)
            }))
        }
    })
}

async fn answer<A, B>(
    app: Rc<A>,
    request: Request,
    connection: Framed<TcpStream, Codec>,
) -> Result<(), Error>
where
    A: Service<Request, Error = Error>,
    A::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    let handover = Handover::default();
    request.extensions_mut().insert(handover.clone());
    let mut response = match app.call(request).await {
        Ok(response) => response.into().map_into_boxed_body(),
        Err(error) => Response::from(error),
    };
    let taker = handover.0.take();
    let leaves = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let Some(taker) = taker.filter(|_| leaves) else {
        let head = response.head_mut();
        head.set_connection_type(ConnectionType::Close);
        let response = response.map_body(|_, body| Sent(body));
        let connection = SendResponse::new(connection, response).await?;
        // A peer that has gone needs no goodbye.
        let _ = connection.into_parts().io.shutdown().await;
        return Ok(());
    };
    let connection = SendResponse::new(connection, response.drop_body()).await?;
    let parts = connection.into_parts();
    // A copy, as the buffer is larger than what is in it.
    taker(parts.io, Bytes::copy_from_slice(&parts.read_buf));
    Ok(())
}

/// The body of an answer as [`SendResponse`] takes it.
struct Sent(BoxBody);

impl MessageBody for Sent {
    type Error = PayloadError;

    fn size(&self) -> BodySize {
        self.0.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = self.0.as_pin_mut().poll_next(context);
        next.map_err(|error| PayloadError::Io(io::Error::other(error.to_string())))
    }
}
