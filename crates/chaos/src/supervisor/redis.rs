//! A Redis that nobody else uses.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use confab_testkit::{eventually, free_port};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::child::Child;

/// A server with a port of its own that keeps nothing on disk; it ends when dropped.
pub struct Redis {
    port: u16,
    server: Option<Child>,
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it can be used.
    pub async fn start() -> Self {
        let mut server = Self {
            port: free_port(),
            server: None,
            folder: tempfile::tempdir().expect("a folder for Redis"),
        };
        server.run().await;
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where it is, as in `cache.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Starts a server that is down, on the port it had and empty, and waits until it can be used.
    pub async fn run(&mut self) {
        assert!(self.server.is_none(), "the server runs");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.server = Some(Child::start(&mut command));
        eventually("Redis can be used", async || {
            self.try_command(&["PING"]).await.ok()
        })
        .await;
    }

    /// Kills it; what it knew is gone.
    pub async fn kill(&mut self) {
        self.server
            .take()
            .expect("the server runs")
            .kill_all()
            .await;
    }

    /// Makes it forget everything.
    pub async fn flush_all(&self) {
        self.command(&["FLUSHALL"]).await;
    }

    /// How much it may hold; 0: no limit. Writes are refused beyond it.
    pub async fn limit_memory(&self, bytes: u64) {
        self.command(&["CONFIG", "SET", "maxmemory", &bytes.to_string()])
            .await;
    }

    /// Stops it in the middle of what it does.
    pub fn freeze(&self) {
        self.server.as_ref().expect("the server runs").freeze_all();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.server.as_ref().expect("the server runs").thaw_all();
    }

    /// What it answers to a command.
    pub async fn command(&self, command: &[&str]) -> String {
        let answer = self.try_command(command).await;
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// What it answers to a command, or why it refuses.
    pub async fn try_command(&self, command: &[&str]) -> Result<String, String> {
        let mut program = Command::new("redis-cli");
        program
            .args(["-e", "-p", &self.port.to_string()])
            .args(command)
            .stdin(Stdio::null());
        let answer = spawn_blocking(move || program.output()).await;
        let answer = answer.expect("redis-cli runs").expect("redis-cli runs");
        let [out, error] = [answer.stdout, answer.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        answer.status.success().then_some(out).ok_or(error)
    }
}
