//! The best of many, and one order out of two.

use std::collections::HashSet;

use chrono::DateTime;
use proptest::prelude::*;
use uuid::Uuid;

use super::{Candidate, Ranked, Ranking, Wanted, fuse};

fn candidate(message_id: i64, similarity: f32) -> Candidate {
    Candidate {
        thread: Uuid::nil(),
        seq: message_id,
        message_id,
        updated_at: DateTime::UNIX_EPOCH,
        similarity,
    }
}

fn wanted(limit: usize, minimum: f32) -> Wanted {
    Wanted {
        limit,
        minimum,
        also: HashSet::new(),
    }
}

fn rank(wanted: Wanted, candidates: &[(i64, f32)]) -> Ranked {
    let mut ranking = Ranking::new(wanted);
    for (id, similarity) in candidates {
        ranking.add(candidate(*id, *similarity));
    }
    ranking.finish()
}

fn ids(candidates: &[Candidate]) -> Vec<i64> {
    candidates.iter().map(|one| one.message_id).collect()
}

#[test]
fn a_message_is_as_near_as_its_nearest_piece() {
    let pieces = [(1, 0.2), (1, 0.9), (1, 0.1), (2, 0.5)];
    let ranked = rank(wanted(10, 0.1), &pieces);
    assert_eq!(ids(&ranked.best), [1, 2]);
    assert!((ranked.best[0].similarity - 0.9).abs() < f32::EPSILON);
}

#[test]
fn what_is_unlike_is_left_out() {
    let ranked = rank(wanted(10, 0.3), &[(1, 0.29), (2, 0.3), (3, -0.5)]);
    assert_eq!(ids(&ranked.best), [2]);
    let ranked = rank(wanted(10, 0.0), &[(1, 0.0), (2, -0.1)]);
    assert!(ranked.best.is_empty());
}

#[test]
fn of_messages_as_near_as_each_other_the_later_one_comes_first() {
    let ranked = rank(wanted(2, 0.1), &[(1, 0.5), (2, 0.5), (3, 0.5)]);
    assert_eq!(ids(&ranked.best), [3, 2]);
}

#[test]
fn a_message_that_two_models_find_comes_before_those_of_one() {
    let words = rank(wanted(10, 0.1), &[(1, 0.9), (2, 0.8)]);
    let also = HashSet::from([1, 2]);
    let meaning = rank(
        Wanted {
            also,
            ..wanted(2, 0.1)
        },
        &[(1, 0.05), (2, 0.4), (3, 0.7)],
    );
    let fused = fuse(vec![words, meaning]);
    assert_eq!(ids(&fused), [2, 3, 1]);
    let similarity: Vec<f32> = fused.iter().map(|one| one.similarity).collect();
    assert_eq!(similarity, [0.4, 0.7, 0.05], "that of the last model");
}

#[test]
fn one_list_stays_as_it_is() {
    let list = rank(wanted(10, 0.1), &[(1, 0.2), (2, 0.8)]);
    assert_eq!(ids(&fuse(vec![list])), [2, 1]);
    assert!(fuse(vec![]).is_empty());
}

proptest! {
    #[test]
    fn the_best_of_any_list_are_kept(
        similarities in prop::collection::vec(0.01_f32..1.0, 0..200),
        limit in 1..20_usize,
    ) {
        let all: Vec<(i64, f32)> = (1..).zip(similarities).collect();
        let mut sorted = all.clone();
        sorted.sort_by(|one, other| other.1.total_cmp(&one.1).then(other.0.cmp(&one.0)));
        sorted.truncate(limit);
        let expected: Vec<i64> = sorted.into_iter().map(|(id, _)| id).collect();
        prop_assert_eq!(ids(&rank(wanted(limit, 0.0), &all).best), expected);
    }
}
