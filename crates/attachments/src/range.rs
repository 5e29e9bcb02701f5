//! Which bytes of a file are wanted.

use std::ops::Range;

use crate::error::Error;

/// The bytes from `offset` on, `length` of them or to the end when that is 0 or more than there is. A start beyond the
/// end is refused; the end itself is an empty range.
pub(crate) fn range(offset: i64, length: i64, size: u64) -> Result<Range<u64>, Error> {
    let offset = u64::try_from(offset)
        .ok()
        .filter(|offset| *offset <= size)
        .ok_or(Error::Invalid("the offset is not within the file"))?;
    let length = u64::try_from(length).map_err(|_| Error::Invalid("the length is negative"))?;
    let available = size - offset;
    let length = match length {
        0 => available,
        length => length.min(available),
    };
    Ok(offset..offset + length)
}
