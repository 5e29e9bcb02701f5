//! Vectors of texts: charged like chats, unless it is Confab itself that needs them.

use std::sync::Arc;

use confab_rpc::completions::{EmbedRequest, EmbedResponse, Embedding, Usage};
use confab_rpc::{Fault, Reason};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use crate::catalogue::{Catalogue, Model, estimate_tokens, most_tokens};
use crate::chat::{Call, LONGEST_CALL, api_key, fault_of, too_slow};
use crate::error::Error;
use crate::provider::{Embedded, Texts};
use crate::run::Engine;

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
        let call = Call {
            id: Uuid::now_v7(),
            user_id,
            api_key_id: asked.api_key_id,
            model_id: asked.model.id,
            minimum: asked.model.cost(asked.tokens(estimate_tokens), 0),
            maximum: asked.model.cost(asked.tokens(most_tokens), 0),
        };
        self.set_aside(&call).await?;
        let vectors = timeout(LONGEST_CALL, self.vectors(&asked)).await;
        let embedded = match vectors.unwrap_or_else(|_| Err(too_slow().into())) {
            Ok(embedded) => embedded,
            Err(error) => {
                self.book(&call, 0).await?;
                return Err(error);
            }
        };
        let cost = asked.model.cost(used(&asked, &embedded), 0);
        let booked = self.book(&call, cost).await?;
        Ok(respond(&asked, embedded, booked.charged))
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
