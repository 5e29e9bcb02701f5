//! The language itself: what is read, what is written, byte for byte. What the services make of it is tested with them.

use std::collections::HashMap;
use std::sync::Arc;

use confab_rpc::sessions::Profile;
use confab_rpc::threads::{AttachmentRef, Entry, EntryKind, ThreadKind};
use proptest::prelude::*;
use prost_types::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::announce::DirectAnnouncer;
use super::fault::unauthorized_body;
use super::media;
use super::request::{Action, Refusal, Refused, Request};
use super::text;
use super::wire::{Envelope, Pair, User};
use crate::live::{Announcement, Announcer, Known};

const KYRIAN: &str = "302e305b-6e73-4f9c-bac7-551a92b106b0";
const ADMIN: &str = "75140d72-8b20-4549-885c-20599badb486";
const FILE: &str = "0192f0a1-0000-7000-8000-000000000001";

/// 2025-03-14 10:36:22.680911 UTC.
fn at() -> Timestamp {
    Timestamp {
        seconds: 1_741_948_582,
        nanos: 680_911_000,
    }
}

fn kyrian() -> Profile {
    Profile {
        user_id: KYRIAN.to_owned(),
        number: 1,
        username: "kyrian".to_owned(),
        email: "kyrian@example.org".to_owned(),
        fullname: "Kyrian developer".to_owned(),
        country_code: "+234".to_owned(),
        phone_number: "9128168542".to_owned(),
        gender: "male".to_owned(),
        date_of_birth: "2001-03-06".to_owned(),
        photo: String::new(),
        created_at: Some(at()),
        updated_at: Some(at()),
    }
}

fn admin() -> Profile {
    Profile {
        user_id: ADMIN.to_owned(),
        number: 2,
        username: "admin".to_owned(),
        email: "admin@example.org".to_owned(),
        fullname: "Admin user".to_owned(),
        phone_number: "555123".to_owned(),
        photo: "/media/admin.png".to_owned(),
        created_at: Some(at()),
        updated_at: Some(at()),
        ..Profile::default()
    }
}

fn entry(id: i64, kind: EntryKind) -> Entry {
    Entry {
        id,
        thread: 1,
        thread_kind: ThreadKind::Direct.into(),
        seq: id,
        kind: kind.into(),
        author_id: KYRIAN.to_owned(),
        receiver_id: ADMIN.to_owned(),
        created_at: Some(at()),
        updated_at: Some(at()),
        ..Entry::default()
    }
}

fn text_entry() -> Entry {
    Entry {
        content: "hello there".to_owned(),
        client_msg_id: "key".to_owned(),
        ..entry(4, EntryKind::Text)
    }
}

fn file() -> AttachmentRef {
    AttachmentRef {
        id: FILE.to_owned(),
        name: "0192f0a1000070008000000000000001.png".to_owned(),
        title: "Screenshot 2025-03-14 100311.png".to_owned(),
        size: 199_424,
    }
}

fn file_entry() -> Entry {
    Entry {
        content: "this is the file".to_owned(),
        attachments: vec![file()],
        ..entry(5, EntryKind::File)
    }
}

fn announcement() -> Entry {
    Entry {
        refers_to: 5,
        announced: Some(Box::new(file_entry())),
        ..entry(7, EntryKind::Announcement)
    }
}

fn profile_entry(profile: &str) -> Entry {
    Entry {
        profile_id: profile.to_owned(),
        ..entry(6, EntryKind::Profile)
    }
}

fn known() -> Known {
    [kyrian(), admin()]
        .into_iter()
        .map(|profile| (profile.user_id.clone(), Arc::new(profile)))
        .collect::<HashMap<_, _>>()
}

fn announce(entry: &Entry) -> Announcement {
    DirectAnnouncer.announce(entry, &known())
}

fn user(id: &str) -> Uuid {
    id.parse().unwrap()
}

fn golden(value: &impl Serialize, expected: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), expected.trim_end());
}

fn golden_text(text: Option<&str>, expected: &str) {
    assert_eq!(text.unwrap(), expected.trim_end());
}

fn parse(request: &Value) -> Result<Request, Refusal> {
    Request::parse(request.to_string().as_bytes())
}

#[test]
fn users_have_every_key_and_no_secret() {
    let own = kyrian();
    golden(
        &User::seen_by(user(KYRIAN), &own),
        include_str!("golden/user_own.json"),
    );
    golden(
        &User::seen_by(user(ADMIN), &own),
        include_str!("golden/user_other.json"),
    );
}

#[test]
fn nobody_sees_what_is_anothers() {
    let (own, other) = (kyrian(), admin());
    let pair = Pair::seen_by(user(KYRIAN), &own, &other);
    let message = pair.render(&text_entry()).unwrap();
    assert!(message.contains(&own.email) && message.contains(&own.phone_number));
    assert!(!message.contains(&other.email) && !message.contains(&other.phone_number));
    let pair = Pair::seen_by(user(ADMIN), &other, &own);
    let message: Value = serde_json::from_str(&pair.render(&text_entry()).unwrap()).unwrap();
    let sender = &message["sender"];
    assert_eq!(sender["id"], KYRIAN);
    for private in ["password", "email", "phone_number", "country_code"] {
        assert_eq!(sender[private], "", "{private}");
    }
    assert_eq!(sender["date_of_birth"], Value::Null);
    assert_eq!(message["receiver"]["email"], other.email);
}

