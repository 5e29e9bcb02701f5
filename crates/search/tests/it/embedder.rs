//! What makes vectors in these tests: one that knows words, and one that knows what some of them mean.

use std::sync::{Arc, Mutex};

use confab_rpc::completions as wire;
use confab_rpc::completions::completions_server::Completions;
use confab_rpc::{Fault, Reason};
use confab_search::BUILT_IN;
use futures_util::stream::BoxStream;
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};

/// Knows that a vehicle is a car.
pub(crate) const MEANING: &str = "meaning";

/// A text that every model refuses.
pub(crate) const REFUSED: &str = "forbidden";

/// More calls than a test makes.
const MANY: usize = 1_000_000;

/// Serves nothing but vectors.
#[derive(Clone)]
pub(crate) struct Embedder(Arc<State>);

struct State {
    /// Texts that got vectors.
    made: watch::Sender<usize>,
    /// Calls that have begun.
    asked: watch::Sender<usize>,
    /// Calls that may be answered.
    open: Semaphore,
    away: Mutex<bool>,
    /// Whether there is the model that is built in.
    built_in: Mutex<bool>,
    dimensions: Mutex<usize>,
}

impl Embedder {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            made: watch::Sender::new(0),
            asked: watch::Sender::new(0),
            open: Semaphore::new(MANY),
            away: Mutex::new(false),
            built_in: Mutex::new(true),
            dimensions: Mutex::new(384),
        }))
    }

    /// Of how many texts vectors were made so far.
    pub(crate) fn made(&self) -> usize {
        *self.0.made.borrow()
    }

    /// Waits until vectors of so many texts are made.
    pub(crate) async fn wait_for(&self, texts: usize) {
        let mut made = self.0.made.subscribe();
        made.wait_for(|made| *made >= texts).await.unwrap();
    }

    /// Calls are answered no more.
    pub(crate) fn hold(&self) {
        self.0.open.forget_permits(MANY);
        self.0.asked.send_replace(0);
    }

    /// Waits for a call that is not answered.
    pub(crate) async fn held(&self) {
        let mut asked = self.0.asked.subscribe();
        asked.wait_for(|asked| *asked > 0).await.unwrap();
    }

    /// So many calls are answered.
    pub(crate) fn admit(&self, calls: usize) {
        self.0.open.add_permits(calls);
    }

    /// Calls are answered again.
    pub(crate) fn release(&self) {
        self.0.open.add_permits(MANY);
    }

    /// The provider goes, or comes back.
    pub(crate) fn set_away(&self, away: bool) {
        *self.0.away.lock().unwrap() = away;
    }

    /// The operator's list of models is without the one that is built in.
    pub(crate) fn remove_built_in(&self) {
        *self.0.built_in.lock().unwrap() = false;
    }

    /// The provider's model gets vectors of another length.
    pub(crate) fn set_dimensions(&self, dimensions: usize) {
        *self.0.dimensions.lock().unwrap() = dimensions;
    }

    fn embed_all(&self, request: &wire::EmbedRequest) -> Result<wire::EmbedResponse, Fault> {
        assert_eq!(request.user_id, "", "search is Confab's own use");
        let refused = request.inputs.iter().any(|text| text.contains(REFUSED));
        if *self.0.away.lock().unwrap() {
            return Err(Fault::new(Reason::ProviderFailed, "away"));
        }
        if refused {
            return Err(Fault::new(Reason::ProviderRefused, "not that"));
        }
        let knows = match request.model_name.as_str() {
            BUILT_IN if *self.0.built_in.lock().unwrap() => |word: &str| word.to_owned(),
            MEANING => |word: &str| match word {
                "vehicle" | "automobile" => "car".to_owned(),
                word => word.to_owned(),
            },
            _ => return Err(Fault::new(Reason::ModelNotFound, "no such model")),
        };
        let dimensions = *self.0.dimensions.lock().unwrap();
        let vectors = request.inputs.iter().map(|text| wire::Embedding {
            values: vector(text, dimensions, knows),
        });
        let embeddings: Vec<_> = vectors.collect();
        self.0.made.send_modify(|made| *made += embeddings.len());
        Ok(wire::EmbedResponse {
            embeddings,
            model: request.model_name.clone(),
            ..Default::default()
        })
    }
}

/// A count of words, each at the place that its letters say.
fn vector(text: &str, dimensions: usize, knows: fn(&str) -> String) -> Vec<f32> {
    let mut values = vec![0.0; dimensions];
    for word in text
        .to_lowercase()
        .split(|one: char| !one.is_alphanumeric())
    {
        if word.is_empty() {
            continue;
        }
        let word = knows(word);
        let hash = word.bytes().fold(5381_usize, |hash, byte| {
            hash.wrapping_mul(33) ^ usize::from(byte)
        });
        values[hash % dimensions] += 1.0;
    }
    values
}

#[tonic::async_trait]
impl Completions for Embedder {
    type AskStream = BoxStream<'static, Result<wire::AskEvent, Status>>;
    type FollowStream = BoxStream<'static, Result<wire::AskEvent, Status>>;
    type ChatStream = BoxStream<'static, Result<wire::ChatEvent, Status>>;

    async fn embed(
        &self,
        request: Request<wire::EmbedRequest>,
    ) -> Result<Response<wire::EmbedResponse>, Status> {
        self.0.asked.send_modify(|asked| *asked += 1);
        self.0.open.acquire().await.unwrap().forget();
        Ok(Response::new(self.embed_all(&request.into_inner())?))
    }

    async fn list_models(
        &self,
        _: Request<wire::ListModelsRequest>,
    ) -> Result<Response<wire::ListModelsResponse>, Status> {
        Err(Status::unimplemented("list_models"))
    }

    async fn ask(&self, _: Request<wire::AskRequest>) -> Result<Response<Self::AskStream>, Status> {
        Err(Status::unimplemented("ask"))
    }

    async fn follow(
        &self,
        _: Request<wire::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        Err(Status::unimplemented("follow"))
    }

    async fn get_run(
        &self,
        _: Request<wire::GetRunRequest>,
    ) -> Result<Response<wire::Run>, Status> {
        Err(Status::unimplemented("get_run"))
    }

    async fn cancel_run(
        &self,
        _: Request<wire::CancelRunRequest>,
    ) -> Result<Response<wire::Run>, Status> {
        Err(Status::unimplemented("cancel_run"))
    }

    async fn chat(
        &self,
        _: Request<wire::ChatRequest>,
    ) -> Result<Response<Self::ChatStream>, Status> {
        Err(Status::unimplemented("chat"))
    }
}
