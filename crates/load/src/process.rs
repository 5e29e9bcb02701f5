//! What processes on this machine use, read from `/proc` (proc(5)).

use std::fs;

use serde::Serialize;

/// Clock ticks of `/proc` in a second, the same on every Linux that Rust supports.
const TICKS: f64 = 100.0;

/// What processes have used up to a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and system.
    pub(crate) cpu: f64,
    /// Bytes of memory that are resident now.
    pub(crate) resident: u64,
}

/// What they used during a load.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Used {
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
        pids.iter()
            .filter_map(|pid| one(*pid))
            .fold(Self::default(), |sum, usage| Self {
                cpu: sum.cpu + usage.cpu,
                resident: sum.resident + usage.resident,
            })
    }

    /// What was used from this moment to a later one.
    pub(crate) fn until(self, later: Self) -> Used {
        Used {
            cpu_seconds: later.cpu - self.cpu,
            resident_before: self.resident,
            resident_after: later.resident,
        }
    }
}

fn one(pid: u32) -> Option<Usage> {
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
    Some(Usage {
        cpu: (ticks(11)? + ticks(12)?) / TICKS,
        resident: kibibytes * 1024,
    })
}
