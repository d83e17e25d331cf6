//! Real data: a power company's outage map of nearly three years, one day of it 87 times heavier than the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate};
use dayfill_tests::{Sandbox, sandbox, skip};
use serde_json::json;

const FROM: &str = "2019-06-11";
const TO: &str = "2022-04-21";
const OUTLIER: &str = "2019-10-28";

/// The data, where it is there. It is no part of the project: `pge-outages` of simonw/pge-outages-pre-2024, as a folder
/// `lake` with some of its days and `keys.tsv.gz` with all of its keys (key, size, time, ETag).
fn data() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/pge-outages");
    let path = std::env::var_os("DAYFILL_PGE_OUTAGES").map_or_else(|| PathBuf::from(default), PathBuf::from);
    if path.join("keys.tsv.gz").is_file() {
        return Some(path.canonicalize().unwrap());
    }
    skip(&format!("no real data in {}; DAYFILL_PGE_OUTAGES can name another folder", path.display()));
    None
}

fn prepared(source: &Path) -> Sandbox {
    let mut sandbox = sandbox!();
    sandbox.spec["name"] = json!("outages");
    sandbox.spec["source"] = json!({ "uri": source, "layout": "pge/outages/{year}/{month}/{day}/" });
    sandbox.spec["window"] = json!({ "from": FROM, "to": TO });
    sandbox.spec["job"]["memory"] = json!({ "start": "128MiB", "max": "4GiB" });
    sandbox.spec["job"]["environment"] = json!({
        "BUCKET": "{bucket}", "PREFIX": "{prefix}", "DATE": "{date}", "OUT": sandbox.root().join("out"),
    });
    sandbox.spec["local"] = json!({ "lake": "lake", "vcpus": 2, "memory": "8GiB" });
    sandbox.save();
    sandbox
}

/// Downloads the day over S3, holds all of it in memory, and says how many bytes it has.
const HOLD_THE_DAY: &str = r#"
s3() {
  curl --silent --show-error --fail --aws-sigv4 "aws:amz:$AWS_REGION:s3" \
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@"
}
prefix=$(printf %s "$PREFIX" | sed 's|/|%2F|g')
bucket=$AWS_ENDPOINT_URL_S3/$BUCKET
s3 "$bucket?list-type=2&prefix=$prefix" | tr '<' '\n' | sed -n "s|^Key>|url = $bucket/|p" > urls
s3 --config urls | gzip -dc |
  LC_ALL=C awk '{ held[NR] = $0; bytes += length($0) + 1 } END { print NR, bytes }' > "$OUT/$DATE"
"#;

/// Every file below a folder with its size and time.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(contents(&entry.path()));
        } else {
            let metadata = entry.metadata().unwrap();
            found.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
        }
    }
    found
}

/// Days with files in the lake, and the lines and bytes of each, decompressed.
fn days_of(lake: &Path) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in contents(lake).into_keys() {
        let folder = path.parent().unwrap().strip_prefix(lake.join("pge/outages")).unwrap();
        files.entry(folder.to_str().unwrap().replace('/', "-")).or_default().push(path);
    }
    let count = |files: Vec<PathBuf>| {
        let mut child = Command::new("sh")
            .args(["-c", r#"for f; do gzip -dc "$f"; done | LC_ALL=C awk '{ b += length($0) + 1 } END { print NR, b }'"#, "sh"])
            .args(files)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(child.wait().unwrap().success());
        line
    };
    files.into_iter().map(|(day, files)| (day, count(files))).collect()
}

#[test]
fn the_heaviest_day_is_killed_for_its_memory_and_loaded_all_the_same() {
    let Some(data) = data() else { return };
    let lake = data.join("lake");
    let before = contents(&lake);
    let days = days_of(&lake);
    let sandbox = prepared(&lake);
    sandbox.define(HOLD_THE_DAY);
    let window =
        (TO.parse::<NaiveDate>().unwrap() - FROM.parse::<NaiveDate>().unwrap()).num_days() as usize + 1;
    let empty = window - days.len();
    let plan = sandbox.run(&["plan", "backfill.yaml"]).ended(0);
    plan.prints(&[
        &format!("Plan: {0} jobs for {0} days. Not in plan: {empty} without data.", days.len()),
        &format!("Outlier: {OUTLIER} has "),
        "Gap: no objects from ",
    ]);
    sandbox.backfill(0).prints(&[&format!("{0} of {0} days done, {empty} without data", days.len())]);
    for (day, counted) in &days {
        assert_eq!(&sandbox.read(&format!("out/{day}")), counted, "{day}");
    }
    assert!(sandbox.status()["total"]["out_of_memory"].as_u64() >= Some(1));
    let tries = sandbox.run(&["explain", "backfill.yaml", OUTLIER, "--format", "json"]).ended(0).json();
    let tries = tries["tries"].as_array().unwrap();
    let (last, killed) = tries.split_last().unwrap();
    assert!(!killed.is_empty() && last["state"] == "succeeded", "{tries:?}");
    for (before, after) in killed.iter().zip(&tries[1..]) {
        assert_eq!(before["state"], "out of memory, exit code 137");
        assert!(after["memory_mib"].as_u64() > before["memory_mib"].as_u64(), "{tries:?}");
    }
    let explained = sandbox.run(&["explain", "backfill.yaml", OUTLIER]).ended(0);
    explained.prints(&["try 1 with 128 MiB: out of memory", "OutOfMemoryError", "succeeded", "it is loaded"]);
    assert_eq!(contents(&lake), before, "the lake was only read");
    sandbox.no_orphans();
}

/// What one day has by the list of keys.
#[derive(Default)]
struct Day {
    objects: u64,
    bytes: u64,
    largest: u64,
}

/// Makes every object of the list as a file of holes, with its time, and adds the days up on the way.
fn make_lake(keys: &Path, lake: &Path) -> BTreeMap<String, Day> {
    let mut child = Command::new("gzip").arg("-dc").arg(keys).stdout(Stdio::piped()).spawn().unwrap();
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    let mut folder = PathBuf::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().skip(1) {
        let line = line.unwrap();
        let fields: Vec<&str> = line.split('\t').collect();
        let [key, size, modified, _etag] = fields[..] else { panic!("{line}") };
        let size: u64 = size.parse().unwrap();
        let path = lake.join(key);
        if path.parent() != Some(&folder) {
            path.parent().unwrap().clone_into(&mut folder);
            fs::create_dir_all(&folder).unwrap();
        }
        let file = File::create_new(path).unwrap();
        file.set_len(size).unwrap();
        let seconds = modified.parse::<DateTime<chrono::Utc>>().unwrap().timestamp();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64)).unwrap();
        let date = key.strip_prefix("pge/outages/").unwrap()[..10].replace('/', "-");
        let day = days.entry(date).or_default();
        *day = Day { objects: day.objects + 1, bytes: day.bytes + size, largest: day.largest.max(size) };
    }
    assert!(child.wait().unwrap().success());
    days
}

