//! What settings and tasks promise.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use crate::Tasks;
use crate::settings::{Layers, comma_separated, environment};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Example {
    server: Server,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Server {
    port: u16,
    secret: String,
    #[serde(deserialize_with = "comma_separated")]
    origins: Vec<String>,
}

const DEFAULTS: &str = "[server]\nport = 1\nsecret = ''\norigins = ['a', 'b']\n";

fn read(aliases: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Example, String> {
    let own = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
    };
    Layers {
        defaults: DEFAULTS,
        file: None,
        aliases: own(aliases),
        environment: own(environment).into_iter().collect(),
    }
    .merge()
    .and_then(|merged| merged.read())
    .map_err(|error| error.to_string())
}

#[test]
fn later_layers_win_and_text_stays_text() {
    let plain = read(&[], &[]).unwrap();
    assert_eq!(plain.server.port, 1);
    assert_eq!(plain.server.origins, ["a", "b"]);

    let set = read(
        &[("server.port", "2"), ("server.secret", "alias")],
        &[
            ("CONFAB__SERVER__SECRET", "0123"),
            ("CONFAB__SERVER__ORIGINS", "x, y,"),
            ("UNRELATED", "1"),
        ],
    )
    .unwrap();
    assert_eq!(set.server.port, 2);
    assert_eq!(set.server.secret, "0123", "leading zeros are kept");
    assert_eq!(set.server.origins, ["x", "y"]);
}

#[test]
fn unknown_keys_and_wrong_types_are_refused_by_name() {
    let unknown = read(&[], &[("CONFAB__SERVER__PROT", "1")]).unwrap_err();
    assert!(unknown.contains("prot"), "{unknown}");
    let wrong = read(&[], &[("CONFAB__SERVER__PORT", "many")]).unwrap_err();
    assert!(wrong.contains("port"), "{wrong}");
}

#[test]
fn a_dot_env_file_is_read_leniently() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    std::fs::write(
        &path,
        "# comment\nSERVER_PORT=8000\nMAX_CHAT_HISTORY_CONTEXT = 10 # entries\n\nEMPTY=\nQUOTED=\"a # b\"\n",
    )
    .unwrap();
    let variables: HashMap<_, _> = environment(&path).unwrap();
    assert_eq!(variables["SERVER_PORT"], "8000");
    assert_eq!(variables["MAX_CHAT_HISTORY_CONTEXT"], "10");
    assert_eq!(variables["EMPTY"], "");
    assert_eq!(variables["QUOTED"], "a # b");
    assert!(environment(&folder.path().join("absent")).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_waits_for_work_and_survives_a_panic() {
    let tasks = Tasks::new();
    let stopping = tasks.stopping();
    let (sent, received) = tokio::sync::oneshot::channel();
    tasks.spawn("panics", async { panic!("on purpose") });
    tasks.spawn("works", async move {
        stopping.cancelled().await;
        sent.send(()).unwrap();
    });
    assert!(tasks.stop(Duration::from_secs(5)).await);
    received.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_read_over_http_in_the_language_of_prometheus() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    crate::telemetry::serve_metrics(address).unwrap();
    metrics::counter!("confab_tests_total", "kind" => "unit").increment(2);
    metrics::histogram!("confab_tests_seconds").record(0.02);

    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    connection.write_all(request).await.unwrap();
    let mut read = String::new();
    connection.read_to_string(&mut read).await.unwrap();
    assert!(
        read.contains("confab_tests_total{kind=\"unit\"} 2"),
        "{read}"
    );
    assert!(
        read.contains("confab_tests_seconds_bucket{le=\"0.025\"} 1"),
        "{read}"
    );
}
