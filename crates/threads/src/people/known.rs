//! Facts that never change, remembered up to a bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// Remembers at least the last `most` facts it was told, and at most twice as many. A fact that is forgotten is read
/// from the database again.
#[derive(Debug)]
pub(crate) struct Known<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    most: usize,
}

impl<K: Eq + Hash, V: Copy> Known<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            most,
        }
    }

    /// The fact; one that is asked for stays among the young.
    pub(crate) fn get(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.young.get(&key) {
            return Some(*value);
        }
        let value = self.old.remove(&key)?;
        self.insert(key, value);
        Some(value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.most {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}
