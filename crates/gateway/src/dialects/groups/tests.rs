//! Frames as they are on the wire.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use confab_rpc::sessions::Profile;
use confab_rpc::threads::{AttachmentRef, Conversation, Entry, EntryKind};
use confab_rpc::time;
use serde_json::{Value, json};

use super::announce::Chats;
use super::days;
use super::request::{Refused, Request};
use super::wire::{Chat, Joined, Message, Reply, User, already, failure};
use crate::live::{Announcement, Announcer};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn ada() -> Profile {
    Profile {
        user_id: "a".to_owned(),
        number: 7,
        username: "ada".to_owned(),
        email: "ada@example.org".to_owned(),
        ..Default::default()
    }
}

fn entry(kind: EntryKind) -> Entry {
    Entry {
        id: 41,
        thread: 3,
        seq: 9,
        kind: kind.into(),
        author_id: "a".to_owned(),
        content: "hello".to_owned(),
        created_at: Some(time::to_wire(at("2025-03-06T12:10:08.694946Z"))),
        membership_version: 2,
        traceparent: "00-secret".to_owned(),
        ..Default::default()
    }
}

fn announce(push: bool, entry: &Entry) -> Announcement {
    let known = HashMap::from([("a".to_owned(), Arc::new(ada()))]);
    Chats { push }.announce(entry, &known)
}

fn golden(frame: &str, expected: &str) {
    assert_eq!(frame, expected.trim_end());
}

#[test]
fn replies_are_as_the_seed_prints_them() {
    let user = User::from(&ada());
    let chat = Conversation {
        number: 3,
        created_at: Some(time::to_wire(at("2025-03-06T12:10:08.694946Z"))),
        active_at: Some(time::to_wire(at("2025-03-07T00:00:00Z"))),
        ..Default::default()
    };
    let list = vec![Chat::of(&chat, vec![user.clone()])];
    golden(
        &Reply::ChatsList(list).render(),
        include_str!("golden/chats.json"),
    );
    let empty = Chat::of(&chat, Vec::new());
    golden(
        &Reply::EmptyChatCreated(empty).render(),
        include_str!("golden/empty_chat.json"),
    );
    let joined = Joined {
        chat: json!("3"),
        user: user.clone(),
        last_read_message: Some(json!(41)),
        seq: 9,
    };
    golden(
        &Reply::ChatJoined(joined).render(),
        include_str!("golden/joined.json"),
    );
    let message = Message::of(&entry(EntryKind::Text), user, true);
    golden(
        &Reply::ChatMessages(vec![message]).render(),
        include_str!("golden/messages.json"),
    );
    golden(
        &failure(Refused::ChatNotFound),
        include_str!("golden/failure.json"),
    );
    golden(&already(), include_str!("golden/already.json"));
}

#[test]
fn others_are_pushed_the_shape_of_the_reply() {
    let shown = announce(true, &entry(EntryKind::Text));
    golden(
        &shown.to_others.unwrap(),
        include_str!("golden/pushed.json"),
    );
    let own: Value = serde_json::from_str(&shown.to_author.unwrap()).unwrap();
    assert_eq!(own["data"]["is_read"], true);

    let joined = announce(true, &entry(EntryKind::Joined)).to_others.unwrap();
    let joined: Value = serde_json::from_str(&joined).unwrap();
    let data = json!({ "chat": 3, "user": { "id": 7, "username": "ada" }, "seq": 9 });
    assert_eq!(joined, json!({ "type": "chatJoined", "data": data }));
}

#[test]
fn a_file_is_told_of_by_its_announcement() {
    let file = Entry {
        id: 40,
        seq: 8,
        content: String::new(),
        attachments: vec![AttachmentRef {
            name: "stored.png".to_owned(),
            title: "Screenshot.png".to_owned(),
            ..Default::default()
        }],
        ..entry(EntryKind::File)
    };
    assert_eq!(announce(true, &file), Announcement::default());
    let announcement = Entry {
        announced: Some(Box::new(file)),
        ..entry(EntryKind::Announcement)
    };
    let shown = announce(true, &announcement).to_others.unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let data = &shown["data"];
    assert_eq!(
        (&data["id"], &data["seq"], &data["text"]),
        (&json!(40), &json!(9), &json!(""))
    );
    assert_eq!(data["attached_file_name"], "Screenshot.png");
}

#[test]
fn nothing_is_pushed_when_it_is_switched_off_or_nobodys_business() {
    assert_eq!(
        announce(false, &entry(EntryKind::Text)),
        Announcement::default()
    );
    assert_eq!(
        announce(true, &entry(EntryKind::Read)),
        Announcement::default()
    );
    let chats = Chats { push: true };
    assert_eq!(chats.needs(&entry(EntryKind::Text)), ["a"]);
    assert!(chats.needs(&entry(EntryKind::Read)).is_empty());
}

