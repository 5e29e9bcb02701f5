//! Vectors in bytes.

use proptest::prelude::*;

use super::{Direction, quantise};

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let product: f32 = one.iter().zip(other).map(|(a, b)| a * b).sum();
    let length = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    product / length(one) / length(other)
}

#[test]
fn only_the_direction_counts() {
    let query = Direction::of(&[3.0, 4.0]).unwrap();
    let near = |values: &[f32]| query.cosine(&quantise(values).unwrap());
    assert!((near(&[0.003, 0.004]) - 1.0).abs() < 0.001);
    assert!((near(&[-300.0, -400.0]) + 1.0).abs() < 0.001);
    assert!(near(&[-4.0, 3.0]).abs() < 0.01);
}

#[test]
fn what_has_no_direction_is_near_nothing() {
    assert_eq!(Direction::of(&[0.0, 0.0]), None);
    assert_eq!(Direction::of(&[f32::NAN, 1.0]), None);
    assert_eq!(quantise(&[0.0, 0.0]), None);
    assert_eq!(quantise(&[f32::INFINITY, 1.0]), None);
    assert_eq!(quantise(&[]), None);
}

#[test]
fn another_length_is_not_compared() {
    let query = Direction::of(&[1.0, 0.0]).unwrap();
    assert!(query.cosine(&quantise(&[1.0, 0.0, 0.0]).unwrap()).abs() < f32::EPSILON);
}

proptest! {
    #[test]
    fn bytes_are_as_near_as_numbers(
        one in prop::collection::vec(-1.0_f32..1.0, 64),
        other in prop::collection::vec(-1.0_f32..1.0, 64),
    ) {
        let stored = quantise(&other).unwrap();
        let near = Direction::of(&one).unwrap().cosine(&stored);
        prop_assert!((near - cosine(&one, &other)).abs() < 0.01);
    }
}