#[test]
fn messages_have_the_keys_of_both_editions() {
    let (own, other) = (kyrian(), admin());
    let pair = Pair::seen_by(user(KYRIAN), &own, &other);
    let render = |entry: &Entry| pair.render(entry);
    golden_text(
        render(&text_entry()).as_deref(),
        include_str!("golden/message_text.json"),
    );
    golden_text(
        render(&file_entry()).as_deref(),
        include_str!("golden/message_file.json"),
    );
    golden_text(
        render(&profile_entry(ADMIN)).as_deref(),
        include_str!("golden/message_profile.json"),
    );
    assert_eq!(render(&announcement()), None);
    assert_eq!(render(&entry(9, EntryKind::Read)), None);
}

#[test]
fn envelopes_hold_their_content_twice() {
    golden(
        &Envelope::success(
            &json!({"messages": []}),
            Some("Messages retrieved successfully"),
        ),
        include_str!("golden/no_messages.json"),
    );
    golden(
        &Envelope::success(&json!([]), None),
        include_str!("golden/no_threads.json"),
    );
    golden(
        &Envelope::failure(&(), "Invalid receipient"),
        include_str!("golden/not_found.json"),
    );
    golden(
        &unauthorized_body(false),
        include_str!("golden/no_credential.json"),
    );
    golden(
        &unauthorized_body(true),
        include_str!("golden/bad_credential.json"),
    );
}

#[test]
fn a_text_goes_to_both_people() {
    let pushed = announce(&text_entry());
    golden_text(
        pushed.to_others.as_deref(),
        include_str!("golden/re_text.json"),
    );
    golden_text(
        pushed.to_author.as_deref(),
        include_str!("golden/conf_text.json"),
    );
    assert!(DirectAnnouncer.needs(&text_entry()).is_empty());
}

#[test]
fn a_file_is_heard_of_when_it_is_announced() {
    assert_eq!(announce(&file_entry()), Announcement::default());
    let pushed = announce(&announcement());
    golden_text(
        pushed.to_others.as_deref(),
        include_str!("golden/re_file.json"),
    );
    golden_text(
        pushed.to_author.as_deref(),
        include_str!("golden/conf_file.json"),
    );
}

#[test]
fn a_card_shows_a_phone_number_that_its_owner_shares() {
    let entry = profile_entry(ADMIN);
    assert_eq!(DirectAnnouncer.needs(&entry), [ADMIN]);
    let pushed = announce(&entry);
    golden_text(
        pushed.to_others.as_deref(),
        include_str!("golden/re_profile.json"),
    );
    golden_text(
        pushed.to_author.as_deref(),
        include_str!("golden/conf_profile.json"),
    );
    let own = announce(&profile_entry(KYRIAN));
    for frame in [own.to_others, own.to_author] {
        let frame: Value = serde_json::from_str(&frame.unwrap()).unwrap();
        assert_eq!(frame["attached_profile"]["phone_number"], "9128168542");
    }
    let gone = DirectAnnouncer
        .announce(&entry, &Known::new())
        .to_others
        .unwrap();
    let gone: Value = serde_json::from_str(&gone).unwrap();
    assert_eq!(
        gone["attached_profile"],
        json!({"id": ADMIN, "fullname": "", "phone_number": ""})
    );
}

#[test]
fn what_is_no_message_between_two_people_is_not_shown() {
    for kind in [EntryKind::Joined, EntryKind::Read, EntryKind::Unspecified] {
        assert_eq!(announce(&entry(1, kind)), Announcement::default());
    }
    let group = Entry {
        thread_kind: ThreadKind::Group.into(),
        ..text_entry()
    };
    assert_eq!(announce(&group), Announcement::default());
}

#[test]
fn the_three_requests_are_read() {
    let text =
        json!({"action": "text_message", "message_body": "hello there", "receiver_id": ADMIN});
    assert_eq!(
        parse(&text),
        Ok(Request {
            action: Action::Text {
                receiver: user(ADMIN),
                body: "hello there".to_owned(),
            },
            client_msg_id: String::new(),
        })
    );
    for chat in [json!(5), json!("5")] {
        let file = json!({"action": "file_message", "chat_id": chat, "client_msg_id": "k"});
        assert_eq!(
            parse(&file),
            Ok(Request {
                action: Action::File { chat: 5 },
                client_msg_id: "k".to_owned(),
            })
        );
    }
    let profile = json!({
        "attached_profile_id": KYRIAN,
        "receiver_id": ADMIN,
        "action": "user_profile_message",
        "unknown": {"deep": [1, 2.5, {"x": null}]},
    });
    assert_eq!(
        parse(&profile).map(|request| request.action),
        Ok(Action::Profile {
            receiver: user(ADMIN),
            profile: user(KYRIAN),
        })
    );
    let escaped = br#"{"action":"text\u005fmessage","message_body":"\u00e9\n","receiver_id":"75140d728b204549885c20599badb486"}"#;
    assert_eq!(
        Request::parse(escaped).map(|request| request.action),
        Ok(Action::Text {
            receiver: user(ADMIN),
            body: "é\n".to_owned(),
        })
    );
}

