//! A message's text in pieces that a model makes one vector of each. What is long would be blurred in one vector.

/// Bytes of a piece, at most.
const CHUNK_BYTES: usize = 1024;

/// Bytes at the end of a piece that the next one begins with, so that no sentence is only found in halves.
const OVERLAP_BYTES: usize = 128;

/// Pieces of one message, at most: what comes after about 112 KiB is not searched.
const CHUNKS: usize = 128;

/// The pieces of a text, in order; none of a text without a character that can be seen. Pieces end at white space where
/// there is some in reach.
pub(crate) fn chunks(text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = text.trim();
    while chunks.len() < CHUNKS && !rest.is_empty() {
        if rest.len() <= CHUNK_BYTES {
            chunks.push(rest);
            break;
        }
        let end = boundary(rest, CHUNK_BYTES);
        chunks.push(rest[..end].trim_end());
        rest = rest[boundary(rest, end - OVERLAP_BYTES)..].trim_start();
    }
    chunks
}

/// Where to cut at or before `at`: after white space no more than an overlap away, else between two characters.
fn boundary(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    let reach = text.floor_char_boundary(at.saturating_sub(OVERLAP_BYTES));
    let space = text[reach..at]
        .char_indices()
        .rfind(|(_, character)| character.is_whitespace());
    match space {
        Some((index, character)) => reach + index + character.len_utf8(),
        None => at,
    }
}

#[cfg(test)]
#[path = "tests/chunk.rs"]
mod tests;
