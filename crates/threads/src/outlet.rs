//! Where committed entries leave the service on their way to sockets.

use confab_rpc::threads::Entry;

/// Takes entries right after their commit. What it loses on the way is found in the log by whoever misses it.
pub trait Outlet: Send + Sync + 'static {
    /// These entries are committed, each thread's in ascending `seq`. Called on the path of every send, so it never
    /// blocks: it puts them into a queue, or drops them when that is full.
    fn committed(&self, entries: &[Entry]);
}
