//! A PostgreSQL that nobody else uses.

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use confab_testkit::{eventually, free_port};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use super::child::Child;
use super::disk::Disk;

/// Where Debian puts its releases, each in a folder of its own.
const RELEASES: &str = "/usr/lib/postgresql";

/// The server refuses to run as root; Debian's package makes this one for it.
const USER: &str = "postgres";

/// The superuser inside; everybody on this machine is trusted.
const SUPERUSER: &str = "postgres";

/// Version 3.0 of what is spoken with it.
const PROTOCOL: u32 = 3 << 16;

/// A server with a port and a folder of its own; it ends when dropped.
pub struct Postgres {
    programs: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    data: PathBuf,
    options: Vec<String>,
    server: Option<Child>,
    /// Where the data are, when that is a disk of their own: gone after the server.
    disk: Option<Disk>,
    folder: TempDir,
}

impl Postgres {
    /// Starts one that keeps its promises to write things down, and waits until it can be used.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with some settings of the scenario's choice.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for PostgreSQL");
        let data = folder.path().join("data");
        let mut server = Self {
            programs: programs(),
            user: server_user(),
            port: free_port(),
            data,
            options: Vec::new(),
            server: None,
            disk: None,
            folder,
        };
        server.initialise();
        server.options = server.options(settings);
        server.run().await;
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where a database is.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.address(), database)
    }

    /// Makes an empty database.
    pub async fn create(&self, database: &str) {
        self.query("postgres", &format!("CREATE DATABASE {database}"))
            .await;
    }

    /// Starts a server that is down, on the port and the data it had, and waits until it can be used.
    pub async fn run(&mut self) {
        assert!(self.server.is_none(), "the server runs");
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data).args(&self.options);
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"));
        let log = log.expect("a log");
        command.stdout(Stdio::null()).stderr(log);
        self.server = Some(Child::start(&mut command));
        eventually("PostgreSQL can be used", async || {
            self.try_query("postgres", "SELECT 1").await.ok()
        })
        .await;
    }

    /// Kills the server and everything it started, at once.
    pub async fn kill(&mut self) {
        let server = self.server.take().expect("the server runs");
        server.kill_all().await;
    }

    /// Ends it in order: who is connected is thrown out.
    pub async fn stop(&mut self) {
        let server = self.server.take().expect("the server runs");
        server.interrupt().await;
    }

    /// Moves the data to a small disk, which takes a restart.
    pub async fn move_to_disk(&mut self, mib: usize) {
        self.stop().await;
        let kept = self.folder.path().join("kept");
        fs::rename(&self.data, &kept).expect("the data can be moved");
        self.disk = Some(Disk::mount(&self.data, mib));
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(kept.join(".")).arg(&self.data);
        finish(copy).await;
        self.run().await;
    }

    /// The small disk that the data are on.
    ///
    /// # Panics
    /// When they are on none.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("the data were moved to a disk")
    }

    /// Starts the server again if it ended by itself.
    pub async fn revive(&mut self) {
        if self.server.as_mut().is_some_and(Child::runs) {
            return;
        }
        self.server = None;
        self.run().await;
    }

    /// Stops the server and everything it started in the middle of what they do.
    pub fn freeze(&self) {
        self.server.as_ref().expect("the server runs").freeze_all();
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.server.as_ref().expect("the server runs").thaw_all();
    }

    /// Ends every connection to a database but the one that asks for it, and says how many there were.
    pub async fn terminate_backends(&self, database: &str) -> usize {
        let query = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        );
        let ended = self.query("postgres", &query).await;
        ended.parse().expect("a number")
    }

    /// What a query answers: rows by line, columns with `|` between them.
    pub async fn query(&self, database: &str, query: &str) -> String {
        let answer = self.try_query(database, query).await;
        answer.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// What a query answers, or why it does not.
    ///
    /// It is asked by `psql`, as only the database crate may name a driver.
    pub async fn try_query(&self, database: &str, query: &str) -> Result<String, String> {
        let mut psql = self.psql(database);
        psql.args(["-c", query]);
        let answer = spawn_blocking(move || psql.output()).await;
        let answer = answer.expect("psql runs").expect("psql runs");
        let [out, error] = [answer.stdout, answer.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        answer.status.success().then_some(out).ok_or(error)
    }

    /// Begins a query that takes its time; what it holds is held until it is over or dropped.
    #[must_use]
    pub fn begin(&self, database: &str, query: &str) -> Child {
        let mut psql = self.psql(database);
        psql.args(["-c", query])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Child::start(&mut psql)
    }

    /// What `pg_dump` makes of a database.
    pub async fn dump(&self, database: &str) -> PathBuf {
        let file = self.folder.path().join(format!("{database}.dump"));
        let mut dump = self.command("pg_dump");
        dump.args(["--format=custom", "--dbname", &self.url(database)])
            .arg("--file")
            .arg(&file);
        finish(dump).await;
        file
    }

    /// Makes a database what it was when it was dumped.
    pub async fn restore(&self, database: &str, dump: &Path) {
        let mut restore = self.command("pg_restore");
        restore
            .args([
                "--clean",
                "--if-exists",
                "--single-transaction",
                "--exit-on-error",
            ])
            .args(["--dbname", &self.url(database)])
            .arg(dump);
        finish(restore).await;
    }

    /// Takes every connection that the server still gives; they are free again when dropped.
    pub async fn occupy(&self) -> Vec<TcpStream> {
        let mut taken = Vec::new();
        while let Some(connection) = self.sign_in().await {
            taken.push(connection);
        }
        taken
    }

    /// A connection that asks nothing; none when the server has none left.
    async fn sign_in(&self) -> Option<TcpStream> {
        let mut connection = TcpStream::connect(self.address()).await.ok()?;
        let names = format!("user\0{SUPERUSER}\0database\0postgres\0\0");
        let len = u32::try_from(names.len() + 8).expect("names are short");
        let mut hello = Vec::new();
        hello.extend_from_slice(&len.to_be_bytes());
        hello.extend_from_slice(&PROTOCOL.to_be_bytes());
        hello.extend_from_slice(names.as_bytes());
        connection.write_all(&hello).await.ok()?;
        loop {
            let kind = connection.read_u8().await.ok()?;
            let len = connection.read_u32().await.ok()?.saturating_sub(4);
            let mut body = vec![0; usize::try_from(len).ok()?];
            connection.read_exact(&mut body).await.ok()?;
            match kind {
                b'Z' => return Some(connection),
                b'E' => return None,
                _ => {}
            }
        }
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ])
        .arg(self.url(database))
        .env("PGCONNECT_TIMEOUT", "5")
        .stdin(Stdio::null());
        psql
    }

    /// A program of the server's, as the user it runs as.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn initialise(&self) {
        fs::create_dir_all(&self.data).expect("a folder for the data");
        if let Some((user, group)) = self.user {
            for folder in [self.folder.path(), &self.data] {
                chown(folder, Some(user), Some(group)).expect("the folder is the server's");
            }
        }
        let mut initdb = self.command("initdb");
        initdb
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--username", SUPERUSER])
            // Of what is made here nothing need survive a crash of the machine.
            .arg("--no-sync")
            .arg("-D")
            .arg(&self.data);
        let done = initdb.output().expect("initdb runs");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    fn options(&self, settings: &[(&str, &str)]) -> Vec<String> {
        let port = self.port.to_string();
        let folder = self.folder.path().display().to_string();
        let own = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", &folder),
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("max_connections", "200"),
        ];
        let all = own.iter().chain(settings);
        all.flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")])
            .collect()
    }
}

/// Where a database is at an address, which may be that of a wire to it.
#[must_use]
pub fn url(address: SocketAddr, database: &str) -> String {
    format!("postgres://{SUPERUSER}@{address}/{database}")
}

async fn finish(mut command: Command) {
    let done = spawn_blocking(move || command.output()).await;
    let done = done.expect("it runs").expect("it runs");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// The folder with the programs of the newest release.
fn programs() -> PathBuf {
    let releases = fs::read_dir(RELEASES).into_iter().flatten().flatten();
    let version = |path: &PathBuf| {
        let version = path.file_name().and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    };
    let newest = releases.map(|release| release.path()).max_by_key(version);
    let found = newest.map(|release| release.join("bin"));
    let found = found.filter(|folder| folder.join("postgres").is_file());
    // Elsewhere they are on the path.
    found.unwrap_or_default()
}

/// Who the server has to run as, when not as ourselves.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users =
        fs::read_to_string("/etc/passwd").unwrap_or_else(|error: io::Error| panic!("{error}"));
    let entry = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|entry| entry.first() == Some(&USER));
    let entry = entry.expect("root cannot run PostgreSQL, and there is no user postgres");
    let id = |column: usize| entry[column].parse().expect("a number");
    Some((id(2), id(3)))
}
