"""What a cloud has before a backfill comes, made with boto3; and what it has afterwards.

usage: moto.py make URL DAYS | moto.py tell URL
"""
import json
import sys

import boto3

what, url = sys.argv[1:3]
keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
batch, iam, s3 = (boto3.client(name, endpoint_url=url, **keys) for name in ("batch", "iam", "s3"))


def make(days):
    for bucket in ("logs", "state"):
        s3.create_bucket(Bucket=bucket)
    for day in range(1, days + 1):
        s3.put_object(Bucket="logs", Key=f"app/condor/2018/10/{day:02}/0.log", Body=b"a line\n")
    role = iam.create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    batch.create_compute_environment(
        computeEnvironmentName="hosts", type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    batch.create_job_queue(
        jobQueueName="small",
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "hosts"}],
    )


def jobs():
    """Every job of the queue as DescribeJobs tells it."""
    named = [{"name": "JOB_NAME", "values": ["*"]}]
    found = batch.list_jobs(jobQueue="small", filters=named)["jobSummaryList"]
    if not found:
        return []
    return batch.describe_jobs(jobs=[job["jobId"] for job in found])["jobs"]


def definitions():
    return batch.describe_job_definitions()["jobDefinitions"]


if what == "make":
    make(int(sys.argv[3]))
else:
    print(json.dumps({"jobs": jobs(), "definitions": definitions()}))
