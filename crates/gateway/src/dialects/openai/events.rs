//! An answer as server-sent events.

use std::convert::Infallible;
use std::future::ready;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::fault::Refused;

const BEGIN: &[u8] = b"data: ";
const END: &[u8] = b"\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// JSON texts that are there at the same time: one write, an event each.
pub(super) type Texts = Vec<Vec<u8>>;

/// Each JSON text becomes an event as soon as it is there. A failure is the last event; an answer that is whole ends with
/// `[DONE]`. Whatever reads the answer ends when the client goes away.
pub(super) fn respond(
    events: impl Stream<Item = Result<Texts, Refused>> + 'static,
) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        // A proxy in front must not gather them.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(frames(events).map(Ok::<_, Infallible>))
}

/// What is written.
pub(super) fn frames(
    events: impl Stream<Item = Result<Texts, Refused>>,
) -> impl Stream<Item = Bytes> {
    let events = events.map(Some).chain(stream::once(ready(None)));
    events.scan(false, |failed, event| {
        if *failed {
            return ready(None);
        }
        ready(Some(match event {
            Some(Ok(texts)) => write(&texts),
            Some(Err(refused)) => {
                *failed = true;
                // A failure always becomes JSON.
                write(&[serde_json::to_vec(&refused.into_body()).unwrap_or_default()])
            }
            None => Bytes::from_static(DONE),
        }))
    })
}

fn write(texts: &[Vec<u8>]) -> Bytes {
    let around = BEGIN.len() + END.len();
    let bytes = texts.iter().map(|text| around + text.len()).sum();
    let mut written = Vec::with_capacity(bytes);
    for text in texts {
        written.extend_from_slice(BEGIN);
        written.extend_from_slice(text);
        written.extend_from_slice(END);
    }
    written.into()
}
