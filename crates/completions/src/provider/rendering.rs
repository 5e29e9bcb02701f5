//! The answers of what does not speak it, in the shape of OpenAI's chat completions.

use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::{Answer, Bill, Chat, End, Piece, ProviderError, Relay, Said};
use crate::catalogue::estimate_tokens;

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToolCall {
    pub(super) name: String,
    /// JSON, as text.
    pub(super) arguments: String,
}

/// An answer to a chat, in events or whole. `choices` say the same when there are several.
pub(super) fn render(chat: &Chat, answer: Answer) -> Relay {
    if chat.stream {
        events(chat, answer).boxed()
    } else {
        let chat = chat.clone();
        stream::once(async move { whole(&chat, answer).await })
            .flat_map(|whole| match whole {
                Ok((data, bill)) => stream::iter(vec![Ok(Said::Data(data)), Ok(Said::End(bill))]),
                Err(error) => stream::iter(vec![Err(error)]),
            })
            .boxed()
    }
}

/// The call of a tool as an answer.
pub(super) fn render_call(chat: &Chat, call: &ToolCall) -> Relay {
    let bill = for_all(
        chat,
        Bill::Tokens {
            input: chat.estimated_input,
            output: estimate_tokens(&call.name) + estimate_tokens(&call.arguments),
        },
    );
    let function = json!({ "name": call.name, "arguments": call.arguments });
    let call =
        json!({ "index": 0, "id": "call_scripted", "type": "function", "function": function });
    let said = if chat.stream {
        vec![
            chunk(
                chat,
                &json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
                None,
            ),
            chunk(chat, &json!({}), Some("tool_calls")),
            closing(chat, bill),
        ]
    } else {
        let message = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
        vec![completion(chat, &message, "tool_calls", bill)]
    };
    let said = said.into_iter().map(Said::Data).chain([Said::End(bill)]);
    stream::iter(said.map(Ok)).boxed()
}

fn events(chat: &Chat, answer: Answer) -> impl Stream<Item = Result<Said, ProviderError>> + use<> {
    let chat = chat.clone();
    let first = chunk(&chat, &json!({ "role": "assistant", "content": "" }), None);
    let rest = answer.flat_map(move |piece| {
        stream::iter(match piece {
            Ok(Piece::Text(text)) => {
                vec![Ok(Said::Data(chunk(
                    &chat,
                    &json!({ "content": text }),
                    None,
                )))]
            }
            Ok(Piece::End(End {
                bill,
                finish_reason,
            })) => {
                let reason = finish_reason.as_deref().unwrap_or("stop");
                let bill = for_all(&chat, bill);
                vec![
                    Ok(Said::Data(chunk(&chat, &json!({}), Some(reason)))),
                    Ok(Said::Data(closing(&chat, bill))),
                    Ok(Said::End(bill)),
                ]
            }
            Err(error) => vec![Err(error)],
        })
    });
    stream::once(async { Ok(Said::Data(first)) }).chain(rest)
}

async fn whole(chat: &Chat, mut answer: Answer) -> Result<(String, Bill), ProviderError> {
    let mut text = String::new();
    while let Some(piece) = answer.next().await {
        match piece? {
            Piece::Text(more) => text.push_str(&more),
            Piece::End(end) => {
                let message = json!({ "role": "assistant", "content": text });
                let reason = end.finish_reason.as_deref().unwrap_or("stop");
                let bill = for_all(chat, end.bill);
                return Ok((completion(chat, &message, reason, bill), bill));
            }
        }
    }
    Err(ProviderError::Failed("the answer was cut".to_owned()))
}

fn chunk(chat: &Chat, delta: &Value, finish_reason: Option<&str>) -> String {
    let choices: Vec<_> = (0..chat.choices)
        .map(|index| json!({ "index": index, "delta": delta, "finish_reason": finish_reason }))
        .collect();
    event(chat, &json!(choices), &Value::Null)
}

/// The last event, with what it took.
fn closing(chat: &Chat, bill: Bill) -> String {
    event(chat, &json!([]), &usage(bill))
}

/// What all choices took: they say the same.
fn for_all(chat: &Chat, bill: Bill) -> Bill {
    match bill {
        Bill::Tokens { input, output } => Bill::Tokens {
            input,
            output: output.saturating_mul(chat.choices),
        },
        Bill::Cost(_) | Bill::Unknown => bill,
    }
}

fn event(chat: &Chat, choices: &Value, usage: &Value) -> String {
    json!({
        "id": "", "object": "chat.completion.chunk", "created": chat.asked_at.timestamp(), "model": "",
        "choices": choices, "usage": usage,
    })
    .to_string()
}

fn completion(chat: &Chat, message: &Value, finish_reason: &str, bill: Bill) -> String {
    let choices: Vec<_> = (0..chat.choices)
        .map(|index| json!({ "index": index, "message": message, "finish_reason": finish_reason }))
        .collect();
    json!({
        "id": "", "object": "chat.completion", "created": chat.asked_at.timestamp(), "model": "",
        "choices": choices, "usage": usage(bill),
    })
    .to_string()
}

fn usage(bill: Bill) -> Value {
    match bill {
        Bill::Tokens { input, output } => json!({
            "prompt_tokens": input, "completion_tokens": output,
            "total_tokens": u64::from(input) + u64::from(output),
        }),
        Bill::Cost(_) | Bill::Unknown => Value::Null,
    }
}
