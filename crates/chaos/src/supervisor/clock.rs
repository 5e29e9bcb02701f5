//! A clock that is wrong, for one process: libfaketime is loaded before it and reads from a file by how much.
//!
//! Only the time of day is wrong; what a process measures with a monotonic clock stays right, as it does on a machine whose
//! clock is set.

use std::path::{Path, PathBuf};

/// Where the library is: Debian's package `libfaketime` on the machines it knows, and where others put it.
const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];

/// The library; none when it is not installed.
#[must_use]
pub fn library() -> Option<PathBuf> {
    let mut places = PLACES.iter().map(PathBuf::from);
    places.find(|place| place.is_file())
}

/// A clock of one process, which can be set while it runs.
#[derive(Debug, Clone)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// One that is ahead by so many seconds, or behind by as many less than 0. What it says is in `file`.
    ///
    /// # Panics
    /// When the library is not installed, or the file cannot be written.
    #[must_use]
    pub fn ahead(seconds: i64, file: &Path) -> Self {
        let clock = Self {
            library: library().expect("libfaketime is installed"),
            file: file.to_owned(),
        };
        clock.set(seconds);
        clock
    }

    /// Sets it; the process sees it within a second.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn set(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("the clock is set");
        // Never read half.
        std::fs::rename(&new, &self.file).expect("the clock is set");
    }

    /// What a process needs in its environment to have this clock.
    pub(super) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}
