//! Asks that bring no question: the model answers what the thread holds.

use confab_rpc::Reason;
use confab_rpc::completions::{AskRequest, ask_request};
use confab_rpc::sessions::User;
use confab_rpc::threads::{
    AppendMessageRequest, AuthorKind, DeleteMessageRequest, Message, MessageState,
};

use crate::asking::{ask_in, new_ask, reason, thread_of};
use crate::upstream::Upstream;
use crate::wire::Wire;
use crate::world::{House, LLAMA};

const DOLLAR: i64 = 1_000_000;
const GPT_4: i32 = 6;

fn stored(user: &User, thread_id: &str) -> AskRequest {
    AskRequest {
        stored: true,
        model: None,
        ..ask_in(user, thread_id, "")
    }
}

async fn write(
    house: &House,
    user: &User,
    thread_id: &str,
    author: AuthorKind,
    content: &str,
) -> Message {
    let request = AppendMessageRequest {
        user_id: user.id.clone(),
        thread_id: thread_id.to_owned(),
        author_kind: author.into(),
        content: content.to_owned(),
        ..AppendMessageRequest::default()
    };
    let written = house.observer.threads.clone().append_message(request).await;
    written.unwrap().into_inner()
}

fn turns(turns: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(role, text): &(&str, &str)| ((*role).to_owned(), (*text).to_owned());
    turns.iter().map(owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_thread_holds_is_answered() {
    let upstream = Upstream::start().await;
    let settings = [&upstream.settings()[..], &[("history_entries", "2")]].concat();
    for house in House::both_with(&settings).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let thread = house.thread(&ann).await;
        let (person, model) = (AuthorKind::Person, AuthorKind::Model);
        write(&house, &ann, &thread.id, AuthorKind::System, "Be kind.").await;
        write(&house, &ann, &thread.id, person, "one").await;
        write(&house, &ann, &thread.id, model, "two").await;
        let gone = write(&house, &ann, &thread.id, person, "gone").await;
        let delete = DeleteMessageRequest {
            user_id: ann.id.clone(),
            message_id: gone.id,
        };
        let mut threads = house.observer.threads.clone();
        threads.delete_message(delete).await.unwrap();
        write(&house, &ann, &thread.id, person, "three").await;
        write(&house, &ann, &thread.id, AuthorKind::System, "Be brief.").await;
        write(&house, &ann, &thread.id, person, "four").await;

        let request = AskRequest {
            client_msg_id: "key".to_owned(),
            instructions: "Now.".to_owned(),
            ..stored(&ann, &thread.id)
        };
        let asked = process.ask(request.clone()).await.unwrap();
        let seen = [
            ("system", "Now."),
            ("system", "Be kind."),
            ("user", "one"),
            ("assistant", "two"),
            ("user", "three"),
            ("system", "Be brief."),
            ("user", "four"),
        ];
        assert_eq!(upstream.messages(), turns(&seen));
        assert_eq!(asked.started.question, None);
        let answer = asked.finished.answer.unwrap();
        assert_eq!(answer.seq, 8);
        assert_eq!(answer.state(), MessageState::Complete);

        // The same key again is the same answer; another question with it is none.
        let again = process.ask(request).await.unwrap();
        assert!(again.started.replayed);
        assert_eq!(again.text, asked.text);
        let other = AskRequest {
            client_msg_id: "key".to_owned(),
            ..ask_in(&ann, &thread.id, "five")
        };
        assert_eq!(reason(process.ask(other).await), Reason::KeyReused);

        // An answer is no end: what follows it is asked with it, and an instruction may be the last word.
        write(&house, &ann, &thread.id, AuthorKind::System, "Go on.").await;
        process.ask(stored(&ann, &thread.id)).await.unwrap();
        let last = upstream.messages();
        assert_eq!(last.len(), 8);
        assert_eq!(last[6], ("assistant".to_owned(), asked.text.clone()));
        assert_eq!(last[7], ("system".to_owned(), "Go on.".to_owned()));
        process.stop().await;
        assert_eq!(house.charges(&ann).await.len(), 2);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_whose_answer_failed_is_answered_again() {
    for house in House::both().await {
        let upstream = Upstream::start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let thread = house.thread(&ann).await;
        let nobody = [("unconfigured", "nothing")];
        let fails = house.start_with(Wire::free(), &nobody).await;
        let failed = fails.ask(ask_in(&ann, &thread.id, "Hello")).await;
        assert_eq!(reason(failed), Reason::ProviderFailed);
        fails.stop().await;
        let works = house.start_with(Wire::free(), &upstream.settings()).await;
        works.ask(stored(&ann, &thread.id)).await.unwrap();
        assert_eq!(upstream.messages(), turns(&[("user", "Hello")]));
        works.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_fits_is_read() {
    let upstream = Upstream::start().await;
    for house in House::both_with(&upstream.settings()).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let thread = house.thread(&ann).await;
        let long = "x".repeat(2_400);
        for _ in 0..5 {
            write(&house, &ann, &thread.id, AuthorKind::Person, &long).await;
        }
        process.ask(stored(&ann, &thread.id)).await.unwrap();
        assert_eq!(upstream.messages().len(), 3);
        let beyond = "x".repeat(9_300);
        write(&house, &ann, &thread.id, AuthorKind::Person, &beyond).await;
        let refused = process.ask(stored(&ann, &thread.id)).await;
        assert_eq!(reason(refused), Reason::ContextTooLong);
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_must_be_something_to_answer() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let thread = house.thread(&ann).await;
        let with_text = AskRequest {
            content: "Hi".to_owned(),
            ..stored(&ann, &thread.id)
        };
        let with_file = AskRequest {
            attachment_names: vec!["file".to_owned()],
            ..stored(&ann, &thread.id)
        };
        let in_new_thread = AskRequest {
            stored: true,
            ..new_ask(&ann, "")
        };
        for request in [
            stored(&ann, &thread.id),
            with_text,
            with_file,
            in_new_thread,
        ] {
            assert_eq!(reason(process.ask(request).await), Reason::Invalid);
        }
        process.stop().await;
        assert!(house.messages(&ann, &thread.id).await.is_empty());
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_names_no_model_gets_the_threads_or_the_first_granted() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[GPT_4, LLAMA]).await;
        let thread = house.thread(&ann).await;
        let unnamed = |request: AskRequest| AskRequest {
            model: None,
            ..request
        };
        let own = process.ask(unnamed(ask_in(&ann, &thread.id, "Hi"))).await;
        assert_eq!(own.unwrap().finished.answer.unwrap().model, "llama3.1:8b");
        let new = process.ask(unnamed(new_ask(&ann, "Hi"))).await.unwrap();
        let first = new.finished.run.unwrap().model;
        assert_ne!(first, "llama3.1:8b");
        // From then on it is the thread's own.
        let named = AskRequest {
            model: Some(ask_request::Model::ModelId(LLAMA)),
            ..ask_in(&ann, &thread_of(&new.started), "And?")
        };
        let second = process.ask(named).await.unwrap();
        assert_eq!(second.finished.run.unwrap().model, first);
        process.stop().await;
        house.check_books(&ann).await;
    }
}
