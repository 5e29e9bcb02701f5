//! What a session is called: the beginning of a message.

/// A message of this many characters or more is cut to at most as many.
const CHARACTERS: usize = 20;

/// The name of a session whose message gives none, and of one that was born in an upload.
pub(super) const NEW_CHAT: &str = "New Chat";

/// The name that a message gives: the whole message when it is short, otherwise its first words, cut at the last space
/// within the limit, or at the limit when there is none (a link, a text without spaces).
pub(super) fn derive(message: &str) -> &str {
    let name = match message.char_indices().nth(CHARACTERS - 1) {
        Some((last, character)) => cut(&message[..last + character.len_utf8()]),
        None => message,
    };
    if name.trim().is_empty() {
        NEW_CHAT
    } else {
        name
    }
}

fn cut(start: &str) -> &str {
    start.rfind(' ').map_or(start, |space| &start[..space])
}
