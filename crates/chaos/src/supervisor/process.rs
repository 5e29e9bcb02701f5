//! Some roles of Confab as one process: the program as it is shipped, with a log of its own.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use confab::Role;
use confab_testkit::{free_port, in_time};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::child::Child;
use super::clock::Clock;

/// A process that keeps its ports when it is started again. It ends when dropped.
pub struct Process {
    name: String,
    program: PathBuf,
    folder: PathBuf,
    roles: Vec<Role>,
    settings: Vec<(String, String)>,
    failpoints: String,
    clock: Option<Clock>,
    metrics: SocketAddr,
    listening: Vec<(Role, SocketAddr)>,
    child: Option<Child>,
    starts: usize,
}

impl Process {
    /// One that does not run yet: `settings` by dotted key, the log in `folder`.
    #[must_use]
    pub fn new(
        name: &str,
        program: &Path,
        folder: &Path,
        roles: &[Role],
        settings: Vec<(String, String)>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            folder: folder.to_owned(),
            roles: roles.to_vec(),
            settings,
            failpoints: String::new(),
            clock: None,
            metrics: SocketAddr::from(([127, 0, 0, 1], free_port())),
            listening: Vec::new(),
            child: None,
            starts: 0,
        }
    }

    /// What it is called: `gateway-0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where everything that it says goes.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// Where it serves a role.
    ///
    /// # Panics
    /// When it has never run, or does not serve it to others.
    #[must_use]
    pub fn address(&self, role: Role) -> SocketAddr {
        let mut listening = self.listening.iter();
        let found = listening.find(|(of, _)| *of == role);
        found.expect("it has served this role").1
    }

    /// Where it says what it measures of itself.
    #[must_use]
    pub fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self) -> usize {
        self.starts
    }

    /// Its number, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(Child::runs)
    }

    /// What goes wrong in it from its next start on, as `FAILPOINTS` says it; empty: nothing.
    pub fn fail_at(&mut self, failpoints: &str) {
        failpoints.clone_into(&mut self.failpoints);
    }

    /// Gives it a clock that is ahead by so many seconds, from its next start on; one that it has is set at once.
    ///
    /// # Panics
    /// When clocks cannot be wrong here: [`super::clock_library`] finds nothing.
    pub fn set_clock(&mut self, seconds: i64) {
        if let Some(clock) = &self.clock {
            return clock.set(seconds);
        }
        let file = self.folder.join(format!("{}.clock", self.name));
        self.clock = Some(Clock::ahead(seconds, &file));
    }

    /// Changes a setting from its next start on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// Runs one of the program's other commands to its end.
    ///
    /// # Panics
    /// When it says that not all was well.
    pub async fn run_to_end(&mut self, arguments: &[&str]) {
        let (mut command, log) = self.command();
        command.args(arguments).stdout(log);
        let mut child = Child::start(&mut command);
        let well = child.until_ended().await;
        assert!(well, "{arguments:?} fails: {}", self.log().display());
    }

    /// The program with its settings, and its log.
    fn command(&self) -> (Command, File) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log());
        let log = log.expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.folder)
            .env("FAILPOINTS", &self.failpoints)
            .env(
                "CONFAB__TELEMETRY__METRICS_LISTEN",
                self.metrics.to_string(),
            )
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stderr(errors);
        if let Some(clock) = &self.clock {
            command.envs(clock.environment());
        }
        for (key, value) in &self.settings {
            let key = key.to_uppercase().replace('.', "__");
            command.env(format!("CONFAB__{key}"), value);
        }
        (command, log)
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it runs already, or ends before it listens.
    pub async fn start(&mut self) {
        assert!(!self.runs(), "{} runs", self.name);
        let (mut command, log) = self.command();
        command.stdout(Stdio::piped());
        let serving = self.serving();
        if self.roles.len() < Role::ALL.len() {
            command
                .arg("serve")
                .args(serving.iter().map(Role::to_string));
        }
        let mut child = Child::start(&mut command);
        let out = child.take_stdout();
        self.child = Some(child);
        self.starts += 1;
        let (says, mut said) = unbounded_channel();
        let roles = serving.clone();
        std::thread::spawn(move || listen(BufReader::new(out), log, &roles, &says));
        for _ in &serving {
            let place = in_time("it says where it listens", said.recv()).await;
            let Some((role, address)) = place else {
                panic!("{} does not start: {}", self.name, self.log().display());
            };
            self.keep(role, address);
        }
    }

    /// The roles that it serves to others: all in one serve nothing but their gateway.
    fn serving(&self) -> Vec<Role> {
        if self.roles.len() == Role::ALL.len() {
            return vec![Role::Gateway];
        }
        self.roles.clone()
    }

    fn keep(&mut self, role: Role, address: SocketAddr) {
        if self.listening.contains(&(role, address)) {
            return;
        }
        self.listening.push((role, address));
        let key = match role {
            Role::Gateway => "gateway.listen".to_owned(),
            role => format!("lanes.{role}.listen"),
        };
        self.settings.push((key, address.to_string()));
    }

    /// Ends it at once, as a crash does. Nothing happens to one that does not run.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Asks it to end, waits until it has, and says how long that took and whether it said that all was well.
    pub async fn stop(&mut self) -> (Duration, bool) {
        let Some(mut child) = self.child.take() else {
            return (Duration::ZERO, true);
        };
        let asked = Instant::now();
        child.terminate();
        let well = child.until_ended().await;
        (asked.elapsed(), well)
    }

    /// Stops it in the middle of what it does.
    pub fn freeze(&self) {
        if let Some(child) = &self.child {
            child.freeze_all();
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        if let Some(child) = &self.child {
            child.thaw_all();
        }
    }
}

/// Hands on where a process says that it listens, and writes everything it says into its log.
fn listen(
    out: impl BufRead,
    mut log: File,
    roles: &[Role],
    says: &UnboundedSender<(Role, SocketAddr)>,
) {
    for line in out.lines().map_while(Result::ok) {
        // A log that is full changes nothing for the process.
        let _ = writeln!(log, "{line}");
        // "  threads      grpc://127.0.0.1:1234"
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let role = roles.iter().find(|role| role.to_string() == name);
        let address = words.next().and_then(|url| url.split_once("://"));
        if let (Some(role), Some(Ok(address))) = (role, address.map(|(_, at)| at.parse())) {
            // Nobody waits any more once it is known.
            let _ = says.send((*role, address));
        }
    }
}
