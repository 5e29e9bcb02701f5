//! A process that this one started, and those that it started in turn.

use std::fs;
use std::process::{ChildStdout, Command};

use confab_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process};

/// A process of ours; killed when dropped.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
}

impl Child {
    /// Starts it.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let child = command.spawn();
        Self {
            child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")),
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        let ended = self.child.try_wait().expect("it can be waited for");
        ended.is_none()
    }

    /// Kills it, and what it started, at once; they are gone then.
    pub async fn kill_all(self) {
        // Stopped first, so that it starts nothing meanwhile.
        self.signal(Signal::STOP);
        let children = self.children();
        drop(self);
        for child in &children {
            // Gone by itself when its parent was.
            let _ = kill_process(*child, Signal::KILL);
        }
        eventually("what it started is gone", async || {
            children.iter().all(|child| is_gone(*child)).then_some(())
        })
        .await;
    }

    /// Sends SIGINT and waits for its end.
    pub async fn interrupt(mut self) {
        self.signal(Signal::INT);
        self.until_ended().await;
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for its end; whether it said that all was well.
    pub async fn until_ended(&mut self) -> bool {
        let child = &mut self.child;
        let ended = eventually("it ends", async || {
            child.try_wait().expect("it can be waited for")
        });
        ended.await.success()
    }

    /// What it says, when that is piped.
    ///
    /// # Panics
    /// When it is not, or was taken before.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("its output is piped")
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it and what it started, in the middle of whatever they do.
    pub fn freeze_all(&self) {
        self.signal(Signal::STOP);
        for child in self.children() {
            let _ = kill_process(child, Signal::STOP);
        }
    }

    /// Lets it and what it started go on.
    pub fn thaw_all(&self) {
        for child in self.children() {
            let _ = kill_process(child, Signal::CONT);
        }
        self.signal(Signal::CONT);
    }

    /// Its number. It stays its own until it was waited for.
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn signal(&self, signal: Signal) {
        // Ended by itself: there is nobody to tell.
        let _ = kill_process(self.pid(), signal);
    }

    /// What it started and still runs.
    fn children(&self) -> Vec<Pid> {
        let pid = self.pid().as_raw_nonzero();
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        let threads = threads.into_iter().flatten().flatten();
        let lists =
            threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let numbers = lists.flat_map(|list| {
            let numbers = list.split_whitespace().map(str::parse);
            numbers.collect::<Vec<_>>()
        });
        numbers.flatten().filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Already ended when it crashed by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether nothing runs under a number, or only what its parent has not asked about.
fn is_gone(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // "123 (name) S …"; the name may hold anything.
    status.map_or(true, |status| {
        let state = status
            .rsplit(')')
            .next()
            .and_then(|rest| rest.trim_start().chars().next());
        matches!(state, None | Some('Z' | 'X'))
    })
}
