//! Who was let ask a moment ago: of them nobody asks again whether they may. Setting their money aside, which every run
//! begins with, says so anyway; this only saves finding out beforehand.

use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use uuid::Uuid;

use super::question::Question;
use crate::catalogue::Model;

const ASKERS: u64 = 10_000;
const TRUSTED: Duration = Duration::from_secs(30);

/// A user, perhaps a program of theirs, and the model that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    user: Uuid,
    api_key: Option<Uuid>,
    model: i32,
}

impl Asker {
    pub(super) fn of(question: &Question, model: &Model) -> Self {
        Self {
            user: question.user_id,
            api_key: question.api_key_id,
            model: model.id,
        }
    }
}

/// For whom money was set aside lately.
#[derive(Debug)]
pub(super) struct Trusted(Cache<Asker, ()>);

impl Default for Trusted {
    fn default() -> Self {
        let askers = Cache::builder()
            .max_capacity(ASKERS)
            .time_to_live(TRUSTED)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self(askers)
    }
}

impl Trusted {
    pub(super) fn has(&self, asker: Asker) -> bool {
        self.0.get(&asker).is_some()
    }

    pub(super) fn add(&self, asker: Asker) {
        self.0.insert(asker, ());
    }

    pub(super) fn remove(&self, asker: Asker) {
        self.0.invalidate(&asker);
    }
}
