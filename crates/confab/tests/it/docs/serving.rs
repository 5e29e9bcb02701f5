//! How the documents, and the page that shows one of them, are served.

use confab_testkit::{Shape, System};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use super::{ELSEWHERE, TOKEN_MODE};

const DOCUMENTS: [&str; 2] = ["/openapi.json", "/asyncapi.json"];

/// What the page consists of besides itself.
const PARTS: [(&str, &str); 4] = [
    ("swagger-ui.css", "text/css"),
    ("swagger-ui-bundle.js", "text/javascript"),
    ("swagger-ui-standalone-preset.js", "text/javascript"),
    ("swagger-initializer.js", "text/javascript"),
];

/// Somebody who follows no redirects and has no credential.
struct Browser<'a>(&'a System, Client);

impl<'a> Browser<'a> {
    fn new(system: &'a System) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        Self(system, client.build().unwrap())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.1.request(method, self.0.url(path))
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_public_and_known_by_their_tags() {
    for settings in [&[][..], &[TOKEN_MODE]] {
        let system = System::start_with(Shape::Sqlite, settings).await;
        let browser = Browser::new(&system);
        for path in DOCUMENTS {
            let whole = browser.get(path).await;
            assert_eq!(whole.status(), 200, "{path}");
            let headers = whole.headers().clone();
            assert_eq!(text(&headers, "content-type"), "application/json");
            assert_eq!(text(&headers, "cache-control"), "public, no-cache");
            let document: Value = whole.json().await.unwrap();
            assert_eq!(document["info"]["title"], "Confab", "{path}");
            let tag = text(&headers, "etag");
            for (known, status) in [(tag, 304), ("\"another version\"", 200)] {
                let again = browser.request(Method::GET, path);
                let again = again.header("If-None-Match", known).send().await;
                let again = again.unwrap();
                assert_eq!(again.status(), status, "{path}");
                assert_eq!(text(again.headers(), "etag"), tag);
                assert_eq!(again.bytes().await.unwrap().is_empty(), status == 304);
            }
            let head = browser.request(Method::HEAD, path).send().await.unwrap();
            assert_eq!(head.status(), 200, "{path}");
        }
        assert_eq!(browser.get("/docs/").await.status(), 200);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_page_may_read_documents() {
    let system = System::start(Shape::Sqlite).await;
    let browser = Browser::new(&system);
    for path in DOCUMENTS {
        let asked = browser.request(Method::OPTIONS, path);
        let asked = asked
            .header("Origin", ELSEWHERE)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "if-none-match");
        let asked = asked.send().await.unwrap();
        assert!(asked.status().is_success(), "{path}: {}", asked.status());
        let allowed = text(asked.headers(), "access-control-allow-headers");
        assert_eq!(allowed, "if-none-match");
        let read = browser.request(Method::GET, path);
        let read = read.header("Origin", ELSEWHERE).send().await.unwrap();
        for answer in [asked, read] {
            let headers = answer.headers();
            assert_eq!(text(headers, "access-control-allow-origin"), "*");
            assert!(!headers.contains_key("access-control-allow-credentials"));
        }
        let sent = browser.request(Method::OPTIONS, path);
        let sent = sent
            .header("Origin", ELSEWHERE)
            .header("Access-Control-Request-Method", "POST");
        let sent = sent.send().await.unwrap();
        assert_eq!(sent.status(), 400, "{path} is only read");
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_its_own_scripts_and_may_load_no_others() {
    let system = System::start(Shape::Sqlite).await;
    let browser = Browser::new(&system);
    let redirected = browser.get("/docs").await;
    assert_eq!(redirected.status(), 308);
    assert_eq!(text(redirected.headers(), "location"), "docs/");
    for (name, kind) in [("", "text/html")].iter().chain(&PARTS) {
        let path = format!("/docs/{name}");
        let part = browser.get(&path).await;
        assert_eq!(part.status(), 200, "{path}");
        let headers = part.headers().clone();
        assert!(text(&headers, "content-type").starts_with(kind), "{path}");
        let policy = text(&headers, "content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("script-src 'self';"), "{path}: {policy}");
        assert!(!part.bytes().await.unwrap().is_empty(), "{path}");
        let known = browser.request(Method::GET, &path);
        let known = known.header("If-None-Match", text(&headers, "etag"));
        assert_eq!(known.send().await.unwrap().status(), 304, "{path}");
        let head = browser.request(Method::HEAD, &path).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
    }
    let initializer = browser.get("/docs/swagger-initializer.js").await;
    let initializer = initializer.text().await.unwrap();
    assert!(initializer.contains("\"../openapi.json\""), "{initializer}");
    for path in ["/docs/nothing.js", "/docs/../Cargo.toml", "/docs/%2e%2e/x"] {
        assert_eq!(browser.get(path).await.status(), 404, "{path}");
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_where_nothing_shall_be() {
    let settings = [("gateway.docs", "false")];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let browser = Browser::new(&system);
    let page = ["/docs", "/docs/", "/docs/swagger-initializer.js"];
    for path in DOCUMENTS.iter().chain(&page) {
        assert_eq!(browser.get(path).await.status(), 404, "{path}");
    }
    system.stop().await;
}
