//! The variables that AI-session deployments already have in their `.env`, and the settings they stand for.

use std::collections::HashMap;

use url::Url;

type Environment = HashMap<String, String>;

/// The settings, by dotted key, that the known variables stand for. An empty variable counts as unset.
pub(crate) fn settings_of(environment: &Environment) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for (variable, key) in PLAIN {
        if let Some(value) = set(environment, variable) {
            settings.push(((*key).to_owned(), value.to_owned()));
        }
    }
    settings.extend(listen(environment));
    settings.extend(databases(environment));
    settings.extend(redis(environment));
    settings.extend(agent(environment));
    settings.extend(ollama(environment));
    settings.extend(files(environment));
    settings
}

/// Variables that are one setting each.
const PLAIN: &[(&str, &str)] = &[
    ("MAX_CHAT_HISTORY_CONTEXT", "completions.history_entries"),
    ("MAX_FILE_SIZE", "attachments.max_file_mib"),
    ("OPENAI_API_KEY", "completions.providers.openai.api_key"),
    ("PUBLIC_DIR", "attachments.directory"),
    ("REDIS_STREAM", "gateway.assistant.mirror_stream"),
];

fn set<'a>(environment: &'a Environment, variable: &str) -> Option<&'a str> {
    environment
        .get(variable)
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
}

/// `SERVER_HOST` and `SERVER_PORT` move the first listener; the second keeps its port on the same host.
fn listen(environment: &Environment) -> Option<(String, String)> {
    let host = set(environment, "SERVER_HOST");
    let port = set(environment, "SERVER_PORT");
    if host.is_none() && port.is_none() {
        return None;
    }
    let host = host.unwrap_or("127.0.0.1");
    let port = port.unwrap_or("8000");
    let mut addresses = vec![format!("{host}:{port}")];
    if port != "3001" {
        addresses.push(format!("{host}:3001"));
    }
    Some(("gateway.listen".to_owned(), addresses.join(",")))
}

/// `DB_*`: one PostgreSQL database for every service; each keeps its own tables.
fn databases(environment: &Environment) -> Vec<(String, String)> {
    let Some(host) = set(environment, "DB_HOST") else {
        return Vec::new();
    };
    let Some(url) = server_url(
        "postgres",
        host,
        set(environment, "DB_PORT"),
        Some(set(environment, "DB_USER").unwrap_or("root")),
        set(environment, "DB_PASSWORD"),
        set(environment, "DB_NAME").unwrap_or("root"),
    ) else {
        return Vec::new();
    };
    [
        "sessions",
        "threads",
        "attachments",
        "completions",
        "search",
    ]
    .into_iter()
    .map(|service| (format!("{service}.database.url"), url.clone()))
    .collect()
}

fn redis(environment: &Environment) -> Option<(String, String)> {
    let url = server_url(
        "redis",
        set(environment, "REDIS_HOST")?,
        set(environment, "REDIS_PORT"),
        None,
        set(environment, "REDIS_PASSWORD"),
        set(environment, "REDIS_DB").unwrap_or("0"),
    )?;
    Some(("cache.url".to_owned(), url))
}

fn agent(environment: &Environment) -> Option<(String, String)> {
    let host = set(environment, "AI_SERVER_HOST")?;
    let port = set(environment, "AI_SERVER_PORT").unwrap_or("50051");
    Some((
        "completions.providers.agent.url".to_owned(),
        format!("http://{host}:{port}"),
    ))
}

fn ollama(environment: &Environment) -> Option<(String, String)> {
    let port = set(environment, "OLLAMA_PORT")?;
    let host = set(environment, "OLLAMA_HOST").unwrap_or("127.0.0.1");
    Some((
        "completions.providers.ollama.base_url".to_owned(),
        format!("http://{host}:{port}/v1"),
    ))
}

/// `SERVER_ADDRESS`: where others reach the gateway, with or without a scheme.
fn files(environment: &Environment) -> Option<(String, String)> {
    let address = set(environment, "SERVER_ADDRESS")?;
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    Some(("completions.files_url".to_owned(), url))
}

/// A server's URL with everything escaped that has to be; `None` when the parts make none.
fn server_url(
    scheme: &str,
    host: &str,
    port: Option<&str>,
    user: Option<&str>,
    password: Option<&str>,
    path: &str,
) -> Option<String> {
    let mut url = Url::parse(&format!("{scheme}://{host}")).ok()?;
    if let Some(port) = port {
        url.set_port(Some(port.parse().ok()?)).ok()?;
    }
    url.set_username(user.unwrap_or_default()).ok()?;
    url.set_password(password).ok()?;
    url.set_path(path);
    Some(url.into())
}
