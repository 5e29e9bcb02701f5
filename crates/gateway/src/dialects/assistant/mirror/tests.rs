//! How money is written.

use super::decimal;

#[test]
fn money_is_mirrored_with_six_decimals() {
    for (microdollars, text) in [
        (0, "0.000000"),
        (1, "0.000001"),
        (12_345_678, "12.345678"),
        (-1, "-0.000001"),
        (i64::MIN, "-9223372036854.775808"),
    ] {
        assert_eq!(decimal(microdollars), text);
    }
}
