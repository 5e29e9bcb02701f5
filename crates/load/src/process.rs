//! What processes on this machine use, read from `/proc` (proc(5)).

use std::fs;

use serde::Serialize;

/// Clock ticks of `/proc` in a second, the same on every Linux that Rust supports.
const TICKS: f64 = 100.0;

/// What processes have used up to a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and system.
    cpu: f64,
    /// Bytes of memory that are resident now.
    resident: u64,
    /// Seconds of CPU of this process, which puts the load on.
    own_cpu: f64,
}

/// What was used during a load.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Used {
    /// Of the processes of `--pid`; `None` when there are none.
    #[serde(flatten)]
    pub(crate) watched: Option<Watched>,
    /// Seconds of CPU that putting the load on took.
    pub(crate) own_cpu_seconds: f64,
}

/// What the processes of `--pid` used. Memory is what is resident: the kernel's, of sockets for instance, is not in it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Watched {
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
        let own = one(std::process::id());
        let used = pids.iter().filter_map(|pid| one(*pid));
        let sum = used.fold((0.0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Self {
            cpu: sum.0,
            resident: sum.1,
            own_cpu: own.map_or(0.0, |(cpu, _)| cpu),
        }
    }

    /// What was used from this moment to a later one.
    pub(crate) fn until(self, later: Self, is_watched: bool) -> Used {
        Used {
            watched: is_watched.then_some(Watched {
                cpu_seconds: later.cpu - self.cpu,
                resident_before: self.resident,
                resident_after: later.resident,
            }),
            own_cpu_seconds: later.own_cpu - self.own_cpu,
        }
    }
}

/// Seconds of CPU and resident bytes of a process.
fn one(pid: u32) -> Option<(f64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets: what is counted begins after its last bracket.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.trim().trim_end_matches(" kB").parse().ok()?;
    Some(((ticks(11)? + ticks(12)?) / TICKS, kibibytes * 1024))
}
