//! The built-in model: for tests, and for trying Confab without a key. It always says that it is not a real one.
//!
//! In a chat that carries `tools`, a last user message `call NAME {json}` is answered with a call of that tool. Its
//! vectors know words, not meanings ([`super::hashing`]).

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::hashing;
use super::rendering::{ToolCall, render, render_call};
use crate::catalogue::{Model, estimate_tokens};
use crate::provider::{
    Answer, Bill, Cause, Chat, Embedded, End, Failure, Piece, Prompt, Provider, ProviderError,
    Relay, Texts,
};
use crate::settings::Behaviour;

const PAUSE: Duration = Duration::from_millis(100);
const WORDS_BEFORE_FAILURE: usize = 3;
const CLAIMED: Bill = Bill::Tokens {
    input: 1_000_000,
    output: 1_000_000,
};

/// Repeats what it is asked, word by word: the same prompt always gets the same answer.
#[derive(Debug)]
pub(super) struct Scripted(pub(super) Behaviour);

#[async_trait::async_trait]
impl Provider for Scripted {
    async fn ask(&self, prompt: &Prompt, _: usize) -> Result<Answer, Failure> {
        Ok(self.answer(prompt, prompt.estimated_tokens()))
    }

    async fn chat(&self, chat: &Chat, model: &Model, _: usize) -> Result<Relay, Failure> {
        let prompt = chat.prompt(model)?;
        if prompt.estimated_tokens() > model.context_length {
            return Err(Failure::too_long());
        }
        match tool_call(&prompt.question) {
            Some(call) if chat.has_tools()? => Ok(render_call(chat, &call)),
            _ => Ok(render(chat, self.answer(&prompt, chat.estimated_input))),
        }
    }

    async fn embed(&self, texts: &Texts, model: &Model, _: usize) -> Result<Embedded, Failure> {
        if self.0 == Behaviour::Fail {
            return Err(Failure::new(Cause::Provider, FAILS));
        }
        let dimensions = [texts.dimensions, model.dimensions]
            .into_iter()
            .find(|dimensions| *dimensions > 0)
            .and_then(|dimensions| usize::try_from(dimensions).ok());
        let dimensions = dimensions.unwrap_or(hashing::DIMENSIONS);
        let vectors = texts.inputs.iter();
        Ok(Embedded {
            vectors: vectors
                .map(|text| hashing::embed(text, dimensions))
                .collect(),
            tokens: Some(
                texts
                    .inputs
                    .iter()
                    .map(|text| estimate_tokens(text))
                    .fold(0, u32::saturating_add),
            ),
        })
    }
}

impl Scripted {
    /// The answer, billed with so many tokens read.
    fn answer(&self, prompt: &Prompt, input: u32) -> Answer {
        let mut words = words(&reply(prompt), prompt.max_output_tokens);
        let output = estimate_tokens(&words.concat());
        let end = match self.0 {
            Behaviour::Echo | Behaviour::Slow => Ok(end(Bill::Tokens { input, output })),
            Behaviour::WrongUsage => Ok(end(CLAIMED)),
            Behaviour::Fail => {
                words.truncate(WORDS_BEFORE_FAILURE);
                Err(ProviderError::Failed(FAILS.to_owned()))
            }
        };
        let pieces = words.into_iter().map(|word| Ok(Piece::Text(word)));
        let answer = stream::iter(pieces.chain([end]));
        if self.0 != Behaviour::Slow {
            return answer.boxed();
        }
        let paced = answer.enumerate().then(|(index, piece)| async move {
            if index > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            piece
        });
        paced.boxed()
    }
}

const FAILS: &str = "the scripted model is set to fail";

fn end(bill: Bill) -> Piece {
    Piece::End(End {
        bill,
        finish_reason: Some("stop".to_owned()),
    })
}

/// What `call NAME {json}` asks for.
fn tool_call(question: &str) -> Option<ToolCall> {
    let (name, arguments) = question
        .trim()
        .strip_prefix("call ")?
        .trim()
        .split_once(' ')?;
    let object: serde_json::Map<_, _> = serde_json::from_str(arguments).ok()?;
    Some(ToolCall {
        name: name.to_owned(),
        arguments: serde_json::Value::Object(object).to_string(),
    })
}

fn reply(prompt: &Prompt) -> String {
    let question = &prompt.question;
    let files = match prompt.files.len() {
        0 => String::new(),
        count => format!(" (with {count} file(s))"),
    };
    format!("This is Confab's scripted model, not a real one. You said: {question}{files}")
}

/// The words, each with the space behind it, as far as `most` tokens go.
fn words(reply: &str, most: u32) -> Vec<String> {
    let mut end = 0;
    reply
        .split_inclusive(char::is_whitespace)
        .take_while(|word| {
            end += word.len();
            estimate_tokens(&reply[..end]) <= most
        })
        .map(str::to_owned)
        .collect()
}
