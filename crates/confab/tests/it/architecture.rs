//! Who may import whom: the table of `crates/README.md`, compared with what cargo sees.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Our crates that a crate may depend on, and the outside crates that are its alone to name.
struct Room {
    name: &'static str,
    may_import: &'static [&'static str],
}

const LEAVES: &[&str] = &[];
const SERVICE: &[&str] = &[
    "rpc",
    "delivery",
    "database",
    "cache",
    "runtime",
    "migrations",
];

const TABLE: &[Room] = &[
    Room {
        name: "rpc",
        may_import: LEAVES,
    },
    Room {
        name: "database",
        may_import: LEAVES,
    },
    Room {
        name: "cache",
        may_import: LEAVES,
    },
    Room {
        name: "runtime",
        may_import: LEAVES,
    },
    Room {
        name: "migrations",
        may_import: LEAVES,
    },
    Room {
        name: "delivery",
        may_import: &["rpc", "runtime"],
    },
    Room {
        name: "sessions",
        may_import: SERVICE,
    },
    Room {
        name: "threads",
        may_import: SERVICE,
    },
    Room {
        name: "attachments",
        may_import: SERVICE,
    },
    Room {
        name: "completions",
        may_import: SERVICE,
    },
    Room {
        name: "search",
        may_import: SERVICE,
    },
    Room {
        name: "gateway",
        may_import: &["rpc", "delivery", "cache", "runtime"],
    },
    Room {
        name: "load",
        may_import: LEAVES,
    },
    Room {
        name: "confab",
        may_import: &[
            "load",
            "rpc",
            "delivery",
            "database",
            "cache",
            "runtime",
            "migrations",
            "sessions",
            "threads",
            "attachments",
            "completions",
            "search",
            "gateway",
        ],
    },
    Room {
        name: "testkit",
        may_import: &["confab", "database", "rpc", "runtime"],
    },
    Room {
        name: "chaos",
        may_import: &["confab", "rpc", "runtime", "testkit"],
    },
];

/// Outside crates that only some of ours may name, by the start of their name.
const RESERVED: &[(&str, &[&str])] = &[
    ("actix", &["gateway"]),
    (
        "sea-orm",
        &[
            "database",
            "migrations",
            "sessions",
            "threads",
            "attachments",
            "completions",
            "search",
        ],
    ),
    ("sqlx", &["database"]),
    ("deadpool-redis", &["cache"]),
    ("lapin", &["delivery"]),
    ("tonic-prost-build", &["rpc"]),
    ("protox", &["rpc"]),
];

/// Normal and build dependencies of our packages, by short name; test dependencies are not architecture.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let names = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .map(|dependency| short(&dependency.name))
                .collect();
            (short(&package.name), names)
        })
        .collect()
}

fn short(name: &str) -> String {
    name.strip_prefix("confab-").unwrap_or(name).to_owned()
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let dependencies = dependencies();
    let ours: BTreeSet<&str> = TABLE.iter().map(|room| room.name).collect();
    let found: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(found, ours, "every crate has a row in the table");
    for room in TABLE {
        for name in &dependencies[room.name] {
            let allowed = !ours.contains(name.as_str()) || room.may_import.contains(&name.as_str());
            assert!(allowed, "{} must not import {name}", room.name);
        }
    }
}

#[test]
fn outside_crates_stay_in_the_rooms_that_may_name_them() {
    for (name, dependencies) in dependencies() {
        for (prefix, rooms) in RESERVED {
            let names_it = dependencies.iter().any(|other| other.starts_with(prefix));
            assert!(
                !names_it || rooms.contains(&name.as_str()),
                "{name} must not name {prefix}"
            );
        }
    }
}

/// What is linked into a package when it is built as it ships.
fn linked(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        // What a build that is not told otherwise does: features are those that the package asks for.
        .env("CARGO_RESOLVER_FEATURE_UNIFICATION", "selected")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p} {f}", "--package", package])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_ships_cannot_be_broken_on_purpose() {
    let has_failpoints = |package| {
        let linked = linked(package);
        let mut crates = linked.lines();
        crates.any(|line| line.starts_with("fail v") || line.contains("faults"))
    };
    assert!(!has_failpoints("confab"));
    assert!(has_failpoints("confab-chaos"), "they would have been seen");
}
