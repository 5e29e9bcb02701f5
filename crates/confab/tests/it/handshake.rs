//! From HTTP to a socket and to its end, byte for byte.

use confab_testkit::{Shape, System};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MODELS: &str = r#"{"type":5,"data":{}}"#;

/// A request for a socket, with these headers beside what it takes.
fn request(path: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: confab\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
    .into_bytes()
}

/// A whole frame of a client, its mask being zero.
fn frame(opcode: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 126);
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], content].concat()
}

/// The head of an answer.
async fn head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// Opcode and content of a frame of the server.
async fn hear(connection: &mut TcpStream) -> (u8, Vec<u8>) {
    let opcode = connection.read_u8().await.unwrap() & 0x0f;
    let length = match connection.read_u8().await.unwrap() {
        126 => connection.read_u16().await.unwrap(),
        short => short.into(),
    };
    let mut content = vec![0; length.into()];
    connection.read_exact(&mut content).await.unwrap();
    (opcode, content)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_with_the_handshake_is_answered() {
    let system = System::start(Shape::Sqlite).await;
    let mut connection = TcpStream::connect(system.address()).await.unwrap();
    let begun = [request("/ws", ""), frame(1, MODELS.as_bytes())].concat();
    connection.write_all(&begun).await.unwrap();
    let head = head(&mut connection).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"));
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"));
    let (opcode, content) = hear(&mut connection).await;
    let reply: Value = serde_json::from_slice(&content).unwrap();
    assert_eq!((opcode, &reply["type"]), (1, &json!(5)), "{reply}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_socket_is_told_why_and_the_connection_ends() {
    let system = System::start(Shape::Sqlite).await;
    let mut connection = TcpStream::connect(system.address()).await.unwrap();
    let wrong = request("/ws", "Origin: https://elsewhere.example\r\n");
    connection.write_all(&wrong).await.unwrap();
    let head = head(&mut connection).await;
    assert!(head.starts_with("http/1.1 403 "), "{head}");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    let mut body = Vec::new();
    connection.read_to_end(&mut body).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({ "error": "Origin not allowed" }));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_socket_ends_in_order_also_when_more_was_sent() {
    let system = System::start(Shape::Sqlite).await;
    let mut connection = TcpStream::connect(system.address()).await.unwrap();
    connection.write_all(&request("/ws", "")).await.unwrap();
    head(&mut connection).await;
    let unread = frame(1, MODELS.as_bytes()).repeat(1000);
    let more = [frame(8, &1001_u16.to_be_bytes()), unread].concat();
    connection.write_all(&more).await.unwrap();
    assert_eq!(
        hear(&mut connection).await,
        (8, 1001_u16.to_be_bytes().to_vec())
    );
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
    system.stop().await;
}
