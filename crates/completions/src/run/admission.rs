//! Whether an ask makes sense, and who answers it. Nothing is written here.

use confab_rpc::Reason;
use confab_rpc::attachments::Attachment;
use confab_rpc::completions::NewThread;
use confab_rpc::sessions::User;
use confab_rpc::threads::{AttachmentRef, Thread, ThreadKind};
use uuid::Uuid;

use super::Engine;
use super::prompting::{Asking, Wanted};
use super::question::{Question, Target};
use super::trust::Asker;
use crate::catalogue::Model;
use crate::error::Error;
use crate::history::Span;
use crate::provider::Prompt;
use crate::window::Place;

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
struct Goal<'a> {
    thread_id: Uuid,
    model: &'a Model,
    instructions: String,
    summary: String,
    log: Place,
    new_thread: Option<NewThread>,
}

impl Engine {
    /// The checks, in the order in which their refusals take precedence.
    pub(super) async fn admit(&self, question: &Question) -> Result<Admitted, Error> {
        let named = question.model(&self.catalogue)?;
        let thread = match &question.target {
            Target::New(_) => None,
            Target::Thread(id) => Some(self.backends.thread(question.user_id, *id).await),
        };
        let own = thread.as_ref().and_then(|thread| thread.as_ref().ok());
        let own = own.and_then(|thread| self.model_of(thread).ok().flatten());
        let trusted = |model| self.trusted.has(Asker::of(question, model));
        let trusted = own.or(named).is_some_and(trusted) && named.is_none_or(trusted);
        let user = if trusted {
            None
        } else {
            Some(self.user_with_money(question, named).await?)
        };
        let goal = self.goal(question, named, user.as_ref(), thread)?;
        let files = self.files(question, goal.thread_id).await?;
        let files: Vec<_> = files.into_iter().map(reference).collect();
        let asking = Asking {
            user_id: question.user_id,
            thread_id: goal.thread_id,
            model: goal.model,
            instructions: [&goal.instructions, &question.instructions],
            parameters: question.parameters.clone(),
            summary: &goal.summary,
            place: goal.log,
            wanted: if question.stored {
                Wanted::Stored
            } else {
                Wanted::Question(&question.content, &files)
            },
        };
        let prompt = self.prompt(asking).await?;
        Ok(Admitted {
            thread_id: goal.thread_id,
            new_thread: goal.new_thread,
            after_seq: goal.log.last_seq,
            attachments: files,
            prompt,
        })
    }

    /// Who asks, if that user may, as far as can be said before the thread is known.
    async fn user_with_money(
        &self,
        question: &Question,
        named: Option<&Model>,
    ) -> Result<User, Error> {
        let user = self.backends.user(question.user_id).await?;
        if let Some(model) = named {
            granted(&user, model)?;
        }
        let account = self.backends.account(question.user_id).await?;
        if account.balance_microdollars <= 0 {
            return Err(Error::BalanceInsufficient);
        }
        Ok(user)
    }

    /// Without a user the model is one that may be asked.
    fn goal<'a>(
        &'a self,
        question: &Question,
        named: Option<&'a Model>,
        user: Option<&User>,
        thread: Option<Result<Thread, Error>>,
    ) -> Result<Goal<'a>, Error> {
        let otherwise = || match (named, user) {
            (Some(model), _) => Ok(model),
            (None, Some(user)) => self.first_granted(user),
            (None, None) => Err(Error::ModelNotGranted),
        };
        match (&question.target, thread) {
            (Target::New(new), _) => Ok(Goal {
                thread_id: Uuid::now_v7(),
                model: otherwise()?,
                instructions: new.instructions.clone(),
                summary: String::new(),
                log: Place::default(),
                new_thread: Some(new.clone()),
            }),
            (Target::Thread(_), None) => Err(Error::ThreadNotFound),
            (Target::Thread(id), Some(thread)) => {
                let thread = thread?;
                let model = match self.model_of(&thread)? {
                    Some(own) => own,
                    None => otherwise()?,
                };
                if let Some(user) = user {
                    granted(user, model)?;
                }
                Ok(Goal {
                    thread_id: *id,
                    model,
                    log: Place::of(&thread),
                    instructions: thread.instructions,
                    summary: thread.summary,
                    new_thread: None,
                })
            }
        }
    }

    /// An existing thread is answered by its own model, if it has one.
    fn model_of(&self, thread: &Thread) -> Result<Option<&Model>, Error> {
        if thread.kind() != ThreadKind::Assistant {
            return Err(Error::ThreadNotFound);
        }
        let own = thread.model_id;
        own.map(|id| self.catalogue.by_id(id).ok_or(Error::ModelNotFound))
            .transpose()
    }

    /// What answers when nobody has named a model.
    fn first_granted(&self, user: &User) -> Result<&Model, Error> {
        let mut models = self.catalogue.models().iter();
        models
            .find(|model| !model.embeds && user.models.contains(&model.id))
            .ok_or(Error::ModelNotGranted)
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
