//! Vectors of texts.

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::Fault;
use confab_rpc::completions::EmbedRequest;

use super::fault::{Failed, Refused};
use super::visit::{self, Reply};
use super::{Room, wire};
use crate::Gateway;
use crate::caller::Scope;

/// As many as one request may carry.
const INPUTS: usize = 2048;

/// Makes vectors of texts.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    operation_id = "embed",
    request_body = wire::EmbeddingsBody,
    security(("api_key" = []), ("bearer" = [])),
    responses(
        (status = 200, body = wire::Embeddings, description = "a vector per text, in their order"),
        (status = 400, body = Failed, description = "the body is not what this takes, or the provider refuses it"),
        (status = 401, body = Failed, description = "no credential, or one that is not good"),
        (status = 403, body = Failed, description = "the key has no scope `embeddings`"),
        (status = 404, body = Failed, description = "there is no such model, or it may not be asked"),
        (status = 413, body = Failed, description = "the body is too long"),
        (status = 429, body = Failed, description = "too many requests, or no money for this one"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 502, body = Failed, description = "the provider failed"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn embed(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
    room: web::Data<Room>,
) -> HttpResponse {
    let reply: Reply = async {
        let asker = visit::asker(&request, &gateway, Scope::Embeddings).await?;
        let body: wire::EmbeddingsBody = visit::parse(&visit::read(payload, &room).await?)?;
        let model = visit::model(body.model)?;
        let wanted = EmbedRequest {
            user_id: asker.user.id.to_string(),
            model_name: model.clone(),
            inputs: texts(body.input)?,
            dimensions: body.dimensions.unwrap_or(0),
            api_key_id: asker.api_key_id(),
        };
        let mut meter = gateway.limits.meter(asker.counter());
        let answer = gateway.backends.models().embed(wanted).await;
        let answer = answer.map_err(|status| Refused::of(Fault::from(status), &model))?;
        let answer = answer.into_inner();
        let usage = answer.usage.unwrap_or_default();
        meter.settle(usage.input_tokens, 0);
        let format = body.encoding_format.unwrap_or_default();
        Ok(HttpResponse::Ok().json(wire::Embeddings::of(answer, format)))
    }
    .await;
    reply.unwrap_or_else(HttpResponse::from)
}

/// The texts of a request.
pub(super) fn texts(input: wire::Input) -> Result<Vec<String>, Refused> {
    let invalid = |message: &str| Err(Refused::invalid_param("input", message));
    let texts = match input {
        wire::Input::Text(text) => vec![text],
        wire::Input::Texts(texts) => texts,
        wire::Input::Other(_) => {
            return invalid("The input must be a text or a list of texts; tokens are not taken.");
        }
    };
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        return invalid("The input must not be empty.");
    }
    if texts.len() > INPUTS {
        return invalid("The input must be at most 2048 texts.");
    }
    Ok(texts)
}
