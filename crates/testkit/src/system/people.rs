//! The people of a system, and what its tables hold of their conversations.

use confab::Role;
use serde_json::json;
use uuid::Uuid;

use super::System;
use crate::Rest;
use crate::checker::Table;
use crate::people::Person;

const PASSWORD: &str = "correct horse battery staple";

impl System {
    /// Makes somebody of a name that nobody had before, with a token.
    pub async fn person(&self, name: &str) -> Person {
        let username = format!("{name}-{}", Uuid::now_v7().simple());
        if self.find_lane(Role::Sessions).is_none() {
            return self.register(&username).await;
        }
        self.auditor().person(&username, &[], 0).await
    }

    /// Makes several people.
    pub async fn people_named<const N: usize>(&self, names: [&str; N]) -> [Person; N] {
        let mut people = Vec::new();
        for name in names {
            people.push(self.person(name).await);
        }
        people.try_into().expect("as many people as names")
    }

    /// Makes somebody as a front end does.
    async fn register(&self, username: &str) -> Person {
        let rest = Rest::anonymous(self.address());
        let credentials = json!({ "username": username, "password": PASSWORD });
        let (status, body) = rest.post("/auth/register", &credentials).await;
        assert_eq!(status, 201, "{body}");
        let (status, body) = rest.post("/auth/login", &credentials).await;
        assert_eq!(status, 200, "{body}");
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let id = text(&body["user"]["id"]);
        Person {
            id: id.parse().expect("the id is a UUID"),
            number: body["user"]["number"].as_i64().expect("a number"),
            username: username.to_owned(),
            token: text(&body["access"]),
        }
    }

    /// A person's HTTP client at the first gateway.
    #[must_use]
    pub fn rest(&self, person: &Person) -> Rest {
        Rest::with_token(self.address(), &person.token)
    }

    /// What the tables hold of some threads: their texts and who came when.
    pub async fn table(&self, threads: &[i64]) -> Table {
        self.auditor().table(threads).await
    }
}
