use std::sync::Mutex;

use dayfill_core::spec::{JobParts, MemoryParts, SourceParts, SpecParts, WindowParts};

use super::*;
use crate::event::Silent;
use crate::testing::{FakeSource, Heard, day, lock};

#[expect(clippy::unnecessary_wraps, reason = "every field of the parts may be left out")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Days 1 to 3 of October 2018 in this layout.
fn spec(layout: &str, change: impl FnOnce(&mut SourceParts, &mut WindowParts)) -> Spec {
    let mut source =
        SourceParts { uri: some("s3://example-logs/raw"), layout: some(layout), ..SourceParts::default() };
    let mut window = WindowParts { from: some("2018-10-01"), to: some("2018-10-03"), zone: None };
    change(&mut source, &mut window);
    let parts = SpecParts {
        name: some("sample"),
        source: Some(source),
        window: Some(window),
        job: Some(JobParts {
            definition: some("load:1"),
            queue: some("spot"),
            memory: Some(MemoryParts { start: some("128MiB"), max: None }),
            idempotent: some("partition"),
            ..JobParts::default()
        }),
        state: some("s3://example-state/x"),
        ..SpecParts::default()
    };
    Spec::new(parts).unwrap()
}

const ROOT: &str = "raw/";
const DAILY: &str = "{service}/{year}/{month}/{day}/";

async fn try_measure(spec: &Spec, source: &FakeSource) -> Result<Measured, PortError> {
    let now = "2019-01-01T00:00:00Z".parse().unwrap();
    enumerate(spec, ROOT, &Cuts::new(), source, &Silent, now).await
}

async fn measure(spec: &Spec, source: &FakeSource) -> Measured {
    try_measure(spec, source).await.unwrap()
}

/// Objects of every partition that has any.
fn found(measured: &Measured) -> Vec<(String, u64)> {
    measured.partitions.iter().map(|(id, m)| (id.to_string(), m.objects)).collect()
}

fn pairs(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect()
}

fn named(source: &mut SourceParts, values: &[&str]) {
    let values = values.iter().map(|v| (*v).to_owned()).collect();
    source.dimensions = vec![("service".to_owned(), values)];
}

mod discovery {
    use super::*;

    #[tokio::test]
    async fn services_are_learned_from_folders_and_days_come_from_the_window() {
        let source = FakeSource::of([
            "raw/condor/2018/10/01/a.gz",
            "raw/condor/2018/10/01/b.gz",
            "raw/condor/2018/10/01/c.gz",
            "raw/condor/2018/10/03/a.gz",
            "raw/condor/2018/10/04/later.gz",
            "raw/eagle/2018/10/02/a.gz",
            "raw/heron/1999/01/01/old.gz",
            "elsewhere/owl/2018/10/02/a.gz",
        ]);
        let measured = measure(&spec(DAILY, |_, _| ()), &source).await;
        let expected = [("condor/2018-10-01", 3), ("condor/2018-10-03", 1), ("eagle/2018-10-02", 1)];
        assert_eq!(found(&measured), pairs(&expected));
        assert_eq!(measured.combinations, [["condor"], ["eagle"], ["heron"]]);
        assert_eq!(measured.days, Some((day(1), day(3))));
        // Three services, three days, and nothing is crawled that is not of the window.
        assert_eq!(source.listed().len(), 9);
        assert!(source.listed().iter().all(|p| p.contains("/2018/10/0")));
    }

    #[tokio::test]
    async fn named_services_are_not_looked_for() {
        let source = FakeSource::of(["raw/condor/2018/10/01/a.gz", "raw/eagle/2018/10/01/a.gz"]);
        let spec = spec(DAILY, |s, _| named(s, &["condor", "kite"]));
        let measured = measure(&spec, &source).await;
        assert_eq!(found(&measured), pairs(&[("condor/2018-10-01", 1)]));
        assert_eq!(measured.combinations, [["condor"], ["kite"]], "a service without data is shown");
        assert_eq!(source.listed().len(), 6);
    }

