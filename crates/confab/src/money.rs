//! US dollars as people write them, and the micro-dollars that are kept.

/// Micro-dollars in a dollar.
const DOLLAR: i64 = 1_000_000;

/// What is wrong with an amount.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no amount in dollars: write digits with at most six decimals, such as 1 or 0.25")]
pub(crate) struct AmountError(String);

/// Micro-dollars of an amount such as `1`, `0.25` or `12.000001`; exact, never rounded.
pub(crate) fn parse_dollars(text: &str) -> Result<i64, AmountError> {
    let wrong = || AmountError(text.to_owned());
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(decimals) || decimals.len() > 6 {
        return Err(wrong());
    }
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    let fraction: i64 = format!("{decimals:0<6}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(DOLLAR)
        .and_then(|amount| amount.checked_add(fraction))
        .ok_or_else(wrong)
}

/// An amount as people write it, without zeros at its end.
pub(crate) fn format_dollars(microdollars: i64) -> String {
    let sign = if microdollars < 0 { "-" } else { "" };
    let amount = microdollars.unsigned_abs();
    let dollar = DOLLAR.unsigned_abs();
    let text = format!("{sign}{}.{:06}", amount / dollar, amount % dollar);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

#[cfg(test)]
#[path = "money_tests.rs"]
mod tests;
