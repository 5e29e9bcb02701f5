//! A server that speaks as much of S3 as is used: objects whole, in parts, by range, by prefix, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use chrono::{DateTime, Utc};
use confab_runtime::{Clock, SystemClock, Tasks};
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::form_urlencoded;

use super::S3;

const NAME: &str = "files";
const KEY_ID: &str = "test-key";
/// Keys of one page of a list; few, so that lists have pages.
const PAGE: usize = 2;

/// The server. It ends with the runtime of the test.
pub(crate) struct Bucket {
    store: Arc<Store>,
    endpoint: String,
}

struct Store {
    content: Mutex<Content>,
    /// How many parts have come so far.
    parts: watch::Sender<usize>,
}

#[derive(Default)]
struct Content {
    objects: BTreeMap<String, (Bytes, DateTime<Utc>)>,
    /// By their ids: the key, and the parts by number.
    uploads: HashMap<String, (String, BTreeMap<u32, Bytes>)>,
    begun: usize,
    loses_a_byte: bool,
    refuses: Option<Method>,
}

impl Bucket {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let store = Arc::new(Store {
            content: Mutex::default(),
            parts: watch::Sender::new(0),
        });
        let app = Router::new().fallback(answer).with_state(store.clone());
        Tasks::new().spawn("a bucket", async move {
            axum::serve(listener, app).await.unwrap();
        });
        Self { store, endpoint }
    }

    pub(crate) fn settings(&self) -> S3 {
        S3 {
            bucket: NAME.to_owned(),
            endpoint: self.endpoint.clone(),
            region: "us-east-1".to_owned(),
            access_key_id: KEY_ID.to_owned(),
            secret_access_key: "secret".into(),
            allow_http: true,
        }
    }

    /// The keys of all objects, and of uploads that are neither completed nor aborted.
    pub(crate) fn keys(&self) -> Vec<String> {
        let content = self.content();
        let begun = content.uploads.values().map(|(key, _)| key);
        content.objects.keys().chain(begun).cloned().collect()
    }

    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        let content = self.content();
        content.objects.get(key).map(|(bytes, _)| bytes.to_vec())
    }

    /// Puts an object there, or removes it.
    pub(crate) fn replace(&self, key: &str, bytes: Option<&[u8]>) {
        let mut content = self.content();
        content.objects.remove(key);
        if let Some(bytes) = bytes {
            let object = (Bytes::copy_from_slice(bytes), SystemClock.now());
            content.objects.insert(key.to_owned(), object);
        }
    }

    /// How many uploads in parts were begun.
    pub(crate) fn begun(&self) -> usize {
        self.content().begun
    }

    /// From now on objects are stored without their last byte.
    pub(crate) fn lose_a_byte(&self) {
        self.content().loses_a_byte = true;
    }

    /// From now on requests with this method are refused.
    pub(crate) fn refuse(&self, method: Method) {
        self.content().refuses = Some(method);
    }

    /// Comes back when so many parts have come.
    pub(crate) async fn parts(&self, count: usize) {
        let mut parts = self.store.parts.subscribe();
        parts.wait_for(|come| *come >= count).await.unwrap();
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.store.content.lock().unwrap()
    }
}

async fn answer(State(store): State<Arc<Store>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let query: HashMap<_, _> = form_urlencoded::parse(query).into_owned().collect();
    let path = head.uri.path().trim_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let mut content = store.content.lock().unwrap();
    if !is_signed(&head.headers) || content.refuses.as_ref() == Some(&head.method) {
        return status(StatusCode::FORBIDDEN);
    }
    if bucket != NAME {
        return status(StatusCode::NOT_FOUND);
    }
    let upload = query.get("uploadId");
    match (head.method.as_str(), upload) {
        ("GET", None) if key.is_empty() => content.list(&query),
        ("GET" | "HEAD", None) => content.get(key, &head.headers, head.method == Method::HEAD),
        ("PUT", None) => content.put(key, body),
        ("DELETE", None) => {
            content.objects.remove(key);
            status(StatusCode::NO_CONTENT)
        }
        ("POST", None) if query.contains_key("uploads") => content.begin(key),
        ("PUT", Some(upload)) => {
            let part = content.part(upload, &query["partNumber"], body);
            store.parts.send_modify(|come| *come += 1);
            part
        }
        ("POST", Some(upload)) => content.complete(upload),
        ("DELETE", Some(upload)) => match content.uploads.remove(upload) {
            Some(_) => status(StatusCode::NO_CONTENT),
            None => status(StatusCode::NOT_FOUND),
        },
        _ => status(StatusCode::METHOD_NOT_ALLOWED),
    }
}