    #[tokio::test]
    async fn two_dimensions_are_learned_one_after_the_other() {
        let source = FakeSource::of([
            "raw/eu/condor/2018/10/01/a",
            "raw/eu/eagle/2018/10/01/a",
            "raw/us/condor/2018/10/02/a",
        ]);
        let measured = measure(&spec("{site}/{service}/{year}/{month}/{day}/", |_, _| ()), &source).await;
        assert_eq!(measured.combinations, [["eu", "condor"], ["eu", "eagle"], ["us", "condor"]]);
        assert_eq!(measured.partitions.len(), 3);
    }

    #[tokio::test]
    async fn a_dimension_after_the_day_is_learned_from_keys() {
        let source =
            FakeSource::of(["raw/2018/10/01/condor/a", "raw/2018/10/01/eagle/a", "raw/2018/10/02/eagle/a"]);
        let measured = measure(&spec("{year}/{month}/{day}/{service}/", |_, _| ()), &source).await;
        assert_eq!(measured.combinations, [["condor"], ["eagle"]]);
        let expected = [("condor/2018-10-01", 1), ("eagle/2018-10-01", 1), ("eagle/2018-10-02", 1)];
        assert_eq!(found(&measured), pairs(&expected));
        assert_eq!(source.listed().len(), 3, "a listing a day");
    }

    #[tokio::test]
    async fn no_dimension_is_one_combination() {
        let source = FakeSource::of(["raw/2018/10/02/a"]);
        let measured = measure(&spec("{year}/{month}/{day}/", |_, _| ()), &source).await;
        assert_eq!(measured.combinations, [[""; 0]]);
        assert_eq!(found(&measured), pairs(&[("2018-10-02", 1)]));
    }

    #[tokio::test]
    async fn an_empty_lake_is_empty() {
        let measured = measure(&spec(DAILY, |_, _| ()), &FakeSource::of([])).await;
        assert!(measured.partitions.is_empty() && measured.combinations.is_empty());
    }
}

mod prefixes {
    use super::*;

    #[tokio::test]
    async fn a_key_is_counted_where_it_belongs() {
        // `…/1` also lists `…/10`.
        let source = FakeSource::of(["raw/2018/10/01/1", "raw/2018/10/01/10", "raw/2018/10/01/100"]);
        let spec = spec("{year}/{month}/{day}/{service}", |s, _| named(s, &["1", "10"]));
        let measured = measure(&spec, &source).await;
        assert_eq!(found(&measured), pairs(&[("1/2018-10-01", 1), ("10/2018-10-01", 1)]));
    }

    #[tokio::test]
    async fn days_that_share_a_prefix_share_a_listing() {
        let source =
            FakeSource::of(["raw/2018/10/condor-01.gz", "raw/2018/10/condor-02.gz", "raw/2018/10/owl-31.gz"]);
        let measured = measure(&spec("{year}/{month}/{service}-{day}", |_, _| ()), &source).await;
        assert_eq!(source.listed(), ["raw/2018/10/"]);
        assert_eq!(found(&measured), pairs(&[("condor/2018-10-01", 1), ("condor/2018-10-02", 1)]));
    }

    #[tokio::test]
    async fn hours_are_totalled_and_pages_followed() {
        let keys: Vec<String> = (0..24).map(|h| format!("raw/condor/2018/10/02/{h:02}/x")).collect();
        let source = FakeSource::of(keys.iter().map(String::as_str).filter(|k| !k.contains("/07/")));
        let measured = measure(&spec("{service}/{year}/{month}/{day}/{hour}/", |_, _| ()), &source).await;
        let (_, of) = measured.partitions.iter().next().unwrap();
        assert_eq!((of.objects, of.bytes, of.missing_hours()), (23, 230, vec![7]));
    }
}

mod passed_over {
    use super::*;

