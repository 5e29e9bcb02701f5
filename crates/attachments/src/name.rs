//! Names of files: the one a file is served under and the one its owner gave it.

use std::fmt;

use uuid::Uuid;

/// The longest original name, in bytes.
const MAX_ORIGINAL_BYTES: usize = 255;
/// What a file is called whose name has nothing left in it.
const NAMELESS: &str = "file";
const MAX_EXTENSION: usize = 10;
/// Hexadecimal digits of an id without dashes.
const ID_DIGITS: usize = 32;

/// The name a file is served under: its id without dashes, and the extension its owner gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    /// The file.
    pub(crate) id: Uuid,
    /// 1 to 10 lower-case letters and digits.
    pub(crate) extension: Option<String>,
}

impl FileName {
    /// A file's name; the extension is taken over when it is a harmless one.
    pub(crate) fn new(id: Uuid, original: &str) -> Self {
        let extension = original
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase())
            .filter(|extension| is_extension(extension));
        Self { id, extension }
    }

    /// Reads a name of exactly the form that is made here, and nothing else.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (digits, extension) = match name.split_once('.') {
            Some((digits, extension)) => (digits, Some(extension)),
            None => (name, None),
        };
        let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != ID_DIGITS || !digits.bytes().all(lower_hex) {
            return None;
        }
        if extension.is_some_and(|extension| !is_extension(extension)) {
            return None;
        }
        Some(Self {
            id: Uuid::try_parse(digits).ok()?,
            extension: extension.map(str::to_owned),
        })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id.simple())?;
        match &self.extension {
            Some(extension) => write!(f, ".{extension}"),
            None => Ok(()),
        }
    }
}

fn is_extension(text: &str) -> bool {
    (1..=MAX_EXTENSION).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// What the owner calls the file, without what could mislead a reader, a header or a file system.
pub(crate) fn sanitise(original: &str) -> String {
    let kept: String = original.chars().filter(|c| !is_unwanted(*c)).collect();
    let kept = kept.trim();
    let kept = kept[..kept.floor_char_boundary(MAX_ORIGINAL_BYTES)].trim_end();
    if kept.trim_matches('.').is_empty() {
        return NAMELESS.to_owned();
    }
    kept.to_owned()
}

/// Control characters, separators of paths and lines, and what turns the direction of text.
fn is_unwanted(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '/' | '\\'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{061C}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2066}'..='\u{2069}'
        )
}
