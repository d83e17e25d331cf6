use std::time::Duration;

use super::*;
use crate::testing::{Asked as Request, Reply, Server, connection_to};

fn listing(body: &str) -> Reply {
    Reply::xml(
        200,
        &format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>lake</Name>{body}</ListBucketResult>"#
        ),
    )
}

fn object(key: &str, size: u64) -> String {
    format!(
        "<Contents><Key>{key}</Key><LastModified>2018-10-04T05:06:07.089Z</LastModified>\
         <ETag>&quot;d41d8&quot;</ETag><Size>{size}</Size></Contents>"
    )
}

fn all(prefix: &str) -> PageRequest<'_> {
    PageRequest { prefix, folders: false, token: None }
}

async fn failed(reply: fn(usize, &Request) -> Reply) -> PortError {
    let server = Server::start(reply).await;
    S3Source::new(&server.connection().await, "lake").page(all("logs/")).await.unwrap_err()
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::xml(status, &format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

#[tokio::test]
async fn keys_are_decoded_and_pages_follow_each_other() {
    let server = Server::start(|n, _| match n {
        0 => listing(&format!(
            "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>{}{}\
             <CommonPrefixes><Prefix>logs/a%3Db+c/</Prefix></CommonPrefixes>\
             <NextContinuationToken>to ken+/=</NextContinuationToken>",
            object("logs/a+b%2Bc%0A%E3%81%82", 7),
            object("logs/plain", u64::from(u32::MAX) + 1)
        )),
        _ => listing("<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"),
    })
    .await;
    let source = S3Source::new(&server.connection().await, "lake");
    let page = source.page(PageRequest { folders: true, ..all("logs/") }).await.unwrap();
    let keys: Vec<_> = page.objects.iter().map(|o| (o.key.as_str(), o.size)).collect();
    assert_eq!(keys, [("logs/a b+c\nあ", 7), ("logs/plain", 4_294_967_296)]);
    assert_eq!(page.objects[0].etag, "\"d41d8\"");
    assert_eq!(page.objects[0].modified.to_rfc3339(), "2018-10-04T05:06:07.089+00:00");
    assert_eq!(page.prefixes, ["logs/a=b c/"]);
    let next = page.next.unwrap();
    assert_eq!(next, "to ken+/=");
    let last = source.page(PageRequest { token: Some(&next), ..all("logs/") }).await.unwrap();
    assert_eq!(last, Page::default());
    let asked = server.asked();
    for part in [
        "GET /lake/?",
        "list-type=2",
        "prefix=logs%2F",
        "delimiter=%2F",
        "max-keys=1000",
        "encoding-type=url",
    ] {
        assert!(asked[0].line.contains(part), "{part}: {}", asked[0].line);
    }
    assert!(asked[1].line.contains("continuation-token=to%20ken%2B%2F%3D"), "{}", asked[1].line);
    assert!(!asked[1].line.contains("delimiter"), "{}", asked[1].line);
}

#[tokio::test]
async fn keys_that_were_not_encoded_stay_as_they_are() {
    let server = Server::start(|_, _| listing(&object("a+b%20", 1))).await;
    let page = S3Source::new(&server.connection().await, "lake").page(all("")).await.unwrap();
    assert_eq!(page.objects[0].key, "a+b%20");
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_an_error() {
    let broken = failed(|_, _| listing("<IsTruncated>true</IsTruncated>")).await;
    assert_eq!(broken.what, "cannot list s3://lake/logs/: the listing breaks off");
}

#[tokio::test]
async fn an_overloaded_store_is_asked_again() {
    let server = Server::start(|n, _| match n {
        0 => error(503, "SlowDown", "Please reduce your request rate."),
        1 => Reply::Http(500, vec![], String::new()),
        2 => Reply::Close,
        _ => listing(&object("k", 1)),
    })
    .await;
    let page = S3Source::new(&server.connection().await, "lake").page(all("")).await.unwrap();
    assert_eq!(page.objects.len(), 1);
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn every_refusal_says_what_to_do() {
    let missing = failed(|_, _| error(404, "NoSuchBucket", "The specified bucket does not exist")).await;
    assert_eq!(missing.kind, ErrorKind::NotFound);
    assert_eq!(missing.what, "cannot list s3://lake/logs/: the bucket does not exist");

    let denied = failed(|_, _| error(403, "AccessDenied", "Access Denied")).await;
    assert_eq!(denied.kind, ErrorKind::Denied);
    assert_eq!(denied.hint.as_deref(), Some("these credentials need s3:ListBucket on arn:aws:s3:::lake"));

    let expired = failed(|_, _| error(400, "ExpiredToken", "The provided token has expired.")).await;
    assert_eq!(expired.kind, ErrorKind::Credentials);
    assert!(expired.hint.unwrap().contains("sign in again"));

    let elsewhere = failed(|_, _| {
        let body = "<Error><Code>PermanentRedirect</Code><Message>use the endpoint</Message></Error>";
        Reply::Http(301, vec![("x-amz-bucket-region", "ap-northeast-1".into())], body.into())
    })
    .await;
    assert_eq!(
        elsewhere.what,
        "cannot list s3://lake/logs/: the bucket is in Region ap-northeast-1, not in eu-west-1"
    );
    assert!(elsewhere.hint.unwrap().contains("aws.region: ap-northeast-1"));
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_told_with_its_address() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let source = S3Source::new(&connection_to(&url).await, "lake");
    let started = std::time::Instant::now();
    let error = source.page(all("")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.what.contains(&url), "{error:?}");
    assert!(started.elapsed() < Duration::from_mins(1), "a person waits for this");
}
