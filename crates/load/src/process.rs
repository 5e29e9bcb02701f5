//! What processes on this machine use, read from `/proc` (proc(5)).

use std::collections::HashMap;
use std::fs;

use serde::Serialize;

/// Clock ticks of `/proc` in a second, the same on every Linux that Rust supports.
const TICKS: f64 = 100.0;
/// How much of a command is shown, in bytes.
const SHOWN: usize = 60;

/// What processes have used up to a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    /// Those that are watched, in the order in which they were named.
    watched: Vec<One>,
    /// Seconds of CPU of this process, which puts the load on.
    own_cpu: f64,
}

/// What a process and those that it has started have used.
#[derive(Debug, Clone, Copy, Default)]
struct One {
    pid: u32,
    /// Seconds of CPU, user and system.
    cpu: f64,
    /// Bytes of memory that are resident now.
    resident: u64,
}

/// What was used during a load.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Used {
    /// The processes of `--pid`, each with those that it has started. Memory is what is resident: the kernel's, of sockets
    /// for instance, is not in it.
    pub(crate) watched: Vec<Watched>,
    /// Seconds of CPU that putting the load on took.
    pub(crate) own_cpu_seconds: f64,
}

/// What one process used.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Watched {
    pub(crate) pid: u32,
    /// The beginning of its command line.
    pub(crate) command: String,
    /// Seconds of CPU.
    pub(crate) cpu_seconds: f64,
    /// Resident memory before, in bytes.
    pub(crate) resident_before: u64,
    /// Resident memory after, in bytes.
    pub(crate) resident_after: u64,
}

impl Usage {
    /// Of all these processes; those that are gone count nothing.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let own = stat(std::process::id()).map_or(0.0, |own| own.cpu);
        if pids.is_empty() {
            return Self {
                own_cpu: own,
                ..Self::default()
            };
        }
        let tree = Tree::read();
        Self {
            watched: pids.iter().map(|pid| tree.sum(*pid)).collect(),
            own_cpu: own,
        }
    }

    /// What was used from this moment to a later one.
    pub(crate) fn until(&self, later: &Self) -> Used {
        let pairs = self.watched.iter().zip(&later.watched);
        Used {
            watched: pairs
                .map(|(before, after)| Watched {
                    pid: before.pid,
                    command: command(before.pid),
                    cpu_seconds: after.cpu - before.cpu,
                    resident_before: before.resident,
                    resident_after: after.resident,
                })
                .collect(),
            own_cpu_seconds: later.own_cpu - self.own_cpu,
        }
    }
}

impl Used {
    /// Seconds of CPU of all that is watched.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.watched.iter().map(|it| it.cpu_seconds).sum()
    }

    /// Bytes by which the memory of those grew that did. That another one gave some back, which it had from before, pays for
    /// nothing.
    #[expect(clippy::cast_precision_loss, reason = "bytes below 2^53")]
    pub(crate) fn grown(&self) -> f64 {
        let grown = |it: &Watched| it.resident_after.saturating_sub(it.resident_before) as f64;
        self.watched.iter().map(grown).sum()
    }
}

/// All processes, by who started them.
struct Tree(HashMap<u32, Vec<Stat>>);

impl Tree {
    fn read() -> Self {
        let mut tree = HashMap::<u32, Vec<Stat>>::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for stat in pids.filter_map(stat) {
            tree.entry(stat.parent).or_default().push(stat);
        }
        Self(tree)
    }

    /// Of a process and all below it.
    fn sum(&self, pid: u32) -> One {
        let mut sum = One {
            pid,
            ..One::default()
        };
        let mut open: Vec<Stat> = stat(pid).into_iter().collect();
        while let Some(next) = open.pop() {
            sum.cpu += next.cpu;
            sum.resident += resident(next.pid).unwrap_or(0);
            let children = self.0.get(&next.pid).into_iter().flatten();
            open.extend(children.copied());
        }
        sum
    }
}

#[derive(Clone, Copy)]
struct Stat {
    pid: u32,
    parent: u32,
    /// Seconds, with those of processes that it had started and that have ended.
    cpu: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets: what is counted begins after its last bracket.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some(Stat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        cpu: (ticks(11)? + ticks(12)? + ticks(13)? + ticks(14)?) / TICKS,
    })
}

fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    let resident = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}

fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let mut line = line.trim().to_owned();
    // Where the program lies says nothing.
    if let Some((path, rest)) = line.split_once(' ') {
        let program = path.rsplit('/').next().unwrap_or(path);
        line = format!("{program} {rest}");
    } else if let Some((_, program)) = line.rsplit_once('/') {
        line = program.to_owned();
    }
    line.truncate(line.floor_char_boundary(SHOWN));
    line
}
