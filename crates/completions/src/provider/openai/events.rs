//! Server-sent events out of chunks of bytes that are cut anywhere.
//!
//! Only the data of events counts here. An event that outgrows [`LARGEST`] is an error, so a server that never ends a line
//! cannot fill the memory.

use memchr::memchr2;

/// The largest event, in bytes.
pub(super) const LARGEST: usize = 2 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Why the events cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// An event larger than [`LARGEST`].
    #[error("an event is too large")]
    TooLarge,
    /// An event that is not text.
    #[error("an event is not UTF-8")]
    NotText,
}

/// What was read of the events so far.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    /// The event's data lines, each with its line feed.
    data: Vec<u8>,
    /// A line feed right after a carriage return belongs to it.
    after_return: bool,
    begun: bool,
}

impl Events {
    /// Reads on; gives the data of every event that ends in this chunk. After an error nothing may be fed.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Vec<Result<String, Malformed>> {
        let mut complete = Vec::new();
        let mut rest = chunk;
        if !rest.is_empty() && std::mem::take(&mut self.after_return) {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (text, after) = rest.split_at(end);
            if !self.take(text) {
                complete.push(Err(Malformed::TooLarge));
                return complete;
            }
            complete.extend(self.end_line());
            rest = match after {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_return = true;
                    &[]
                }
                _ => &after[1..],
            };
        }
        if !self.take(rest) {
            complete.push(Err(Malformed::TooLarge));
        }
        complete
    }

    /// Adds to the line; false when the event gets too large.
    fn take(&mut self, text: &[u8]) -> bool {
        let fits = self.line.len() + self.data.len() + text.len() <= LARGEST;
        if fits {
            self.line.extend_from_slice(text);
        }
        fits
    }

    fn end_line(&mut self) -> Option<Result<String, Malformed>> {
        // Its memory is used again.
        let mut read = std::mem::take(&mut self.line);
        let ended = self.read_line(&read);
        read.clear();
        self.line = read;
        ended
    }

    fn read_line(&mut self, mut line: &[u8]) -> Option<Result<String, Malformed>> {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_event();
        }
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            _ => return None,
        };
        self.data.extend_from_slice(value);
        self.data.push(b'\n');
        None
    }

    fn end_event(&mut self) -> Option<Result<String, Malformed>> {
        let mut data = std::mem::take(&mut self.data);
        data.pop()?;
        Some(String::from_utf8(data).map_err(|_| Malformed::NotText))
    }
}