#[test]
fn what_is_wrong_is_said_in_the_languages_words() {
    for (frame, refused) in [
        ("{", Refused::Json),
        ("[]", Refused::Unexpected),
        ("{}", Refused::UnknownType),
        (r#"{"type":7}"#, Refused::UnknownType),
        (r#"{"type":"getChatz"}"#, Refused::UnknownType),
        (r#"{"type":"joinChat"}"#, Refused::NoChatId),
        (r#"{"type":"joinChat","data":null}"#, Refused::Unexpected),
        (
            r#"{"type":"joinChat","data":{"chat":"x"}}"#,
            Refused::Unexpected,
        ),
        (
            r#"{"type":"joinChat","data":{"chat":1,"last_read_message":"x"}}"#,
            Refused::Unexpected,
        ),
        (r#"{"type":"getChatDetails","data":{}}"#, Refused::NoChatId),
        (
            r#"{"type":"getChatMessages","data":{"chatId":[]}}"#,
            Refused::Unexpected,
        ),
        (r#"{"type":"newMessage"}"#, Refused::NoText),
        (
            r#"{"type":"newMessage","data":{"chat":1}}"#,
            Refused::NoText,
        ),
        (
            r#"{"type":"newMessage","data":{"chat":1,"text":""}}"#,
            Refused::NoText,
        ),
        (
            r#"{"type":"newMessage","data":{"chat":0,"text":"a"}}"#,
            Refused::NoText,
        ),
        (
            r#"{"type":"newMessage","data":{"text":"a"}}"#,
            Refused::NoText,
        ),
        (
            r#"{"type":"newMessage","data":{"chat":1,"text":"a","is_read":"no"}}"#,
            Refused::Creating,
        ),
    ] {
        assert_eq!(Request::parse(frame), Err(refused), "{frame}");
    }
    let long = json!({ "type": "newMessage", "data": { "chat": 1, "text": "x".repeat(16_385) } });
    assert_eq!(Request::parse(&long.to_string()), Err(Refused::Creating));
}

#[test]
fn requests_are_read_as_the_original_reads_them() {
    let parse = |frame: Value| Request::parse(&frame.to_string()).unwrap();
    assert_eq!(parse(json!({ "type": "getChats" })), Request::Chats);
    assert_eq!(
        parse(json!({ "type": "getChats", "data": null })),
        Request::Chats
    );
    assert_eq!(
        parse(json!({ "type": "createEmptyChat", "data": 1 })),
        Request::NewChat
    );
    assert_eq!(
        parse(json!({ "type": "joinChat", "data": { "chat": "3", "last_read_message": 5 } })),
        Request::Join {
            chat: 3,
            named: json!("3"),
            last_read: Some((5, json!(5))),
        }
    );
    assert_eq!(
        parse(json!({ "type": "newMessage", "data": { "chat": "3", "text": 12.5 } })),
        Request::Send {
            chat: 3,
            text: "12.5".to_owned(),
            is_read: false,
            client_msg_id: String::new(),
        }
    );
    let last = |last: Value| {
        let frame = json!({ "type": "getChatMessages", "data": { "chatId": 3, "last": last } });
        match parse(frame) {
            Request::Messages { last, .. } => last,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(last(json!(2)), Some(2));
    assert_eq!(last(json!("2")), Some(2));
    for ignored in [json!(0), json!(-1), json!("x"), json!(null), json!([1])] {
        assert_eq!(last(ignored), None);
    }
}

#[test]
fn days_are_those_of_the_stated_zone() {
    let now = at("2025-03-10T23:30:00Z");
    let from = |day: &str, tz: Value| days::from(Some(&json!(day)), now, days::zone(Some(&tz)));
    let utc = || json!(null);
    assert_eq!(
        from("yesterday", utc()),
        Ok(Some(at("2025-03-09T00:00:00Z")))
    );
    assert_eq!(
        from("day_before_yesterday", utc()),
        Ok(Some(at("2025-03-08T00:00:00Z")))
    );
    assert_eq!(
        from("last_7_days", utc()),
        Ok(Some(at("2025-03-03T00:00:00Z")))
    );
    // In Berlin it is the 11th already, and midnight is an hour earlier.
    assert_eq!(
        from("yesterday", json!("Europe/Berlin")),
        Ok(Some(at("2025-03-09T23:00:00Z")))
    );
    assert_eq!(
        from("2025-03-01", json!("nowhere")),
        Ok(Some(at("2025-03-01T00:00:00Z")))
    );
    assert_eq!(from("someday", utc()), Ok(None));
    assert_eq!(from("2025-13-01", utc()), Err(days::BadDay));
    let until = |day: Value| days::until(Some(&day), chrono_tz::Tz::UTC);
    assert_eq!(
        until(json!("2025-03-01")),
        Ok(Some(at("2025-03-02T00:00:00Z")))
    );
    assert_eq!(until(json!("yesterday")), Ok(None));
    assert_eq!(until(json!(null)), Ok(None));
    assert_eq!(until(json!(7)), Err(days::BadDay));
}
