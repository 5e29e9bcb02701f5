//! One process of a system: in the test's own, or the program as a child that can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use confab::{Role, Roles, Running, Settings};
use confab_rpc::Lane;
use confab_runtime::SystemClock;
use confab_runtime::settings::Layers;

/// Settings by dotted key.
pub(super) type Overrides = Vec<(String, String)>;

/// Some roles in one process. It keeps its ports when it is started again.
pub(super) struct Process {
    roles: Vec<Role>,
    /// What it is told besides what all are told: where others are, and its own ports once they are known.
    own: Overrides,
    body: Option<Body>,
    gateway: Vec<SocketAddr>,
    lanes: Vec<(Role, SocketAddr)>,
}

enum Body {
    Here(Box<Running>),
    /// Held for what happens when it is dropped.
    Child {
        _program: Program,
    },
}

impl Process {
    /// One that does not run yet.
    pub(super) fn new(roles: &[Role], own: Overrides) -> Self {
        Self {
            roles: roles.to_vec(),
            own,
            body: None,
            gateway: Vec::new(),
            lanes: Vec::new(),
        }
    }

    /// Whether it has a role.
    pub(super) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Where its gateway listens; empty without one.
    pub(super) fn gateway(&self) -> &[SocketAddr] {
        &self.gateway
    }

    /// Where it serves roles to others.
    pub(super) fn lanes(&self) -> &[(Role, SocketAddr)] {
        &self.lanes
    }

    /// The lane to a role from here; none from a child or when nobody here calls it.
    pub(super) fn lane(&self, role: Role) -> Option<Lane> {
        match &self.body {
            Some(Body::Here(running)) => running.lane(role).ok(),
            _ => None,
        }
    }

    /// Starts it in the test's own process.
    pub(super) async fn start_here(&mut self, common: &Overrides) {
        let settings = settings(common, &self.own);
        let running = confab::serve::start(settings, Roles::of(&self.roles), Arc::new(SystemClock))
            .await
            .expect("the process starts");
        self.gateway.clone_from(&running.gateway);
        self.lanes.clone_from(&running.lanes);
        self.body = Some(Body::Here(Box::new(running)));
        self.keep_ports();
    }

    /// Starts it as a child, in a folder without settings of its own.
    pub(super) fn start_child(&mut self, program: &Path, folder: &Path, common: &Overrides) {
        let mut command = Command::new(program);
        command.current_dir(folder);
        for (key, value) in common.iter().chain(&self.own) {
            let key = key.to_uppercase().replace('.', "__");
            command.env(format!("CONFAB__{key}"), value);
        }
        // All in one serve nothing but their gateway.
        let mut serving = vec![Role::Gateway.to_string()];
        if self.roles.len() < Role::ALL.len() {
            serving = self.roles.iter().map(Role::to_string).collect();
            command.arg("serve").args(&serving);
        }
        let (program, listening) = Program::start(command, &serving);
        for (name, address) in listening {
            match self.roles.iter().find(|role| role.to_string() == name) {
                Some(Role::Gateway) => self.gateway = vec![address],
                Some(role) => self.lanes.push((*role, address)),
                None => {}
            }
        }
        self.body = Some(Body::Child { _program: program });
        self.keep_ports();
    }

    /// Ends it in order; a child is killed.
    pub(super) async fn stop(&mut self) {
        if let Some(Body::Here(running)) = self.body.take() {
            running.stop().await;
        }
    }

    /// Ends a child at once, as a crash does.
    pub(super) fn kill(&mut self) {
        let body = self.body.take();
        assert!(
            matches!(body, Some(Body::Child { .. })),
            "only a child that runs can be killed"
        );
    }

    fn keep_ports(&mut self) {
        let gateway = self
            .gateway
            .iter()
            .map(|at| ("gateway.listen".to_owned(), at));
        let lanes = self.lanes.iter();
        let lanes = lanes.map(|(role, at)| (format!("lanes.{role}.listen"), at));
        let ports = gateway.chain(lanes).map(|(key, at)| (key, at.to_string()));
        let ports: Overrides = ports.collect();
        self.own.extend(ports);
    }
}

/// The settings of a process.
pub(crate) fn settings(common: &[(String, String)], own: &[(String, String)]) -> Settings {
    let mut aliases = common.to_vec();
    aliases.extend_from_slice(own);
    let merged = Layers {
        defaults: confab::settings::DEFAULTS,
        aliases,
        ..Default::default()
    }
    .merge();
    let settings = merged.map(|merged| Settings::from_merged(&merged));
    settings
        .expect("the settings merge")
        .expect("the settings are valid")
}

/// The program as it is shipped; killed when dropped.
struct Program {
    child: Child,
}

impl Program {
    /// Starts it and reads from its welcome where each role in `serving` listens.
    fn start(mut command: Command, serving: &[String]) -> (Self, Vec<(String, SocketAddr)>) {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let out = child.stdout.take().expect("what the program says");
        let program = Self { child };
        let mut lines = BufReader::new(out).lines();
        let mut listening = Vec::new();
        while listening.len() < serving.len() {
            let line = lines.next().expect("the program says where it listens");
            let line = line.expect("the program speaks UTF-8");
            // "  threads      grpc://127.0.0.1:1234"
            let mut words = line.split_whitespace();
            let name = words
                .next()
                .filter(|name| serving.iter().any(|role| role == name));
            let address = words.next().and_then(|url| url.split_once("://"));
            if let (Some(name), Some((_, address))) = (name, address) {
                let address = address.parse().expect("an address");
                listening.push((name.to_owned(), address));
            }
        }
        // The rest is read too, so that the program never writes into a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        (program, listening)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended when it crashed by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
