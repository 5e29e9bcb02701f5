//! The process that stores files dies in the middle of one: it is there whole, or not at all.

use std::net::SocketAddr;
use std::path::Path;

use async_trait::async_trait;
use confab_testkit::people::Person;
use confab_testkit::{Rest, eventually, in_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Scenario;
use crate::runner::{Evidence, Stage};
use crate::topology::Part;

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(HalfAFile)]
}

/// How large the file is.
const BYTES: usize = 20 * 1024 * 1024;

/// As much of it is there when the process dies.
const HALF: u64 = 4 * 1024 * 1024;

const NAME: &str = "half.bin";
const BOUNDARY: &str = "chaos-boundary";

/// The attachments die at half of an upload.
struct HalfAFile;

#[async_trait(?Send)]
impl Scenario for HalfAFile {
    fn id(&self) -> &'static str {
        "F04"
    }

    fn title(&self) -> &'static str {
        "the process that stores files crashes in the middle of an upload"
    }

    async fn fault(&self, stage: &mut Stage) {
        let [sender, receiver] = [0, 1].map(|index| stage.load.people[index].clone());
        let gateway = stage.topology.gateway(0);
        let file: Vec<u8> = (0..BYTES).map(|_| stage.rng.u8(..)).collect();
        let request = request(gateway, &sender, &receiver, &file);
        let part = Part::attachments();
        let folder = stage.topology.folder().join("attachments");

        let (now, later) = request.split_at(request.len() / 2);
        let mut wire = TcpStream::connect(gateway)
            .await
            .expect("the gateway is there");
        wire.write_all(now).await.expect("the gateway reads");
        eventually("half of the file is on its way to the disk", async || {
            (stored(&folder).1 >= HALF).then_some(())
        })
        .await;
        stage.kill(part);
        // The gateway may have said all that it has to say, and hung up.
        let _ = wire.write_all(later).await;
        let answer = answer(&mut wire).await;
        stage.note(&format!("answered {answer:?}"));
        stage.expect(
            answer.as_deref() != Some("201"),
            "half of a file was taken for a whole one",
        );
        let seen = listed(gateway, &sender, &receiver).await;
        stage.expect(seen == 0, "a message names half of a file");

        stage.start(part).await;
        for attempt in 0..2 {
            let mut wire = TcpStream::connect(gateway)
                .await
                .expect("the gateway is there");
            let sent = wire.write_all(&request).await;
            let answer = self::answer(&mut wire).await;
            stage.note(&format!("attempt {attempt}: {sent:?}, answered {answer:?}"));
            stage.expect(
                answer.as_deref() == Some("201"),
                format!("the whole file was answered {answer:?}"),
            );
        }
        let seen = listed(gateway, &sender, &receiver).await;
        stage.expect(
            seen == 1,
            format!("{seen} messages name the file, which was sent once"),
        );
        let (files, bytes) = stored(&folder);
        #[expect(clippy::cast_precision_loss, reason = "files are few")]
        stage.measured("files_left", files as f64);
        stage.note(&format!("{files} files of {bytes} bytes are stored"));
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let errors = evidence.outcome.errors();
        stage.expect(errors.is_empty(), format!("sends were refused: {errors:?}"));
    }
}

/// A whole request, with a key that makes it harmless to repeat.
fn request(gateway: SocketAddr, sender: &Person, receiver: &Person, file: &[u8]) -> Vec<u8> {
    let disposition = "Content-Disposition: form-data; name=";
    let head = format!(
        "--{BOUNDARY}\r\n{disposition}\"receiver\"\r\n\r\n{}\r\n--{BOUNDARY}\r\n{disposition}\"attached_file\"; \
         filename=\"{NAME}\"\r\nContent-Type: application/octet-stream\r\n\r\n",
        receiver.id
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let length = head.len() + file.len() + tail.len();
    let mut request = format!(
        "POST /chat/attachment/ HTTP/1.1\r\nHost: {gateway}\r\nAuthorization: Bearer {}\r\nIdempotency-Key: half\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
        sender.token
    )
    .into_bytes();
    for part in [head.as_bytes(), file, tail.as_bytes()] {
        request.extend_from_slice(part);
    }
    request
}

/// The status of an answer; none when the connection broke before there was one.
async fn answer(wire: &mut TcpStream) -> Option<String> {
    let mut answer = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = in_time(
        "the gateway answers or hangs up",
        wire.read_to_end(&mut answer),
    )
    .await;
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).map(str::to_owned)
}

/// How many messages of a conversation name the file.
async fn listed(gateway: SocketAddr, sender: &Person, receiver: &Person) -> usize {
    let rest = Rest::with_token(gateway, &sender.token);
    let (_, body) = rest.get(&format!("/chat/messages/{}/", receiver.id)).await;
    let messages = body["data"]["messages"].as_array();
    let messages = messages.into_iter().flatten();
    messages
        .filter(|message| message["attached_file_name"] == NAME)
        .count()
}

/// How many files there are below a folder, and how large they are together.
fn stored(folder: &Path) -> (usize, u64) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold((0, 0), |(files, bytes), entry| {
        let Ok(about) = entry.metadata() else {
            return (files, bytes);
        };
        if about.is_dir() {
            let inner = stored(&entry.path());
            return (files + inner.0, bytes + inner.1);
        }
        (files + 1, bytes + about.len())
    })
}
