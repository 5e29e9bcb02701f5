//! What is charged for every way in which an answer can end.

use super::{Measure, Read, Receipt};
use crate::catalogue::{Model, estimate_tokens};
use crate::provider::tests::prompt;
use crate::provider::{Bill, End, ProviderError};
use crate::store::{Failure, Outcome};

const MEASURE: Measure = Measure {
    estimated_input: 100,
    most_input: 300,
    most_output: 50,
    history: 0,
    spare_input: 0,
};
const TEXT: &str = "Twelve bytes";

fn model() -> Model {
    Model {
        input_price: 1_500,
        output_price: 2_000,
        ..prompt("").model
    }
}

fn receipt(text: &str, read: Read) -> Receipt {
    Receipt::new(&model(), MEASURE, text, read)
}

fn usage(receipt: &Receipt) -> (u32, u32, i64) {
    let Receipt {
        input_tokens,
        output_tokens,
        cost_microdollars,
        ..
    } = receipt;
    (*input_tokens, *output_tokens, *cost_microdollars)
}

fn ended(bill: Bill) -> Read {
    Read::Ended(End {
        bill,
        finish_reason: Some("stop".to_owned()),
    })
}

fn broken() -> ProviderError {
    ProviderError::Failed("broken".to_owned())
}

#[test]
fn a_bill_is_paid() {
    let bill = Bill::Tokens {
        input: 200,
        output: 10,
    };
    let paid = receipt(TEXT, ended(bill));
    assert_eq!(usage(&paid), (200, 10, 320));
    assert_eq!((paid.outcome, paid.failure), (Outcome::Complete, None));
    assert_eq!(paid.finish_reason.as_deref(), Some("stop"));
    // An empty answer was read and thought about, too.
    assert_eq!(usage(&receipt("", ended(bill))), (200, 10, 320));
}

#[test]
fn a_bill_for_more_than_was_possible_is_cut() {
    let bill = Bill::Tokens {
        input: 1_000_000,
        output: 1_000_000,
    };
    let cut = receipt(TEXT, ended(bill));
    assert_eq!(usage(&cut), (300, 50, model().cost(300, 50)));
}

#[test]
fn a_price_is_taken_as_it_is_unless_it_is_negative() {
    let output = estimate_tokens(TEXT);
    for (price, cost) in [(7, 7), (0, 0), (-1, 0)] {
        let priced = receipt(TEXT, ended(Bill::Cost(price)));
        assert_eq!(usage(&priced), (100, output, cost));
    }
}

#[test]
fn what_nobody_counted_is_measured() {
    let output = estimate_tokens(TEXT);
    let cost = model().cost(100, output);
    for read in [
        ended(Bill::Unknown),
        Read::Full,
        Read::Unwanted,
        Read::Cancelled,
        Read::Failed(broken()),
    ] {
        assert_eq!(usage(&receipt(TEXT, read)), (100, output, cost));
    }
    let interrupted = Receipt::cut_short(Some(&model()), 100, TEXT, Failure::Interrupted);
    assert_eq!(usage(&interrupted), (100, output, cost));
}

#[test]
fn nothing_said_nothing_charged() {
    let failures = [
        (broken(), Failure::Provider),
        (ProviderError::Unconfigured, Failure::Provider),
        (ProviderError::NoMoney, Failure::NoMoney),
        (ProviderError::TooLong, Failure::TooLong),
    ];
    for (error, failure) in failures {
        let failed = receipt("", Read::Failed(error));
        assert_eq!(usage(&failed), (0, 0, 0));
        assert_eq!(failed.outcome, Outcome::Failed);
        assert_eq!(failed.failure, Some(failure));
    }
    let interrupted = Receipt::cut_short(Some(&model()), 100, "", Failure::Interrupted);
    assert_eq!(usage(&interrupted), (0, 0, 0));
    assert_eq!(interrupted.failure, Some(Failure::Interrupted));
}

#[test]
fn a_failure_after_text_keeps_the_text() {
    for error in [broken(), ProviderError::NoMoney, ProviderError::TooLong] {
        let broken_off = receipt(TEXT, Read::Failed(error));
        assert_eq!(broken_off.outcome, Outcome::Interrupted);
        assert_eq!(broken_off.failure, Some(Failure::Provider));
    }
}

#[test]
fn a_stop_keeps_the_text_and_says_so() {
    let stopped = receipt(TEXT, Read::Cancelled);
    assert_eq!(stopped.outcome, Outcome::Cancelled);
    assert_eq!(stopped.failure, Some(Failure::Cancelled));
    let left = Receipt::cut_short(Some(&model()), 100, TEXT, Failure::Cancelled);
    assert_eq!(left, stopped);
}
