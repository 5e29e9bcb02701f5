//! What is near, what is far, and that vectors never change.

use super::{DIMENSIONS, embed};

fn nearness(one: &str, other: &str) -> f32 {
    let (one, other) = (embed(one, DIMENSIONS), embed(other, DIMENSIONS));
    one.iter().zip(&other).map(|(one, other)| one * other).sum()
}

#[test]
fn texts_that_share_words_are_nearer_than_those_that_do_not() {
    let asked = "how do I bake bread";
    let near = nearness(asked, "Bake the bread for an hour");
    let far = nearness(asked, "The treaty was signed in Vienna");
    assert!(near > 0.3 && far < 0.1, "{near} {far}");
    let (near, far) = (
        nearness("東京都の天気", "明日の東京都は雨"),
        nearness("東京都の天気", "銀行口座を開く"),
    );
    assert!(near > 0.3 && far < 0.2, "{near} {far}");
    assert!(
        nearness("invoices", "invoice") > 0.3,
        "parts of words count"
    );
}

#[test]
fn case_makes_no_difference_and_accents_do() {
    assert!(nearness("RÉSUMÉ", "résumé") > 0.999);
    assert!(nearness("résumé", "resume") < 0.5);
}

#[test]
fn every_text_has_a_vector_of_length_one() {
    for text in ["a", "?!", "日", "🙂", " ", "x y z", "ก"] {
        for dimensions in [1, 2, DIMENSIONS, 1536] {
            let vector = embed(text, dimensions);
            let length: f32 = vector.iter().map(|number| number * number).sum();
            assert_eq!(vector.len(), dimensions);
            assert!((length - 1.0).abs() < 1e-4, "{text:?}: {length}");
        }
    }
}

#[test]
fn a_vector_is_the_same_on_every_machine() {
    let numbers: Vec<_> = embed("Confab", DIMENSIONS)
        .into_iter()
        .enumerate()
        .filter(|(_, number)| *number != 0.0)
        .map(|(place, number)| (place, number > 0.0))
        .collect();
    assert_eq!(numbers, KNOWN);
}

/// Counted by another program.
const KNOWN: &[(usize, bool)] = &[
    (15, false),
    (103, false),
    (141, false),
    (279, false),
    (280, false),
    (309, true),
    (328, false),
];
