//! Against the vectors that AWS publishes for Signature Version 4.

use http::Request;

use super::*;

const NOW: &str = "2015-08-30T12:36:00Z";
const QUARTER: Duration = Duration::from_mins(15);

fn keys() -> Keys {
    Keys { id: "AKIDEXAMPLE".into(), secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into() }
}

/// A request of the published suite. `path` as a client puts it on the wire.
fn vector(method: &str, path: &str, headers: &[(&str, &str)], signed: &str, signature: &str) -> Parts {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", "example.amazonaws.com")
        .header("X-Amz-Date", "20150830T123600Z");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let credential = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
    let value =
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}");
    request.header("Authorization", value).body(()).unwrap().into_parts().0
}

fn check(parts: &Parts, body: &[u8]) -> Result<(), Refused> {
    verify(&keys(), parts, body, QUARTER, NOW.parse().unwrap())
}

const PLAIN: &str = "host;x-amz-date";
const VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

#[test]
fn the_published_requests_are_let_in() {
    for (name, parts) in [
        ("get-vanilla", vector("GET", "/", &[], PLAIN, VANILLA)),
        ("get-relative", vector("GET", "/example/..", &[], PLAIN, VANILLA)),
        ("get-slash", vector("GET", "//", &[], PLAIN, VANILLA)),
        (
            "get-vanilla-query-order-key-case",
            vector(
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                PLAIN,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ),
        (
            "get-slashes",
            vector(
                "GET",
                "//example//",
                &[],
                PLAIN,
                "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
            ),
        ),
        (
            "get-utf8",
            vector(
                "GET",
                "/\u{1234}",
                &[],
                PLAIN,
                "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ),
        ),
        (
            "get-header-value-trim",
            vector(
                "GET",
                "/",
                &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
                "host;my-header1;my-header2;x-amz-date",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
        ),
        (
            "get-header-key-duplicate",
            vector(
                "GET",
                "/",
                &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
                "host;my-header1;x-amz-date",
                "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ),
        ),
    ] {
        assert_eq!(check(&parts, b""), Ok(()), "{name}");
    }
}

#[test]
fn the_body_is_signed() {
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("Content-Length", "13"),
        ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
    ];
    let parts = vector(
        "POST",
        "/",
        &headers,
        "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
        "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
    );
    assert_eq!(check(&parts, b"Param1=value1"), Ok(()));
    assert_eq!(check(&parts, b"Param1=value2"), Err(Refused::Mismatch));
}

#[test]
fn what_was_encoded_is_encoded_again() {
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations";
    let scope = "AKIDEXAMPLE/20210511/us-east-2/lambda/aws4_request";
    let signature = "4b93abbcc68be32bd64c18e2c71150660ab4c29bbd6c32a383a7517a88fc1804";
    let parts = Request::post(path)
        .header("Host", "lambda.us-east-2.amazonaws.com")
        .header("X-Amz-Date", "20210511T154045Z")
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={PLAIN}, Signature={signature}"),
        )
        .body(())
        .unwrap()
        .into_parts()
        .0;
    assert_eq!(verify(&keys(), &parts, b"", QUARTER, "2021-05-11T15:40:45Z".parse().unwrap()), Ok(()));
}

#[test]
fn the_age_is_bounded_both_ways_and_worded_as_aws_words_it() {
    let parts = vector("GET", "/", &[], PLAIN, VANILLA);
    let at = |now: &str| verify(&keys(), &parts, b"", QUARTER, now.parse().unwrap());
    assert_eq!(at("2015-08-30T12:51:00Z"), Ok(()));
    assert_eq!(at("2015-08-30T12:21:00Z"), Ok(()));
    assert_eq!(
        at("2015-08-30T12:51:01Z").unwrap_err().to_string(),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
    );
    assert_eq!(
        at("2015-08-30T12:20:59Z").unwrap_err().to_string(),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T122059Z + 15 min.)"
    );
    assert_eq!(at("2015-08-30T12:51:01Z").unwrap_err().name(), "InvalidSignatureException");
}

#[test]
fn everything_else_is_refused() {
    let unsigned = Request::get("/").body(()).unwrap().into_parts().0;
    assert_eq!(check(&unsigned, b""), Err(Refused::Unsigned));
    let wrong = VANILLA.replace('5', "6");
    assert_eq!(check(&vector("GET", "/", &[], PLAIN, &wrong), b""), Err(Refused::Mismatch));
    for malformed in ["", "zz", "5fa0", &"zz".repeat(32)] {
        assert_eq!(check(&vector("GET", "/", &[], PLAIN, malformed), b""), Err(Refused::Mismatch));
    }
    assert_eq!(check(&vector("POST", "/", &[], PLAIN, VANILLA), b""), Err(Refused::Mismatch));
    let partly = vector("GET", "/", &[], "host", VANILLA);
    assert!(matches!(check(&partly, b""), Err(Refused::Incomplete(_))));
    let twice = vector("GET", "/", &[("X-Amz-Date", "20150830T123600Z")], PLAIN, VANILLA);
    assert!(matches!(check(&twice, b""), Err(Refused::Incomplete(_))));
    let others = Keys { id: "LOCALOTHER".into(), ..keys() };
    let parts = vector("GET", "/", &[], PLAIN, VANILLA);
    let refused = verify(&others, &parts, b"", QUARTER, NOW.parse().unwrap());
    assert_eq!(refused, Err(Refused::UnknownKey));
}

#[test]
fn the_scope_is_read_from_header_or_query() {
    let parts = vector("GET", "/", &[], PLAIN, VANILLA);
    assert_eq!(Scope::claimed(&parts).unwrap().service, "service");
    let uri = "/b/k?X-Amz-Credential=LOCALX%2F20150830%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0";
    let parts = Request::get(uri).body(()).unwrap().into_parts().0;
    assert_eq!(Scope::claimed(&parts).unwrap().service, "s3");
    for bad in ["/", "/?X-Amz-Credential=a/b/c", "/?X-Amz-Credential=a/b/c/s3/aws4", "/?AWSAccessKeyId=a"] {
        assert_eq!(Scope::claimed(&Request::get(bad).body(()).unwrap().into_parts().0), None, "{bad}");
    }
}

#[test]
fn fresh_keys_differ_and_open_nothing_elsewhere() {
    let (one, two) = (Keys::fresh().unwrap(), Keys::fresh().unwrap());
    assert!(one.id.starts_with("LOCAL") && one.id.len() == 20 && one.secret.len() == 40);
    assert!(one.id != two.id && one.secret != two.secret);
}
