//! A streamed answer over a bare connection, without a client that puts together what the network brought.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Client;

/// The most that one read takes.
const READ_BYTES: usize = 128 * 1024;

/// How often it is looked whether something has come.
const PERIOD: Duration = Duration::from_micros(500);

/// What ends a body in HTTP's chunked coding.
const END: &str = "0\r\n\r\n";

/// What one read brought.
#[derive(Debug)]
pub struct Read {
    /// Of the body.
    pub text: String,
    /// All of it came within this time: before, there was nothing.
    pub within: Duration,
}

impl Client {
    /// Asks for a streamed answer: the head, and the chunks as the wire has them.
    pub async fn raw_stream(&self, conversation: i64) -> (String, Vec<String>) {
        let reads = self.raw_reads(conversation).await;
        let response: String = reads.into_iter().map(|read| read.text).collect();
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        assert!(body.ends_with(END), "the body has an end");
        (head.to_owned(), chunks(body))
    }

    /// The same as a browser's page gets it, read by read.
    pub async fn page_reads(&self, conversation: i64) -> Vec<Read> {
        let mut reads = self.raw_reads(conversation).await;
        let head = reads[0].text.find("\r\n\r\n").expect("a head");
        reads[0].text.drain(..head + 4);
        let last = reads.last().expect("a read");
        assert!(last.text.ends_with(END), "the body has an end");
        for read in &mut reads {
            read.text = chunks(&read.text).concat();
        }
        reads.retain(|read| !read.text.is_empty());
        reads
    }

    /// A thread of its own reads, which does nothing else.
    async fn raw_reads(&self, conversation: i64) -> Vec<Read> {
        let address = self.address;
        let body = "{\"stream\":true}";
        let request = format!(
            "POST /conversations/{conversation}/messages%3Acomplete HTTP/1.1\r\nHost: {address}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let reads = tokio::task::spawn_blocking(move || {
            let mut wire = TcpStream::connect(address)?;
            wire.write_all(request.as_bytes())?;
            reads(&mut wire)
        });
        let reads = reads.await.expect("the reader comes to an end");
        reads.expect("the response is read")
    }
}

/// Looks again and again, so that it is known since when what a read brings can have come.
fn reads(wire: &mut TcpStream) -> io::Result<Vec<Read>> {
    wire.set_nonblocking(true)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut reads = Vec::new();
    let mut before = Instant::now();
    loop {
        let now = Instant::now();
        match wire.read(&mut buffer) {
            Ok(0) => return Ok(reads),
            Ok(length) => reads.push(Read {
                text: String::from_utf8(buffer[..length].to_vec()).map_err(io::Error::other)?,
                within: before.elapsed(),
            }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PERIOD),
            Err(error) => return Err(error),
        }
        before = now;
    }
}

/// The chunks of a body, or of some whole ones.
fn chunks(mut body: &str) -> Vec<String> {
    let mut chunks = Vec::new();
    while !body.is_empty() && body != END {
        let (size, rest) = body.split_once("\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        chunks.push(rest[..size].to_owned());
        body = rest[size..].strip_prefix("\r\n").expect("a chunk's end");
    }
    chunks
}
