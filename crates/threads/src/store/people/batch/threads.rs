//! Finding and making the threads that a batch writes to, and who may.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use confab_database::Sql;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::Batch;
use crate::people::{Known, NewEntry, Pair, Place};
use crate::thread::Kind;

impl<C: ConnectionTrait> Batch<'_, C> {
    /// The numbers of the entries' threads; those of new pairs are made.
    pub(super) async fn threads(
        &self,
        known: &mut Known<Pair, i64>,
        entries: &[&NewEntry],
    ) -> Result<HashMap<Place, i64>, DbErr> {
        let mut threads = HashMap::new();
        // In this order, so that transactions that make the same pairs wait for each other in no circle.
        let mut unknown: BTreeMap<Pair, Uuid> = BTreeMap::new();
        for entry in entries {
            match entry.place {
                Place::Group(number) => {
                    threads.insert(entry.place, number);
                }
                Place::Direct(pair) => match known.get(pair) {
                    Some(number) => {
                        threads.insert(entry.place, number);
                    }
                    None => {
                        unknown.entry(pair).or_insert(entry.author);
                    }
                },
            }
        }
        self.find(&mut unknown, &mut threads).await?;
        if !unknown.is_empty() {
            self.make(&unknown).await?;
            let made: Vec<Pair> = unknown.keys().copied().collect();
            self.find(&mut unknown, &mut threads).await?;
            let pairs = made.into_iter().filter_map(|pair| {
                let number = threads.get(&Place::Direct(pair))?;
                Some((*number, pair))
            });
            self.join(pairs).await?;
        }
        Ok(threads)
    }

    /// Moves the pairs that have a thread from `unknown` to `threads`.
    async fn find(
        &self,
        unknown: &mut BTreeMap<Pair, Uuid>,
        threads: &mut HashMap<Place, i64>,
    ) -> Result<(), DbErr> {
        if unknown.is_empty() {
            return Ok(());
        }
        let query = Sql::new("WITH wanted (low, high) AS (")
            .rows(
                unknown
                    .keys()
                    .map(|pair| [pair.low.into(), pair.high.into()]),
            )
            .text(
                ") SELECT number, low_id, high_id FROM wanted \
                 JOIN thread ON low_id = low AND high_id = high",
            );
        for row in self.all(query).await? {
            let pair = Pair {
                low: row.try_get_by_index(1)?,
                high: row.try_get_by_index(2)?,
            };
            unknown.remove(&pair);
            threads.insert(Place::Direct(pair), row.try_get_by_index(0)?);
        }
        Ok(())
    }

    /// Makes the threads of these pairs, waiting for whoever is making one of them.
    async fn make(&self, pairs: &BTreeMap<Pair, Uuid>) -> Result<(), DbErr> {
        let rows = pairs.iter().map(|(pair, author)| {
            [
                Uuid::now_v7().into(),
                Kind::Direct.into(),
                (*author).into(),
                "".into(),
                "".into(),
                pair.low.into(),
                pair.high.into(),
                self.at.into(),
                self.at.into(),
            ]
        });
        let columns =
            "id, kind, owner_id, title, instructions, low_id, high_id, created_at, active_at";
        let statement = Sql::insert_into("thread", columns, "id", rows)
            .text(" ON CONFLICT (low_id, high_id) DO NOTHING");
        self.execute(statement).await
    }

    async fn join(&self, threads: impl Iterator<Item = (i64, Pair)>) -> Result<(), DbErr> {
        let members = threads.flat_map(|(thread, pair)| [(thread, pair.low), (thread, pair.high)]);
        let rows = members.map(|(thread, user)| [thread.into(), user.into(), self.at.into()]);
        let columns = "thread, user_id, joined_at";
        let statement = Sql::insert_into("member", columns, "user_id", rows)
            .text(" ON CONFLICT (thread, user_id) DO NOTHING");
        self.execute(statement).await
    }

    /// Which of the authors are members of the groups that they write to.
    pub(super) async fn members(
        &self,
        entries: &[&NewEntry],
    ) -> Result<HashSet<(i64, Uuid)>, DbErr> {
        let wanted: BTreeSet<(i64, Uuid)> = entries
            .iter()
            .filter_map(|entry| match entry.place {
                Place::Group(number) => Some((number, entry.author)),
                Place::Direct(_) => None,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(HashSet::new());
        }
        let query = Sql::new("WITH wanted (wanted_thread, wanted_user) AS (")
            .rows(
                wanted
                    .into_iter()
                    .map(|(thread, user)| [thread.into(), user.into()]),
            )
            .text(
                ") SELECT thread, user_id FROM wanted \
                 JOIN member ON thread = wanted_thread AND user_id = wanted_user",
            );
        let rows = self.all(query).await?;
        rows.iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
            .collect()
    }
}
