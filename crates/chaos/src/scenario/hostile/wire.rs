//! Bytes that no front end sends, and what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long an answer may take.
const ANSWERS: Duration = Duration::from_secs(10);

/// What an attack in a socket was answered with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The socket was closed with this code.
    Closed(u16),
    /// A frame of text.
    Text(String),
    /// The connection ended.
    Gone,
    /// Nothing came.
    Nothing,
}

/// A frame as a client sends it, whatever is in it.
fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match u16::try_from(body.len()) {
        Ok(length @ 0..=125) => bytes.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            bytes.push(0x80 | 0x7e);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 0x7f);
            bytes.extend((body.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    let masked = body.iter().zip(mask.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

/// What is sent in a socket, each with its name.
pub(super) fn attacks() -> Vec<(&'static str, Vec<u8>)> {
    let endless = frame(0x01, &vec![b'a'; 60_000]);
    let goes_on = frame(0x00, &vec![b'a'; 60_000]);
    let mut terabyte = vec![0x81, 0xff];
    terabyte.extend((1_u64 << 40).to_be_bytes());
    terabyte.extend([0; 64]);
    vec![
        ("a frame of a terabyte", terabyte),
        ("a large frame", frame(0x81, &vec![b'a'; 200_000])),
        (
            "a message in ever more frames",
            [endless, goes_on.clone(), goes_on.clone(), goes_on.clone()].concat(),
        ),
        ("the rest of nothing", goes_on),
        (
            "text that is none",
            frame(0x81, b"{\"a\": \"\xff\xfe\xc3\"}"),
        ),
        ("a compressed frame", frame(0xc1, &[0; 1000])),
        ("a frame without a mask", vec![0x81, 0x02, b'{', b'}']),
        ("an unknown kind of frame", frame(0x83, b"{}")),
        ("a ping of a thousand bytes", frame(0x89, &[0; 1000])),
        (
            "brackets ten thousand deep",
            frame(0x81, &vec![b'['; 10_000]),
        ),
        (
            "objects ten thousand deep",
            frame(0x81, &b"{\"a\":".repeat(10_000)),
        ),
        (
            "a number of sixty thousand digits",
            frame(0x81, &vec![b'9'; 60_000]),
        ),
    ]
}

/// What is sent as a request, each with its name.
pub(super) fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let post = |headers: &str, body: &[u8]| {
        let head = format!(
            "POST /auth/login HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let sized = |body: &[u8]| post(&format!("Content-Length: {}", body.len()), body);
    vec![
        ("a body ten thousand deep", sized(&vec![b'['; 10_000])),
        (
            "a body that is no text",
            sized(b"{\"username\": \"\xff\xfe\"}"),
        ),
        ("a body of a megabyte", sized(&vec![b' '; 1 << 20])),
        (
            "a body of two lengths",
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
                b"0\r\n\r\nGET",
            ),
        ),
        ("a length that is none", post("Content-Length: -1", b"{}")),
        (
            "a header of a megabyte",
            post(&format!("X: {}", "a".repeat(1 << 20)), b"{}"),
        ),
        ("no request at all", vec![0; 4096]),
    ]
}

/// Opens a socket, sends bytes into it, and gives what comes of that.
pub(super) async fn talk(address: SocketAddr, path: &str, bytes: &[u8]) -> Answer {
    let answer = timeout(ANSWERS, async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut last = [0; 4];
        while last != *b"\r\n\r\n" {
            last.rotate_left(1);
            last[3] = stream.read_u8().await.ok()?;
        }
        // It may be closed before everything is written.
        let _ = stream.write_all(bytes).await;
        loop {
            match read(&mut stream).await? {
                (8, body) => {
                    let code = body.first_chunk().copied().map(u16::from_be_bytes);
                    return Some(Answer::Closed(code.unwrap_or_default()));
                }
                (1, body) => return Some(Answer::Text(String::from_utf8(body).ok()?)),
                // Pings, and answers to them.
                _ => {}
            }
        }
    });
    match answer.await {
        Ok(answer) => answer.unwrap_or(Answer::Gone),
        Err(_) => Answer::Nothing,
    }
}

/// The kind and the content of the next frame of a server; none when there is none any more.
async fn read(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()? & 0x0f;
    let length = match stream.read_u8().await.ok()? {
        126 => usize::from(stream.read_u16().await.ok()?),
        127 => usize::try_from(stream.read_u64().await.ok()?).ok()?,
        length => usize::from(length),
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

/// Sends a request and gives what is answered until the connection ends; nothing when it just ends.
pub(super) async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let answer = timeout(ANSWERS, async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        // It may be refused before everything is written.
        let _ = stream.write_all(bytes).await;
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    });
    match answer.await {
        Ok(answer) => answer.unwrap_or_default(),
        Err(_) => "no answer".to_owned(),
    }
}

/// Begins a request and goes on a byte in a second, until the connection ends.
pub(super) async fn drip(address: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    let head = b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow: ";
    let mut more: &[u8] = head;
    let mut answer = [0; 1024];
    loop {
        if stream.write_all(more).await.is_err() {
            return;
        }
        more = b"a";
        tokio::select! {
            // Whatever it answers, it ends.
            Ok(0) | Err(_) = stream.read(&mut answer) => return,
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
}
