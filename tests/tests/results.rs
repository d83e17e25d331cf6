//! What jobs say of themselves: `result.json`, written by real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::{Sandbox, sandbox};
use serde_json::json;

/// A sandbox with three days whose jobs run this after their work.
fn saying(script: &str) -> (Sandbox, Vec<String>) {
    let sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    sandbox.define(&format!("{CHECKSUM}\n{script}"));
    (sandbox, partitions)
}

#[test]
fn what_a_job_says_is_shown() {
    let say = r#"printf '{"slice": "%s", "rows_read": 12, "rows_rejected": 2, "note": "two \\u001b[31mlines\\u001b[0m were empty"}' "$DAYFILL_SLICE" > "$DAYFILL_RESULT""#;
    let (sandbox, partitions) = saying(say);
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    let explained = sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-02"]).ended(0);
    let explained = explained.prints(&["the job says: 12 rows read, 2 rows rejected, two", "lines"]);
    assert!(!explained.out.contains('\u{1b}'), "{:?}", explained.out);
    let told =
        sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-02", "--format", "json"]).ended(0).json();
    assert_eq!(told["tries"][0]["result"]["rows_read"], 12);
}

#[test]
fn what_cannot_be_believed_is_ignored() {
    let say = r#"
case "$DATE" in
2018-10-01) head -c 10000000 /dev/zero > "$DAYFILL_RESULT" ;;
2018-10-02) printf '{"slice": "condor/2018-10-01", "peak_mib": 1}' > "$DAYFILL_RESULT" ;;
2018-10-03) printf '{"slice": "%s", "peak_mib": 900000}' "$DAYFILL_SLICE" > "$DAYFILL_RESULT" ;;
esac
"#;
    let (sandbox, partitions) = saying(say);
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    for (day, why) in [("01", "more than 64.0 KiB"), ("02", "of the slice"), ("03", "900000 cannot be")] {
        let partition = format!("condor/2018-10-{day}");
        let explained = sandbox.run(&["explain", "backfill.yaml", &partition]).ended(0);
        explained.prints(&["ignored of what the job says:", why]);
    }
    // Nothing of it was learned.
    sandbox.run(&["plan", "backfill.yaml", "--only", "changed"]).ended(0).prints(&["64 MiB"]);
}

#[test]
fn a_job_that_promises_a_result_is_done_only_with_it() {
    let say = r#"
if [ "$DATE" != 2018-10-02 ] || [ "$TRY" = 2 ]; then
    printf '{"slice": "%s"}' "$DAYFILL_SLICE" > "$DAYFILL_RESULT"
fi
"#;
    let (mut sandbox, partitions) = saying(say);
    sandbox.spec["job"]["success"] = json!("result");
    sandbox.save();
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    let explained = sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-02"]).ended(0);
    explained.prints(&[
        "try 1 with 64 MiB: suspect success",
        "SUCCEEDED without its result: there is none",
        "try 2",
    ]);
}

/// As on AWS: the journal, the manifests and the results are objects, which jobs reach by S3 alone.
#[test]
fn manifests_and_results_are_objects_where_the_state_is_in_a_bucket() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    std::fs::create_dir_all(sandbox.lake().join("state")).unwrap();
    sandbox.spec["state"] = json!("s3://state/backfills");
    sandbox.spec["job"]["reads"] = json!("manifest");
    sandbox.spec["job"]["success"] = json!("result");
    sandbox.spec["job"]["environment"]["MANIFEST"] = json!("{manifest}");
    sandbox.save();
    sandbox.define(&format!(
        r#"
s3() {{
    curl --silent --show-error --fail --aws-sigv4 "aws:amz:$AWS_REGION:s3" \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@"
}}
{CHECKSUM}
rows=$(s3 "$AWS_ENDPOINT_URL_S3/${{MANIFEST#s3://}}" | wc -l)
printf '{{"slice": "%s", "rows_read": %d}}' "$DAYFILL_SLICE" "$rows" > result
s3 --upload-file result "$AWS_ENDPOINT_URL_S3/${{DAYFILL_RESULT#s3://}}"
"#
    ));
    sandbox.backfill(0);
    sandbox.outputs_are_right(&partitions);
    let told =
        sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-02", "--format", "json"]).ended(0).json();
    assert_eq!(told["tries"][0]["result"]["rows_read"], 1, "{told}");
}
