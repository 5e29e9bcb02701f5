//! What front ends show of a user.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use uuid::Uuid;

use crate::error::Error;

const EMAIL_BYTES: usize = 254;
const EARLIEST_YEAR: i32 = 1900;

/// What front ends show of a user. Texts are empty until the user says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) user_id: Uuid,
    pub(crate) number: i64,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) fullname: String,
    pub(crate) country_code: String,
    pub(crate) phone_number: String,
    pub(crate) gender: String,
    pub(crate) date_of_birth: Option<NaiveDate>,
    pub(crate) photo: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// What changes; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::option_option,
    reason = "not named, emptied and given are three different things"
)]
pub(crate) struct Changes {
    /// `Some(None)` takes the address away.
    pub(crate) email: Option<Option<Email>>,
    pub(crate) fullname: Option<String>,
    pub(crate) country_code: Option<String>,
    pub(crate) phone_number: Option<String>,
    pub(crate) gender: Option<String>,
    pub(crate) date_of_birth: Option<Option<NaiveDate>>,
    pub(crate) photo: Option<String>,
}

/// An e-mail address; whether mail arrives is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

impl Email {
    /// Blanks around it are dropped; an empty text is no address.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Error> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let odd = |letter: char| letter.is_whitespace() || letter.is_control();
        let parts = text.split_once('@');
        let sound = parts.is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        });
        if !sound || text.len() > EMAIL_BYTES || text.contains(odd) {
            return Err(Error::Invalid("this is no e-mail address"));
        }
        Ok(Some(Self(text.to_owned())))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Two addresses that differ in case only are the same.
    pub(crate) fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// At most 255 characters.
pub(crate) fn fullname(text: &str) -> Result<String, Error> {
    line(
        text,
        255,
        "a full name must be at most 255 characters on one line",
    )
}

/// At most 8 characters.
pub(crate) fn country_code(text: &str) -> Result<String, Error> {
    line(text, 8, "a country code must be at most 8 characters")
}

/// At most 32 characters.
pub(crate) fn phone_number(text: &str) -> Result<String, Error> {
    line(text, 32, "a phone number must be at most 32 characters")
}

/// At most 32 characters.
pub(crate) fn gender(text: &str) -> Result<String, Error> {
    line(text, 32, "a gender must be at most 32 characters")
}

/// A path or URL of at most 2048 characters.
pub(crate) fn photo(text: &str) -> Result<String, Error> {
    line(
        text,
        2048,
        "a photo must be a path or URL of at most 2048 characters",
    )
}

/// A day between 1900 and today, as `YYYY-MM-DD`; an empty text is none.
pub(crate) fn date_of_birth(text: &str, today: NaiveDate) -> Result<Option<NaiveDate>, Error> {
    const WRONG: Error = Error::Invalid("a date of birth must be a past day, YYYY-MM-DD");
    if text.is_empty() {
        return Ok(None);
    }
    // chrono would also take blanks, signs and fewer digits.
    let digits = text.len() == "YYYY-MM-DD".len()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| WRONG)?;
    if !digits || day > today || day.year() < EARLIEST_YEAR {
        return Err(WRONG);
    }
    Ok(Some(day))
}

fn line(text: &str, characters: usize, wrong: &'static str) -> Result<String, Error> {
    let text = text.trim();
    if text.chars().count() > characters || text.contains(char::is_control) {
        return Err(Error::Invalid(wrong));
    }
    Ok(text.to_owned())
}
