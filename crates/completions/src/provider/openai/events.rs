//! Server-sent events out of chunks of bytes that are cut anywhere.
//!
//! Only the data of events counts here. An event that outgrows [`LARGEST`] is an error, so a server that never ends a line
//! cannot fill the memory.

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
        for &byte in chunk {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => complete.extend(self.end_line()),
                _ if self.line.len() + self.data.len() >= LARGEST => {
                    complete.push(Err(Malformed::TooLarge));
                    return complete;
                }
                _ => self.line.push(byte),
            }
        }
        complete
    }

    fn end_line(&mut self) -> Option<Result<String, Malformed>> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
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
