//! Whom the gateway believes: settings, origins, credentials.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::http::header;
use actix_web::test::TestRequest;
use tokio::time::Instant;
use uuid::Uuid;

use crate::caller::{Acting, Caller, Claim, Credential, Verified};
use crate::origin::Origins;
use crate::settings::{
    Assistant, Auth, AuthMode, Conversations, Groups, InvalidSettings, Limits, Mirror, OpenAi,
    Settings, Sockets,
};

pub(crate) fn settings(mode: AuthMode, listen: &str, origins: &[&str]) -> Settings {
    Settings {
        listen: listen.split(',').map(|it| it.parse().unwrap()).collect(),
        allowed_origins: origins.iter().map(|it| (*it).to_owned()).collect(),
        docs: true,
        auth: Auth {
            mode,
            open_beyond_loopback: false,
        },
        sockets: Sockets {
            frame_bytes: 65_536,
            message_bytes: 131_072,
            ping_seconds: 25,
            pending_frames: 32,
        },
        assistant: Assistant {
            mirror: Mirror::Off,
            mirror_stream: "CHAT_STREAM".to_owned(),
        },
        groups: Groups {
            push: true,
            open_join: true,
        },
        conversations: Conversations {
            model: String::new(),
            open_models: Vec::new(),
            open_deposit_microdollars: 0,
        },
        openai: OpenAi { body_bytes: 1024 },
        limits: Limits {
            requests_per_minute: 0,
            tokens_per_minute: 0,
        },
    }
}

#[test]
fn open_mode_is_for_loopback_and_named_pages() {
    let open = |listen, origins: &[&str]| settings(AuthMode::Open, listen, origins).validate();
    assert_eq!(open("127.0.0.1:8000,[::1]:8000", &[]), Ok(()));
    assert_eq!(
        open("127.0.0.1:8000,0.0.0.0:3001", &[]),
        Err(InvalidSettings::OpenBeyondLoopback(
            "0.0.0.0:3001".parse().unwrap()
        ))
    );
    assert_eq!(
        open("127.0.0.1:8000", &["*"]),
        Err(InvalidSettings::AnyOriginInOpenMode)
    );
    let mut vouched = settings(AuthMode::Open, "0.0.0.0:8000", &[]);
    vouched.auth.open_beyond_loopback = true;
    assert_eq!(vouched.validate(), Ok(()));
    let token = settings(AuthMode::Token, "0.0.0.0:8000", &["*"]);
    assert_eq!(token.validate(), Ok(()));
}

#[test]
fn settings_that_let_nothing_through_are_refused() {
    use InvalidSettings::{MessageShorterThanFrame, NoListener, NoMirrorStream, Origin, Zero};
    let refused = |change: fn(&mut Settings)| {
        let mut settings = settings(AuthMode::Token, "127.0.0.1:8000", &[]);
        change(&mut settings);
        settings.validate().unwrap_err()
    };
    assert_eq!(refused(|it| it.listen.clear()), NoListener);
    assert_eq!(
        refused(|it| it.sockets.frame_bytes = 0),
        Zero("frame_bytes")
    );
    assert_eq!(
        refused(|it| it.sockets.message_bytes = 0),
        Zero("message_bytes")
    );
    assert_eq!(
        refused(|it| it.sockets.ping_seconds = 0),
        Zero("ping_seconds")
    );
    assert_eq!(
        refused(|it| it.sockets.pending_frames = 0),
        Zero("pending_frames")
    );
    assert_eq!(
        refused(|it| it.sockets.message_bytes = 1),
        MessageShorterThanFrame
    );
    assert_eq!(
        refused(|it| {
            it.assistant.mirror = Mirror::RedisStream;
            it.assistant.mirror_stream.clear();
        }),
        NoMirrorStream
    );
    assert_eq!(
        refused(|it| it.openai.body_bytes = 0),
        InvalidSettings::BodyBytes
    );
    assert_eq!(
        refused(|it| it.openai.body_bytes = 1 << 30),
        InvalidSettings::BodyBytes
    );
    for origin in ["chat.example.org", "https://a/path", "ftp://a", "null", ""] {
        let mut settings = settings(AuthMode::Token, "127.0.0.1:8000", &[]);
        settings.allowed_origins = vec![origin.to_owned()];
        assert_eq!(settings.validate(), Err(Origin(origin.to_owned())));
    }
}

fn allows(settings: &Settings, origin: &str) -> bool {
    let request = TestRequest::default().insert_header((header::ORIGIN, origin));
    Origins::new(settings).allow(&request.to_http_request())
}

#[test]
fn pages_of_this_machine_may_connect_to_this_machine() {
    let local = settings(AuthMode::Open, "127.0.0.1:8000,[::1]:1", &[]);
    for origin in [
        "http://localhost",
        "http://localhost:3000",
        "https://localhost:3000",
        "http://127.0.0.1:5173",
        "http://127.9.9.9",
        "http://[::1]:3000",
    ] {
        assert!(allows(&local, origin), "{origin}");
    }
    for origin in [
        "null",
        "",
        "file://",
        "http://localhost.evil.example",
        "http://evil.example",
        "http://evil.example:8000",
        "http://127.0.0.1.evil.example",
        "http://evil-localhost",
        "http://localhost@evil.example",
        "http://evil.example#localhost",
        "http://user@localhost",
        "http://localhost/path",
        "http://LOCALHOST:3000",
        "http://localhost:80",
        "http://127.1",
        "http://2130706433",
        "http://[::ffff:127.0.0.1]",
        "ws://localhost",
        "chrome-extension://localhost",
        "http://192.168.0.7:3000",
        "http://localhost, http://evil.example",
    ] {
        assert!(!allows(&local, origin), "{origin}");
    }
    let reachable = settings(AuthMode::Token, "127.0.0.1:1,0.0.0.0:8000", &[]);
    assert!(!allows(&reachable, "http://localhost:3000"));
}

