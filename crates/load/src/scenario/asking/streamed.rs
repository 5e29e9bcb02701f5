//! Reads a streamed answer to its end, and whether nothing is missing in it.

use futures_util::StreamExt;
use reqwest::Response;
use tokio::time::Instant;

use super::asker::Answered;
use crate::LoadError;
use crate::check::Checks;
use crate::provider::WORD;

const DONE: &str = "data: [DONE]";

/// Reads an answer; one that is cut is an error.
pub(super) async fn read(
    response: Response,
    due: Instant,
    checks: &Checks,
) -> Result<Answered, LoadError> {
    let mut pieces = response.bytes_stream();
    let mut first = None;
    let mut answer = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        first.get_or_insert_with(|| due.elapsed());
        answer.extend_from_slice(&piece);
    }
    let whole = due.elapsed();
    let answer = String::from_utf8_lossy(&answer);
    if !answer.trim_end().ends_with(DONE) {
        return Err(LoadError::Reply("the answer was cut".to_owned()));
    }
    check(&answer, checks);
    Ok(Answered { first, whole })
}

/// The words of the model of `--provider` are numbered; others are not looked at.
pub(in super::super) fn check(answer: &str, checks: &Checks) {
    let words = answer.split(WORD).skip(1);
    let numbers = words.map_while(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let mut next = 0;
    for number in numbers {
        if number + 1 == next {
            checks.doubled();
        } else if number < next {
            checks.reordered();
        } else if number > next {
            checks.lost(number - next);
        }
        next = next.max(number + 1);
    }
}
