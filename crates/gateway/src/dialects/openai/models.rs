//! The models that the caller may ask.

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::completions::{self, ListModelsRequest};

use super::fault::{Failed, Refused};
use super::visit::{self, Reply};
use super::wire;
use crate::Gateway;
use crate::caller::{Asker, Scope};

/// Lists the models that the caller may ask.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "list_models",
    security(("api_key" = []), ("bearer" = [])),
    responses(
        (status = 200, body = wire::Models, description = "the models that may be asked"),
        (status = 401, body = Failed, description = "no credential, or one that is not good"),
        (status = 403, body = Failed, description = "the key has no scope `models`"),
        (status = 429, body = Failed, description = "too many requests"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn list(request: HttpRequest, gateway: web::Data<Gateway>) -> HttpResponse {
    let reply: Reply = async {
        let asker = visit::asker(&request, &gateway, Scope::Models).await?;
        let models = granted(&gateway, &asker).await?;
        let data = models.into_iter().map(wire::Model::from).collect();
        Ok(HttpResponse::Ok().json(wire::Models::of(data)))
    }
    .await;
    reply.unwrap_or_else(HttpResponse::from)
}

/// Says what there is to say of a model.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    operation_id = "get_model",
    params(("id" = String, Path, description = "the model's name")),
    security(("api_key" = []), ("bearer" = [])),
    responses(
        (status = 200, body = wire::Model, description = "the model"),
        (status = 401, body = Failed, description = "no credential, or one that is not good"),
        (status = 403, body = Failed, description = "the key has no scope `models`"),
        (status = 404, body = Failed, description = "there is no such model, or it may not be asked"),
        (status = 429, body = Failed, description = "too many requests"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn get(
    request: HttpRequest,
    path: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let reply: Reply = async {
        let asker = visit::asker(&request, &gateway, Scope::Models).await?;
        let model = find(&gateway, &asker, path.trim_end_matches('/')).await?;
        Ok(HttpResponse::Ok().json(wire::Model::from(model)))
    }
    .await;
    reply.unwrap_or_else(HttpResponse::from)
}

/// A model that the caller may ask.
pub(super) async fn find(
    gateway: &Gateway,
    asker: &Asker,
    name: &str,
) -> Result<completions::Model, Refused> {
    let models = granted(gateway, asker).await?;
    let found = models.into_iter().find(|model| model.name == name);
    found.ok_or_else(|| Refused::unknown_model(name))
}

async fn granted(gateway: &Gateway, asker: &Asker) -> Result<Vec<completions::Model>, Refused> {
    let mut completions = gateway.backends.completions();
    let listed = completions.list_models(ListModelsRequest {}).await?;
    let models = listed.into_inner().models.into_iter();
    Ok(models.filter(|model| asker.may_ask(model.id)).collect())
}
