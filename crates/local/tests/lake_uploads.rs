//! Copies and uploads in parts, over the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod lake_support;

use lake_support::{Engine, files_below, with_bucket};

#[test]
fn copies_take_the_bytes_and_what_they_carry() {
    let engine = with_bucket();
    let source = engine.call("PUT", "/lake/from%20here").header("x-amz-meta-a", "1").body("bytes").send();
    let copy = |target: &str| engine.call("PUT", target).header("x-amz-copy-source", "/lake/from%20here");
    let copied = copy("/lake/to").send();
    assert_eq!((copied.status, copied.all("ETag")), (200, vec![source.etag()]), "{}", copied.text());
    assert_eq!(engine.get("/lake/to").header("x-amz-meta-a"), Some("1"));
    let replaced = copy("/lake/to").header("x-amz-metadata-directive", "REPLACE").header("x-amz-meta-b", "2");
    assert_eq!(replaced.send().status, 200);
    let to = engine.get("/lake/to");
    assert_eq!((to.header("x-amz-meta-a"), to.header("x-amz-meta-b")), (None, Some("2")));
    assert_eq!(copy("/lake/from%20here").send().error(), (400, "InvalidRequest".into()));
    let unwanted = copy("/lake/to").header("x-amz-copy-source-if-none-match", &source.etag()).send();
    assert_eq!(unwanted.error(), (412, "PreconditionFailed".into()));
    let missing = engine.call("PUT", "/lake/to").header("x-amz-copy-source", "/lake/missing").send();
    assert_eq!(missing.error(), (404, "NoSuchKey".into()));
}

#[test]
fn an_upload_in_parts_becomes_one_object() {
    let mut engine = with_bucket();
    let begin = engine.call("POST", "/lake/big?uploads").header("x-amz-meta-a", "1").send();
    let id = begin.all("UploadId").pop().unwrap();
    let part = |engine: &Engine, number: i32, body: &[u8]| {
        engine.put(&format!("/lake/big?partNumber={number}&uploadId={id}"), body)
    };
    let large = vec![b'x'; 5 * 1024 * 1024];
    part(&engine, 1, b"replaced");
    let first = part(&engine, 1, &large).etag();
    let last = part(&engine, 3, b"end").etag();
    assert_eq!(engine.get("/lake/big").status, 404);
    assert_eq!(engine.keys("lake", ""), Vec::<String>::new());
    engine.restart();
    let listed = engine.get(&format!("/lake/big?uploadId={id}"));
    assert_eq!(listed.all("PartNumber"), ["1", "3"]);
    assert_eq!(engine.get("/lake?uploads").all("UploadId"), std::slice::from_ref(&id));
    let complete = |engine: &Engine, parts: &[(i32, &str)]| {
        let parts: Vec<String> = parts
            .iter()
            .map(|(number, etag)| {
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let xml = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat());
        engine.call("POST", &format!("/lake/big?uploadId={id}")).header("if-none-match", "*").body(xml).send()
    };
    assert_eq!(complete(&engine, &[(3, &last), (1, &first)]).error(), (400, "InvalidPartOrder".into()));
    assert_eq!(complete(&engine, &[(1, &last)]).error(), (400, "InvalidPart".into()));
    assert_eq!(complete(&engine, &[(2, &first)]).error(), (400, "InvalidPart".into()));
    engine.put("/lake/big", "in the way");
    assert_eq!(complete(&engine, &[(1, &first), (3, &last)]).error(), (412, "PreconditionFailed".into()));
    engine.call("DELETE", "/lake/big").send();
    let done = complete(&engine, &[(1, &first), (3, &last)]);
    assert_eq!(done.status, 200, "{}", done.text());
    // MD5 of the two MD5s, as S3 makes it.
    let etag = done.all("ETag").pop().unwrap();
    assert!(etag.ends_with("-2\""), "{etag}");
    let whole = engine.get("/lake/big");
    assert_eq!(
        (whole.body.len(), whole.etag(), whole.header("x-amz-meta-a")),
        (large.len() + 3, etag, Some("1"))
    );
    assert!(whole.body.ends_with(b"xend"));
    assert_eq!(complete(&engine, &[(1, &first)]).error(), (404, "NoSuchUpload".into()));
}

#[test]
fn uploads_can_be_given_up_and_ids_lead_nowhere_else() {
    let engine = with_bucket();
    let id = engine.call("POST", "/lake/k?uploads").send().all("UploadId").pop().unwrap();
    assert_eq!(engine.put(&format!("/lake/k?partNumber=1&uploadId={id}"), "x").status, 200);
    assert_eq!(engine.put(&format!("/lake/other?partNumber=1&uploadId={id}"), "x").status, 404);
    for number in [0, 10_001] {
        let refused = engine.put(&format!("/lake/k?partNumber={number}&uploadId={id}"), "x");
        assert_eq!(refused.error().0, 400);
    }
    for wrong in ["..", "..%2F..%2Flake", "%2Fetc", &"0".repeat(32)] {
        assert_eq!(engine.put(&format!("/lake/k?partNumber=1&uploadId={wrong}"), "x").status, 404, "{wrong}");
        assert_eq!(engine.call("DELETE", &format!("/lake/k?uploadId={wrong}")).send().status, 404, "{wrong}");
    }
    let small = engine.put(&format!("/lake/k?partNumber=2&uploadId={id}"), "y").etag();
    let first = engine.put(&format!("/lake/k?partNumber=1&uploadId={id}"), "x").etag();
    let xml = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{first}</ETag></Part><Part><PartNumber>2</PartNumber><ETag>{small}</ETag></Part></CompleteMultipartUpload>"
    );
    let small = engine.call("POST", &format!("/lake/k?uploadId={id}")).body(xml).send();
    assert_eq!(small.error(), (400, "EntityTooSmall".into()));
    assert_eq!(engine.call("DELETE", &format!("/lake/k?uploadId={id}")).send().status, 204);
    assert_eq!(files_below(&engine.lake().join(".s3local/lake/uploads")), 0);
}

#[test]
fn a_part_can_be_a_range_of_another_object() {
    let engine = with_bucket();
    engine.put("/lake/from", "0123456789");
    let id = engine.call("POST", "/lake/to?uploads").send().all("UploadId").pop().unwrap();
    let part = engine
        .call("PUT", &format!("/lake/to?partNumber=1&uploadId={id}"))
        .header("x-amz-copy-source", "lake/from")
        .header("x-amz-copy-source-range", "bytes=3-5")
        .send();
    let etag = part.all("ETag").pop().unwrap();
    let xml = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    assert_eq!(engine.call("POST", &format!("/lake/to?uploadId={id}")).body(xml).send().status, 200);
    assert_eq!(engine.get("/lake/to").text(), "345");
}
