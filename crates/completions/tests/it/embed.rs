//! Vectors: by the built-in model and by a provider, and what they cost.

use confab_rpc::completions::{EmbedRequest, EmbedResponse, ListModelsRequest};
use confab_rpc::sessions::User;
use confab_rpc::{Fault, Reason};

use crate::world::{House, Process};

const DOLLAR: i64 = 1_000_000;
const HASH: i32 = 10;

fn request(user: Option<&User>, inputs: &[&str]) -> EmbedRequest {
    EmbedRequest {
        user_id: user.map(|user| user.id.clone()).unwrap_or_default(),
        model_name: "confab-hash-384".to_owned(),
        inputs: inputs.iter().map(ToString::to_string).collect(),
        ..EmbedRequest::default()
    }
}

async fn embed(process: &Process, request: EmbedRequest) -> Result<EmbedResponse, Fault> {
    let mut client = process.client.clone();
    let embedded = client.embed(request).await.map_err(Fault::from)?;
    Ok(embedded.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_model_makes_vectors_for_free() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[HASH]).await;
        let inputs = ["the cat sat", "THE CAT SAT", "something else"];
        let own = embed(&process, request(Some(&ann), &inputs)).await.unwrap();
        let internal = embed(&process, request(None, &inputs)).await.unwrap();
        assert_eq!(own, internal, "the same for everybody");
        let values: Vec<_> = own.embeddings.iter().map(|one| &one.values).collect();
        assert_eq!(values[0].len(), 384);
        assert!(values[0] == values[1] && values[0] != values[2]);
        assert_eq!(
            (own.cost_microdollars, own.model.as_str()),
            (0, "confab-hash-384")
        );
        assert!(own.usage.unwrap().input_tokens > 0);
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_or_is_not_granted_is_refused() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[0]).await;
        let many = vec!["x"; 2_049];
        let chat_model = EmbedRequest {
            model_name: "gpt-4".to_owned(),
            ..request(None, &["x"])
        };
        for (request, reason) in [
            (request(Some(&ann), &["x"]), Reason::ModelNotGranted),
            (request(None, &[]), Reason::Invalid),
            (request(None, &["x", ""]), Reason::Invalid),
            (request(None, &many), Reason::Invalid),
            (chat_model, Reason::ModelNotFound),
        ] {
            assert_eq!(embed(&process, request).await.unwrap_err().reason, reason);
        }
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_says_what_makes_vectors() {
    for house in House::both().await {
        let process = house.start().await;
        let mut client = process.client.clone();
        let listed = client.list_models(ListModelsRequest {}).await.unwrap();
        let models = listed.into_inner().models;
        let embeds: Vec<_> = models.iter().filter(|model| model.embeds).collect();
        assert_eq!(embeds.len(), 1);
        assert_eq!(
            (embeds[0].id, embeds[0].dimensions, embeds[0].scripted),
            (HASH, 384, false)
        );
        process.stop().await;
    }
}