impl Content {
    fn put(&mut self, key: &str, mut bytes: Bytes) -> Response<Body> {
        if self.loses_a_byte {
            bytes.truncate(bytes.len().saturating_sub(1));
        }
        let object = (bytes, SystemClock.now());
        self.objects.insert(key.to_owned(), object);
        tagged(Body::empty())
    }

    fn begin(&mut self, key: &str) -> Response<Body> {
        self.begun += 1;
        let upload = format!("upload-{}", self.begun);
        let answer = format!(
            "<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        );
        self.uploads
            .insert(upload, (key.to_owned(), BTreeMap::new()));
        Response::new(answer.into())
    }

    fn part(&mut self, upload: &str, number: &str, bytes: Bytes) -> Response<Body> {
        let Some((_, parts)) = self.uploads.get_mut(upload) else {
            return status(StatusCode::NOT_FOUND);
        };
        parts.insert(number.parse().unwrap(), bytes);
        tagged(Body::empty())
    }

    fn complete(&mut self, upload: &str) -> Response<Body> {
        let Some((key, parts)) = self.uploads.remove(upload) else {
            return status(StatusCode::NOT_FOUND);
        };
        let last = parts.len() - 1;
        let sizes: Vec<_> = parts.values().map(Bytes::len).collect();
        assert!(
            sizes[..last].iter().all(|size| *size == 5 * 1024 * 1024) && sizes[last] > 0,
            "{sizes:?}"
        );
        let whole: Vec<u8> = parts.values().flatten().copied().collect();
        self.put(&key, whole.into());
        let answer =
            "<CompleteMultipartUploadResult><ETag>tag</ETag></CompleteMultipartUploadResult>";
        Response::new(answer.into())
    }

    fn get(&self, key: &str, headers: &HeaderMap, head: bool) -> Response<Body> {
        let Some((bytes, changed)) = self.objects.get(key) else {
            return status(StatusCode::NOT_FOUND);
        };
        let size = bytes.len();
        let (status, range) = match headers.get(header::RANGE) {
            None => (StatusCode::OK, 0..size),
            Some(range) => {
                let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
                let (first, last) = range.split_once('-').unwrap();
                let end = last.parse::<usize>().unwrap() + 1;
                let range = first.parse().unwrap()..end.min(size);
                (StatusCode::PARTIAL_CONTENT, range)
            }
        };
        let mut response = Response::builder()
            .status(status)
            .header(header::ETAG, "tag")
            .header(header::CONTENT_LENGTH, range.len())
            .header(
                header::LAST_MODIFIED,
                changed.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            );
        if status == StatusCode::PARTIAL_CONTENT {
            let (first, last) = (range.start, range.end - 1);
            let value = format!("bytes {first}-{last}/{size}");
            response = response.header(header::CONTENT_RANGE, value);
        }
        let body = if head {
            Bytes::new()
        } else {
            bytes.slice(range)
        };
        response.body(body.into()).unwrap()
    }

    fn list(&self, query: &HashMap<String, String>) -> Response<Body> {
        let prefix = &query["prefix"];
        let after = query.get("continuation-token").cloned().unwrap_or_default();
        let mut found = self
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(prefix.as_str()) && **key > after);
        let page: Vec<_> = found.by_ref().take(PAGE).collect();
        let next = match (found.next(), page.last()) {
            (Some(_), Some((last, _))) => {
                format!("<NextContinuationToken>{last}</NextContinuationToken>")
            }
            _ => String::new(),
        };
        let contents: Vec<_> = page
            .into_iter()
            .map(|(key, (bytes, changed))| {
                let (size, changed) = (bytes.len(), changed.to_rfc3339());
                format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>{changed}</LastModified></Contents>"
                )
            })
            .collect();
        let contents = contents.concat();
        let answer = format!("<ListBucketResult>{next}{contents}</ListBucketResult>");
        Response::new(answer.into())
    }
}

/// Whether a request names the key it is signed with. Signatures are the library's matter.
fn is_signed(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|value| {
        let value = value.to_str().unwrap();
        value.starts_with(&format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/"))
    })
}

fn tagged(body: Body) -> Response<Body> {
    Response::builder()
        .header(header::ETAG, "tag")
        .body(body)
        .unwrap()
}

fn status(status: StatusCode) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}
