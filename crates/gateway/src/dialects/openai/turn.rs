//! The body of a chat completion → what is new in a stored conversation.

use confab_rpc::threads::AuthorKind;
use serde_json::{Map, Value};

use super::fault::Refused;
use super::visit;
use super::wire::{Content, Message, TurnBody};

/// Messages besides instructions and the question; each is a write of its own.
const EARLIER: usize = 100;

/// Parameters that ask for more than a text.
const UNSUPPORTED: [&str; 8] = [
    "audio",
    "function_call",
    "functions",
    "logprobs",
    "prediction",
    "tool_choice",
    "tools",
    "web_search_options",
];

/// One turn of a conversation.
#[derive(Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) model: String,
    /// Of this answer only; empty: none.
    pub(super) instructions: String,
    /// What was said elsewhere since the last turn, oldest first.
    pub(super) earlier: Vec<(AuthorKind, String)>,
    pub(super) question: String,
    /// For the model, besides all this.
    pub(super) parameters: Map<String, Value>,
    pub(super) stream: bool,
    /// Whether the last event of a stream says what the answer took.
    pub(super) include_usage: bool,
}

impl Turn {
    pub(super) fn of(body: TurnBody) -> Result<Self, Refused> {
        if body.n.is_some_and(|n| n != 1) {
            return Err(unsupported("n"));
        }
        for name in UNSUPPORTED {
            if body.parameters.get(name).is_some_and(asks_for_something) {
                return Err(unsupported(name));
            }
        }
        let mut turn = Self {
            model: visit::model(body.model)?,
            instructions: String::new(),
            earlier: Vec::new(),
            question: String::new(),
            parameters: body.parameters,
            stream: body.stream.unwrap_or(false),
            include_usage: body
                .stream_options
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
        };
        turn.parameters
            .retain(|name, value| !value.is_null() && !UNSUPPORTED.contains(&name.as_str()));
        turn.take(body.messages.unwrap_or_default())?;
        Ok(turn)
    }

    fn take(&mut self, messages: Vec<Message>) -> Result<(), Refused> {
        let last = messages.len().saturating_sub(1);
        let mut question = None;
        for (index, message) in messages.into_iter().enumerate() {
            let role = message.role.clone();
            let text = text(message, index)?;
            match role.as_str() {
                "system" | "developer" => {
                    if !self.instructions.is_empty() {
                        self.instructions.push_str("\n\n");
                    }
                    self.instructions.push_str(&text);
                }
                "user" if index == last => question = Some(text),
                "user" => self.earlier.push((AuthorKind::Person, text)),
                "assistant" => self.earlier.push((AuthorKind::Model, text)),
                _ => {
                    return Err(Refused::unsupported(
                        &format!("messages[{index}].role"),
                        "In a stored conversation a message is of system, developer, user or assistant.",
                    ));
                }
            }
        }
        if self.earlier.len() > EARLIER {
            let message = format!("At most {EARLIER} messages may come before the question.");
            return Err(Refused::invalid_param("messages", message));
        }
        let message = "The last message must be the user's: it is the question.";
        self.question = question.ok_or_else(|| Refused::invalid_param("messages", message))?;
        Ok(())
    }
}

/// What is there, and is not another way to say "nothing".
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::String(choice) => choice != "none" && choice != "auto",
        _ => true,
    }
}

fn unsupported(name: &str) -> Refused {
    let message = format!("`{name}` is not supported in a stored conversation: it holds texts.");
    Refused::unsupported(name, message)
}

fn text(message: Message, index: usize) -> Result<String, Refused> {
    let refused = || {
        Refused::unsupported(
            &format!("messages[{index}].content"),
            "In a stored conversation the content of a message is a text.",
        )
    };
    if message.tool_calls.is_some() {
        return Err(refused());
    }
    let text = match message.content {
        Some(Content::Text(text)) => Some(text),
        Some(Content::Parts(parts)) => {
            let texts = parts
                .into_iter()
                .map(|part| part.text.filter(|_| part.kind == "text"));
            texts.collect::<Option<String>>()
        }
        None => None,
    };
    text.filter(|text| !text.is_empty()).ok_or_else(refused)
}
