//! What is put to a model: the same for an ask and for a run that is begun anew.

use std::sync::Arc;

use confab_rpc::Reason;
use confab_rpc::threads::{AttachmentRef, Message};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Engine;
use crate::catalogue::Model;
use crate::context::{fill, role, turn};
use crate::error::Error;
use crate::history::Span;
use crate::provider::{Prompt, Role};
use crate::window::{Place, Window};

/// What a prompt is made of.
pub(super) struct Asking<'a> {
    pub(super) user_id: Uuid,
    pub(super) thread_id: Uuid,
    pub(super) model: &'a Model,
    /// The thread's, and those for this answer only.
    pub(super) instructions: [&'a str; 2],
    pub(super) parameters: Map<String, Value>,
    pub(super) summary: &'a str,
    /// How far the model sees the thread: up to its last message there, 0 is none.
    pub(super) place: Place,
    pub(super) wanted: Wanted<'a>,
}

/// What the model shall answer.
pub(super) enum Wanted<'a> {
    /// This, with its files, after what is in the window.
    Question(&'a str, &'a [AttachmentRef]),
    /// What the thread holds, as much of it as the model can read. The window and the summary are for asks that bring
    /// their question; here the caller has put the conversation there as it shall be read.
    Stored,
}

impl Engine {
    /// Complete but for what the reservation decides.
    pub(super) async fn prompt(&self, asking: Asking<'_>) -> Result<Prompt, Error> {
        let model = asking.model;
        let mut prompt = Prompt {
            user_id: asking.user_id,
            thread_id: asking.thread_id,
            instructions: join(asking.instructions),
            summary: String::new(),
            history: Vec::new(),
            left_out: 0,
            question: String::new(),
            asked_at: self.clock.now(),
            files: Vec::new(),
            max_output_tokens: model.max_output_tokens,
            budget_microdollars: 0,
            ask_back: None,
            parameters: asking.parameters,
            model: model.clone(),
        };
        let span = Span {
            user_id: asking.user_id,
            thread_id: asking.thread_id,
            after_seq: 0,
            before_seq: asking.place.last_seq + 1,
        };
        let filled = match asking.wanted {
            Wanted::Question(content, files) => {
                content.clone_into(&mut prompt.question);
                prompt.files = self.links(asking.user_id, files).await?;
                let window = self.window_of(span, asking.place, model).await?;
                fill(prompt, asking.summary, &window.turns)
            }
            Wanted::Stored => {
                let mut messages = self.conversation(span, model).await?;
                if let Some(question) = messages.pop_if(|last| role(last) == Role::User) {
                    prompt.files = self.links(asking.user_id, &question.attachments).await?;
                    prompt.question = question.content;
                }
                let turns: Vec<_> = messages.iter().map(turn).collect();
                fill(prompt, "", &turns)
            }
        };
        filled.map_err(|_| Error::ContextTooLong)
    }

    async fn window_of(
        &self,
        span: Span,
        place: Place,
        model: &Model,
    ) -> Result<Arc<Window>, Error> {
        if place.last_seq == 0 {
            return Ok(Arc::new(Window::empty()));
        }
        let tokens = model.input_room();
        if let Some(kept) = self.windows.at(span.thread_id, place, tokens) {
            return Ok(kept);
        }
        let span = Span {
            after_seq: place.summary_seq,
            ..span
        };
        let window = span.window(&self.backends, self.most_entries(), tokens);
        let window = Arc::new(window.await?);
        self.windows
            .keep(span.thread_id, place, Arc::clone(&window));
        Ok(window)
    }

    async fn conversation(&self, span: Span, model: &Model) -> Result<Vec<Message>, Error> {
        let messages = span
            .conversation(&self.backends, model.input_room())
            .await?;
        if messages.is_empty() {
            return Err(Error::Invalid("the thread holds nothing to answer"));
        }
        Ok(messages)
    }

    /// Where an agent can fetch the files without a credential, for a while. A file that was removed is left out.
    async fn links(&self, user_id: Uuid, files: &[AttachmentRef]) -> Result<Vec<String>, Error> {
        let lifetime = u32::try_from(self.settings.file_link_seconds).unwrap_or(u32::MAX);
        let base = self.settings.files_url.as_str().trim_end_matches('/');
        let mut links = Vec::with_capacity(files.len());
        for file in files {
            let signed = self.backends.sign(user_id, file.id.clone(), lifetime);
            match signed.await {
                Ok(signed) => {
                    links.push(format!("{base}/uploads/{}?{}", signed.name, signed.query));
                }
                Err(error) if error.reason() == Some(Reason::AttachmentNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(links)
    }
}

fn join([general, special]: [&str; 2]) -> String {
    if general.is_empty() || special.is_empty() {
        return [general, special].concat();
    }
    format!("{general}\n\n{special}")
}
