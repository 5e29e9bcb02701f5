//! A stored file as an HTTP answer, whole or one range of it.
//!
//! What a stranger uploaded is served from the origin of the API. So it is never sniffed, runs in a sandbox if it runs
//! at all, and what is not known to be harmless is saved instead of shown.

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    self, ByteRangeSpec, Charset, ContentDisposition, ContentRange, ContentRangeSpec,
    DispositionParam, DispositionType, ETag, EntityTag, ExtendedValue, Header, IfNoneMatch,
    IfRange, Range,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use confab_rpc::attachments::download_request::{Access, Signature};
use confab_rpc::attachments::download_response::Part;
use confab_rpc::attachments::{Attachment, DownloadRequest, DownloadResponse};
use confab_rpc::{Fault, Reason};
use futures_util::{Stream, StreamExt};
use tonic::Streaming;
use utoipa::IntoParams;

use crate::backends::Backends;

/// The query of a signed link, as it is documented; [`signature`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct Link {
    /// Until when a signed link is good, in seconds since 1970. Only with `signature`.
    expires: Option<i64>,
    /// What stands for a credential in a signed link.
    signature: Option<String>,
}

/// The headers that say what of a file is wanted, as they are documented; [`serve`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct Conditions {
    /// One range of bytes.
    #[param(rename = "Range", example = "bytes=0-1023")]
    range: Option<String>,
    /// The version that the range is of.
    #[param(rename = "If-Range")]
    if_range: Option<String>,
    /// The versions that the caller has.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// Answers a request for the file that is served under `name`, its `Range`, `If-Range` and `If-None-Match` respected.
///
/// Faults: `ATTACHMENT_NOT_FOUND`, `SIGNATURE_INVALID`, `INVALID`, and what a service that is away says.
pub(crate) async fn serve(
    request: &HttpRequest,
    backends: &Backends,
    access: Access,
    name: String,
) -> Result<HttpResponse, Fault> {
    let file = File {
        backends,
        access,
        name,
    };
    let Ok(range) = Range::parse(request) else {
        let (header, chunks) = file.open(0, 0).await?;
        return Ok(whole(request, &header, chunks));
    };
    // How large the file is decides what the range means; it costs a second call.
    let (header, first) = file.open(0, 1).await?;
    drop(first);
    match wanted(request, &range, &header) {
        Wanted::Whole => {
            let (header, chunks) = file.open(0, 0).await?;
            Ok(whole(request, &header, chunks))
        }
        Wanted::Part(from, to) => {
            let length = to - from + 1;
            let (header, chunks) = file.open(from, length).await?;
            let mut response = response(StatusCode::PARTIAL_CONTENT, &header);
            response.insert_header(content_range(Some((from, to)), &header));
            Ok(response.body(SizedStream::new(length, contents(chunks))))
        }
        Wanted::Nothing => {
            let mut response = HttpResponse::build(StatusCode::RANGE_NOT_SATISFIABLE);
            response.insert_header(content_range(None, &header));
            Ok(response.finish())
        }
    }
}

/// The signature in a request's query, if it is a signed link.
pub(crate) fn signature(request: &HttpRequest) -> Option<Signature> {
    let (mut expires, mut mac) = (None, None);
    for (key, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        match &*key {
            // What is no number has expired.
            "expires" => expires = Some(value.parse().unwrap_or(0)),
            "signature" => mac = Some(value.into_owned()),
            _ => {}
        }
    }
    Some(Signature {
        expires: expires?,
        mac: mac?,
    })
}

/// A file that is asked for.
struct File<'a> {
    backends: &'a Backends,
    access: Access,
    name: String,
}

