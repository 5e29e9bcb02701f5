//! How PostgreSQL is connected.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::plain_on_this_machine;

#[test]
fn only_what_leaves_the_machine_is_encrypted_unasked() {
    let mode = |url: &str| {
        let options = PgConnectOptions::from_str(url).unwrap();
        plain_on_this_machine(options).get_ssl_mode()
    };
    for here in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
        let plain = mode(&format!("postgres://user@{here}:5432/confab"));
        assert!(matches!(plain, PgSslMode::Disable), "{here}");
        let asked = mode(&format!("postgres://user@{here}/confab?sslmode=require"));
        assert!(matches!(asked, PgSslMode::Require), "{here}");
    }
    for elsewhere in ["database", "10.0.0.7", "localhost.example", "[2001:db8::1]"] {
        let mode = mode(&format!("postgres://user@{elsewhere}/confab"));
        assert!(matches!(mode, PgSslMode::Prefer), "{elsewhere}");
    }
}