#[test]
fn the_plan_of_all_keys_agrees_with_the_list() {
    let Some(data) = data() else { return };
    // Where there is a file system in memory, so many files are made in no time.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let lake = folder.path().join("outage-lake");
    let days = make_lake(&data.join("keys.tsv.gz"), &lake);
    let sandbox = prepared(&lake);
    let objects: u64 = days.values().map(|d| d.objects).sum();
    let bytes: u64 = days.values().map(|d| d.bytes).sum();
    let window =
        (TO.parse::<NaiveDate>().unwrap() - FROM.parse::<NaiveDate>().unwrap()).num_days() as usize + 1;
    let mut sizes: Vec<u64> = days.values().map(|d| d.bytes).collect();
    sizes.sort_unstable();
    let median = sizes[sizes.len().div_ceil(2) - 1];
    // What the list is known to have, so that a mistake in the counting above does not agree with one in the product.
    assert_eq!((objects, window, window - days.len()), (66_011, 1046, 390));
    assert_eq!((days[OUTLIER].bytes + median / 2) / median, 87);

    let plan = sandbox.run(&["plan", "backfill.yaml", "--format", "json", "-o", "plan.json"]).ended(0).json();
    let (totals, all) = (&plan["totals"], &plan["totals"]["all"]);
    assert_eq!((&all["objects_in_window"], &all["bytes_in_window"]), (&json!(objects), &json!(bytes)));
    assert_eq!(all["choices"], json!({ "missing": days.len(), "no data": 390 }));
    assert_eq!((&totals["jobs"], &all["days"]), (&json!(days.len()), &json!(window)));
    assert_eq!(
        totals["skew"],
        json!({
            "p50": median, "p95": sizes[(sizes.len() * 95).div_ceil(100) - 1], "max": days[OUTLIER].bytes,
        })
    );
    let outliers = totals["outliers"].as_array().unwrap();
    assert_eq!(
        outliers[0],
        json!({ "partition": OUTLIER, "bytes": days[OUTLIER].bytes, "times_median": 87 })
    );
    assert_eq!(outliers.len(), sizes.iter().filter(|s| **s >= median * 10).count());
    // Every missing day lies between two that are there, so the gaps have them all.
    let gaps = totals["gaps"].as_array().unwrap();
    assert_eq!(gaps.iter().map(|g| g["days"].as_u64().unwrap()).sum::<u64>(), 390);

    for partition in plan["partitions"].as_array().unwrap() {
        let name = partition["partition"].as_str().unwrap();
        let none = Day::default();
        let day = days.get(name).unwrap_or(&none);
        let told = ["objects", "bytes", "largest"].map(|member| partition[member].as_u64().unwrap());
        assert_eq!(told, [day.objects, day.bytes, day.largest], "{name}");
    }
    sandbox.run(&["show", "plan.json"]).ended(0).prints(&[
        "Plan: 656 jobs for 656 days. Not in plan: 390 without data.",
        "Outlier: 2019-10-28 has ",
        "87 times the median",
    ]);
}
