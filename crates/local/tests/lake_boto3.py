"""What boto3 sees of an S3; prints the same against every implementation of it.

Run with AWS_ENDPOINT_URL_S3 and credentials in the environment, on a bucket name that is free.
"""

import hashlib
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = "compared"
s3 = boto3.client("s3", config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}))


def show(label, value):
    print(label, json.dumps(value, ensure_ascii=False, sort_keys=True))


def fails(label, call, **arguments):
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        response = error.response
        show(label, [response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]])
    else:
        show(label, "no error")


s3.create_bucket(Bucket=BUCKET)
show("buckets", [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]])
show("empty", [s3.list_objects_v2(Bucket=BUCKET)[field] for field in ("KeyCount", "IsTruncated", "MaxKeys")])

# Putting and reading.
keys = ["a-b", "a/b", "a/c/d", "ab", "b/é", "b/sp ace+%&<>.gz", "c"]
for key in keys:
    put = s3.put_object(
        Bucket=BUCKET, Key=key, Body=key.encode(), ContentType="text/x-test", Metadata={"key": "v", "two": "w"}
    )
    show("put", [key, put["ETag"], put["ETag"].strip('"') == hashlib.md5(key.encode()).hexdigest()])
got = s3.get_object(Bucket=BUCKET, Key="b/é")
show("get", [got["Body"].read().decode(), got["ContentType"], got["Metadata"], got["ContentLength"]])
head = s3.head_object(Bucket=BUCKET, Key="a/b")
show("head", [head["ETag"], head["ContentLength"], head["ContentType"], head["AcceptRanges"]])
for wanted in ("bytes=1-2", "bytes=-2", "bytes=2-"):
    part = s3.get_object(Bucket=BUCKET, Key="a/c/d", Range=wanted)
    status = part["ResponseMetadata"]["HTTPStatusCode"]
    show("range", [part["Body"].read().decode(), part["ContentRange"], status])

# What fails, and how.
fails("no key", s3.get_object, Key="missing")
fails("no key", s3.head_object, Key="missing")
fails("range", s3.get_object, Key="c", Range="bytes=9-")
fails("if-match", s3.get_object, Key="c", IfMatch='"0"')
fails("if-none-match", s3.get_object, Key="c", IfNoneMatch=s3.head_object(Bucket=BUCKET, Key="c")["ETag"])
fails("create twice", s3.put_object, Key="c", Body=b"x", IfNoneMatch="*")
fails("bucket not empty", s3.delete_bucket)
fails("no upload", s3.list_parts, Key="c", UploadId="0" * 32)

# Listing.
for query in (
    {},
    {"Prefix": "a"},
    {"Delimiter": "/"},
    {"Prefix": "a/", "Delimiter": "/"},
    {"Prefix": "b", "Delimiter": "/"},
    {"StartAfter": "a/b"},
    {"StartAfter": "a/", "Delimiter": "/"},
    {"Delimiter": "-"},
    {"Prefix": "nothing"},
):
    page = s3.list_objects_v2(Bucket=BUCKET, **query)
    contents = [[item["Key"], item["Size"], item["ETag"], item["StorageClass"]] for item in page.get("Contents", [])]
    prefixes = [item["Prefix"] for item in page.get("CommonPrefixes", [])]
    show("list", [query, contents, prefixes, page["KeyCount"], page["IsTruncated"]])
# The older ListObjects is not paged with a delimiter here: moto gives common prefixes again on later pages.
for operation, size, rolled in (
    ("list_objects", 2, {}),
    ("list_objects_v2", 2, {}),
    ("list_objects_v2", 1, {"Delimiter": "/"}),
):
    pages = s3.get_paginator(operation).paginate(Bucket=BUCKET, PaginationConfig={"PageSize": size}, **rolled)
    items = []
    for page in pages:
        items += [item["Key"] for item in page.get("Contents", [])]
        items += [item["Prefix"] for item in page.get("CommonPrefixes", [])]
    show(operation, items)

# Copies, parts, deletions.
copied = s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "b/sp ace+%&<>.gz"})
show("copy", [copied["CopyObjectResult"]["ETag"], s3.head_object(Bucket=BUCKET, Key="copy")["Metadata"]])
upload = s3.create_multipart_upload(Bucket=BUCKET, Key="big", ContentType="text/big")["UploadId"]
bodies = [b"1" * (5 * 1024 * 1024), b"2" * 10]
parts = []
for number, body in enumerate(bodies, 1):
    part = s3.upload_part(Bucket=BUCKET, Key="big", UploadId=upload, PartNumber=number, Body=body)
    parts.append({"PartNumber": number, "ETag": part["ETag"]})
listed = s3.list_parts(Bucket=BUCKET, Key="big", UploadId=upload)["Parts"]
show("parts", [[part["PartNumber"], part["Size"], part["ETag"]] for part in listed])
done = s3.complete_multipart_upload(Bucket=BUCKET, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
big = s3.get_object(Bucket=BUCKET, Key="big")
show("completed", [done["ETag"], big["ContentType"], hashlib.md5(big["Body"].read()).hexdigest()])
given_up = s3.create_multipart_upload(Bucket=BUCKET, Key="given up")["UploadId"]
s3.abort_multipart_upload(Bucket=BUCKET, Key="given up", UploadId=given_up)
fails("aborted", s3.list_parts, Key="given up", UploadId=given_up)
deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "a-b"}, {"Key": "a/b"}, {"Key": "none"}]})
show("deleted", [sorted(item["Key"] for item in deleted["Deleted"]), deleted.get("Errors", [])])
for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
    s3.delete_object(Bucket=BUCKET, Key=item["Key"])
s3.delete_bucket(Bucket=BUCKET)
fails("no bucket", s3.list_objects_v2)
