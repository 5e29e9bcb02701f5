//! A Confab under test: every process a child, and a wire between each of them and whatever it calls.
//!
//! A scenario names processes by [`Part`] and wires by who calls ([`Part`]) and what is called ([`End`]). Front ends come in
//! through [`Topology::door`]s, of which each gateway has several.

mod settings;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use confab::Role;
use confab_testkit::{Auditor, Proxy};
use futures_util::future::join_all;

use crate::supervisor::{Process, Servers};
pub use settings::{DEPOSIT, MODELS, Settings};

/// How Confab is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Every role in processes of its own, [two](copies) of most, on PostgreSQL, Redis and RabbitMQ.
    Split,
    /// One process on SQLite.
    One,
}

/// How many processes have a role when roles are split.
#[must_use]
pub fn copies(role: Role) -> usize {
    match role {
        Role::Gateway | Role::Threads | Role::Sessions | Role::Completions => 2,
        Role::Attachments | Role::Search => 1,
    }
}

/// Which roles are started at the same time: each calls only those before it.
const STEPS: [&[Role]; 4] = [
    &[Role::Sessions, Role::Threads, Role::Attachments],
    &[Role::Completions],
    &[Role::Search],
    &[Role::Gateway],
];

/// Ways into each gateway.
pub const DOORS: usize = 8;

/// One process: a role and which of its replicas, counted from 0. When all are one, every part is that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// What it does.
    pub role: Role,
    /// Which one.
    pub copy: usize,
}

impl Part {
    /// A gateway.
    #[must_use]
    pub fn gateway(copy: usize) -> Self {
        let role = Role::Gateway;
        Self { role, copy }
    }

    /// A replica of threads.
    #[must_use]
    pub fn threads(copy: usize) -> Self {
        let role = Role::Threads;
        Self { role, copy }
    }

    /// A replica of sessions.
    #[must_use]
    pub fn sessions(copy: usize) -> Self {
        let role = Role::Sessions;
        Self { role, copy }
    }

    /// A replica of completions.
    #[must_use]
    pub fn completions(copy: usize) -> Self {
        let role = Role::Completions;
        Self { role, copy }
    }

    /// The attachments.
    #[must_use]
    pub fn attachments() -> Self {
        let (role, copy) = (Role::Attachments, 0);
        Self { role, copy }
    }

    /// The search.
    #[must_use]
    pub fn search() -> Self {
        let (role, copy) = (Role::Search, 0);
        Self { role, copy }
    }

    /// Every process when roles are split, leaves first.
    pub fn all() -> impl Iterator<Item = Self> {
        let parts = |role| (0..copies(role)).map(move |copy| Self { role, copy });
        Role::ALL.into_iter().flat_map(parts)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role, self.copy)
    }
}

/// What a wire leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The database.
    Postgres,
    /// The cache.
    Redis,
    /// The broker.
    RabbitMq,
    /// The replicas of a role: the wire takes the first that answers, as a service of a cluster does.
    Role(Role),
}

/// The processes and wires of one Confab. They end when it is dropped.
pub struct Topology {
    layout: Layout,
    processes: Vec<(Part, Process)>,
    wires: Vec<(Part, End, Proxy)>,
    doors: Vec<Vec<Proxy>>,
    folder: PathBuf,
    settings: Settings,
}

