//! Sockets: who gets one, what is answered on it, how it ends.

use confab_gateway::AuthMode;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::front::{Front, settings};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(
    front: &Front,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Socket, Response), Error> {
    let url = format!("ws://{}{path}", front.address);
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().insert(*name, value);
    }
    connect_async(request).await
}

async fn open(front: &Front) -> Socket {
    connect(front, "/ws", &[]).await.unwrap().0
}

/// The status with which a socket is refused, and what the body says.
async fn refusal(
    front: &Front,
    path: &str,
    headers: &[(&'static str, &str)],
) -> (StatusCode, Value) {
    match connect(front, path, headers).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status(), serde_json::from_slice(body).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

async fn hear(socket: &mut Socket) -> Message {
    socket.next().await.unwrap().unwrap()
}

fn failure(text: &str) -> Message {
    Message::text(json!({ "error": text }).to_string())
}

fn frame(opcode: Data, last: bool, bytes: usize) -> Message {
    Message::Frame(Frame::message(
        vec![b' '; bytes],
        OpCode::Data(opcode),
        last,
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_below_ws_is_a_socket() {
    let front = Front::open();
    for path in ["/ws", "/ws/", "/ws/anything?x=1", "/ws/a/b"] {
        let (mut socket, _) = connect(&front, path, &[]).await.unwrap();
        socket.send(Message::text("{}")).await.unwrap();
        assert_eq!(
            hear(&mut socket).await,
            failure("Unknown Message"),
            "{path}"
        );
    }
    assert!(front.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_closes_a_socket() {
    let front = Front::open();
    let mut socket = open(&front).await;
    let user = json!({"user_id": "0192f0a1-0000-7000-8000-000000000001", "session_id": "NEW",
        "model_name": "gpt-4", "message": "hello"});
    for (request, text) in [
        (json!({"type": 99}), "Unknown Message"),
        (json!({"data": {}}), "Unknown Message"),
        (json!({"type": "0"}), "JSON Parsing Error"),
        (json!([]), "JSON Parsing Error"),
        (json!({"type": 0, "data": null}), "User Does Not Exists"),
        (
            json!({"type": 1, "data": {"user_id": "x"}}),
            "User Does Not Exists",
        ),
        (
            json!({"type": 2, "data": {"user_id": "x"}}),
            "Unable to Load Chats",
        ),
        (
            json!({"type": 3, "data": {"user_id": 5}}),
            "User Does Not Have Model Access",
        ),
        (json!({"type": 4, "data": []}), "Unable to Delete Session"),
        (json!({"type": 6}), "Unable to get balance details"),
        // The services are away.
        (json!({"type": 0, "data": user}), "Internal Server Error"),
        (json!({"type": 1, "data": user}), "Internal Server Error"),
        (json!({"type": 2, "data": user}), "Unable to Load Chats"),
        (
            json!({"type": 3, "data": user}),
            "Unable to Receive Response To Query",
        ),
        (json!({"type": 4, "data": user}), "Unable to Delete Session"),
        (
            json!({"type": 5, "data": user}),
            "Unable to Generate AI Model List",
        ),
        (
            json!({"type": 6, "data": user}),
            "Unable to get balance details",
        ),
    ] {
        socket
            .send(Message::text(request.to_string()))
            .await
            .unwrap();
        assert_eq!(hear(&mut socket).await, failure(text), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_answered_in_its_turn() {
    let front = Front::open();
    let mut socket = open(&front).await;
    let parsing = failure("JSON Parsing Error");
    for message in [
        frame(Data::Text, true, 1025),
        frame(Data::Binary, true, 300_000),
        // 2049 bytes in three frames.
        frame(Data::Text, false, 1024),
        frame(Data::Continue, false, 1024),
        frame(Data::Continue, true, 1),
        Message::text("{}"),
    ] {
        socket.feed(message).await.unwrap();
    }
    socket.flush().await.unwrap();
    for _ in 0..3 {
        assert_eq!(hear(&mut socket).await, parsing);
    }
    assert_eq!(hear(&mut socket).await, failure("Unknown Message"));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_text_also_for_a_binary_request_and_pings_are_answered() {
    let front = Front::open();
    let mut socket = open(&front).await;
    socket.send(Message::binary("{}")).await.unwrap();
    assert_eq!(hear(&mut socket).await, failure("Unknown Message"));
    socket.send(Message::Ping("?".into())).await.unwrap();
    assert_eq!(hear(&mut socket).await, Message::Pong("?".into()));
    let junk = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    socket.send(Message::Frame(junk)).await.unwrap();
    assert_eq!(hear(&mut socket).await, failure("JSON Parsing Error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_answered() {
    let front = Front::open();
    let mut socket = open(&front).await;
    socket.close(None).await.unwrap();
    assert_eq!(hear(&mut socket).await, Message::Close(None));
    assert!(socket.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_from_elsewhere_get_no_socket() {
    let front = Front::open();
    for origin in [
        "http://evil.example",
        "null",
        "http://localhost.evil.example",
    ] {
        let refused = refusal(&front, "/ws", &[("origin", origin)]).await;
        let expected = (
            StatusCode::FORBIDDEN,
            json!({"error": "Origin not allowed"}),
        );
        assert_eq!(refused, expected, "{origin}");
    }
    connect(&front, "/ws", &[("origin", "http://localhost:3000")])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_there_is_no_socket_in_token_mode() {
    let front = Front::start(settings(AuthMode::Token, &[]));
    let unauthorized = (StatusCode::UNAUTHORIZED, json!({"error": "Unauthorized"}));
    assert_eq!(refusal(&front, "/ws", &[]).await, unauthorized);
    let long = "x".repeat(9000);
    let authorization = format!("Bearer {long}");
    let headers = [("authorization", authorization.as_str())];
    assert_eq!(refusal(&front, "/ws", &headers).await, unauthorized);
    // Whether this one is good nobody can say.
    let away = (
        StatusCode::SERVICE_UNAVAILABLE,
        json!({"error": "Service Unavailable"}),
    );
    assert_eq!(refusal(&front, "/ws?token=abc", &[]).await, away);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subprotocol_of_a_token_is_confirmed() {
    let front = Front::open();
    let headers = [("sec-websocket-protocol", "bearer, abc")];
    let (_, response) = connect(&front, "/ws", &headers).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "bearer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_handshake_is_refused() {
    let front = Front::open();
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_tells_every_socket_and_ends() {
    let front = Front::open();
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(open(&front).await);
    }
    front.begin_to_stop();
    for socket in &mut sockets {
        match hear(socket).await {
            Message::Close(Some(CloseFrame { code, .. })) => assert_eq!(code, CloseCode::Restart),
            other => panic!("{other:?}"),
        }
        assert!(socket.next().await.is_none());
    }
    assert!(front.stop().await);
}
