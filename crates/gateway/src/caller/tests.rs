//! What a credential is good for in the rooms that programs use.

use confab_rpc::sessions::{ApiKey, User, VerifiedToken};
use uuid::Uuid;

use super::{Asker, Scope};

fn asker(key: Option<ApiKey>) -> Asker {
    let user = User {
        id: Uuid::from_u128(1).to_string(),
        models: vec![4, 7],
        ..User::default()
    };
    let verified = VerifiedToken {
        user: Some(user),
        api_key: key,
        ..VerifiedToken::default()
    };
    Asker::of(verified).unwrap()
}

#[test]
fn a_persons_token_is_good_for_what_the_person_may() {
    let person = asker(None);
    assert!(person.has(Scope::Chat) && person.has(Scope::Conversations));
    assert_eq!([4, 5, 7].map(|it| person.may_ask(it)), [true, false, true]);
    assert_eq!(person.api_key_id(), "");
    assert_eq!(
        person.counter(),
        "user:00000000-0000-0000-0000-000000000001"
    );
}

#[test]
fn a_key_narrows_what_its_user_may() {
    let key = ApiKey {
        id: "k".to_owned(),
        scopes: vec!["chat".to_owned(), "models".to_owned()],
        models: vec![5, 7],
        ..ApiKey::default()
    };
    let narrow = asker(Some(key.clone()));
    let scopes = [
        Scope::Models,
        Scope::Chat,
        Scope::Embeddings,
        Scope::Conversations,
    ];
    assert_eq!(scopes.map(|it| narrow.has(it)), [true, true, false, false]);
    // What is not granted any more is not the key's either.
    assert_eq!([4, 5, 7].map(|it| narrow.may_ask(it)), [false, false, true]);
    assert_eq!(narrow.api_key_id(), "k");
    assert_eq!(narrow.counter(), "key:k");

    let models = Vec::new();
    let any = asker(Some(ApiKey { models, ..key }));
    assert_eq!([4, 5, 7].map(|it| any.may_ask(it)), [true, false, true]);
}
