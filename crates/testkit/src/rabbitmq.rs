//! A RabbitMQ of a test's own, to which may be done what would disturb others.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::free_port;

/// Where the package puts its releases. The commands on the path want to be called by an administrator; these do not.
const RELEASES: &str = "/usr/lib/rabbitmq/lib";

/// What a node says once it can be used.
const STARTED: &str = "Starting broker... completed";

/// Shares of the machine's memory: one that every node has used up, and one that none has.
const USED_UP: &str = "0.00001";
const AMPLE: &str = "0.9";

/// A node with a name, ports and a folder of its own; it ends when dropped.
pub struct RabbitMq {
    node: Option<Node>,
    programs: Programs,
    port: u16,
    _folder: TempDir,
}

/// A queue as the node lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// How many read it.
    pub consumers: usize,
}

impl RabbitMq {
    /// Starts one, without plugins, and waits until it can be used.
    ///
    /// # Panics
    /// When RabbitMQ is not installed on this machine.
    pub async fn start() -> Self {
        let mut broker = Self::absent();
        broker.run().await;
        broker
    }

    /// One that was not started yet, so that nobody is where it will be.
    #[must_use]
    pub fn absent() -> Self {
        let folder = tempfile::tempdir().expect("a folder for RabbitMQ");
        let port = free_port();
        Self {
            node: None,
            programs: Programs::new(folder.path(), port, free_port()),
            port,
            _folder: folder,
        }
    }

    /// Starts a node that is down, with the name, the ports and what it has on disk, and waits until it can be used.
    pub async fn run(&mut self) {
        assert!(self.node.is_none(), "the node runs");
        let mut command = self.programs.command("rabbitmq-server");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        self.node = Some(Node::start(command).await);
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.node = None;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where it is, as in `delivery.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// It is short of memory: whoever publishes is told that the connection is blocked, and is not read any more.
    pub async fn block(&self) {
        self.control(&["set_vm_memory_high_watermark", USED_UP])
            .await;
    }

    /// It has memory again.
    pub async fn unblock(&self) {
        self.control(&["set_vm_memory_high_watermark", AMPLE]).await;
    }

    /// Its queues, by name.
    pub async fn queues(&self) -> Vec<Queue> {
        let listed = ["list_queues", "--no-table-headers", "name", "consumers"];
        let listed = self.control(&listed).await;
        let queue = |line: &str| {
            let (name, consumers) = line.split_once('\t').expect("two columns");
            Queue {
                name: name.to_owned(),
                consumers: consumers.trim().parse().expect("a number of consumers"),
            }
        };
        let mut queues: Vec<_> = listed.lines().map(queue).collect();
        queues.sort();
        queues
    }

    /// Deletes a queue, whoever reads it.
    pub async fn delete_queue(&self, name: &str) {
        self.control(&["delete_queue", name]).await;
    }

    /// Throws away what waits in a queue.
    pub async fn purge_queue(&self, name: &str) {
        self.control(&["purge_queue", name]).await;
    }

    /// Puts a message into a queue, past every exchange.
    pub async fn put(&self, queue: &str, body: &[u8]) {
        let bytes = |bytes: &[u8]| {
            let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
            format!("<<{}>>", numbers.join(","))
        };
        let publish = format!(
            "rabbit_basic:publish(rabbit_misc:r(<<\"/\">>, exchange, <<>>), {}, [], {}).",
            bytes(queue.as_bytes()),
            bytes(body)
        );
        self.control(&["eval", &publish]).await;
    }

    /// What `rabbitmqctl` answers.
    async fn control(&self, arguments: &[&str]) -> String {
        let mut command = self.programs.command("rabbitmqctl");
        command.arg("--quiet").args(arguments);
        let answer = spawn_blocking(move || command.output()).await;
        let answer = answer.expect("rabbitmqctl runs");
        let answer = answer.expect("rabbitmqctl runs");
        let [out, error] = [answer.stdout, answer.stderr].map(|bytes| {
            let text = String::from_utf8(bytes);
            text.expect("rabbitmqctl speaks UTF-8")
        });
        assert!(answer.status.success(), "{arguments:?}: {out}{error}");
        out
    }
}

/// A node that runs; it is killed when dropped.
struct Node {
    child: Child,
}

impl Node {
    async fn start(mut command: Command) -> Self {
        let child = command.spawn().expect("RabbitMQ starts");
        let node = Self { child };
        let started = spawn_blocking(move || node.until_started()).await;
        started.expect("RabbitMQ starts")
    }

    fn until_started(mut self) -> Self {
        let out = self.child.stdout.take().expect("what RabbitMQ says");
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let mut said = Vec::new();
        while !said
            .last()
            .is_some_and(|line: &String| line.contains(STARTED))
        {
            match lines.next() {
                Some(line) => said.push(line),
                None => panic!("RabbitMQ does not start:\n{}", said.join("\n")),
            }
        }
        // The rest is read too, so that the node never writes into a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already ended when it crashed by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The programs of RabbitMQ and what they are told of a node.
struct Programs {
    installed: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Programs {
    fn new(folder: &Path, port: u16, between_nodes: u16) -> Self {
        let inside = |name: &str| folder.join(name).display().to_string();
        // Empty, in place of those of the machine.
        for (file, text) in [
            ("environment", ""),
            ("rabbitmq.conf", ""),
            ("advanced.config", "[]."),
            ("plugins", "[]."),
        ] {
            fs::write(folder.join(file), text).expect("a file for RabbitMQ");
        }
        let variables = vec![
            // The cookie that a node and its tools share is made there.
            ("HOME", folder.display().to_string()),
            ("RABBITMQ_CONF_ENV_FILE", inside("environment")),
            ("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", inside("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("plugins")),
            ("RABBITMQ_MNESIA_BASE", inside("mnesia")),
            ("RABBITMQ_LOG_BASE", inside("log")),
            ("RABBITMQ_PID_FILE", inside("pid")),
            (
                "RABBITMQ_NODENAME",
                format!("confab-test-{}@localhost", Uuid::now_v7().simple()),
            ),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", port.to_string()),
            ("RABBITMQ_DIST_PORT", between_nodes.to_string()),
            // The node takes the place of the script that starts it, so that killing the child kills the node.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ];
        Self {
            installed: programs(),
            folder: folder.to_owned(),
            variables,
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.installed.join(program));
        command
            // What a crash leaves behind goes there too.
            .current_dir(&self.folder)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null());
        command
    }
}

/// The folder with the programs of the newest release.
fn programs() -> PathBuf {
    let releases = fs::read_dir(RELEASES).into_iter().flatten().flatten();
    let folders = releases.map(|release| release.path().join("sbin"));
    let found = folders.filter(|folder| folder.join("rabbitmq-server").is_file());
    found.max().unwrap_or_else(|| {
        panic!("no rabbitmq-server below {RELEASES}: scripts/setup installs Debian's package of that name")
    })
}
