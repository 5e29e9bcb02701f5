//! Which messages are nearest: the best of what is compared one after the other, and one order made of several.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// How much the first places of a list count more than the next ones, as in the paper on reciprocal rank fusion
/// (Cormack, Clarke, Büttcher 2009).
const FUSION: f64 = 60.0;

/// A message that was compared with the query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) thread: Uuid,
    pub(crate) seq: i64,
    pub(crate) message_id: i64,
    /// Of the text that was compared.
    pub(crate) updated_at: DateTime<Utc>,
    /// The cosine of its nearest piece.
    pub(crate) similarity: f32,
}

/// What is asked of a ranking.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Candidates, at most.
    pub(crate) limit: usize,
    /// Less similar ones are none.
    pub(crate) minimum: f32,
    /// Messages whose similarity is wanted wherever they stand.
    pub(crate) also: HashSet<i64>,
}

/// The best of what was added so far; what is not among them is not kept.
#[derive(Debug)]
pub(crate) struct Ranking {
    wanted: Wanted,
    best: BinaryHeap<Reverse<Candidate>>,
    current: Option<Candidate>,
    also: HashMap<i64, f32>,
}

/// The best, the nearest first, and the similarity of the messages that were asked for besides.
#[derive(Debug, Default)]
pub(crate) struct Ranked {
    pub(crate) best: Vec<Candidate>,
    pub(crate) also: HashMap<i64, f32>,
}

impl Ranking {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            best: BinaryHeap::new(),
            current: None,
            also: HashMap::new(),
        }
    }

    /// Adds a piece of a message. The pieces of one message come one after the other; the nearest counts.
    pub(crate) fn add(&mut self, piece: Candidate) {
        match &mut self.current {
            Some(current) if current.message_id == piece.message_id => {
                current.similarity = current.similarity.max(piece.similarity);
            }
            _ => {
                self.settle();
                self.current = Some(piece);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Ranked {
        self.settle();
        let best = self.best.into_sorted_vec();
        Ranked {
            best: best.into_iter().map(|Reverse(one)| one).collect(),
            also: self.also,
        }
    }

    fn settle(&mut self) {
        let Some(candidate) = self.current.take() else {
            return;
        };
        if self.wanted.also.contains(&candidate.message_id) {
            self.also.insert(candidate.message_id, candidate.similarity);
        }
        if candidate.similarity < self.wanted.minimum || candidate.similarity <= 0.0 {
            return;
        }
        self.best.push(Reverse(candidate));
        if self.best.len() > self.wanted.limit {
            self.best.pop();
        }
    }
}

/// One order out of those of several models. A message's similarity is the last model's.
pub(crate) fn fuse(mut lists: Vec<Ranked>) -> Vec<Candidate> {
    if lists.len() < 2 {
        return lists.pop().unwrap_or_default().best;
    }
    let mut fused: HashMap<i64, (f64, Candidate)> = HashMap::new();
    for list in &lists {
        for (rank, candidate) in (1_u32..).zip(&list.best) {
            let (score, same) = fused
                .entry(candidate.message_id)
                .or_insert((0.0, *candidate));
            *score += 1.0 / (FUSION + f64::from(rank));
            same.similarity = candidate.similarity;
        }
    }
    let last = lists.pop().unwrap_or_default();
    let known: HashSet<i64> = last.best.iter().map(|one| one.message_id).collect();
    for (id, (_, candidate)) in &mut fused {
        if !known.contains(id) {
            candidate.similarity = last.also.get(id).copied().unwrap_or(0.0);
        }
    }
    let mut fused: Vec<_> = fused.into_values().collect();
    fused.sort_by(|(one, first), (other, second)| {
        other.total_cmp(one).then_with(|| second.cmp(first))
    });
    fused.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The nearer is the greater; of messages as near as each other the later one of a thread is.
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.similarity
            .total_cmp(&other.similarity)
            .then_with(|| (self.thread, self.seq).cmp(&(other.thread, other.seq)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

#[cfg(test)]
#[path = "tests/ranking.rs"]
mod tests;
