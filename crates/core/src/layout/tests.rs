use std::collections::BTreeMap;

use chrono::NaiveDate;
use proptest::prelude::*;

use super::{KeyFields, Layout};

fn layout(template: &str) -> Layout {
    Layout::parse(template).unwrap_or_else(|error| panic!("{template}: {error} ({})", error.help))
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn fields(values: &[&str], date: &str, hour: Option<u8>) -> KeyFields {
    KeyFields { values: values.iter().map(|value| (*value).to_owned()).collect(), day: day(date), hour }
}

/// A template, a key of it, and what the key says.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str, Option<u8>);

/// Every row of the table of layouts that are found in the field, with one key of each.
#[test]
fn layouts_of_the_field_match_their_keys() {
    let rows: &[Row] = &[
        (
            "applications/{service}/app/{year}/{month}/{day}/{hour}/",
            "applications/condor/app/2018/10/04/05/00_5fbef6f0fdec_0.gz",
            &["condor"],
            "2018-10-04",
            Some(5),
        ),
        ("logs/{date:%Y%m%d}_", "logs/20181004_0.gz", &[], "2018-10-04", None),
        ("logs/{date:%Y%m%d-%H}_", "logs/20130111-22_0.gz", &[], "2013-01-11", Some(22)),
        (
            "log/events/ts={date:%Y%m%d-%H}/",
            "log/events/ts=20130111-22/events_0.gz",
            &[],
            "2013-01-11",
            Some(22),
        ),
        (
            "{year}/{month}/{day}/{hour}/",
            "2018/10/04/13/stream-1-2018-10-04-13-05-10-uuid",
            &[],
            "2018-10-04",
            Some(13),
        ),
        (
            "raw/year={year}/month={month}/day={day}/hour={hour}/",
            "raw/year=2018/month=10/day=04/hour=13/part-0",
            &[],
            "2018-10-04",
            Some(13),
        ),
        ("events/dt={date:%Y-%m-%d}/", "events/dt=2018-10-04/part-0001.parquet", &[], "2018-10-04", None),
        (
            "AWSLogs/{account}/elasticloadbalancing/{region}/{year}/{month}/{day}/",
            "AWSLogs/123456789012/elasticloadbalancing/us-east-2/2022/05/01/123456789012_elasticloadbalancing_us-east-2_app.my-lb.1234567890abcdef_20220215T2340Z_172.160.001.192_20sg8hgm.log.gz",
            &["123456789012", "us-east-2"],
            "2022-05-01",
            None,
        ),
        (
            "AWSLogs/{account}/vpcflowlogs/{region}/{year}/{month}/{day}/",
            "AWSLogs/acct/vpcflowlogs/region/2018/06/20/x.log.gz",
            &["acct", "region"],
            "2018-06-20",
            None,
        ),
        (
            "AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/year={year}/month={month}/day={day}/hour={hour}/",
            "AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2018/month=06/day=20/hour=00/x",
            &["1", "eu-west-1"],
            "2018-06-20",
            Some(0),
        ),
        (
            "AWSLogs/{organisation}/{account}/CloudTrail/{region}/{year}/{month}/{day}/",
            "AWSLogs/o-xxxx/acct/CloudTrail/us-east-2/2015/08/01/acct_CloudTrail_us-east-2_20150801T0210Z_Mu0KsOhtH1ar15ZZ.json.gz",
            &["o-xxxx", "acct", "us-east-2"],
            "2015-08-01",
            None,
        ),
        (
            "AWSLogs/{account}/WAFLogs/{region}/{acl}/{year}/{month}/{day}/{hour}/",
            "AWSLogs/acct/WAFLogs/us-east-1/my-acl/2021/10/28/19/50/x.log.gz",
            &["acct", "us-east-1", "my-acl"],
            "2021-10-28",
            Some(19),
        ),
        (
            "EMLARXS9EXAMPLE.{date:%Y-%m-%d-%H}.",
            "EMLARXS9EXAMPLE.2019-11-14-20.RT4KCN4SGK9.gz",
            &[],
            "2019-11-14",
            Some(20),
        ),
        (
            "{account}/{region}/{source_bucket}/{year}/{month}/{day}/{date:%Y-%m-%d-%H}-",
            "acct/region/bucket/2018/10/04/2018-10-04-05-06-07-id",
            &["acct", "region", "bucket"],
            "2018-10-04",
            Some(5),
        ),
        (
            "fluent-bit-logs/{tag}/{year}/{month}/{day}/{hour}/",
            "fluent-bit-logs/app.web/2018/10/04/13/05/10-objectAbc",
            &["app.web"],
            "2018-10-04",
            Some(13),
        ),
        ("date={date:%Y-%m-%d}/", "date=2018-10-04/1538611200-uuid.log.gz", &[], "2018-10-04", None),
        (
            "weibo/hot/{year}/{month}/{day}/{hour}.json",
            "weibo/hot/2025/09/16/08.json",
            &[],
            "2025-09-16",
            Some(8),
        ),
    ];
    for (template, key, values, date, hour) in rows {
        assert_eq!(layout(template).match_key(key), Some(fields(values, date, *hour)), "{template}");
    }
}

#[test]
fn keys_that_belong_to_no_partition_match_nothing() {
    for (template, key) in [
        (
            "raw/year={year}/month={month}/day={day}/hour={hour}/",
            "errors/year=2018/month=10/day=04/hour=13/x",
        ),
        ("weibo/hot/{year}/{month}/{day}/{hour}.json", "weibo/hot/2025/09/16/summary.json"),
        (
            "AWSLogs/{account}/CloudTrail/{region}/{year}/{month}/{day}/",
            "AWSLogs/1/CloudTrail-Digest/r/2015/08/01/x",
        ),
        ("{year}/{month}/{day}/", "2018/02/30/x"),
        ("{year}/{month}/{day}/", "2018/13/01/x"),
        ("{year}/{month}/{day}/", "2018/1/01/x"),
        ("{year}/{month}/{day}/", "2018/10/0"),
        ("{year}/{month}/{day}/", "２０１８/10/04/x"),
        ("{year}/{month}/{day}/{hour}/", "2018/10/04/24/x"),
        ("{date:%Y%m%d%H%M}", "201810040560"),
        ("{date:%Y-%j}", "2018-366"),
        ("{date:%Y-%m-%d %j}", "2018-10-04 278"),
        ("{service}/{year}/{month}/{day}/", "/2018/10/04/x"),
        ("{service}/{year}/{month}/{day}/", "a/b/2018/10/04/x"),
        ("{service}/{year}/{month}/{day}/", "../2018/10/04/x"),
        ("{service}/{year}/{month}/{day}/", "a\nb/2018/10/04/x"),
        ("{service}/{year}/{month}/{day}/", "a\u{202e}b/2018/10/04/x"),
        ("{year}/{month}/{day}/{service}", "2018/10/04/"),
    ] {
        assert_eq!(layout(template).match_key(key), None, "{template} {key}");
    }
}

#[test]
fn what_is_named_twice_must_be_the_same_twice() {
    let nested = layout("{service}/{year}/{month}/{day}/{service}-{date:%Y%m%d}-");
    assert_eq!(nested.match_key("a/2018/10/04/a-20181004-0.gz"), Some(fields(&["a"], "2018-10-04", None)));
    assert_eq!(nested.match_key("a/2018/10/04/b-20181004-0.gz"), None);
    assert_eq!(nested.match_key("a/2018/10/04/a-20181005-0.gz"), None);
    assert_eq!(nested.match_key("a/2018/10/04/ab-20181004-0.gz"), None);
    assert_eq!(nested.dimensions(), ["service"]);
}

#[test]
fn a_dimension_takes_the_shortest_text_that_fits() {
    let dated = layout("{service}-{date:%Y-%m-%d}.");
    assert_eq!(dated.match_key("web-api-2018-10-04.gz"), Some(fields(&["web-api"], "2018-10-04", None)));
    assert_eq!(
        dated.match_key("2017-01-01-2018-10-04.gz"),
        Some(fields(&["2017-01-01"], "2018-10-04", None))
    );
    let pair = layout("{a}-{b}/{date:%Y%m%d}");
    assert_eq!(pair.match_key("x-y-z/20181004"), Some(fields(&["x", "y-z"], "2018-10-04", None)));
    let last = layout("{date:%Y%m%d}/{service}");
    assert_eq!(last.match_key("20181004/condor/0.gz"), Some(fields(&["condor"], "2018-10-04", None)));
    assert_eq!(last.match_key("20181004/10"), Some(fields(&["10"], "2018-10-04", None)));
}

#[test]
fn braces_and_percent_signs_can_be_literal() {
    let braces = layout("{{logs}}/{date:%Y%%%m%d}");
    assert_eq!(braces.match_key("{logs}/2018%1004"), Some(fields(&[], "2018-10-04", None)));
    assert_eq!(braces.day_prefix(&BTreeMap::new(), day("2018-10-04")), "{logs}/2018%1004");
}

#[test]
fn a_day_may_be_a_day_of_the_year() {
    let ordinal = layout("{date:%Y/%j}/");
    assert_eq!(ordinal.match_key("2020/366/x"), Some(fields(&[], "2020-12-31", None)));
    assert_eq!(ordinal.day_prefix(&BTreeMap::new(), day("2020-02-01")), "2020/032/");
}

#[test]
fn a_prefix_ends_where_knowledge_ends() {
    let hourly = layout("applications/{service}/app/{year}/{month}/{day}/{hour}/");
    let date = day("2018-10-04");
    assert_eq!(hourly.day_prefix(&values(&[]), date), "applications/");
    assert_eq!(
        hourly.day_prefix(&values(&[("service", "condor")]), date),
        "applications/condor/app/2018/10/04/"
    );
    let late = layout("{year}/{month}/{day}/{service}/x/");
    assert_eq!(late.day_prefix(&values(&[]), date), "2018/10/04/");
    assert_eq!(late.day_prefix(&values(&[("service", "1")]), date), "2018/10/04/1/x/");
    assert_eq!(hourly.fixed_prefix(&values(&[])), "applications/");
    assert_eq!(hourly.fixed_prefix(&values(&[("service", "condor")])), "applications/condor/app/");
    assert_eq!(late.fixed_prefix(&values(&[("service", "1")])), "");
    assert!(hourly.has_hour() && !late.has_hour());
}

#[test]
fn a_prefix_inside_a_name_lists_others_too_and_the_match_tells_them_apart() {
    let late = layout("{year}/{month}/{day}/{service}");
    let prefix = late.day_prefix(&values(&[("service", "1")]), day("2018-10-04"));
    let other = "2018/10/04/10/x.gz";
    assert!(other.starts_with(&prefix));
    assert_eq!(late.match_key(other).unwrap().values, ["10"]);
}

#[test]
fn dimensions_before_the_date_are_discovered_one_component_at_a_time() {
    let trail = layout("AWSLogs/{account}/CloudTrail/r-{region}/{year}/{month}/{day}/{file}.");
    let nothing = values(&[]);
    assert_eq!(trail.next_discovery(&nothing).as_deref(), Some("AWSLogs/"));
    assert_eq!(trail.discover(&nothing, "AWSLogs/README"), None);
    assert_eq!(trail.discover(&nothing, "Other/1/"), None);
    let account = trail.discover(&nothing, "AWSLogs/1/").unwrap();
    assert_eq!(account, values(&[("account", "1")]));
    assert_eq!(trail.next_discovery(&account).as_deref(), Some("AWSLogs/1/CloudTrail/r-"));
    assert_eq!(trail.discover(&account, "AWSLogs/2/CloudTrail/r-x/"), None);
    let region = trail.discover(&account, "AWSLogs/1/CloudTrail/r-x/").unwrap();
    assert_eq!(region, values(&[("account", "1"), ("region", "x")]));
    assert_eq!(trail.next_discovery(&region), None, "what stands after the date is matched, not discovered");
}

#[test]
fn discovery_leaves_the_component_of_the_date_alone() {
    assert_eq!(layout("{service}-{date:%Y%m%d}/").next_discovery(&values(&[])), None);
    assert_eq!(layout("{year}/{service}/{month}/{day}/").next_discovery(&values(&[])), None);
    assert_eq!(layout("{date:%Y%m%d}/{service}").next_discovery(&values(&[])), None);
    let pair = layout("{a}-{b}/{date:%Y%m%d}");
    assert_eq!(pair.next_discovery(&values(&[])).as_deref(), Some(""));
    assert_eq!(pair.next_discovery(&values(&[("a", "x")])).as_deref(), Some("x-"));
    assert_eq!(pair.discover(&values(&[]), "x-y-z/"), Some(values(&[("a", "x"), ("b", "y-z")])));
    assert_eq!(pair.discover(&values(&[("a", "x-y")]), "x-y-z/"), Some(values(&[("a", "x-y"), ("b", "z")])));
    assert_eq!(pair.discover(&values(&[]), "x-\u{1b}/"), None);
}

#[test]
fn templates_that_say_too_little_point_at_the_fault() {
    for (template, at, message, help) in [
        ("", 0..0, "the layout is empty", "{year}/{month}/{day}"),
        ("/{year}/", 0..1, "cannot begin with `/`", "keys have none"),
        ("logs/{year}/{month}/", 0..20, "does not say the day", "name the whole date"),
        ("logs/%Y/%m/%d/", 0..14, "does not say the year, month and day", "{date:%Y-%m-%d}"),
        ("{date:%Y-%d}", 0..12, "does not say the month", "name the whole date"),
        ("{a}{b}/{date:%Y%m%d}", 0..6, "nothing tells where one dimension ends", "`/` or `-`"),
        ("x/{date:%Y-%m-%d %T}", 17..19, "`%T` is not a token", "leave it out"),
        ("{date:%F}", 6..8, "`%F` is not a token", "%Y-%m-%d"),
        ("{date:%y%m%d}", 6..8, "`%y` is not a token", "four digits"),
        ("{date:%Y%m%d%é}", 12..15, "`%é` is not a token", "tokens %Y"),
        ("{date:%Y%m%d%}", 12..13, "a `%` ends", "tokens %Y"),
        ("{date}", 0..6, "{date} has no format", "{date:%Y-%m-%d-%H}"),
        ("{date:}", 5..6, "the format of the date is empty", "{date:%Y-%m-%d-%H}"),
        ("{year:04}", 0..9, "only {date:…} takes a format", "{year}"),
        ("{Year}/{month}/{day}", 0..6, "{Year} is not a field", "write {year}"),
        ("{my-app}/{year}", 0..8, "{my-app} is not a field", "lower-case letters"),
        ("{}/{year}", 0..2, "a field has no name", "the fields are"),
        ("{year}/{month}/{day}/{hour}/{minute}", 28..36, "{minute} is not a field", "leave it out"),
        ("{bucket}/{date:%Y%m%d}", 0..8, "cannot name a dimension", "{key_bucket}"),
        ("{year/{month}", 0..6, "not closed", "`{{`"),
        ("a{year", 1..6, "not closed", "`{{`"),
        ("a}", 1..2, "a brace closes no field", "`}}`"),
        ("a\u{202e}{year}", 1..4, "control or text-direction", "remove it"),
    ] {
        let error = Layout::parse(template).unwrap_err();
        assert!(error.message.contains(message), "{template}: {}", error.message);
        assert!(error.help.contains(help), "{template}: {}", error.help);
        assert_eq!(error.at, at, "{template}");
    }
    assert!(Layout::parse(&format!("{}{{date:%Y%m%d}}", "x".repeat(1024))).is_err());
    assert!(Layout::parse(&format!("{{{}}}/{{date:%Y%m%d}}", "x".repeat(65))).is_err());
}

#[test]
fn a_key_made_to_be_slow_is_not() {
    let many = layout("{a}-{b}-{c}-{d}-{e}-{f}-x{date:%Y%m%d}");
    let key = "-".repeat(100_000);
    assert_eq!(many.match_key(&key), None);
}

/// Templates whose literals cannot occur in the values drawn for them.
const TEMPLATES: [&str; 8] = [
    "applications/{service}/app/{year}/{month}/{day}/{hour}/",
    "{service}/{host}/{date:%Y-%m-%d-%H}.",
    "EX.{date:%Y%m%d%H%M}.{service}.{host}",
    "{service}_{host}/{year}/{date:%j}-",
    "{year}/{month}/{day}/{service}/{hour}/{service}_{host}_",
    "日誌/{service}/{date:%Y年%m月%d日}/",
    "{service}={host}={date:%d.%m.%Y}",
    "x{{{service}}}/{month}{day}{year}{hour}/{date:%Y/%m/%d}",
];

prop_compose! {
    fn any_day()(offset in 0i64..3_600_000) -> NaiveDate {
        NaiveDate::from_ymd_opt(1, 1, 1).unwrap() + chrono::TimeDelta::days(offset)
    }
}

/// Renders a key by textual replacement, which knows nothing of tokens.
fn key_of(template: &str, service: &str, host: &str, day: NaiveDate, hour: u8, own: &str) -> String {
    let mut key = template.replace("{{", "\u{1}").replace("}}}", "}\u{2}").replace("}}", "\u{2}");
    for (field, format) in [("{year}", "%Y"), ("{month}", "%m"), ("{day}", "%d")] {
        key = key.replace(field, &day.format(format).to_string());
    }
    while let Some(start) = key.find("{date:") {
        let end = start + key[start..].find('}').unwrap();
        let text = day.and_hms_opt(u32::from(hour), 7, 0).unwrap().format(&key[start + 6..end]).to_string();
        key.replace_range(start..=end, &text);
    }
    key = key.replace("{service}", service).replace("{host}", host).replace("{hour}", &format!("{hour:02}"));
    key.replace('\u{1}', "{").replace('\u{2}', "}") + own
}

proptest! {
    #[test]
    fn rendered_keys_match_and_begin_with_their_prefix(
        which in 0..TEMPLATES.len(),
        service in "[a-z]{1,8}[0-9é-]{0,3}",
        host in "[a-z日]{1,8}",
        day in any_day(),
        hour in 0u8..24,
        own in "(/[a-z0-9_./é]{0,12})?",
    ) {
        let template = TEMPLATES[which];
        let layout = layout(template);
        let key = key_of(template, &service, &host, day, hour, &own);
        let known: BTreeMap<_, _> = [("service", &service), ("host", &host)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        let read = layout.match_key(&key);
        let names = layout.dimensions().iter().map(|name| known[name].clone()).collect();
        let hour = layout.has_hour().then_some(hour);
        prop_assert_eq!(read, Some(KeyFields { values: names, day, hour }), "{}", key);
        for known in [BTreeMap::new(), known.clone()] {
            let prefix = layout.day_prefix(&known, day);
            prop_assert!(key.starts_with(&prefix), "{} {}", key, prefix);
        }
    }

    #[test]
    fn discovery_learns_what_the_key_says(
        which in 0..TEMPLATES.len(),
        service in "[a-z]{1,8}",
        host in "[a-z]{1,8}",
        day in any_day(),
    ) {
        let layout = layout(TEMPLATES[which]);
        let key = key_of(TEMPLATES[which], &service, &host, day, 3, "/x");
        let mut known = BTreeMap::new();
        while let Some(prefix) = layout.next_discovery(&known) {
            prop_assert!(key.starts_with(&prefix));
            let end = prefix.len() + key[prefix.len()..].find('/').unwrap() + 1;
            let learned = layout.discover(&known, &key[..end]).unwrap();
            prop_assert!(learned.len() > known.len());
            known = learned;
        }
        let matched = layout.match_key(&key).unwrap();
        for (name, value) in layout.dimensions().iter().zip(matched.values) {
            prop_assert!(known.get(name).is_none_or(|known| *known == value));
        }
    }

    #[test]
    fn no_text_panics(template in "[{}a-c:%YmdHj/-]{0,40}|\\PC{0,20}", key in "\\PC{0,40}|[0-9/a-]{0,30}") {
        if let Ok(layout) = Layout::parse(&template) {
            layout.match_key(&key);
        }
        for template in TEMPLATES {
            let layout = layout(template);
            layout.match_key(&key);
            layout.discover(&BTreeMap::new(), &key);
        }
    }

    #[test]
    fn errors_point_into_the_template(template in "[{}a-c:%YmdHj/é-]{0,40}") {
        if let Err(error) = Layout::parse(&template) {
            prop_assert!(template.get(error.at.clone()).is_some(), "{:?} of {:?}", error, template);
            prop_assert!(!error.help.is_empty());
        }
    }
}

#[test]
fn a_day_has_a_prefix_of_its_own_or_shares_it() {
    for own in [
        "{service}/{year}/{month}/{day}/{hour}/",
        "{year}/{month}/{day}/{service}/{hour}/",
        "{service}.{date:%Y-%m-%d-%H}.",
        "{year}/{month}/{day}/{hour}/{year}{month}{day}",
        "{service}/{date:%Y/%j}/",
    ] {
        assert!(Layout::parse(own).unwrap().day_has_its_own_prefix(), "{own}");
    }
    for shared in [
        "{year}/{month}/{day}/{hour}/{service}/",
        "{service}/{hour}/{year}/{month}/{day}/",
        "{service}/{year}/{month}/{hour}/{day}/",
        // `…/eagle` begins `…/eagle2`, too.
        "{year}/{month}/{day}/{service}",
    ] {
        assert!(!Layout::parse(shared).unwrap().day_has_its_own_prefix(), "{shared}");
    }
}
