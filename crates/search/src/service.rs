//! The generated contract `confab.search.v1`: decode, hand on, encode.

use std::sync::Arc;

use confab_database::Database;
use confab_rpc::search as wire;
use confab_rpc::search::search_server::Search;
use confab_runtime::{Clock, Tasks};
use tonic::{Request, Response, Status};

use crate::backends::{Backends, Lanes};
use crate::backlog::Backlog;
use crate::find::{Finder, Found};
use crate::index::Indexer;
use crate::query::Query;
use crate::settings::{Settings, SettingsError};
use crate::store::Store;
use crate::sweep::Sweep;

/// The search service. Cloning is cheap; clones are the same service. Replicas share the database.
#[derive(Clone)]
pub struct Service {
    finder: Arc<Finder>,
    sweep: Arc<Sweep>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the service over a database whose tables are up to date, and starts its background work.
    pub fn open(
        database: Database,
        settings: Settings,
        lanes: Lanes,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Result<Self, SettingsError> {
        settings.validate()?;
        let indexer = Indexer::new(Backends::new(lanes), Store::new(database), clock);
        let indexer = Arc::new(indexer);
        let models = settings.models().into_iter().map(str::to_owned).collect();
        let sweep = Arc::new(Sweep {
            indexer: Arc::clone(&indexer),
            models,
        });
        Arc::clone(&sweep).start(tasks);
        let backlog = Backlog::start(Arc::clone(&indexer), tasks);
        Ok(Self {
            finder: Arc::new(Finder::new(indexer, backlog, settings)),
            sweep,
        })
    }

    /// Removes what nobody finds any more. The service does so by itself, at its start and every ten minutes.
    pub async fn sweep_once(&self) -> Result<(), Status> {
        Ok(self.sweep.run().await?)
    }
}

#[tonic::async_trait]
impl Search for Service {
    async fn find(
        &self,
        request: Request<wire::FindRequest>,
    ) -> Result<Response<wire::FindResponse>, Status> {
        let query = Query::try_from(request.into_inner())?;
        let found = self.finder.find(&query).await?;
        Ok(Response::new(found.into()))
    }
}

impl From<Found> for wire::FindResponse {
    fn from(found: Found) -> Self {
        let hits = found
            .hits
            .into_iter()
            .map(|(message, candidate)| wire::Hit {
                message: Some(message),
                thread: found.scope.thread(candidate.thread).cloned(),
                similarity: f64::from(candidate.similarity).clamp(0.0, 1.0),
            });
        Self {
            hits: hits.collect(),
            complete: found.complete,
        }
    }
}
