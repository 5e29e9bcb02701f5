//! Limits of text, and the one character that PostgreSQL cannot store.

use crate::error::Error;

/// The most bytes of a title, of a name and of a key.
pub(crate) const NAME_BYTES: usize = 255;
/// The most bytes of a message between people.
pub(crate) const MESSAGE_BYTES: usize = 16 * 1024;
/// The most bytes of a system prompt.
pub(crate) const INSTRUCTIONS_BYTES: usize = 64 * 1024;
/// The most bytes of a question, and of a summary.
pub(crate) const QUESTION_BYTES: usize = 128 * 1024;
/// The most bytes of an answer: it fits into a reply, like a page of messages.
pub(crate) const ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// Text without NUL characters, if it is not longer than `most` bytes.
pub(crate) fn without_nul(
    mut text: String,
    most: usize,
    refusal: &'static str,
) -> Result<String, Error> {
    text.retain(|character| character != '\0');
    within(&text, most, refusal)?;
    Ok(text)
}

/// The text of an answer, with spaces for NUL characters: its writer counts bytes, so none may go missing.
pub(crate) fn blank_nul(text: String) -> Result<String, Error> {
    within(
        &text,
        ANSWER_BYTES,
        "an answer must be at most 2 MiB in UTF-8",
    )?;
    Ok(if text.contains('\0') {
        text.replace('\0', " ")
    } else {
        text
    })
}

/// Refuses text that is longer than `most` bytes.
pub(crate) fn within(text: &str, most: usize, refusal: &'static str) -> Result<(), Error> {
    if text.len() > most {
        return Err(Error::Invalid(refusal));
    }
    Ok(())
}

/// The text from this byte on.
pub(crate) fn from(mut text: String, start: i64) -> Result<String, Error> {
    let tail = usize::try_from(start)
        .ok()
        .filter(|start| text.is_char_boundary(*start))
        .ok_or(Error::Invalid(
            "content_from must be where a character begins",
        ))?;
    Ok(text.split_off(tail))
}
