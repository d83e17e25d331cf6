use super::*;

fn container() -> Container {
    Container {
        name: "dayfill-1".to_owned(),
        image: "registry/image:1".to_owned(),
        engine: "dayfill-local-0".to_owned(),
        folder: "/tmp/x y".to_owned(),
        job: "1:2".to_owned(),
        cpu_shares: 512,
        options: vec!["--user=1000".to_owned()],
    }
}

#[test]
fn options_come_before_the_image_and_nothing_after_it_is_one() {
    let command = ["--privileged".to_owned(), "a b".to_owned()];
    let all = arguments(&container(), &command, &["A=1\n2".to_owned()], 10_240, Path::new("/s/env"));
    let at = all.iter().position(|argument| argument == "--").unwrap();
    assert_eq!(all[at..], ["--", "registry/image:1", "--privileged", "a b"]);
    for option in [
        "--name=dayfill-1",
        "--label=local.dayfill.folder=/tmp/x y",
        "--label=local.dayfill.job=1:2",
        "--network=host",
        "--memory=10240k",
        "--memory-swap=10240k",
        "--cpu-shares=512",
        "--env-file=/s/env",
        "--env=A=1\n2",
        "--user=1000",
    ] {
        assert!(all[..at].iter().any(|argument| argument == option), "{option} is missing in {all:?}");
    }
}

#[test]
fn variables_go_through_a_file_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("env");
    let env = [("A", "plain = # text "), ("B", "two\nlines"), ("#C", "x"), ("D E", "y"), ("F", "")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(write_env(&env, &path).unwrap(), ["B=two\nlines", "#C=x", "D E=y"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "A=plain = # text \nF=\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_engines_own_sentence_is_what_counts() {
    for (said, wanted) in [
        (
            "Error response from daemon: no such\nError: failed to start containers: x\n",
            "Error response from daemon: no such",
        ),
        (
            "Unable to find image\ndocker: Error response from daemon: pull access denied for x.\n",
            "Error response from daemon: pull access denied for x.",
        ),
        ("warning\ninvalid reference format\n\n", "invalid reference format"),
        ("", "the docker command ended without a word"),
    ] {
        assert_eq!(words(said.as_bytes()), wanted);
    }
}

#[test]
fn a_state_tells_whether_anything_ran() {
    let state = |started: &str| -> State {
        let text = format!(
            r#"{{"Status":"exited","OOMKilled":true,"Pid":0,"ExitCode":137,"Error":"","StartedAt":"{started}"}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    let ran = state("2026-01-02T03:04:05.6Z");
    assert!(ran.has_run() && ran.oom_killed && ran.exit_code == 137);
    assert!(!state("0001-01-01T00:00:00Z").has_run());
}
