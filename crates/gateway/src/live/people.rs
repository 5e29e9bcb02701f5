//! Who is who: profiles, kept for a minute, fetched together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use confab_rpc::sessions::{GetProfilesRequest, Profile};
use confab_rpc::{Fault, Reason};
use confab_runtime::Tasks;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::backends::Backends;

/// How long a profile is believed.
const FRESH: Duration = Duration::from_mins(1);

/// Profiles that are kept; beyond that all are forgotten.
const KEPT: usize = 50_000;

/// Users of one `GetProfiles`.
const BATCH: usize = 1000;

/// Questions that wait for a fetch.
const QUESTIONS: usize = 4096;

/// Profiles by user id.
pub(crate) type Known = HashMap<String, Arc<Profile>>;

/// The profiles of users. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct People {
    kept: Arc<Mutex<Kept>>,
    questions: mpsc::Sender<Question>,
}

type Kept = HashMap<String, (Option<Arc<Profile>>, Instant)>;

#[derive(Debug)]
struct Question {
    ids: Vec<String>,
    answer: oneshot::Sender<Result<(), Fault>>,
}

impl People {
    pub(crate) fn open(backends: Backends, tasks: &Tasks) -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let kept = Arc::<Mutex<Kept>>::default();
        let people = Self { kept, questions };
        let fetching = fetch(backends, Arc::clone(&people.kept), asked);
        let stopping = tasks.stopping();
        tasks.spawn("profiles", async move {
            stopping.run_until_cancelled(fetching).await;
        });
        people
    }

    /// A user's profile; `None` for a user that there is not.
    pub(crate) async fn profile(&self, id: &str) -> Result<Option<Arc<Profile>>, Fault> {
        let mut known = self.profiles(&[id.to_owned()]).await?;
        Ok(known.remove(id))
    }

    /// The profiles of several users; whoever does not exist is missing.
    pub(crate) async fn profiles(&self, ids: &[String]) -> Result<Known, Fault> {
        if let Some(known) = self.kept(ids) {
            return Ok(known);
        }
        let (answer, answered) = oneshot::channel();
        let question = Question {
            ids: ids.to_vec(),
            answer,
        };
        let away = || Fault::new(Reason::Overloaded, "profiles cannot be read now");
        self.questions.send(question).await.map_err(|_| away())?;
        answered.await.map_err(|_| away())??;
        // Whatever was forgotten in between counts as unknown.
        Ok(self.lock().known(ids))
    }

    /// What is known without asking; `None` when somebody has to be asked for.
    pub(crate) fn kept(&self, ids: &[String]) -> Option<Known> {
        let now = Instant::now();
        let kept = self.lock();
        let fresh = |id: &String| kept.get(id).is_some_and(|(_, until)| *until > now);
        ids.iter().all(fresh).then(|| kept.known(ids))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

trait Lookup {
    fn known(&self, ids: &[String]) -> Known;
}

impl Lookup for Kept {
    fn known(&self, ids: &[String]) -> Known {
        let found = |id: &String| Some((id.clone(), Arc::clone(self.get(id)?.0.as_ref()?)));
        ids.iter().filter_map(found).collect()
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for everybody who was asked for while the last answer was under way.
async fn fetch(backends: Backends, kept: Arc<Mutex<Kept>>, mut asked: mpsc::Receiver<Question>) {
    let mut questions = Vec::new();
    while asked.recv_many(&mut questions, QUESTIONS).await > 0 {
        let mut ids: Vec<String> = questions.iter().flat_map(|it| it.ids.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut result = Ok(());
        for batch in ids.chunks(BATCH) {
            if let Err(fault) = fetch_batch(&backends, &kept, batch).await {
                result = Err(fault);
            }
        }
        for question in questions.drain(..) {
            // Whoever asked may have gone.
            let _ = question.answer.send(result.clone());
        }
    }
}

async fn fetch_batch(backends: &Backends, kept: &Mutex<Kept>, ids: &[String]) -> Result<(), Fault> {
    let request = GetProfilesRequest {
        user_ids: ids.to_vec(),
    };
    let found = backends.sessions().get_profiles(request).await?;
    let until = Instant::now() + FRESH;
    let mut kept = lock(kept);
    if kept.len() + ids.len() > KEPT {
        kept.clear();
    }
    for id in ids {
        kept.insert(id.clone(), (None, until));
    }
    for profile in found.into_inner().profiles {
        kept.insert(profile.user_id.clone(), (Some(Arc::new(profile)), until));
    }
    Ok(())
}
