//! Days as a front end names them → points in time.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::Value;

/// A day that there is not, or no text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadDay;

/// The time zone of a request; UTC unless it names one that there is.
pub(super) fn zone(tz: Option<&Value>) -> Tz {
    let name = tz.and_then(Value::as_str);
    name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// The beginning of the first day that is asked for: a date, or a word that counts back from today. Any other text is
/// as good as none.
pub(super) fn from(
    day: Option<&Value>,
    now: DateTime<Utc>,
    zone: Tz,
) -> Result<Option<DateTime<Utc>>, BadDay> {
    let today = now.with_timezone(&zone).date_naive();
    let back = match day.and_then(Value::as_str) {
        Some("yesterday") => 1,
        Some("day_before_yesterday") => 2,
        Some("last_7_days") => 7,
        _ => return Ok(date(day)?.and_then(|day| begin(day, zone))),
    };
    Ok(today
        .checked_sub_days(Days::new(back))
        .and_then(|day| begin(day, zone)))
}

/// The end of the last day that is asked for, which is included.
pub(super) fn until(day: Option<&Value>, zone: Tz) -> Result<Option<DateTime<Utc>>, BadDay> {
    let next = date(day)?.and_then(|day| day.checked_add_days(Days::new(1)));
    Ok(next.and_then(|day| begin(day, zone)))
}

fn date(day: Option<&Value>) -> Result<Option<NaiveDate>, BadDay> {
    let text = match day {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(BadDay),
    };
    if !is_date(text) {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| BadDay)
}

/// Whether it is written like a date (2025-03-06), whatever the numbers.
fn is_date(text: &str) -> bool {
    let digit_or_dash = |(index, byte): (usize, u8)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(digit_or_dash)
}

/// The first moment of a day. Where a clock change skips midnight, the day begins an hour later.
fn begin(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let midnight = day.and_time(NaiveTime::MIN);
    let begin = zone.from_local_datetime(&midnight).earliest().or_else(|| {
        zone.from_local_datetime(&(midnight + chrono::TimeDelta::hours(1)))
            .earliest()
    });
    begin.map(|begin| begin.to_utc())
}