    #[tokio::test]
    async fn filters_count_what_they_leave_out() {
        let source = FakeSource::of([
            "raw/condor/2018/10/01/a.gz",
            "raw/condor/2018/10/01/b.txt",
            "raw/condor/2018/10/01/c_tmp.gz",
        ]);
        let spec = spec(DAILY, |s, _| {
            s.include = some(r"\.gz$");
            s.exclude = some("_tmp");
        });
        let measured = measure(&spec, &source).await;
        assert_eq!((found(&measured), measured.filtered), (pairs(&[("condor/2018-10-01", 1)]), 2));
    }

    #[tokio::test]
    async fn keys_that_do_not_follow_the_layout_are_told() {
        let layout = "{service}/{year}/{month}/{day}/{hour}/";
        let source = FakeSource::of([
            "raw/condor/2018/10/01/05/a",
            "raw/condor/2018/10/01/29/a",
            "raw/condor/2018/10/01/_SUCCESS",
        ]);
        let measured = measure(&spec(layout, |_, _| ()), &source).await;
        assert_eq!(found(&measured), pairs(&[("condor/2018-10-01", 1)]));
        assert_eq!(measured.unmatched.count, 2);
        assert_eq!(
            measured.unmatched.examples,
            ["raw/condor/2018/10/01/29/a", "raw/condor/2018/10/01/_SUCCESS"]
        );
    }

    #[tokio::test]
    async fn folder_markers_are_no_data_and_empty_objects_are() {
        let source =
            FakeSource::of([]).size("raw/condor/2018/10/01/", 0).size("raw/condor/2018/10/02/empty", 0);
        let measured = measure(&spec(DAILY, |_, _| ()), &source).await;
        assert_eq!(found(&measured), pairs(&[("condor/2018-10-02", 1)]));
        assert_eq!(measured.unmatched.count, 0);
    }

    #[tokio::test]
    async fn hostile_names_never_become_services() {
        let long = "x".repeat(201);
        let hostile = ["\u{1b}[31mred", "a\nb", "..", "\u{202e}gz", &long, "\0"];
        for name in hostile {
            // Before the day: a folder.
            let folder = format!("raw/{name}/2018/10/01/a");
            let source = FakeSource::of([folder.as_str(), "raw/condor/2018/10/01/a"]);
            let measured = measure(&spec(DAILY, |_, _| ()), &source).await;
            assert_eq!(measured.combinations, [["condor"]], "{name:?}");
            assert_eq!(measured.unusable.count, 1, "{name:?} is told");
            // After the day: in the keys.
            let key = format!("raw/2018/10/01/{name}/a");
            let source = FakeSource::of([key.as_str(), "raw/2018/10/01/condor/a"]);
            let measured = measure(&spec("{year}/{month}/{day}/{service}/", |_, _| ()), &source).await;
            assert_eq!(measured.combinations, [["condor"]], "{name:?}");
            assert_eq!(measured.unusable.count + measured.unmatched.count, 1, "{name:?} is told");
        }
    }

    #[tokio::test]
    async fn strange_names_that_do_no_harm_are_services() {
        for name in ["$(rm -rf ~)", "a b", "日本", "...", "%2e%2e", "-rf"] {
            let key = format!("raw/{name}/2018/10/01/a");
            let measured = measure(&spec(DAILY, |_, _| ()), &FakeSource::of([key.as_str()])).await;
            assert_eq!(measured.combinations, [[name]]);
        }
    }
}

mod failures {
    use super::*;

    const KEYS: [&str; 3] = ["raw/condor/2018/10/01/a", "raw/condor/2018/10/02/a", "raw/eagle/2018/10/01/a"];

    fn unlisted(measured: &Measured) -> Vec<(Vec<String>, NaiveDate, String)> {
        measured.unlisted.iter().map(|u| (u.values.clone(), u.day, u.why.clone())).collect()
    }

