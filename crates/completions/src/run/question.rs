//! What is asked, as far as it can be judged by itself.

use confab_rpc::completions::{AskRequest, NewThread, ask_request};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::without_nul;
use crate::catalogue::{Catalogue, Model};
use crate::error::Error;

const CONTENT_BYTES: usize = 128 * 1024;
const INSTRUCTIONS_BYTES: usize = 64 * 1024;
const PARAMETERS_BYTES: usize = 64 * 1024;
const KEY_BYTES: usize = 255;
const FILES: usize = 10;

/// A question that can be asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) user_id: Uuid,
    model: Option<ask_request::Model>,
    pub(super) target: Target,
    /// Empty when nothing new is asked.
    pub(super) content: String,
    pub(super) attachment_names: Vec<String>,
    pub(super) key: Option<String>,
    pub(super) open_limit: u32,
    /// Whether the model answers what the thread holds.
    pub(super) stored: bool,
    /// For this answer only, after the thread's own.
    pub(super) instructions: String,
    pub(super) parameters: Map<String, Value>,
    pub(super) api_key_id: Option<Uuid>,
}

/// Where it is asked.
#[derive(Debug)]
pub(super) enum Target {
    Thread(Uuid),
    New(NewThread),
}

impl Question {
    pub(super) fn read(request: AskRequest) -> Result<Self, Error> {
        let content = without_nul(request.content);
        if request.stored {
            if !content.is_empty() || !request.attachment_names.is_empty() {
                return Err(Error::Invalid(
                    "content and files are not set when what is stored shall be answered",
                ));
            }
        } else if content.is_empty() || content.len() > CONTENT_BYTES {
            return Err(Error::Invalid("content must be 1 byte to 128 KiB"));
        }
        if request.client_msg_id.len() > KEY_BYTES || request.client_msg_id.contains('\0') {
            return Err(Error::Invalid(
                "client_msg_id must be at most 255 bytes, without NUL",
            ));
        }
        if request.attachment_names.len() > FILES {
            return Err(Error::Invalid("a question carries at most 10 files"));
        }
        let target = match request.target {
            None => return Err(Error::Invalid("thread_id or new_thread is needed")),
            Some(ask_request::Target::NewThread(_)) if request.stored => {
                return Err(Error::Invalid("a new thread holds nothing to answer"));
            }
            Some(ask_request::Target::NewThread(new)) => Target::New(new),
            Some(ask_request::Target::ThreadId(id)) => {
                Target::Thread(id.parse().map_err(|_| Error::ThreadNotFound)?)
            }
        };
        let instructions = without_nul(request.instructions);
        if instructions.len() > INSTRUCTIONS_BYTES {
            return Err(Error::Invalid("instructions must be at most 64 KiB"));
        }
        Ok(Self {
            user_id: request.user_id.parse().map_err(|_| Error::UserNotFound)?,
            model: request.model,
            target,
            content,
            attachment_names: request.attachment_names,
            key: Some(request.client_msg_id).filter(|key| !key.is_empty()),
            open_limit: request.open_limit,
            stored: request.stored,
            instructions,
            parameters: read_parameters(&request.parameters)?,
            api_key_id: read_api_key(&request.api_key_id)?,
        })
    }

    /// The model that the caller names, if it names one.
    pub(super) fn model<'a>(&self, catalogue: &'a Catalogue) -> Result<Option<&'a Model>, Error> {
        let model = match &self.model {
            None => return Ok(None),
            Some(ask_request::Model::ModelName(name)) => catalogue.by_name(name),
            Some(ask_request::Model::ModelId(id)) => catalogue.by_id(*id),
        };
        model.map(Some).ok_or(Error::ModelNotFound)
    }

    /// As the run keeps them.
    pub(super) fn parameters_json(&self) -> Option<String> {
        let given = !self.parameters.is_empty();
        given.then(|| Value::Object(self.parameters.clone()).to_string())
    }

    /// What a repeated key must repeat: where and what is asked.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        let target = match &self.target {
            Target::Thread(id) => id.to_string(),
            Target::New(_) => "new".to_owned(),
        };
        let parts = [target.as_str(), &self.content];
        let files = self.attachment_names.iter().map(String::as_str);
        let stored = self.stored.then_some("stored");
        let mut digest = Sha256::new();
        for part in parts.into_iter().chain(files).chain(stored) {
            // With its length, so that no two questions read the same.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().to_vec()
    }
}

/// What may be put to a provider beside the conversation, which is Confab's.
fn read_parameters(json: &str) -> Result<Map<String, Value>, Error> {
    if json.is_empty() {
        return Ok(Map::new());
    }
    let invalid = Error::Invalid("parameters must be a JSON object of at most 64 KiB");
    if json.len() > PARAMETERS_BYTES {
        return Err(invalid);
    }
    let parameters: Map<String, Value> = serde_json::from_str(json).map_err(|_| invalid)?;
    let decided_here = ["model", "messages", "stream"];
    if decided_here.iter().any(|key| parameters.contains_key(*key)) {
        return Err(Error::Invalid(
            "parameters must be without model, messages and stream",
        ));
    }
    Ok(parameters)
}

fn read_api_key(id: &str) -> Result<Option<Uuid>, Error> {
    if id.is_empty() {
        return Ok(None);
    }
    id.parse().map(Some).map_err(|_| Error::ApiKeyNotFound)
}
