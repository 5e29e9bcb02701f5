//! What the benchmarks of this crate reach of its inside; there only with the feature `bench`, and no part of what the
//! crate offers.

use std::collections::HashMap;
use std::sync::Arc;

use confab_rpc::sessions::Profile;
use confab_rpc::threads::{Entry, EntryKind, ThreadKind};

use crate::dialects::bench as dialects;
use crate::live::Announcer;
pub use crate::live::bench::FanOut;

/// Whether it is understood.
#[must_use]
pub fn parse_direct(frame: &str) -> bool {
    dialects::is_direct(frame)
}

/// Whether it is understood.
#[must_use]
pub fn parse_groups(frame: &str) -> bool {
    dialects::is_groups(frame)
}

/// Renders a text for its author and for the others; gives how long both are.
pub fn render_direct() -> impl FnMut() -> usize {
    render(dialects::direct(), ThreadKind::Direct)
}

/// The same of a group.
pub fn render_groups() -> impl FnMut() -> usize {
    render(dialects::groups(), ThreadKind::Group)
}

fn render(room: Arc<dyn Announcer>, kind: ThreadKind) -> impl FnMut() -> usize {
    let entry = entry(kind);
    let author = Profile {
        user_id: entry.author_id.clone(),
        username: "ada".to_owned(),
        ..Profile::default()
    };
    let known = HashMap::from([(entry.author_id.clone(), Arc::new(author))]);
    move || {
        let shown = room.announce(&entry, &known);
        let frames = [shown.to_author, shown.to_others];
        frames.iter().flatten().map(|frame| frame.len()).sum()
    }
}

/// A text between people.
pub(crate) fn entry(kind: ThreadKind) -> Entry {
    Entry {
        id: 41,
        thread: 7,
        seq: 9,
        thread_kind: kind.into(),
        kind: EntryKind::Text.into(),
        author_id: "0192f0a1-0000-7000-8000-000000000001".to_owned(),
        receiver_id: "0192f0a1-0000-7000-8000-000000000002".to_owned(),
        content: "Meet me at the harbour at nine, and bring the map.".to_owned(),
        client_msg_id: "0192f0a1-0000-7000-8000-000000000003".to_owned(),
        ..Entry::default()
    }
}
