//! The built-in model: for tests, and for trying Confab without a key. It always says that it is not a real one.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::catalogue::estimate_tokens;
use crate::provider::{Answer, Bill, End, Piece, Prompt, Provider, ProviderError};
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
    async fn ask(&self, prompt: Prompt) -> Result<Answer, ProviderError> {
        let mut words = words(&reply(&prompt), prompt.max_output_tokens);
        let output = estimate_tokens(&words.concat());
        let end = match self.0 {
            Behaviour::Echo | Behaviour::Slow => end(Bill::Tokens {
                input: prompt.estimated_tokens(),
                output,
            }),
            Behaviour::WrongUsage => end(CLAIMED),
            Behaviour::Fail => {
                words.truncate(WORDS_BEFORE_FAILURE);
                Err(ProviderError::Failed(
                    "the scripted model is set to fail".to_owned(),
                ))
            }
        };
        let pieces = words.into_iter().map(|word| Ok(Piece::Text(word)));
        let answer = stream::iter(pieces.chain([end]));
        if self.0 != Behaviour::Slow {
            return Ok(answer.boxed());
        }
        let paced = answer.enumerate().then(|(index, piece)| async move {
            if index > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            piece
        });
        Ok(paced.boxed())
    }
}

fn end(bill: Bill) -> Result<Piece, ProviderError> {
    Ok(Piece::End(End {
        bill,
        finish_reason: Some("stop".to_owned()),
    }))
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
