//! The contracts, one short function per call: decode, ask the store, encode.

mod people;
mod sends;
mod threads;

use std::fmt;
use std::sync::Arc;

use confab_database::Database;
use confab_rpc::threads::people_server::PeopleServer;
use confab_rpc::threads::threads_server::ThreadsServer;
use confab_runtime::{Clock, Tasks};
use sea_orm::DbBackend;
use tonic::service::Routes;

use self::sends::Places;
use crate::scribe::Scribe;
use crate::writers::Writers;
use crate::{Outlet, Settings};

/// The threads service. Its database must have been migrated.
#[derive(Clone)]
pub struct Service {
    database: Database,
    writers: Writers,
    scribe: Scribe,
    places: Arc<Places>,
    outlet: Arc<dyn Outlet>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
}

impl Service {
    /// The service on its migrated database. The clock stamps what is written; committed entries of threads between people
    /// go to the outlet; the tasks' stop ends the writers after what is queued.
    #[must_use]
    pub fn open(
        database: Database,
        settings: &Settings,
        outlet: Arc<dyn Outlet>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        let count = match database.backend() {
            DbBackend::Postgres => settings.writers,
            _ => 1,
        };
        Self {
            writers: Writers::open(count, &database, &outlet, &clock, &tasks),
            scribe: Scribe::new(database.clone(), Arc::clone(&clock), tasks.clone()),
            database,
            places: Arc::default(),
            outlet,
            clock,
            tasks,
        }
    }

    /// The service as it is served: every contract on one lane.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Routes::new(ThreadsServer::new(self.clone()))
            .add_service(PeopleServer::new(self.clone()))
            .prepare()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}
