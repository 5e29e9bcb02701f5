//! The program itself, killed in the middle: what was acknowledged is there afterwards and the money adds up.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use confab_testkit::assistant::Client;
use confab_testkit::eventually;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

const MODEL: &str = "gpt-4-turbo";

/// The program as `cargo run` starts it, in a folder of its own.
struct Program {
    child: Child,
    address: SocketAddr,
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
    command
        .current_dir(folder)
        .env("CONFAB__GATEWAY__LISTEN", "127.0.0.1:0")
        .env(
            "CONFAB__COMPLETIONS__PROVIDERS__SCRIPTED__BEHAVIOUR",
            "slow",
        )
        .env("CONFAB__COMPLETIONS__LEASE_SECONDS", "3");
    command
}

impl Program {
    fn start(folder: &Path) -> Self {
        let mut child = command(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines
                .next()
                .expect("the program says where it listens")
                .unwrap();
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        // The rest of the welcome is read too, so that the program never writes into a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut child = command(folder)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(child.wait().unwrap().success(), "confab {arguments:?}");
    text.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_and_settles_once() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path());
    // As a second terminal does while the first one serves.
    let user: Uuid = run(
        folder.path(),
        &["user", "add", "Test User", "--models", "4"],
    )
    .parse()
    .unwrap();
    let mut client = Client::connect(program.address).await;
    let reply = client.ask(user, "NEW", MODEL, "kept").await;
    let session = reply["data"]["session_id"].as_str().unwrap().to_owned();
    let kept = client.history(user, &session).await;
    assert_eq!(kept.len(), 2);
    let request = json!({ "type": 3, "data": {
        "user_id": user, "session_id": session, "model_name": MODEL, "session_prompt": "", "file_name": "",
        "message": "this one is cut in the middle of an answer that takes its time",
    }});
    client.send(&request.to_string()).await;
    // The second question is in the log before its answer ends: read it through a socket of its own.
    let mut reader = Client::connect(program.address).await;
    eventually("the question is in the log", async || {
        let said = reader.history(user, &session).await.len();
        (said == 4).then_some(())
    })
    .await;
    program.kill();

    let program = Program::start(folder.path());
    let mut client = Client::connect(program.address).await;
    let history = client.history(user, &session).await;
    assert_eq!(history[..2], kept[..]);
    assert!(history[2].1.starts_with("this one is cut"));
    // The next ask waits for the lease of the one that died, which is settled first.
    let reply = client.ask(user, &session, MODEL, "and on").await;
    assert!(reply["data"]["message"].is_string(), "{reply}");
    let balance = client.call(6, json!({ "user_id": user })).await["data"]["balance"].as_f64();
    let balance = balance.unwrap();
    assert!(balance > 0.0 && balance < 1.0);
    let listed = run(folder.path(), &["user", "list"]);
    assert!(
        listed.contains(&balance.to_string()),
        "{balance} in\n{listed}"
    );
    program.kill();
}
