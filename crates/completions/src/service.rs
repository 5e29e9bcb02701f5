//! The generated contract `confab.completions.v1`: decode, hand on, encode.

use std::sync::Arc;

use confab_database::Database;
use confab_rpc::completions as wire;
use confab_rpc::completions::completions_server::Completions;
use confab_runtime::{Clock, Tasks};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status};

use crate::agent_context::AgentContextService;
use crate::backends::Lanes;
use crate::catalogue::Model;
use crate::provider::{Registry, RegistryError};
use crate::run::Engine;
use crate::settings::{Settings, SettingsError};

/// The completions service. Cloning is cheap; clones are the same service.
#[derive(Clone)]
pub struct Service {
    engine: Arc<Engine>,
}

/// Why the service cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings contradict themselves.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A provider cannot be built.
    #[error(transparent)]
    Provider(#[from] RegistryError),
}

impl Service {
    /// Opens the service over a database whose tables are up to date, and starts looking for runs that were left by a
    /// process that died.
    #[expect(
        clippy::unused_async,
        reason = "services open the same way; the lanes and the database need no waiting yet"
    )]
    pub async fn open(
        database: Database,
        settings: Settings,
        lanes: Lanes,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Result<Self, OpenError> {
        settings.validate()?;
        let providers = Registry::new(&settings)?;
        let engine = Engine::new(database, settings, providers, lanes, clock, tasks);
        let engine = Arc::new(engine);
        engine.start_reaping();
        engine.start_listening();
        Ok(Self { engine })
    }

    /// What agents ask back, to be served where the settings say; `None` when no agent is configured.
    #[must_use]
    pub fn agent_context(&self) -> Option<AgentContextService> {
        self.engine
            .settings
            .has_agent()
            .then(|| AgentContextService::new(Arc::clone(&self.engine)))
    }

    /// Looks once at the leases of all runs, and ends those that nobody renewed in the last three rounds, or begins them anew;
    /// says how many. The service does so by itself, at its start and three times in the length of a lease.
    pub async fn reap_once(&self) -> Result<usize, Status> {
        Ok(self.engine.reap().await?)
    }
}

#[tonic::async_trait]
impl Completions for Service {
    type AskStream = BoxStream<'static, Result<wire::AskEvent, Status>>;

    async fn list_models(
        &self,
        _: Request<wire::ListModelsRequest>,
    ) -> Result<Response<wire::ListModelsResponse>, Status> {
        let models = self.engine.catalogue.models();
        Ok(Response::new(wire::ListModelsResponse {
            models: models.iter().map(encode).collect(),
        }))
    }

    async fn ask(
        &self,
        request: Request<wire::AskRequest>,
    ) -> Result<Response<Self::AskStream>, Status> {
        let follower = self.engine.ask(request.into_inner()).await?;
        Ok(Response::new(follower.into_stream().boxed()))
    }

    type FollowStream = BoxStream<'static, Result<wire::AskEvent, Status>>;
    type ChatStream = BoxStream<'static, Result<wire::ChatEvent, Status>>;

    async fn follow(
        &self,
        request: Request<wire::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let follower = self.engine.follow(request.into_inner()).await?;
        Ok(Response::new(follower.into_stream().boxed()))
    }

    async fn get_run(
        &self,
        request: Request<wire::GetRunRequest>,
    ) -> Result<Response<wire::Run>, Status> {
        let wire::GetRunRequest { user_id, run_id } = request.into_inner();
        let run = self.engine.placed_run(&user_id, &run_id).await?;
        Ok(Response::new((&run).into()))
    }

    async fn cancel_run(
        &self,
        request: Request<wire::CancelRunRequest>,
    ) -> Result<Response<wire::Run>, Status> {
        let run = self.engine.cancel(request.into_inner()).await?;
        Ok(Response::new((&run).into()))
    }

    async fn chat(
        &self,
        request: Request<wire::ChatRequest>,
    ) -> Result<Response<Self::ChatStream>, Status> {
        let events = self.engine.chat(request.into_inner()).await?;
        Ok(Response::new(events))
    }

    async fn embed(
        &self,
        request: Request<wire::EmbedRequest>,
    ) -> Result<Response<wire::EmbedResponse>, Status> {
        let embedded = self.engine.embed(request.into_inner()).await?;
        Ok(Response::new(embedded))
    }
}

fn encode(model: &Model) -> wire::Model {
    wire::Model {
        id: model.id,
        name: model.name.clone(),
        provider: model.provider.clone(),
        context_length: model.context_length,
        input_microdollars_per_1k: model.input_price,
        output_microdollars_per_1k: model.output_price,
        scripted: model.scripted,
        embeds: model.embeds,
        dimensions: model.dimensions,
    }
}
