//! Amounts as people write them.

use super::{format_dollars, parse_dollars};

#[test]
fn amounts_are_exact() {
    for (text, microdollars) in [
        ("0", 0),
        ("1", 1_000_000),
        ("0.25", 250_000),
        ("12.000001", 12_000_001),
        ("0.000000", 0),
    ] {
        assert_eq!(parse_dollars(text), Ok(microdollars), "{text}");
    }
    assert_eq!(format_dollars(250_000), "0.25");
    assert_eq!(format_dollars(1_000_000), "1");
    assert_eq!(format_dollars(-1), "-0.000001");
    assert_eq!(format_dollars(0), "0");
}

#[test]
fn what_is_no_amount_is_refused() {
    for text in [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "1,5",
        "0.0000001",
        "NaN",
        "10000000000000",
        " 1",
    ] {
        assert!(parse_dollars(text).is_err(), "{text:?}");
    }
}
