"""What boto3 does with Batch and its logs, end to end; ends with an error where something is not as AWS has it.

Run with the endpoints and credentials of an engine that runs jobs as processes in the environment.
"""

import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

PATIENCE = 60
plain = Config(retries={"max_attempts": 1, "mode": "standard"})
batch = boto3.client("batch", config=plain)
logs = boto3.client("logs", config=plain)


def equal(found, wanted):
    assert found == wanted, f"{found!r} and not {wanted!r}"


def refused(text, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        equal((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]), ("ClientException", 400))
        assert text in error.response["Error"]["Message"], error
    else:
        raise AssertionError(f"not refused: {text}")


def register(name, script, **more):
    container = {
        "image": "none",
        "command": ["sh", "-c", script],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "16"}],
    }
    return batch.register_job_definition(
        jobDefinitionName=name, type="container", containerProperties=container, **more
    )


def submit(name, definition, **more):
    return batch.submit_job(jobName=name, jobQueue="default", jobDefinition=definition, **more)["jobId"]


def describe(*jobs):
    return batch.describe_jobs(jobs=list(jobs))["jobs"]


def until(job, *statuses):
    end = time.monotonic() + PATIENCE
    while True:
        (detail,) = describe(job)
        if detail["status"] in statuses:
            return detail
        assert time.monotonic() < end, detail
        time.sleep(0.02)


def over(job):
    return until(job, "SUCCEEDED", "FAILED")


def listed(page_size, **request):
    pages = batch.get_paginator("list_jobs").paginate(PaginationConfig={"PageSize": page_size}, **request)
    return [job["jobName"] for page in pages for job in page["jobSummaryList"]]


