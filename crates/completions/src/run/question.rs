//! What is asked, as far as it can be judged by itself.

use confab_rpc::completions::{AskRequest, NewThread, ask_request};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::without_nul;
use crate::catalogue::{Catalogue, Model};
use crate::error::Error;

const CONTENT_BYTES: usize = 128 * 1024;
const KEY_BYTES: usize = 255;
const FILES: usize = 10;

/// A question that can be asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) user_id: Uuid,
    model: Option<ask_request::Model>,
    pub(super) target: Target,
    pub(super) content: String,
    pub(super) attachment_names: Vec<String>,
    pub(super) key: Option<String>,
    pub(super) open_limit: u32,
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
        if content.is_empty() || content.len() > CONTENT_BYTES {
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
            Some(ask_request::Target::NewThread(new)) => Target::New(new),
            Some(ask_request::Target::ThreadId(id)) => {
                Target::Thread(id.parse().map_err(|_| Error::ThreadNotFound)?)
            }
        };
        Ok(Self {
            user_id: request.user_id.parse().map_err(|_| Error::UserNotFound)?,
            model: request.model,
            target,
            content,
            attachment_names: request.attachment_names,
            key: Some(request.client_msg_id).filter(|key| !key.is_empty()),
            open_limit: request.open_limit,
        })
    }

    /// The model that the caller names.
    pub(super) fn model<'a>(&self, catalogue: &'a Catalogue) -> Result<&'a Model, Error> {
        let model = match &self.model {
            Some(ask_request::Model::ModelName(name)) => catalogue.by_name(name),
            Some(ask_request::Model::ModelId(id)) => catalogue.by_id(*id),
            None => None,
        };
        model.ok_or(Error::ModelNotFound)
    }

    /// What a repeated key must repeat: where and what is asked.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        let target = match &self.target {
            Target::Thread(id) => id.to_string(),
            Target::New(_) => "new".to_owned(),
        };
        let parts = [&target, &self.content];
        let mut digest = Sha256::new();
        for part in parts.into_iter().chain(&self.attachment_names) {
            // With its length, so that no two questions read the same.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().to_vec()
    }
}
