//! The multipart form of an upload, read as it comes: fields may stand before or after the file, so the file's bytes go
//! on at once and never lie in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use bytes::Bytes;
use confab_rpc::Fault;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use super::transfer::Transfer;
use crate::Gateway;

/// The longest text field.
const FIELD_BYTES: usize = 64 * 1024;

/// The most that is read only to be thrown away, so that the client gets to read why: what comes after a file was
/// refused, and fields that mean nothing here.
const DISCARDED_BYTES: usize = 64 * 1024 * 1024;

/// The most parts of a form.
const PARTS: usize = 64;

/// A client that sends nothing for this long has stopped.
const IDLE: Duration = Duration::from_secs(30);

/// The longest that a whole form may take.
const WHOLE: Duration = Duration::from_mins(15);

/// A form that cannot be read to its end: malformed, broken off, too slow or endless.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// Which parts of a form mean something; the others are read over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The part with the file; the first one counts.
    pub(crate) file: &'static str,
    /// The parts with a text; the last one of a name counts.
    pub(crate) texts: &'static [&'static str],
}

/// What an upload says.
#[derive(Debug)]
pub(crate) struct Form {
    shape: Shape,
    texts: BTreeMap<&'static str, String>,
    pub(crate) file: Option<File>,
    discarded: usize,
}

/// The file of a form.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) original_name: String,
    pub(crate) declared_type: String,
    /// Whether no byte of it came.
    pub(crate) empty: bool,
    /// The part's own headers.
    pub(crate) header: BTreeMap<String, Vec<String>>,
    /// Its bytes, as far as they were taken.
    pub(crate) transfer: Result<Transfer, Fault>,
}

impl Form {
    /// A form of which nothing was read yet.
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            texts: BTreeMap::new(),
            file: None,
            discarded: 0,
        }
    }

    /// A text of the form; `None` when it has no such part. No NUL is in it.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Reads a request's body. What was read before an error stays. A body that is no form is an empty one.
    pub(crate) async fn read(
        &mut self,
        headers: &HeaderMap,
        payload: Payload,
        gateway: &Gateway,
    ) -> Result<(), Unreadable> {
        if !is_form(headers) {
            return Ok(());
        }
        let parts = Multipart::new(headers, payload);
        timeout(WHOLE, self.read_parts(parts, gateway))
            .await
            .unwrap_or(Err(Unreadable))
    }

    async fn read_parts(
        &mut self,
        mut parts: Multipart,
        gateway: &Gateway,
    ) -> Result<(), Unreadable> {
        for _ in 0..PARTS {
            let Some(field) = next(&mut parts).await? else {
                return Ok(());
            };
            self.read_field(field, gateway).await?;
        }
        Err(Unreadable)
    }

    async fn read_field(&mut self, field: Field, gateway: &Gateway) -> Result<(), Unreadable> {
        let name = field.name().unwrap_or_default().to_owned();
        if name == self.shape.file && self.file.is_none() && file_name(&field).is_some() {
            return self.read_file(field, gateway).await;
        }
        let Some(name) = self.shape.texts.iter().find(|text| **text == name) else {
            return self.discard(field).await;
        };
        self.texts.insert(name, read_text(field).await?);
        Ok(())
    }

    async fn read_file(&mut self, mut field: Field, gateway: &Gateway) -> Result<(), Unreadable> {
        let file = self.file.insert(File {
            original_name: file_name(&field).unwrap_or_default(),
            declared_type: field
                .content_type()
                .map(ToString::to_string)
                .unwrap_or_default(),
            empty: true,
            header: readable(field.headers()),
            transfer: Ok(Transfer::open(&gateway.backends, &gateway.tasks)),
        });
        while let Some(chunk) = next(&mut field).await? {
            file.empty &= chunk.is_empty();
            let Ok(transfer) = &mut file.transfer else {
                throw_away(&mut self.discarded, &chunk)?;
                continue;
            };
            if let Err(fault) = transfer.send(chunk).await {
                file.transfer = Err(fault);
            }
        }
        Ok(())
    }

    async fn discard(&mut self, mut field: Field) -> Result<(), Unreadable> {
        while let Some(chunk) = next(&mut field).await? {
            throw_away(&mut self.discarded, &chunk)?;
        }
        Ok(())
    }
}

fn throw_away(discarded: &mut usize, chunk: &Bytes) -> Result<(), Unreadable> {
    *discarded += chunk.len();
    if *discarded > DISCARDED_BYTES {
        return Err(Unreadable);
    }
    Ok(())
}

/// The next part of a form, or the next chunk of a part.
async fn next<T>(
    stream: &mut (impl Stream<Item = Result<T, MultipartError>> + Unpin),
) -> Result<Option<T>, Unreadable> {
    let next = timeout(IDLE, stream.next()).await;
    next.map_err(|_| Unreadable)?
        .transpose()
        .map_err(|_| Unreadable)
}

async fn read_text(mut field: Field) -> Result<String, Unreadable> {
    let mut content = Vec::new();
    while let Some(chunk) = next(&mut field).await? {
        if content.len() + chunk.len() > FIELD_BYTES {
            return Err(Unreadable);
        }
        content.extend_from_slice(&chunk);
    }
    // No text column holds a NUL.
    Ok(String::from_utf8_lossy(&content).replace('\0', ""))
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .to_ascii_lowercase()
                .starts_with("multipart/form-data")
        })
}

fn file_name(field: &Field) -> Option<String> {
    let disposition = field.content_disposition()?;
    // `filename*` only ever comes with a `filename`.
    disposition.get_filename().map(str::to_owned)
}

/// Headers as the original shows them: `Content-Type`, not `content-type`.
fn readable(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut readable: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let words = name.as_str().split('-').map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        });
        let name = words.collect::<Vec<_>>().join("-");
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        readable.entry(name).or_default().push(value);
    }
    readable
}
