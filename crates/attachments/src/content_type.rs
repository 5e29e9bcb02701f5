//! What a file is, by its bytes.
//!
//! A name or a declaration never makes a file more than its bytes say; one that contradicts them makes it less.

/// How much of the beginning is looked at for magic bytes.
const HEAD_BYTES: usize = 8 * 1024;

const UNKNOWN: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const PDF: &str = "application/pdf";

/// What a page may show: none of these runs a script.
const INLINE: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    PDF,
    TEXT,
];

/// Extensions that promise text.
const TEXT_EXTENSIONS: &[&str] = &["txt", "text", "md", "csv", "tsv", "log", "json"];
/// Extensions of text that a browser would run or follow.
const ACTIVE_EXTENSIONS: &[&str] = &[
    "html", "htm", "shtml", "xhtml", "xht", "mht", "mhtml", "hta", "svg", "svgz", "xml", "xsl",
    "xslt", "rss", "atom", "js", "mjs", "cjs", "css", "swf",
];
const JPEG_EXTENSIONS: &[&str] = &["jpg", "jpeg", "jpe", "jfif"];
const JPEG_TYPES: &[&str] = &["image/jpeg", "image/jpg", "image/pjpeg"];

/// Whether a page may show a file of this type.
pub(crate) fn is_inline(content_type: &str) -> bool {
    INLINE.contains(&content_type)
}

/// Looks at a file that passes by in pieces. Holds a few kilobytes, however large the file is.
#[derive(Debug, Default)]
pub(crate) struct Sniffer {
    head: Vec<u8>,
    text: TextCheck,
}

/// What the bytes alone say.
enum Seen {
    Unknown,
    Text,
    Binary(infer::Type),
}

impl Sniffer {
    /// Takes the next piece in.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let missing = HEAD_BYTES - self.head.len();
        self.head
            .extend_from_slice(&piece[..piece.len().min(missing)]);
        self.text.feed(piece);
    }

    /// The type of what was fed, given the extension it came with and the type it was declared to be (empty: neither).
    pub(crate) fn content_type(&self, extension: Option<&str>, declared: &str) -> &'static str {
        let seen = self.seen();
        let declared = declared.split(';').next().unwrap_or_default();
        let declared = declared.trim().to_ascii_lowercase();
        if extension.is_some_and(|extension| contradicts_extension(&seen, extension))
            || contradicts_declaration(&seen, &declared)
        {
            return UNKNOWN;
        }
        match seen {
            Seen::Unknown => UNKNOWN,
            Seen::Text => TEXT,
            Seen::Binary(kind) => kind.mime_type(),
        }
    }

    fn seen(&self) -> Seen {
        let known = infer::get(&self.head);
        let is_pdf = known.is_some_and(|kind| kind.mime_type() == PDF);
        // Magic bytes of a few letters ("BM", "MZ") also begin sentences, so text is text, unless it is a PDF.
        if self.text.holds() && !is_pdf {
            return if looks_like_markup(&self.head) {
                Seen::Unknown
            } else {
                Seen::Text
            };
        }
        match known {
            Some(kind) if kind.matcher_type() != infer::MatcherType::Text => Seen::Binary(kind),
            _ => Seen::Unknown,
        }
    }
}

/// HTML, SVG and XML begin with a tag, a comment, a declaration or a processing instruction.
fn looks_like_markup(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    match head.trim_ascii_start() {
        [b'<', next, ..] => next.is_ascii_alphabetic() || matches!(next, b'!' | b'?' | b'/'),
        _ => false,
    }
}

fn contradicts_extension(seen: &Seen, extension: &str) -> bool {
    match seen {
        Seen::Unknown => false,
        // Scripts for a shell are text with an extension that `infer` knows.
        Seen::Text => {
            ACTIVE_EXTENSIONS.contains(&extension)
                || JPEG_EXTENSIONS.contains(&extension)
                || (infer::is_supported(extension) && extension != "sh")
        }
        Seen::Binary(kind) if kind.extension() == extension => false,
        Seen::Binary(kind) if JPEG_EXTENSIONS.contains(&extension) => {
            kind.mime_type() != "image/jpeg"
        }
        Seen::Binary(_) => {
            infer::is_supported(extension)
                || TEXT_EXTENSIONS.contains(&extension)
                || ACTIVE_EXTENSIONS.contains(&extension)
        }
    }
}

fn contradicts_declaration(seen: &Seen, declared: &str) -> bool {
    if declared == UNKNOWN {
        return false;
    }
    let text = declared.starts_with("text/") || declared == "application/json";
    match seen {
        Seen::Unknown => false,
        Seen::Text => {
            is_active(declared)
                || JPEG_TYPES.contains(&declared)
                || (infer::is_mime_supported(declared) && !text)
        }
        Seen::Binary(kind) if kind.mime_type() == declared => false,
        Seen::Binary(kind) if JPEG_TYPES.contains(&declared) => kind.mime_type() != "image/jpeg",
        Seen::Binary(_) => infer::is_mime_supported(declared) || text || is_active(declared),
    }
}

/// Types of text that a browser would run or follow.
fn is_active(declared: &str) -> bool {
    declared.ends_with("+xml")
        || declared.ends_with("/xml")
        || declared.ends_with("javascript")
        || declared.ends_with("ecmascript")
        || matches!(declared, "text/html" | "text/css")
}

/// Whether what passes by is UTF-8 without control characters other than white space.
#[derive(Debug, Default)]
struct TextCheck {
    failed: bool,
    /// The beginning of a character whose end is in the next piece.
    cut: Vec<u8>,
}

impl TextCheck {
    fn feed(&mut self, piece: &[u8]) {
        if self.failed {
            return;
        }
        let rest = self.complete(piece);
        match std::str::from_utf8(rest) {
            Ok(_) => {}
            Err(error) if error.error_len().is_none() => {
                self.cut.extend_from_slice(&rest[error.valid_up_to()..]);
            }
            Err(_) => self.failed = true,
        }
        self.failed |= piece.iter().any(|byte| is_control(*byte));
    }

    /// Ends the character that the last piece cut; what follows it is returned.
    fn complete<'a>(&mut self, mut piece: &'a [u8]) -> &'a [u8] {
        while !self.cut.is_empty()
            && !self.failed
            && let Some((byte, rest)) = piece.split_first()
        {
            self.cut.push(*byte);
            piece = rest;
            match std::str::from_utf8(&self.cut) {
                Ok(_) => self.cut.clear(),
                Err(error) => self.failed = error.error_len().is_some(),
            }
        }
        piece
    }

    /// Whether all that passed by was text.
    fn holds(&self) -> bool {
        !self.failed && self.cut.is_empty()
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | b'\x0C')
}
