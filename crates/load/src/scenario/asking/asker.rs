//! Somebody who asks, in one of the languages in which models are asked.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::Stage;
use super::super::sockets::{self, call};
use super::stored::Said;
use super::streamed;
use crate::LoadError;
use crate::dialect::Dialect;
use crate::front_end::accepted;
use crate::people::{self, Person};
use crate::socket::Socket;

/// Where OpenAI's chat completions are.
pub(super) const CHAT: &str = "/v1/chat/completions";
/// The assistant's frames: ask, read a session.
const ASK: i64 = 3;
const READ: i64 = 2;
/// Preparations at a time.
const AT_ONCE: usize = 8;

/// How long an answer took, from when it was due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// `None` where answers come whole.
    pub(super) first: Option<Duration>,
    pub(super) whole: Duration,
}

/// Who asks, and where.
pub(super) enum Asker {
    /// OpenAI's language, in a conversation or in none.
    Openai {
        key: String,
        conversation: Option<i64>,
    },
    /// Conversations over HTTP.
    Conversations { token: String, conversation: i64 },
    /// A socket of AI sessions.
    Assistant {
        user: String,
        socket: Box<Socket>,
        /// `NEW` before the first question.
        session: String,
    },
}

#[derive(Deserialize)]
struct Conversation {
    id: i64,
}

/// As many as are planned.
pub(super) async fn make(stage: &Stage, stored: bool) -> Result<Vec<Asker>, LoadError> {
    if !stored && let Some(key) = &stage.key {
        let asker = |_| Asker::Openai {
            key: key.clone(),
            conversation: None,
        };
        return Ok((0..stage.plan.sockets).map(asker).collect());
    }
    let people = people::make(stage, stage.plan.people).await?;
    stream::iter(0..stage.plan.sockets)
        .map(|index| Asker::enter(stage, stored, index, &people[index % people.len()]))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

impl Asker {
    async fn enter(
        stage: &Stage,
        stored: bool,
        index: usize,
        person: &Person,
    ) -> Result<Self, LoadError> {
        let token = person.token.clone();
        if stage.plan.dialect == Dialect::Assistant {
            let socket = sockets::open_one(stage, index, Dialect::Assistant, person, "").await?;
            return Ok(Self::Assistant {
                user: person.id.clone(),
                socket: Box::new(socket),
                session: "NEW".to_owned(),
            });
        }
        if !stored {
            return Ok(Self::Openai {
                key: token,
                conversation: None,
            });
        }
        let body = json!({ "title": "load", "user_id": person.number });
        let what = "making a conversation";
        let made = stage
            .front_end
            .post(what, "/conversations", Some(&token), &body);
        let Conversation { id } = made.await?;
        Ok(match stage.plan.dialect {
            Dialect::Conversations => Self::Conversations {
                token,
                conversation: id,
            },
            _ => Self::Openai {
                key: token,
                conversation: Some(id),
            },
        })
    }

    /// Asks and reads the answer to its end.
    pub(super) async fn ask(
        &mut self,
        stage: &Stage,
        turn: usize,
        question: &str,
        due: Instant,
    ) -> Result<Answered, LoadError> {
        match self {
            Self::Openai { key, conversation } => {
                let url = stage.front_end.url(turn, CHAT);
                chat(stage, &url, key, *conversation, question, due).await
            }
            Self::Conversations {
                token,
                conversation,
            } => {
                let path = format!("/conversations/{conversation}/messages");
                let body = json!({ "role": "user", "content": question });
                let said = stage.front_end.post("saying", &path, Some(token), &body);
                let _: Value = said.await?;
                let url = stage.front_end.url(turn, &format!("{path}:complete"));
                let body = json!({ "stream": true });
                let request = stage.front_end.client().post(url).bearer_auth(token);
                let response = accepted("asking", request.json(&body).send().await?).await?;
                streamed::read(response, due, &stage.checks).await
            }
            Self::Assistant {
                user,
                socket,
                session,
            } => {
                let request = json!({ "type": ASK, "data": {
                    "user_id": user, "session_id": session, "model_name": stage.model,
                    "message": question, "session_prompt": "", "file_name": "",
                } });
                let reply = call(socket, request.to_string(), &json!(ASK)).await?;
                let named = reply["data"]["session_id"].as_str();
                let answer = reply["data"]["message"].as_str();
                let (Some(named), Some(1..)) = (named, answer.map(str::len)) else {
                    return Err(LoadError::Reply(reply.to_string()));
                };
                named.clone_into(session);
                Ok(Answered {
                    first: None,
                    whole: due.elapsed(),
                })
            }
        }
    }

    /// Asks somebody else's chat completions.
    pub(super) async fn chat_at(
        &self,
        stage: &Stage,
        url: &str,
        due: Instant,
    ) -> Result<Answered, LoadError> {
        let key = match self {
            Self::Openai { key, .. } => key,
            Self::Conversations { token, .. } => token,
            Self::Assistant { .. } => "",
        };
        chat(stage, url, key, None, "Say something.", due).await
    }

    /// What is stored of this conversation.
    pub(super) async fn said(&mut self, stage: &Stage) -> Result<Vec<Said>, LoadError> {
        let unexpected = |error: serde_json::Error| LoadError::Reply(error.to_string());
        let (token, conversation) = match self {
            Self::Openai { key, conversation } => (key, conversation.unwrap_or_default()),
            Self::Conversations {
                token,
                conversation,
            } => (token, *conversation),
            Self::Assistant {
                user,
                socket,
                session,
            } => {
                let request =
                    json!({ "type": READ, "data": { "user_id": user, "session_id": session } });
                let reply = call(socket, request.to_string(), &json!(READ)).await?;
                let chat = reply["data"]["chat"].as_str().unwrap_or("[]");
                return serde_json::from_str(chat).map_err(unexpected);
            }
        };
        let path = format!("/conversations/{conversation}/messages");
        let request = stage.front_end.client().get(stage.front_end.url(0, &path));
        let response = request.bearer_auth(token).send().await?;
        let body = accepted("reading back", response).await?.bytes().await?;
        serde_json::from_slice(&body).map_err(unexpected)
    }
}

async fn chat(
    stage: &Stage,
    url: &str,
    key: &str,
    conversation: Option<i64>,
    question: &str,
    due: Instant,
) -> Result<Answered, LoadError> {
    let mut body = json!({
        "model": stage.model,
        "stream": true,
        "messages": [{ "role": "user", "content": question }],
    });
    if let Some(conversation) = conversation {
        body["metadata"] = json!({ "conversation_id": conversation.to_string() });
    }
    let request = stage.front_end.client().post(url).bearer_auth(key);
    let response = accepted("asking", request.json::<Value>(&body).send().await?).await?;
    streamed::read(response, due, &stage.checks).await
}
