//! The command line, as a person types it.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use uuid::Uuid;

fn confab(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_confab"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn users_are_made_listed_and_paid() {
    let folder = TempDir::new().unwrap();
    let confab = |arguments: &[&str]| confab(folder.path(), arguments);
    let id = Uuid::now_v7().to_string();
    let added = confab(&[
        "user",
        "add",
        "Test User",
        "--id",
        &id,
        "--models",
        "4,5,8",
        "--balance",
        "1",
    ]);
    assert_eq!(said(&added).trim(), id);
    assert!(refused(&confab(&["user", "add", "Test User"])).contains("taken"));
    assert!(refused(&confab(&["user", "add", "Other", "--balance", "1,5"])).contains("dollars"));
    assert_eq!(
        said(&confab(&["user", "deposit", "Test User", "0.25"])).trim(),
        "1.25"
    );
    said(&confab(&["user", "grant", &id, "4"]));
    let listed = said(&confab(&["user", "list"]));
    for expected in [id.as_str(), "Test User", "1.25", "models 4)"] {
        assert!(listed.contains(expected), "{expected} in\n{listed}");
    }
    let token = said(&confab(&["user", "token", "Test User"]));
    assert_eq!(token.trim().split('.').count(), 3, "a signed token");
    assert!(refused(&confab(&["user", "token", "Nobody"])).contains("user"));
}

#[test]
fn api_keys_are_made_listed_and_revoked() {
    let folder = TempDir::new().unwrap();
    let confab = |arguments: &[&str]| confab(folder.path(), arguments);
    said(&confab(&["user", "add", "ann", "--models", "4,5"]));
    let key = |arguments: &[&str]| confab(&[&["key"], arguments].concat());
    let narrow = ["add", "ann", "--name", "deploy", "--scopes", "chat,models"];
    let narrow = [&narrow[..], &["--models", "4", "--budget", "0.25"]].concat();
    let narrow = [&narrow[..], &["--lifetime", "3600"]].concat();
    let secret = said(&key(&narrow));
    assert!(secret.starts_with("sk-confab-"), "a secret");
    said(&key(&["add", "ann"]));
    let listed = said(&key(&["list", "ann"]));
    let hint = &secret.trim()[49..];
    for expected in ["deploy (scopes models,chat; models 4)", "0.25", "Z ", hint] {
        assert!(listed.contains(expected), "{expected} in\n{listed}");
    }
    assert!(listed.contains("models all"), "{listed}");
    assert!(!listed.contains(secret.trim()), "a secret is told once");
    let id = listed.lines().nth(1).unwrap().split(' ').next().unwrap();
    for _ in 0..2 {
        said(&key(&["revoke", "ann", id]));
    }
    assert!(said(&key(&["list", "ann"])).contains("revoked"));

    let other = Uuid::now_v7().to_string();
    assert!(refused(&key(&["revoke", "ann", &other])).contains("API key"));
    assert!(refused(&key(&["add", "nobody"])).contains("user"));
    assert!(refused(&key(&["add", "ann", "--models", "8"])).contains("model"));
    assert!(refused(&key(&["add", "ann", "--scopes", "all"])).contains("scope"));
    assert!(refused(&key(&["add", "ann", "--lifetime", "0"])).contains('0'));
}

#[test]
fn help_and_settings_explain_themselves() {
    let folder = TempDir::new().unwrap();
    let confab = |arguments: &[&str]| confab(folder.path(), arguments);
    let help = said(&confab(&["--help"]));
    for expected in ["serve", "migrate", "user", "key", "settings", "SQLite"] {
        assert!(help.contains(expected), "{expected} in\n{help}");
    }
    assert!(said(&confab(&["settings"])).contains("127.0.0.1:8000"));
    assert!(said(&confab(&["settings", "--default"])).contains("# Confab's settings"));
    said(&confab(&["migrate"]));
    let wrong = confab(&["serve", "threads"]);
    assert!(refused(&wrong).contains("SQLite"), "{wrong:?}");
    let unknown = confab(&["--settings", "absent.toml", "settings"]);
    assert!(refused(&unknown).contains("absent.toml"), "{unknown:?}");
}
