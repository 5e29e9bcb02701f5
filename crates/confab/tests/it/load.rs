//! `confab load` against a Confab in its smallest and its largest shape: it finds nothing wrong, and says what it found.

use std::path::Path;
use std::process::{Command, Output};

use confab_testkit::{Rest, Shape, System};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Whoever registers may ask, as often as it goes.
const GENEROUS: [(&str, &str); 3] = [
    ("sessions.registration.models", "0"),
    ("sessions.registration.deposit_microdollars", "100000000"),
    ("gateway.limits.requests_per_minute", "0"),
];

/// Puts a load on every gateway of a system.
async fn load(system: &System, arguments: &str) -> Output {
    let mut targets = system.addresses().into_iter();
    let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
    command.args(["load", "--quiet", "--target"]);
    command.arg(format!("http://{}", targets.next().unwrap()));
    for other in targets {
        command.args(["--also", &format!("http://{other}")]);
    }
    command.args(arguments.split(' '));
    let ended = tokio::task::spawn_blocking(move || command.output());
    ended.await.unwrap().unwrap()
}

/// The rows of a file of reports.
fn rows(file: &Path) -> Vec<Value> {
    let rows = std::fs::read_to_string(file).unwrap();
    let rows = rows.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_load_finds_a_confab_that_works_right() {
    for shape in Shape::ENDS {
        let system = System::start_with(shape, &GENEROUS).await;
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("rows.jsonl");
        let people = folder.path().join("people");
        let loads = [
            "direct --sockets 8 --people 4",
            "direct --sockets 8 --people 4 --rate 40",
            "direct --sockets 4 --people 4 --dialect groups",
            "room --sockets 8 --people 4 --rate 40",
            "room --sockets 8 --people 4 --closed",
            "idle --sockets 20 --people 4",
            "idle --sockets 20 --people 4 --dialect direct",
            "idle --sockets 20 --people 4 --dialect assistant",
            "chat --sockets 2",
            "ask --sockets 2",
            "ask --sockets 2 --dialect conversations",
            "ask --sockets 2 --dialect assistant",
            "history --sockets 2 --messages 120",
            "history --sockets 2 --messages 120 --dialect groups",
            "reconnect --sockets 20 --people 4",
            "reconnect --sockets 4 --people 4 --rate 10",
        ];
        for arguments in loads {
            // The people of the first one go on: signing in takes longest.
            let (people, file) = (people.display(), file.display());
            let kept = format!("--people-file {people} --json {file}");
            let ended = load(&system, &format!("{arguments} --duration 0.5 {kept}")).await;
            assert!(ended.status.success(), "{shape:?} {arguments}: {ended:?}");
            let row = rows(&folder.path().join("rows.jsonl")).pop().unwrap();
            assert_eq!(row["wrong"]["errors"], 0, "{shape:?} {arguments}: {row}");
            // On a slow machine all of it may be done after the time only.
            let found = &row["findings"];
            let latencies = found["latencies"].as_array().unwrap();
            assert!(
                !latencies.is_empty() || found["holds_sockets"] == true,
                "{shape:?} {arguments}: {row}"
            );
            let table = String::from_utf8(ended.stdout).unwrap();
            let scenario = arguments.split(' ').next().unwrap();
            assert!(table.contains(&format!("{scenario}: ")), "{table}");
            assert!(table.contains("lost 0, doubled 0"), "{table}");
        }
        assert_eq!(rows(&file).len(), loads.len());
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_day_has_something_of_everything() {
    let system = System::start_with(Shape::Sqlite, &GENEROUS).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rows.jsonl");
    let plan = folder.path().join("day.toml");
    let day = "[[load]]\nscenario = \"mixed\"\nname = \"a day\"\nsockets = 100\npeople = 50\nrate = 60\nduration = 1\nmessages = 60\n";
    std::fs::write(&plan, day).unwrap();
    let own = std::process::id();
    let arguments = format!(
        "--file {} --json {} --pid {own}",
        plan.display(),
        file.display()
    );
    let ended = load(&system, &arguments).await;
    assert!(ended.status.success(), "{ended:?}");
    let row = rows(&file).pop().unwrap();
    assert_eq!(row["plan"]["name"], "a day");
    assert_eq!(row["wrong"]["errors"], 0, "{row}");
    assert!(row["cpu_ms_each"].as_f64() > Some(0.0), "{row}");
    let figures = row["findings"]["figures"].as_array().unwrap();
    for part in ["direct", "room", "history", "ask", "reconnect", "idle"] {
        let mut figures = figures.iter();
        let figure = figures.find(|it| it["name"].as_str().unwrap().starts_with(part));
        assert!(
            figure.unwrap()["value"].as_f64() > Some(0.0),
            "{part}: {row}"
        );
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_waits_until_it_may_sign_in() {
    let system = System::start_with(Shape::Sqlite, &GENEROUS).await;
    // Somebody at the same address tries passwords until nobody there may try any more.
    let stranger = Rest::anonymous(system.address());
    let mut throttled = false;
    for attempt in 0..60 {
        let guess =
            json!({ "username": format!("nobody-{attempt}"), "password": "not the password" });
        let (status, _) = stranger.post("/auth/login", &guess).await;
        throttled |= status == 429;
        if throttled {
            break;
        }
        assert_eq!(status, 401);
    }
    assert!(throttled, "the address is slowed down");
    let ended = load(&system, "direct --sockets 2 --people 2 --duration 0.2").await;
    assert!(ended.status.success(), "{ended:?}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_makes_no_sense_or_has_no_target_says_so() {
    let system = System::start_with(Shape::Sqlite, &[]).await;
    for (arguments, told) in [
        ("direct --sockets 3 --people 2", "multiple of --people"),
        ("room --dialect openai", "not played in that dialect"),
        ("room --rate 3 --closed", "cannot be used with"),
        ("--file nothing.toml", "No such file"),
        ("idle --duration 3000 --sockets 1", "access_seconds"),
    ] {
        let ended = load(&system, arguments).await;
        assert!(!ended.status.success(), "{arguments}");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains(told), "{arguments}: {said}");
    }
    // Whoever registers may ask nothing here: each ask is an error, and no promise is broken.
    let ended = load(&system, "ask --sockets 1 --rate 5 --duration 0.5").await;
    assert!(ended.status.success(), "{ended:?}");
    let table = String::from_utf8(ended.stdout).unwrap();
    assert!(!table.contains("errors 0"), "{table}");
    system.stop().await;
}
