//! Settings from every layer, and combinations that are refused before anything is opened.

use std::fs;
use std::path::Path;

use confab::settings::{DEFAULTS, Sources};
use confab::{Role, Roles, Settings};
use confab_runtime::settings::Layers;
use tempfile::TempDir;

/// Settings with some values of the test's choice.
fn with(values: &[(&str, &str)]) -> Result<Settings, String> {
    let aliases = values.iter();
    let merged = Layers {
        defaults: DEFAULTS,
        aliases: aliases
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Default::default()
    }
    .merge()
    .map_err(|error| error.to_string())?;
    Settings::from_merged(&merged).map_err(|error| format!("{error:#}"))
}

/// What `confab settings` shows for a `.env` file.
fn shown(dot_env: &str) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(".env");
    fs::write(&path, dot_env).unwrap();
    let sources = Sources {
        file: None,
        dot_env: path,
    };
    sources.show().unwrap()
}

#[test]
fn the_defaults_are_valid_and_loopback_only() {
    let settings = with(&[]).unwrap();
    assert!(
        settings
            .gateway
            .listen
            .iter()
            .all(|address| address.ip().is_loopback())
    );
    assert_eq!(settings.completions.history_entries, 10);
    settings.check_roles(&Roles::all()).unwrap();
}

#[test]
fn lists_of_models_may_be_one_text_with_commas() {
    let settings = with(&[("sessions.registration.models", "4,5")]).unwrap();
    assert_eq!(settings.sessions.registration.models, [4, 5]);
    let settings = with(&[("sessions.registration.models", "")]).unwrap();
    assert!(settings.sessions.registration.models.is_empty());
}

#[test]
fn the_sample_file_is_valid_as_it_is() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.env.sample");
    let sources = Sources {
        file: None,
        dot_env: sample,
    };
    sources.read().unwrap();
}

#[test]
fn variables_of_existing_deployments_are_understood() {
    let shown = shown(
        "SERVER_HOST = 127.0.0.1\nSERVER_PORT=9000 # moved\nDB_HOST=db.internal\nDB_USER=root\nDB_PASSWORD=p@ss/word\n\
         DB_NAME=chat\nDB_PORT=5433\nREDIS_HOST=cache.internal\nREDIS_PASSWORD=hidden-redis\nREDIS_DB=2\n\
         AI_SERVER_HOST=agent.internal\nAI_SERVER_PORT=50051\nMAX_FILE_SIZE=25\n\
         MAX_CHAT_HISTORY_CONTEXT = 12   # entries\nOPENAI_API_KEY=hidden-key\nPUBLIC_DIR=public\n",
    );
    for expected in [
        "127.0.0.1:9000,127.0.0.1:3001",
        "db.internal:5433/chat",
        "cache.internal/2",
        "http://agent.internal:50051",
        "directory = \"public\"",
        "history_entries = \"12\"",
        "max_file_mib = \"25\"",
    ] {
        assert!(shown.contains(expected), "{expected} in\n{shown}");
    }
    for secret in ["p%40ss", "p@ss", "hidden-redis", "hidden-key"] {
        assert!(!shown.contains(secret), "{secret} in\n{shown}");
    }
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let error = with(&[("threads.databse.url", "sqlite:x")]).unwrap_err();
    assert!(error.contains("databse"), "{error}");
}

#[test]
fn open_mode_stays_on_loopback_unless_told_otherwise() {
    let everywhere = ("gateway.listen", "0.0.0.0:8000");
    let error = with(&[everywhere]).unwrap_err();
    assert!(error.contains("open_beyond_loopback"), "{error}");
    with(&[everywhere, ("gateway.auth.open_beyond_loopback", "true")]).unwrap();
    with(&[everywhere, ("gateway.auth.mode", "token")]).unwrap();
}

#[test]
fn a_mirror_needs_a_redis() {
    let mirror = ("gateway.assistant.mirror", "redis-stream");
    let error = with(&[mirror]).unwrap_err();
    assert!(error.contains("cache.url"), "{error}");
    with(&[mirror, ("cache.url", "redis://127.0.0.1:6379/0")]).unwrap();
}

#[test]
fn search_needs_a_model_that_makes_vectors() {
    for name in ["gpt-4", "no-such-model"] {
        let settings = with(&[("search.embedding_model", name)]).unwrap();
        let error = settings.check_roles(&Roles::all()).unwrap_err().to_string();
        assert!(error.contains("search.embedding_model"), "{error}");
        // Elsewhere the list of models is not known.
        let elsewhere = Roles::of(&[Role::Sessions]);
        let error = settings.check_roles(&elsewhere).unwrap_err().to_string();
        assert!(!error.contains("search.embedding_model"), "{error}");
    }
}

#[test]
fn split_roles_need_addresses_and_a_shared_database() {
    let gateway = Roles::of(&[Role::Gateway]);
    let error = with(&[])
        .unwrap()
        .check_roles(&gateway)
        .unwrap_err()
        .to_string();
    assert!(error.contains("lanes.sessions.url"), "{error}");

    let threads = Roles::of(&[Role::Threads]);
    let error = with(&[])
        .unwrap()
        .check_roles(&threads)
        .unwrap_err()
        .to_string();
    assert!(error.contains("SQLite"), "{error}");

    let postgres = ("threads.database.url", "postgres://confab@db/confab");
    let settings = with(&[postgres]).unwrap();
    let error = settings.check_roles(&threads).unwrap_err().to_string();
    assert!(error.contains("delivery.url"), "{error}");

    let broker = ("delivery.url", "amqp://confab:secret@broker:5672/%2f");
    with(&[postgres, broker])
        .unwrap()
        .check_roles(&threads)
        .unwrap();
}
