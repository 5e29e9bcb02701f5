//! Bodies that come, and such that do not.

use actix_web::FromRequest;
use actix_web::dev::Payload as Raw;
use actix_web::error::PayloadError;
use actix_web::test::TestRequest;
use actix_web::web::{Bytes, Payload};
use futures_util::{Stream, StreamExt, stream};

use super::{Unread, read};

async fn body(pieces: impl Stream<Item = Result<Bytes, PayloadError>> + 'static) -> Payload {
    let request = TestRequest::default().to_http_request();
    let mut raw = Raw::Stream {
        payload: pieces.boxed_local(),
    };
    Payload::from_request(&request, &mut raw).await.unwrap()
}

fn pieces() -> impl Stream<Item = Result<Bytes, PayloadError>> {
    stream::iter([Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"cd"))])
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    assert_eq!(read(body(pieces()).await, 4).await.unwrap(), "abcd");
    assert_eq!(read(body(pieces()).await, 3).await, Err(Unread::TooLarge));
    let broken = pieces().chain(stream::iter([Err(PayloadError::Incomplete(None))]));
    assert_eq!(read(body(broken).await, 9).await, Err(Unread::CutOff));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_not_waited_for() {
    let silent = pieces().chain(stream::pending());
    assert_eq!(read(body(silent).await, 9).await, Err(Unread::CutOff));
}
