//! Pieces of a text.

use proptest::prelude::*;

use super::{CHUNK_BYTES, CHUNKS, OVERLAP_BYTES, chunks};

#[test]
fn a_short_text_is_one_piece_and_white_space_none() {
    assert_eq!(chunks("  Good morning.\n"), ["Good morning."]);
    assert!(chunks(" \n\t ").is_empty());
    assert!(chunks("").is_empty());
}

#[test]
fn a_long_text_is_cut_between_words_and_loses_none() {
    let words: Vec<String> = (0..2000).map(|number| format!("word{number}")).collect();
    let text = words.join(" ");
    let pieces = chunks(&text);
    assert!(pieces.len() > 5);
    for word in &words {
        let whole = |piece: &&str| piece.split(' ').any(|other| other == word);
        assert!(pieces.iter().any(whole), "{word} is in one of the pieces");
    }
}

#[test]
fn the_end_of_a_piece_is_the_beginning_of_the_next() {
    let text = "sentence ".repeat(1000);
    let pieces = chunks(&text);
    let total: usize = pieces.iter().map(|piece| piece.len()).sum();
    let doubled = total - text.trim().len();
    let seams = pieces.len() - 1;
    assert!(
        doubled > seams * (OVERLAP_BYTES - 20),
        "{doubled} in {seams}"
    );
}

#[test]
fn the_longest_text_has_a_bounded_number_of_pieces() {
    assert_eq!(chunks(&"x".repeat(2 * 1024 * 1024)).len(), CHUNKS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pieces_of_any_text_fit_and_say_something(text in "(\\PC|[ \n]|é|漢){0,4000}") {
        for piece in chunks(&text) {
            prop_assert!(piece.len() <= CHUNK_BYTES);
            prop_assert!(!piece.trim().is_empty());
            prop_assert!(text.contains(piece));
        }
    }
}
