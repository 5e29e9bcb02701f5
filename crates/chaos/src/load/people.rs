//! People as front ends make them.

use confab_testkit::people::Person;
use confab_testkit::{Rest, eventually};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::topology::{DEPOSIT, Layout, MODELS, Topology};

const PASSWORD: &str = "correct horse battery staple";

/// How many are made at a time: a password takes its time.
const AT_ONCE: usize = 4;

/// Makes people of names that nobody had before, signed in.
pub async fn register(rest: &Rest, topology: &Topology, count: usize) -> Vec<Person> {
    let people = (0..count).map(|index| {
        let rest = rest.of(topology.addresses(index)[0], "");
        async move { one(&rest, &format!("p{index}")).await }
    });
    stream::iter(people).buffered(AT_ONCE).collect().await
}

/// Makes people as an operator does where that is possible, which is faster.
pub(super) async fn endow(rest: &Rest, topology: &Topology, count: usize) -> Vec<Person> {
    if topology.layout() == Layout::One {
        return register(rest, topology, count).await;
    }
    let auditor = topology.auditor();
    let people = (0..count).map(|index| {
        let auditor = auditor.clone();
        let username = unique(&format!("p{index}"));
        async move { auditor.person(&username, &MODELS, DEPOSIT).await }
    });
    stream::iter(people).buffered(AT_ONCE).collect().await
}

/// A name that nobody had before.
fn unique(name: &str) -> String {
    format!("{name}-{}", &Uuid::new_v4().simple().to_string()[..8])
}

/// Makes one, however long it takes.
async fn one(rest: &Rest, name: &str) -> Person {
    eventually("somebody is made and signed in", async || {
        let username = unique(name);
        let credentials = json!({ "username": username, "password": PASSWORD });
        let (status, _) = rest.post("/auth/register", &credentials).await;
        if status != 201 {
            return None;
        }
        let (status, body) = rest.post("/auth/login", &credentials).await;
        (status == 200).then(|| person(username, &body))
    })
    .await
}

fn person(username: String, body: &Value) -> Person {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    Person {
        id: text(&body["user"]["id"]).parse().expect("a UUID"),
        number: body["user"]["number"].as_i64().expect("a number"),
        username,
        token: text(&body["access"]),
    }
}