#[test]
fn other_pages_must_be_named_exactly() {
    let named = settings(
        AuthMode::Token,
        "0.0.0.0:8000",
        &[
            "https://Chat.Example.org/",
            "https://b\u{fc}cher.example:8443",
        ],
    );
    assert_eq!(named.validate(), Ok(()));
    assert!(allows(&named, "https://chat.example.org"));
    assert!(allows(&named, "https://xn--bcher-kva.example:8443"));
    for origin in [
        "http://chat.example.org",
        "https://chat.example.org:8443",
        "https://chat.example.org.evil.example",
        "https://evilchat.example.org",
        "https://sub.chat.example.org",
        "https://CHAT.example.org",
        "null",
    ] {
        assert!(!allows(&named, origin), "{origin}");
    }
    let any = settings(AuthMode::Token, "0.0.0.0:8000", &["*"]);
    assert!(allows(&any, "https://anything.example"));
    assert!(allows(&any, "null"));
}

#[test]
fn no_page_is_nobody_and_two_pages_are_no_page() {
    let local = settings(AuthMode::Open, "127.0.0.1:8000", &[]);
    let origins = Origins::new(&local);
    assert!(origins.allow(&TestRequest::default().to_http_request()));
    let both = TestRequest::default()
        .append_header((header::ORIGIN, "http://localhost"))
        .append_header((header::ORIGIN, "http://evil.example"));
    assert!(!origins.allow(&both.to_http_request()));
}

/// The token of a request, and whether it becomes a cookie.
fn credential(request: &HttpRequest) -> Option<(String, bool)> {
    let credential = Credential::of(request)?;
    Some((credential.token().to_owned(), credential.cookie().is_some()))
}

#[test]
fn a_token_may_stand_in_four_places() {
    let request = TestRequest::with_uri("/ws?x=1&token=query");
    let header = (header::AUTHORIZATION, "bearer header");
    let protocol = (header::SEC_WEBSOCKET_PROTOCOL, "chat, bearer, protocol");
    let cookie = Cookie::new("token", "cookie");
    let found = |request: TestRequest| credential(&request.to_http_request());
    let token = |token: &str, cookie| Some((token.to_owned(), cookie));

    let all = request
        .cookie(cookie.clone())
        .insert_header(protocol.clone())
        .insert_header(header);
    assert_eq!(found(all), token("header", false));
    let without_header = TestRequest::with_uri("/ws?token=query").insert_header(protocol);
    assert_eq!(found(without_header), token("protocol", false));
    let query = TestRequest::with_uri("/ws?token=a%2Bb").cookie(cookie.clone());
    assert_eq!(found(query), token("a+b", true));
    assert_eq!(
        found(TestRequest::default().cookie(cookie)),
        token("cookie", false)
    );
}

#[test]
fn what_is_no_token_is_none() {
    for request in [
        TestRequest::default(),
        TestRequest::with_uri("/ws?token="),
        TestRequest::default().insert_header((header::AUTHORIZATION, "Basic YTpi")),
        TestRequest::default().insert_header((header::AUTHORIZATION, "Bearer")),
        TestRequest::default().insert_header((header::SEC_WEBSOCKET_PROTOCOL, "bearer")),
        TestRequest::default().insert_header((header::SEC_WEBSOCKET_PROTOCOL, "chat, token")),
        TestRequest::default().cookie(Cookie::new("token", "")),
    ] {
        assert_eq!(credential(&request.to_http_request()), None);
    }
}

#[test]
fn a_token_becomes_a_cookie_that_scripts_cannot_read() {
    let request = TestRequest::with_uri("/ws?token=abc").to_http_request();
    let cookie = Credential::of(&request).unwrap().cookie().unwrap();
    assert_eq!(
        cookie.to_string(),
        "token=abc; HttpOnly; SameSite=Lax; Path=/"
    );
}

#[test]
fn a_token_speaks_for_its_owner_only() {
    let (owner, other) = (Uuid::now_v7(), Uuid::now_v7());
    let verified = Verified {
        id: owner,
        number: 1,
        session: None,
        ends_at: Instant::now(),
    };
    let acting = Acting::new(Caller::User(verified));
    assert_eq!(acting.claim(owner), Claim::Granted(owner));
    assert_eq!(acting.claim(other), Claim::Foreign);
}

#[test]
fn an_open_socket_speaks_for_the_first_user_it_has_used() {
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let acting = Acting::new(Caller::Anyone);
    // Nothing is decided while no id has turned out to be anybody's.
    assert_eq!(acting.claim(second), Claim::Granted(second));
    assert_eq!(acting.claim(first), Claim::Granted(first));
    acting.bind(first);
    acting.bind(second);
    assert_eq!(acting.claim(first), Claim::Granted(first));
    assert_eq!(acting.claim(second), Claim::SecondIdentity);
}
