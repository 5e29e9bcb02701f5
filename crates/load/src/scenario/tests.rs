//! What the scenarios find wrong, and how a day is divided.

use super::asking::{Said, check_stored, check_words};
use super::mixed::divide;
use crate::check::{Checks, Wrongs};
use crate::options::{Amount, Plan, Scenario};

fn found(look: impl FnOnce(&Checks)) -> Wrongs {
    let checks = Checks::default();
    look(&checks);
    checks.now()
}

#[test]
fn a_word_that_is_missing_or_there_twice_is_found() {
    let words = |answer: &str| found(|checks| check_words(answer, checks));
    let none = Wrongs::default();
    assert_eq!(
        words(r#"data: {"a":"word0 "} data: {"a":"word1 word2 "}"#),
        none
    );
    assert_eq!(words("another model's answer"), none);
    assert_eq!(words("word0 word2 word3 ").lost, 1);
    assert_eq!(words("word0 word1 word1 ").doubled, 1);
    let swapped = words("word0 word2 word1 ");
    assert_eq!((swapped.lost, swapped.doubled), (1, 0));
    assert_eq!(words("word0 word1 word2 word0 ").reordered, 1);
}

#[test]
fn what_was_answered_is_looked_for_in_what_is_stored() {
    let said = |roles: &[(&str, &str)]| -> Vec<Said> {
        let said = roles.iter().map(|(role, content)| Said {
            role: (*role).to_owned(),
            content: (*content).to_owned(),
        });
        said.collect()
    };
    let asked = ["a".to_owned(), "b".to_owned()];
    let wrong = |stored: &[(&str, &str)]| found(|it| check_stored(&asked, &said(stored), it));
    let (a, b, answer) = (("user", "a"), ("user", "b"), ("assistant", "x"));
    assert_eq!(wrong(&[a, answer, b, answer]), Wrongs::default());
    assert_eq!(wrong(&[a, answer]).lost, 1);
    assert_eq!(wrong(&[a, b, answer]).lost, 1);
    assert_eq!(wrong(&[a, answer, a, answer, b, answer]).doubled, 1);
    assert_eq!(wrong(&[b, answer, a, answer]).reordered, 1);
}

#[test]
fn a_day_is_divided_into_parts_that_make_sense() {
    let amount = |text: &str| toml::from_str::<Amount>(text).unwrap();
    for text in [
        "",
        "sockets = 100\npeople = 50",
        "sockets = 9999\npeople = 777",
    ] {
        let day = Plan::new(Scenario::Mixed, &amount(text)).unwrap();
        let parts = divide(&day);
        let rate: f64 = parts.iter().filter_map(|part| part.rate).sum();
        assert!((rate - 500.0).abs() < 1e-6, "{rate}");
        for part in &parts {
            part.check().unwrap();
        }
    }
}