impl Topology {
    /// Starts one with its logs and files in `folder`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(
        layout: Layout,
        program: &Path,
        folder: &Path,
        servers: Option<&Servers>,
        settings: Settings,
    ) -> Self {
        let mut topology = Self {
            layout,
            processes: Vec::new(),
            wires: Vec::new(),
            doors: Vec::new(),
            folder: folder.to_owned(),
            settings,
        };
        match (layout, servers) {
            (Layout::Split, Some(servers)) => topology.start_split(program, servers).await,
            _ => topology.start_one(program).await,
        }
        topology.open_doors().await;
        topology
    }

    async fn start_one(&mut self, program: &Path) {
        let part = Part::gateway(0);
        let settings = self.settings.of_one(&self.folder);
        let mut process = Process::new("all", program, &self.folder, &Role::ALL, settings);
        process.fail_at(&self.settings.failpoints_of(part));
        process.start().await;
        self.processes.push((part, process));
    }

    async fn start_split(&mut self, program: &Path, servers: &Servers) {
        let database = servers.database().await;
        let straight = self.settings.of_split(&self.folder, servers, &database);
        Process::new("migrate", program, &self.folder, &[], straight)
            .run_to_end(&["migrate"])
            .await;
        // Those that call nobody are started together, then those that call only them.
        for roles in STEPS {
            let mut processes = Vec::new();
            for part in Part::all().filter(|part| roles.contains(&part.role)) {
                let settings = self.wire_up(part, servers, &database).await;
                let name = part.to_string();
                let mut process =
                    Process::new(&name, program, &self.folder, &[part.role], settings);
                process.fail_at(&self.settings.failpoints_of(part));
                if let Some(seconds) = self.settings.clock_of(part) {
                    process.set_clock(seconds);
                }
                processes.push((part, process));
            }
            join_all(processes.iter_mut().map(|(_, process)| process.start())).await;
            self.processes.append(&mut processes);
        }
    }

    /// Makes the wires of a process; its settings, in which everything is at the end of one.
    async fn wire_up(
        &mut self,
        part: Part,
        servers: &Servers,
        database: &str,
    ) -> Vec<(String, String)> {
        let mut settings = self.settings.of_split(&self.folder, servers, database);
        for (end, server) in servers.ends() {
            let wire = Proxy::start(server).await;
            settings.extend(
                self.settings
                    .through(end, wire.address(), servers, database),
            );
            self.wires.push((part, end, wire));
        }
        for role in part.role.calls() {
            let mut replicas: Vec<_> = (0..copies(*role))
                .map(|copy| self.process(Part { role: *role, copy }).address(*role))
                .collect();
            let first = part.copy % replicas.len();
            replicas.rotate_left(first);
            let wire = Proxy::start_for(&replicas).await;
            let url = format!("http://{}", wire.address());
            settings.push((format!("lanes.{role}.url"), url));
            self.wires.push((part, End::Role(*role), wire));
        }
        settings
    }

    async fn open_doors(&mut self) {
        for gateway in 0..self.gateways() {
            let address = self.process(Part::gateway(gateway)).address(Role::Gateway);
            let mut doors = Vec::new();
            for _ in 0..DOORS {
                doors.push(Proxy::start(address).await);
            }
            self.doors.push(doors);
        }
    }

    /// How it is deployed.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Where its logs and files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many gateways there are.
    #[must_use]
    pub fn gateways(&self) -> usize {
        match self.layout {
            Layout::Split => copies(Role::Gateway),
            Layout::One => 1,
        }
    }

    /// Every process.
    pub fn processes(&self) -> impl Iterator<Item = (Part, &Process)> {
        self.processes
            .iter()
            .map(|(part, process)| (*part, process))
    }

    /// A process.
    #[must_use]
    pub fn process(&self, part: Part) -> &Process {
        let index = self.index(part);
        &self.processes[index].1
    }

    /// A process to do something to.
    pub fn process_mut(&mut self, part: Part) -> &mut Process {
        let index = self.index(part);
        &mut self.processes[index].1
    }

    fn index(&self, part: Part) -> usize {
        if self.layout == Layout::One {
            return 0;
        }
        let mut processes = self.processes.iter();
        let found = processes.position(|(of, _)| *of == part);
        found.expect("the topology has this part")
    }

    /// The wire from a process to what it calls.
    ///
    /// # Panics
    /// When that process does not call it.
    #[must_use]
    pub fn wire(&self, part: Part, end: End) -> &Proxy {
        let mut wires = self.wires.iter();
        let found = wires.find(|(of, to, _)| *of == part && *to == end);
        &found.expect("the process calls this").2
    }

    /// The wires of all processes to the same thing.
    pub fn wires_to(&self, end: End) -> impl Iterator<Item = (Part, &Proxy)> {
        let wires = self.wires.iter().filter(move |(_, to, _)| *to == end);
        wires.map(|(part, _, wire)| (*part, wire))
    }

    /// One of the [`DOORS`] through which front ends reach a gateway.
    #[must_use]
    pub fn door(&self, gateway: usize, door: usize) -> &Proxy {
        &self.doors[gateway][door % DOORS]
    }

    /// Every door of every gateway.
    pub fn doors(&self) -> impl Iterator<Item = &Proxy> {
        self.doors.iter().flatten()
    }

    /// The ways that a front end knows: the same door of every gateway, beginning with another one for each index.
    #[must_use]
    pub fn addresses(&self, index: usize) -> Vec<SocketAddr> {
        let gateways = self.gateways();
        let door = index / gateways;
        (0..gateways)
            .map(|step| self.door((index + step) % gateways, door).address())
            .collect()
    }

    /// Where a gateway listens itself, past the doors.
    #[must_use]
    pub fn gateway(&self, copy: usize) -> SocketAddr {
        self.process(Part::gateway(copy)).address(Role::Gateway)
    }

    /// Who reads the tables while every role runs on its own; all in one are read by [`crate::audit`].
    #[must_use]
    pub fn auditor(&self) -> Auditor {
        Auditor::remote(
            self.process(Part::threads(0)).address(Role::Threads),
            self.process(Part::sessions(0)).address(Role::Sessions),
        )
    }

    /// The settings of the process that is all in one.
    #[must_use]
    pub fn settings_of_one(&self) -> Vec<(String, String)> {
        self.settings.of_one(&self.folder)
    }

    /// Ends every process in order, those first that nobody calls; the names of those that did not say that all was well.
    pub async fn stop(&mut self) -> Vec<String> {
        let mut unwell = Vec::new();
        for (_, process) in self.processes.iter_mut().rev() {
            if !process.stop().await.1 {
                unwell.push(process.name().to_owned());
            }
        }
        unwell
    }
}
