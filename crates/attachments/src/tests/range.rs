//! Which bytes are wanted.

use proptest::prelude::*;

use crate::range::range;

#[test]
fn a_range_stays_within_the_file() {
    for (offset, length, size, wanted) in [
        (0, 0, 10, Some(0..10)),
        (0, 4, 10, Some(0..4)),
        (4, 0, 10, Some(4..10)),
        (4, 6, 10, Some(4..10)),
        (4, 7, 10, Some(4..10)),
        (4, i64::MAX, 10, Some(4..10)),
        (10, 0, 10, Some(10..10)),
        (10, 1, 10, Some(10..10)),
        (0, 0, 0, Some(0..0)),
        (11, 0, 10, None),
        (i64::MAX, i64::MAX, 10, None),
        (-1, 0, 10, None),
        (0, -1, 10, None),
        (i64::MIN, i64::MIN, 10, None),
    ] {
        let found = range(offset, length, size).ok();
        assert_eq!(found, wanted, "{offset} {length} of {size}");
    }
}

proptest! {
    #[test]
    fn no_numbers_lead_out_of_the_file(offset: i64, length: i64, size in 0..u64::MAX) {
        if let Ok(range) = range(offset, length, size) {
            prop_assert!(range.start <= range.end && range.end <= size);
        }
    }
}