impl File<'_> {
    /// What the file is, and its bytes from `offset`; a length of 0 is all of them.
    async fn open(
        &self,
        offset: u64,
        length: u64,
    ) -> Result<(Attachment, Streaming<DownloadResponse>), Fault> {
        let invalid = |_| Fault::new(Reason::Invalid, "beyond any file");
        let request = DownloadRequest {
            name: self.name.clone(),
            access: Some(self.access.clone()),
            offset: offset.try_into().map_err(invalid)?,
            length: length.try_into().map_err(invalid)?,
        };
        let reply = self.backends.attachments().download(request).await;
        let mut parts = reply?.into_inner();
        match parts.message().await?.and_then(|it| it.part) {
            Some(Part::Header(header)) => Ok((header, parts)),
            _ => Err(Fault::new(Reason::Internal, "no header")),
        }
    }
}

/// What of a file is wanted.
enum Wanted {
    Whole,
    /// First and last byte.
    Part(u64, u64),
    Nothing,
}

/// Several ranges, and units other than bytes, are answered with the whole file, as is a range of another version.
fn wanted(request: &HttpRequest, range: &Range, header: &Attachment) -> Wanted {
    let Range::Bytes(ranges) = range else {
        return Wanted::Whole;
    };
    let [range] = ranges.as_slice() else {
        return Wanted::Whole;
    };
    if request.headers().contains_key(header::IF_RANGE) {
        let same = match IfRange::parse(request) {
            Ok(IfRange::EntityTag(tag)) => tag.strong_eq(&etag(header)),
            Ok(IfRange::Date(_)) | Err(_) => false,
        };
        if !same {
            return Wanted::Whole;
        }
    }
    // `bytes=5-2` is no range at all.
    if let ByteRangeSpec::FromTo(from, to) = range
        && from > to
    {
        return Wanted::Whole;
    }
    match range.to_satisfiable_range(size(header)) {
        Some((from, to)) => Wanted::Part(from, to),
        None => Wanted::Nothing,
    }
}

fn whole(
    request: &HttpRequest,
    header: &Attachment,
    chunks: Streaming<DownloadResponse>,
) -> HttpResponse {
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&etag(header))),
        Ok(IfNoneMatch::Any) => true,
        Err(_) => false,
    };
    if known && request.headers().contains_key(header::IF_NONE_MATCH) {
        return response(StatusCode::NOT_MODIFIED, header).finish();
    }
    response(StatusCode::OK, header).body(SizedStream::new(size(header), contents(chunks)))
}

fn response(status: StatusCode, header: &Attachment) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    let content_type = match header.content_type.as_str() {
        "text/plain" => "text/plain; charset=utf-8",
        other => other,
    };
    response
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header(disposition(header))
        .insert_header(ETag(etag(header)))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'",
        ));
    response
}

fn disposition(header: &Attachment) -> ContentDisposition {
    let disposition = if header.inline {
        DispositionType::Inline
    } else {
        DispositionType::Attachment
    };
    let name = header.original_name.as_str();
    // Old clients read the first name, all others the second.
    let plain = name.replace(|c: char| !c.is_ascii_graphic() && c != ' ', "_");
    let extended = ExtendedValue {
        charset: Charset::Ext("UTF-8".to_owned()),
        language_tag: None,
        value: name.as_bytes().to_vec(),
    };
    ContentDisposition {
        disposition,
        parameters: vec![
            DispositionParam::Filename(plain),
            DispositionParam::FilenameExt(extended),
        ],
    }
}

fn etag(header: &Attachment) -> EntityTag {
    EntityTag::new_strong(header.sha256.clone())
}

fn content_range(range: Option<(u64, u64)>, header: &Attachment) -> ContentRange {
    ContentRange(ContentRangeSpec::Bytes {
        range,
        instance_length: Some(size(header)),
    })
}

fn size(header: &Attachment) -> u64 {
    header.size.try_into().unwrap_or(0)
}

/// The bytes; a fault in the middle breaks the connection off, as the head has gone.
fn contents(
    chunks: Streaming<DownloadResponse>,
) -> impl Stream<Item = Result<Bytes, Box<dyn std::error::Error>>> {
    chunks.map(|part| match part?.part {
        Some(Part::Chunk(chunk)) => Ok(chunk.into()),
        Some(Part::Header(_)) | None => Err("a second header".into()),
    })
}