#[test]
fn a_request_that_says_nothing_sensible_is_told_why() {
    let refused = |request: Value| parse(&request).unwrap_err();
    let why = |request: Value| refused(request).why;
    for junk in ["", "{", "null", "3", "\"x\"", "{\"action\":", "\u{feff}{}"] {
        let refusal = Request::parse(junk.as_bytes()).unwrap_err();
        assert_eq!(refusal, Refused::Json.into(), "{junk}");
    }
    assert_eq!(why(json!({})), Refused::Action);
    assert_eq!(why(json!({"action": null})), Refused::Action);
    assert_eq!(why(json!({"action": ["text_message"]})), Refused::Action);
    assert_eq!(
        refused(json!({"action": "dance"})),
        Refusal {
            why: Refused::Action,
            action: Some("dance".to_owned()),
        }
    );
    for receiver in [json!(null), json!(7), json!("7"), json!({}), json!("")] {
        let text = json!({"action": "text_message", "message_body": "x", "receiver_id": receiver});
        assert_eq!(why(text), Refused::Recipient);
    }
    for body in [json!(null), json!(7), json!(["x"])] {
        let text = json!({"action": "text_message", "message_body": body, "receiver_id": ADMIN});
        assert_eq!(why(text), Refused::Message);
    }
    for chat in [
        json!(null),
        json!(1.5),
        json!("five"),
        json!(true),
        json!(u64::MAX),
    ] {
        let file = json!({"action": "file_message", "chat_id": chat});
        assert_eq!(why(file), Refused::Chat);
    }
    let profile = json!({"action": "user_profile_message", "receiver_id": ADMIN});
    assert_eq!(why(profile), Refused::Profile);
}

#[test]
fn refusals_are_frames_that_old_clients_pass_over() {
    let refusal = Refusal {
        why: Refused::Recipient,
        action: Some("text_message".to_owned()),
    };
    golden_text(Some(&refusal.render()), include_str!("golden/error.json"));
    let nameless = Refusal::from(Refused::Json).render();
    golden_text(Some(&nameless), include_str!("golden/error_json.json"));
}

#[test]
fn sizes_are_texts() {
    assert_eq!(text::size(None), "0kb");
    assert_eq!(text::size(Some(0)), "0.00KB");
    assert_eq!(text::size(Some(199_424)), "194.75KB");
    assert_eq!(text::size(Some(1024 * 1024)), "1024.00KB");
    assert_eq!(text::size(Some(1024 * 1024 + 1)), "1.00MB");
    assert_eq!(text::size(Some(26_214_400)), "25.00MB");
}

#[test]
fn a_path_says_what_a_file_is_called_and_leads_back_to_it() {
    let path = |name: &str, title: &str| {
        let file = AttachmentRef {
            name: name.to_owned(),
            title: title.to_owned(),
            ..file()
        };
        let path = media::path(&file);
        path.strip_prefix(&format!("/media/chat-files/{FILE}/"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(path("x.png", "bitcoin"), "bitcoin.png");
    assert_eq!(path("x.png", "Holiday.PNG"), "Holiday.png");
    assert_eq!(path("x.gz", "a.tar.gz"), "a_tar.gz");
    assert_eq!(path("x", "notes"), "notes");
    assert_eq!(path("x.png", "../../etc/passwd"), "______etc_passwd.png");
    assert_eq!(path("x.png", "画像.png"), "file.png");
    assert_eq!(path("x.png", ""), "x.png");
    assert_eq!(media::stored_name("seven", "x.png"), None);
}

proptest! {
    #[test]
    fn every_path_leads_back_to_its_file(title in ".{0,300}", extension in "(\\.[a-z0-9]{1,10})?") {
        let name = format!("{}{extension}", user(FILE).simple());
        let file = AttachmentRef { name: name.clone(), title, ..file() };
        let path = media::path(&file);
        let mut parts = path.rsplit('/');
        let (last, id) = (parts.next().unwrap(), parts.next().unwrap());
        prop_assert!(!last.is_empty() && last.bytes().all(|b| b.is_ascii_graphic()));
        prop_assert_eq!(media::stored_name(id, last), Some(name));
    }

    #[test]
    fn no_message_of_a_client_is_a_panic(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::parse(&message);
    }

    #[test]
    fn what_a_person_writes_is_what_both_read(content in any::<String>()) {
        let pushed = announce(&Entry { content: content.clone(), ..text_entry() });
        for frame in [pushed.to_author, pushed.to_others] {
            let frame: Value = serde_json::from_str(&frame.unwrap()).unwrap();
            prop_assert_eq!(&frame["message"], &json!(content));
            prop_assert_eq!(&frame["message_body"], &json!(content));
        }
    }
}