    #[tokio::test]
    async fn a_day_that_cannot_be_listed_is_told_and_the_rest_is_measured() {
        let source = FakeSource::of(KEYS).broken("raw/condor/2018/10/02", ErrorKind::Throttled);
        let measured = measure(&spec(DAILY, |_, _| ()), &source).await;
        assert_eq!(found(&measured), pairs(&[("condor/2018-10-01", 1), ("eagle/2018-10-01", 1)]));
        let why = "cannot list raw/condor/2018/10/02/".to_owned();
        assert_eq!(unlisted(&measured), [(vec!["condor".to_owned()], day(2), why)]);
    }

    #[tokio::test]
    async fn a_day_of_unknown_services_is_told_of_every_service() {
        let source = FakeSource::of(["raw/2018/10/01/condor/a", "raw/2018/10/03/eagle/a"])
            .broken("raw/2018/10/02", ErrorKind::Throttled);
        let measured = measure(&spec("{year}/{month}/{day}/{service}/", |_, _| ()), &source).await;
        let days: Vec<(String, NaiveDate)> =
            measured.unlisted.iter().map(|u| (u.values.join("/"), u.day)).collect();
        assert_eq!(days, [("condor".to_owned(), day(2)), ("eagle".to_owned(), day(2))]);
    }

    #[tokio::test]
    async fn what_cannot_be_told_of_any_partition_is_the_error() {
        let source = FakeSource::of([]).broken("raw/2018/10/02", ErrorKind::Throttled);
        let error =
            try_measure(&spec("{year}/{month}/{day}/{service}/", |_, _| ()), &source).await.unwrap_err();
        assert_eq!(error.what, "cannot list raw/2018/10/02/");
    }

    #[tokio::test]
    async fn where_nothing_can_be_listed_that_is_the_error() {
        for kind in [ErrorKind::Denied, ErrorKind::Throttled, ErrorKind::Other] {
            let source = FakeSource::of(KEYS).broken("raw/condor/2018", kind);
            let spec = spec(DAILY, |s, _| named(s, &["condor"]));
            assert_eq!(try_measure(&spec, &source).await.unwrap_err().kind, kind);
        }
    }

    #[tokio::test]
    async fn a_missing_bucket_is_an_error_wherever_it_shows() {
        for kind in [ErrorKind::NotFound, ErrorKind::Credentials, ErrorKind::Unreachable] {
            for prefix in ["raw/", "raw/condor/2018/10/02"] {
                let source = FakeSource::of(KEYS).broken(prefix, kind);
                let error = try_measure(&spec(DAILY, |_, _| ()), &source).await.unwrap_err();
                assert_eq!(error.kind, kind, "{prefix}");
            }
        }
    }
}

#[tokio::test]
async fn where_no_day_has_settled_nothing_is_listed() {
    let source = FakeSource::of(["raw/condor/2018/10/01/a"]);
    let spec = spec(DAILY, |_, w| w.to = None);
    let now = "2018-10-01T12:00:00Z".parse().unwrap();
    let measured = enumerate(&spec, ROOT, &Cuts::new(), &source, &Silent, now).await.unwrap();
    assert_eq!((measured.days, source.listed().len()), (None, 0));
}

#[tokio::test]
async fn progress_ends_where_it_said_it_would() {
    let source = FakeSource::of(["raw/condor/2018/10/01/a", "raw/eagle/2018/10/02/a"]);
    let heard = Heard::default();
    let now = "2019-01-01T00:00:00Z".parse().unwrap();
    enumerate(&spec(DAILY, |_, _| ()), ROOT, &Cuts::new(), &source, &heard, now).await.unwrap();
    let listed: Mutex<Vec<(u64, u64, u64)>> = Mutex::default();
    for event in heard.all() {
        let Event::Listed { done, of, objects } = event else { panic!("{event:?}") };
        lock(&listed).push((done, of, objects));
    }
    let listed = lock(&listed).clone();
    assert_eq!(listed.last(), Some(&(7, 7, 2)), "one discovery, and two services on three days");
    assert!(listed.windows(2).all(|w| w[0].0 < w[1].0), "{listed:?}");
}