def definitions():
    register("py-say", "echo hello $WHO; echo Ref::day", parameters={"day": "monday"}, tags={"team": "data"})
    second = register(
        "py-say",
        "echo hello $WHO; echo Ref::day",
        parameters={"day": "monday"},
        retryStrategy={"attempts": 2, "evaluateOnExit": [{"onExitCode": "3", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]},
        timeout={"attemptDurationSeconds": 60},
    )
    equal(second["revision"], 2)
    register("py-long", "sleep 600")
    pages = batch.get_paginator("describe_job_definitions").paginate(
        jobDefinitionName="py-say", PaginationConfig={"PageSize": 1}
    )
    found = [(d["revision"], d["status"]) for page in pages for d in page["jobDefinitions"]]
    equal(found, [(2, "ACTIVE"), (1, "ACTIVE")])
    batch.deregister_job_definition(jobDefinition="py-say:1")
    active = batch.describe_job_definitions(jobDefinitionName="py-say", status="ACTIVE")["jobDefinitions"]
    equal([d["revision"] for d in active], [2])
    refused("not in ACTIVE status", batch.submit_job, jobName="x", jobQueue="default", jobDefinition="py-say:1")
    refused("JobQueue none not found.", batch.submit_job, jobName="x", jobQueue="none", jobDefinition="py-say")
    return second["jobDefinitionArn"]


def a_job_and_its_log(definition):
    overrides = {"environment": [{"name": "WHO", "value": "wörld"}]}
    job = submit("py-hello", definition, containerOverrides=overrides, parameters={"day": "2018-10-04"}, tags={"a": "1"})
    detail = over(job)
    equal((detail["status"], detail["container"]["exitCode"], len(detail["attempts"])), ("SUCCEEDED", 0, 1))
    equal(detail["tags"]["a"], "1")
    assert detail["createdAt"] <= detail["startedAt"] <= detail["stoppedAt"], detail
    stream = {"logGroupName": "/aws/batch/job", "logStreamName": detail["container"]["logStreamName"]}
    page = logs.get_log_events(**stream, startFromHead=True, limit=1)
    said = [event["message"] for event in page["events"]]
    while True:
        following = logs.get_log_events(**stream, startFromHead=True, nextToken=page["nextForwardToken"])
        said += [event["message"] for event in following["events"]]
        if following["nextForwardToken"] == page["nextForwardToken"]:
            break
        page = following
    equal(said, ["hello wörld", "2018-10-04"])
    return job


def tags(job):
    (detail,) = describe(job)
    batch.tag_resource(resourceArn=detail["jobArn"], tags={"b": "2"})
    equal(batch.list_tags_for_resource(resourceArn=detail["jobArn"])["tags"], {"a": "1", "b": "2"})


def stops():
    running = submit("py-running", "py-long")
    until(running, "RUNNING")
    waiting = submit("py-waiting", "py-long", dependsOn=[{"jobId": running}])
    equal(describe(waiting)[0]["status"], "PENDING")
    batch.cancel_job(jobId=running, reason="too late")
    equal(describe(running)[0]["status"], "RUNNING")
    batch.terminate_job(jobId=running, reason="enough")
    detail = over(running)
    equal((detail["status"], detail["statusReason"], detail["isTerminated"]), ("FAILED", "enough", True))
    equal(over(waiting)["statusReason"], "Dependent Job failed")
    refused("Job none not found.", batch.terminate_job, jobId="none", reason="x")


def lists():
    for number in range(5):
        submit(f"py-list-{number}", "py-say")
    wanted = [f"py-list-{number}" for number in range(5)]
    for page_size in (1, 2, 5, 100):
        by_name = [{"name": "JOB_NAME", "values": ["PY-LIST-*"]}]
        equal(listed(page_size, jobQueue="default", filters=by_name), wanted)
    for job in batch.list_jobs(jobQueue="default", filters=[{"name": "JOB_NAME", "values": ["py-list-*"]}])["jobSummaryList"]:
        over(job["jobId"])
    succeeded = listed(2, jobQueue="default", jobStatus="SUCCEEDED")
    equal([name for name in succeeded if name.startswith("py-list-")], wanted[::-1])
    equal(listed(2, jobQueue="default", jobStatus="RUNNABLE"), [])


def arrays():
    register("py-index", "echo I am $AWS_BATCH_JOB_ARRAY_INDEX; test $AWS_BATCH_JOB_ARRAY_INDEX != 3")
    job = submit("py-array", "py-index", arrayProperties={"size": 5})
    detail = over(job)
    equal((detail["status"], detail["arrayProperties"]["size"]), ("FAILED", 5))
    summary = detail["arrayProperties"]["statusSummary"]
    equal((summary["SUCCEEDED"], summary["FAILED"], summary["RUNNING"]), (4, 1, 0))
    request = {"arrayJobId": job, "jobStatus": "SUCCEEDED"}
    pages = batch.get_paginator("list_jobs").paginate(PaginationConfig={"PageSize": 1}, **request)
    found = {child["jobId"]: child["arrayProperties"]["index"] for page in pages for child in page["jobSummaryList"]}
    equal(found, {f"{job}:{index}": index for index in (0, 1, 2, 4)})
    (child,) = describe(f"{job}:3")
    equal((child["status"], child["container"]["exitCode"]), ("FAILED", 1))
    equal(listed(10, jobQueue="default", filters=[{"name": "JOB_NAME", "values": ["py-array"]}]), ["py-array"])
    first = submit("py-first", "py-say", arrayProperties={"size": 2})
    second = submit("py-second", "py-say", arrayProperties={"size": 2}, dependsOn=[{"jobId": first, "type": "N_TO_N"}, {"type": "SEQUENTIAL"}])
    equal(over(second)["status"], "SUCCEEDED")
    long = submit("py-long-array", "py-long", arrayProperties={"size": 20})
    until(f"{long}:0", "RUNNING")
    batch.terminate_job(jobId=long, reason="all of them")
    equal(over(long)["statusReason"], "all of them")
    equal(len(listed(7, arrayJobId=long, jobStatus="FAILED")), 20)


def surroundings():
    pages = batch.get_paginator("describe_job_queues").paginate(PaginationConfig={"PageSize": 1})
    (queue,) = [queue for page in pages for queue in page["jobQueues"]]
    equal((queue["jobQueueName"], queue["state"], queue["status"]), ("default", "ENABLED", "VALID"))
    pages = batch.get_paginator("describe_compute_environments").paginate(PaginationConfig={"PageSize": 1})
    (environment,) = [environment for page in pages for environment in page["computeEnvironments"]]
    equal(environment["computeEnvironmentArn"], queue["computeEnvironmentOrder"][0]["computeEnvironment"])


job = a_job_and_its_log(definitions())
tags(job)
stops()
lists()
arrays()
surroundings()
print("all as it should be")
