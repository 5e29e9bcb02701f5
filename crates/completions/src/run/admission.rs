//! Whether an ask makes sense, and what will be put to the model. Nothing is written here.

use confab_rpc::Reason;
use confab_rpc::attachments::Attachment;
use confab_rpc::completions::NewThread;
use confab_rpc::sessions::User;
use confab_rpc::threads::{AttachmentRef, Thread, ThreadKind};
use uuid::Uuid;

use super::Engine;
use super::question::{Question, Target};
use crate::catalogue::Model;
use crate::context::fill;
use crate::error::Error;
use crate::history::Span;
use crate::provider::Prompt;

/// An ask that may become a run.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) thread_id: Uuid,
    /// Made with the question.
    pub(super) new_thread: Option<NewThread>,
    /// The thread's last message at this moment.
    pub(super) after_seq: i64,
    pub(super) attachments: Vec<AttachmentRef>,
    /// Complete but for what the reservation decides.
    pub(super) prompt: Prompt,
}

/// Where an ask goes, and who answers there.
struct Place<'a> {
    thread_id: Uuid,
    model: &'a Model,
    instructions: String,
    summary: String,
    summary_seq: i64,
    last_seq: i64,
    new_thread: Option<NewThread>,
}

impl Engine {
    /// The checks, in the order in which their refusals take precedence.
    pub(super) async fn admit(&self, question: &Question) -> Result<Admitted, Error> {
        let requested = question.model(&self.catalogue)?;
        let user = self.backends.user(question.user_id).await?;
        granted(&user, requested)?;
        let account = self.backends.account(question.user_id).await?;
        if account.balance_microdollars <= 0 {
            return Err(Error::BalanceInsufficient);
        }
        let place = self.place(question, requested, &user).await?;
        let files = self.files(question, place.thread_id).await?;
        let prompt = self.prompt(question, &place, &files).await?;
        Ok(Admitted {
            thread_id: place.thread_id,
            new_thread: place.new_thread,
            after_seq: place.last_seq,
            attachments: files.into_iter().map(reference).collect(),
            prompt,
        })
    }

    async fn place<'a>(
        &'a self,
        question: &Question,
        requested: &'a Model,
        user: &User,
    ) -> Result<Place<'a>, Error> {
        match &question.target {
            Target::New(new) => Ok(Place {
                thread_id: Uuid::now_v7(),
                model: requested,
                instructions: new.instructions.clone(),
                summary: String::new(),
                summary_seq: 0,
                last_seq: 0,
                new_thread: Some(new.clone()),
            }),
            Target::Thread(id) => {
                let thread = self.backends.thread(question.user_id, *id).await?;
                let model = self.model_of(&thread, requested)?;
                granted(user, model)?;
                Ok(Place {
                    thread_id: *id,
                    model,
                    instructions: thread.instructions,
                    summary: thread.summary,
                    summary_seq: thread.summary_seq,
                    last_seq: thread.last_seq,
                    new_thread: None,
                })
            }
        }
    }

    /// An existing thread is answered by its own model.
    fn model_of<'a>(&'a self, thread: &Thread, requested: &'a Model) -> Result<&'a Model, Error> {
        if thread.kind() != ThreadKind::Assistant {
            return Err(Error::ThreadNotFound);
        }
        match thread.model_id {
            Some(id) => self.catalogue.by_id(id).ok_or(Error::ModelNotFound),
            None => Ok(requested),
        }
    }

    /// The files by their names: the user's, and of this thread.
    async fn files(&self, question: &Question, thread_id: Uuid) -> Result<Vec<Attachment>, Error> {
        let mut files = Vec::with_capacity(question.attachment_names.len());
        for name in &question.attachment_names {
            let file = self.backends.attachment(question.user_id, name).await?;
            if file.thread_id != thread_id.to_string() {
                return Err(Error::AttachmentNotFound);
            }
            files.push(file);
        }
        Ok(files)
    }

    async fn prompt(
        &self,
        question: &Question,
        place: &Place<'_>,
        files: &[Attachment],
    ) -> Result<Prompt, Error> {
        let model = place.model;
        let prompt = Prompt {
            user_id: question.user_id,
            thread_id: place.thread_id,
            instructions: place.instructions.clone(),
            summary: String::new(),
            history: Vec::new(),
            question: question.content.clone(),
            asked_at: self.clock.now(),
            files: self.links(question.user_id, files).await?,
            max_output_tokens: model.max_output_tokens,
            budget_microdollars: 0,
            ask_back: None,
            parameters: serde_json::Map::new(),
            model: model.clone(),
        };
        let messages = if place.last_seq == 0 {
            Vec::new()
        } else {
            let span = Span {
                user_id: question.user_id,
                thread_id: place.thread_id,
                after_seq: place.summary_seq,
                before_seq: 0,
            };
            let entries = usize::try_from(self.settings.history_entries).unwrap_or(usize::MAX);
            span.exchanges(&self.backends, entries, model.input_room())
                .await?
        };
        fill(prompt, &place.summary, &messages).map_err(|_| Error::ContextTooLong)
    }

    /// Where an agent can fetch the files without a credential, for a while.
    async fn links(&self, user_id: Uuid, files: &[Attachment]) -> Result<Vec<String>, Error> {
        let lifetime = u32::try_from(self.settings.file_link_seconds).unwrap_or(u32::MAX);
        let base = self.settings.files_url.as_str().trim_end_matches('/');
        let mut links = Vec::with_capacity(files.len());
        for file in files {
            let signed = self
                .backends
                .sign(user_id, file.id.clone(), lifetime)
                .await?;
            links.push(format!("{base}/uploads/{}?{}", signed.name, signed.query));
        }
        Ok(links)
    }

    /// Removes the files of an ask that was refused, if they are the user's, of its thread, and carried by no message
    /// there.
    pub(super) async fn drop_files_of(&self, question: &Question) {
        let Target::Thread(thread_id) = question.target else {
            return;
        };
        let mut refused = Vec::new();
        for name in &question.attachment_names {
            match self.backends.attachment(question.user_id, name).await {
                Ok(file) if file.thread_id == thread_id.to_string() => {
                    refused.push(reference(file));
                }
                Ok(_) => {}
                Err(error) if error.reason() == Some(Reason::AttachmentNotFound) => {}
                Err(error) => tracing::warn!(%error, "cannot look at a file of a refused ask"),
            }
        }
        let thread = Span {
            user_id: question.user_id,
            thread_id,
            after_seq: 0,
            before_seq: 0,
        };
        self.drop_unused(thread, refused, None).await;
    }
}

fn granted(user: &User, model: &Model) -> Result<(), Error> {
    if user.models.contains(&model.id) {
        Ok(())
    } else {
        Err(Error::ModelNotGranted)
    }
}

fn reference(file: Attachment) -> AttachmentRef {
    AttachmentRef {
        id: file.id,
        name: file.name,
        ..AttachmentRef::default()
    }
}
