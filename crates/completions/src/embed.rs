//! Vectors of texts: charged like chats, unless it is Confab itself that needs them.

use std::sync::Arc;

use confab_rpc::completions::{EmbedRequest, EmbedResponse, Embedding, Usage};
use confab_rpc::{Fault, Reason};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::catalogue::{Catalogue, Model, estimate_tokens, most_tokens};
use crate::chat::{api_key, fault_of};
use crate::error::Error;
use crate::provider::{Embedded, Texts};
use crate::run::{Engine, Receipt};
use crate::store::{Outcome, Purpose, Run};

const INPUTS: usize = 2_048;
const INPUT_BYTES: usize = 16 * 1024 * 1024;
const DIMENSIONS: u32 = 65_536;

/// Texts that a model may make vectors of.
struct Asked {
    /// `None`: Confab itself.
    user_id: Option<Uuid>,
    api_key_id: Option<Uuid>,
    model: Model,
    texts: Texts,
}

impl Asked {
    fn read(request: EmbedRequest, catalogue: &Catalogue) -> Result<Self, Error> {
        let inputs = &request.inputs;
        if inputs.is_empty() || inputs.len() > INPUTS || inputs.iter().any(String::is_empty) {
            return Err(Error::Invalid(
                "1 to 2048 inputs are needed, none of them empty",
            ));
        }
        if inputs.iter().map(String::len).sum::<usize>() > INPUT_BYTES {
            return Err(Error::Invalid("the inputs must be at most 16 MiB together"));
        }
        if request.dimensions > DIMENSIONS {
            return Err(Error::Invalid("dimensions must be at most 65536"));
        }
        let user_id = match request.user_id.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|_| Error::UserNotFound)?),
        };
        // A model that answers makes no vectors: as if there were none of that name.
        let model = catalogue
            .by_name(&request.model_name)
            .filter(|model| model.embeds)
            .ok_or(Error::ModelNotFound)?;
        Ok(Self {
            user_id,
            api_key_id: api_key(&request.api_key_id)?,
            model: model.clone(),
            texts: Texts {
                inputs: request.inputs,
                dimensions: request.dimensions,
            },
        })
    }

    fn tokens(&self, count: fn(&str) -> u32) -> u32 {
        let counts = self.texts.inputs.iter();
        counts
            .map(|text| count(text).min(self.model.context_length))
            .fold(0, u32::saturating_add)
    }
}

impl Engine {
    /// Makes vectors. It goes on when the caller goes away, as the provider has been asked already.
    pub(crate) async fn embed(
        self: &Arc<Self>,
        request: EmbedRequest,
    ) -> Result<EmbedResponse, Error> {
        let asked = Asked::read(request, &self.catalogue)?;
        let Some(user_id) = asked.user_id else {
            let embedded = self.vectors(&asked).await?;
            return Ok(respond(&asked, embedded, 0));
        };
        let (seat, seated) = oneshot::channel();
        let engine = Arc::clone(self);
        self.tasks.spawn("embed", async move {
            let _ = seat.send(engine.carry_embed(asked, user_id).await);
        });
        seated.await.unwrap_or(Err(Error::Interrupted))
    }

    async fn carry_embed(&self, asked: Asked, user_id: Uuid) -> Result<EmbedResponse, Error> {
        let run = Run {
            model_id: asked.model.id,
            model: asked.model.name.clone(),
            provider: asked.model.provider.clone(),
            prompt_tokens: i64::from(asked.tokens(estimate_tokens)),
            api_key_id: asked.api_key_id,
            ..self.blank_run(Purpose::Chat, user_id, Uuid::nil())
        };
        let minimum = asked.model.cost(asked.tokens(estimate_tokens), 0);
        let maximum = asked.model.cost(asked.tokens(most_tokens), 0);
        self.open_call(&run, minimum, maximum).await?;
        let work = async {
            let embedded = match self.vectors(&asked).await {
                Ok(embedded) => embedded,
                Err(error) => {
                    self.release(&run).await?;
                    return Err(error);
                }
            };
            let receipt = receipt(&asked, &embedded);
            let (charged, _) = self.settle_call(&run, &receipt).await?;
            Ok(respond(&asked, embedded, charged))
        };
        let done = self.hold(run.lease(), Box::pin(work)).await;
        done.unwrap_or(Err(Error::Interrupted))
    }

    async fn vectors(&self, asked: &Asked) -> Result<Embedded, Error> {
        let embedded = self.providers.embed(&asked.model, &asked.texts).await;
        let embedded = embedded.map_err(|error| Error::Refused(fault_of(error)))?;
        let wanted = [asked.texts.dimensions, asked.model.dimensions];
        let wanted = wanted.into_iter().find(|count| *count > 0);
        let fits =
            |vector: &Vec<f32>| wanted.is_none_or(|count| u32::try_from(vector.len()) == Ok(count));
        if embedded.vectors.iter().all(fits) {
            return Ok(embedded);
        }
        let text = "the model's vectors do not have the dimensions that were asked for";
        Err(Fault::new(Reason::ProviderFailed, text).into())
    }
}

/// What the provider counted, as far as that is possible, else an estimate.
fn used(asked: &Asked, embedded: &Embedded) -> u32 {
    match embedded.tokens {
        Some(tokens) => tokens.min(asked.tokens(most_tokens)),
        None => asked.tokens(estimate_tokens),
    }
}

fn receipt(asked: &Asked, embedded: &Embedded) -> Receipt {
    let input_tokens = used(asked, embedded);
    Receipt {
        outcome: Outcome::Complete,
        failure: None,
        error: None,
        input_tokens,
        output_tokens: 0,
        cost_microdollars: asked.model.cost(input_tokens, 0),
        finish_reason: None,
        first_token_ms: 0,
        duration_ms: 0,
    }
}

fn respond(asked: &Asked, embedded: Embedded, cost_microdollars: i64) -> EmbedResponse {
    EmbedResponse {
        usage: Some(Usage {
            input_tokens: used(asked, &embedded),
            output_tokens: 0,
        }),
        embeddings: embedded
            .vectors
            .into_iter()
            .map(|values| Embedding { values })
            .collect(),
        cost_microdollars,
        model: asked.model.name.clone(),
    }
}
