//! The arrows between the crates point inward.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on of ours. A crate that is not here may not exist.
const ARROWS: [(&str, &[&str]); 7] = [
    ("dayfill-core", &[]),
    ("dayfill-local", &[]),
    ("dayfill-engine", &["dayfill-core"]),
    ("dayfill-aws", &["dayfill-core", "dayfill-engine"]),
    ("dayfill-sim", &["dayfill-core", "dayfill-engine", "dayfill-local"]),
    ("dayfill", &["dayfill-aws", "dayfill-core", "dayfill-engine", "dayfill-local", "dayfill-sim"]),
    // Nothing is built on the tests, so they may look at everything.
    (
        "dayfill-tests",
        &["dayfill", "dayfill-aws", "dayfill-core", "dayfill-engine", "dayfill-local", "dayfill-sim"],
    ),
];

fn metadata() -> Value {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = [
        "metadata",
        "--offline",
        "--locked",
        "--no-deps",
        "--format-version",
        "1",
        "--manifest-path",
        manifest,
    ];
    let ran = Command::new(cargo).args(args).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// The normal and build dependencies of each crate of the workspace. What only tests need is no arrow of the house.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|d| d["kind"] != "dev").map(|d| text(&d["name"])).collect()
    };
    packages.iter().map(|p| (text(&p["name"]), of(p))).collect()
}

#[test]
fn every_arrow_between_the_crates_is_allowed() {
    let dependencies = dependencies();
    let allowed = BTreeMap::from(ARROWS);
    let names: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    let unknown: Vec<&&str> = names.iter().filter(|name| !allowed.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "no arrows are drawn for {unknown:?}");
    assert!(names.len() >= 6, "{names:?}");
    for (name, needs) in &dependencies {
        let ours: BTreeSet<&str> = needs.iter().map(String::as_str).filter(|n| names.contains(n)).collect();
        let may: BTreeSet<&str> = allowed[name.as_str()].iter().copied().collect();
        assert!(ours.is_subset(&may), "{name} may depend on {may:?}, and depends on {ours:?}");
    }
}

#[test]
fn the_core_does_no_io() {
    let dependencies = dependencies();
    let io = |name: &&String| {
        [
            "tokio",
            "async",
            "futures",
            "aws-",
            "hyper",
            "reqwest",
            "http",
            "rustix",
            "libc",
            "tempfile",
            "getrandom",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    };
    let found: Vec<&String> = dependencies["dayfill-core"].iter().filter(io).collect();
    assert!(found.is_empty(), "core depends on {found:?}");
    let sdk: Vec<&String> = ["dayfill-core", "dayfill-engine", "dayfill-local", "dayfill"]
        .iter()
        .flat_map(|name| &dependencies[*name])
        .filter(|name| name.starts_with("aws-"))
        .collect();
    assert!(sdk.is_empty(), "types of the AWS SDK stop in crates/aws, and elsewhere {sdk:?} is asked for");
}
