//! What is listed and described, or not.

use std::sync::Mutex;
use std::time::Duration;

use dayfill_core::spec::Idempotent;
use dayfill_tests::sandbox;
use dayfill_tests::wire::{Answer, Bench, Call, Cloud, Fault, Message};
use serde_json::{Value, json};

/// Where the jobs stand in the answers of ListJobs and DescribeJobs.
fn jobs_of(answer: &mut Value) -> &mut Vec<Value> {
    let member = if answer["jobs"].is_array() { "jobs" } else { "jobSummaryList" };
    answer[member].as_array_mut().expect("a list of jobs")
}

/// The real answer with other jobs in it.
fn jobs_changed(change: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) -> Fault {
    Fault::after(Answer::changed(move |_, answer| {
        let mut body = answer.json();
        change(jobs_of(&mut body));
        answer.set_json(&body);
    }))
}

/// The first answer of this kind that has a job, ever again.
fn stale() -> Fault {
    let first: Mutex<Option<Message>> = Mutex::new(None);
    Fault::after(Answer::changed(move |_, answer| {
        let mut first = first.lock().unwrap();
        *answer = first.get_or_insert_with(|| answer.clone()).clone();
    }))
}

/// The first job that succeeded is not known any more.
fn forgets_the_first_that_succeeded(forgotten: &'static Mutex<Option<Value>>) -> Fault {
    jobs_changed(move |jobs| {
        let mut forgotten = forgotten.lock().unwrap();
        if forgotten.is_none() {
            *forgotten = jobs.iter().find(|j| j["status"] == "SUCCEEDED").map(|j| j["jobId"].clone());
        }
        jobs.retain(|j| Some(&j["jobId"]) != forgotten.as_ref());
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_not_listed_yet_is_waited_for() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let mut bench = Bench::new(&cloud).await;
    bench.bounds.grace = Duration::from_mins(10);
    bench.proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Dropped));
    bench.proxy.on(Call::ListJobs, 1..=5, jobs_changed(Vec::clear));
    let mut engine = bench.engine().await;
    bench.finish(&mut engine).await;
    assert_eq!(bench.story(&cloud.partitions[0]), ["1 intended", "1 unknown", "1 found", "1 succeeded"]);
    assert_eq!((bench.submits(), bench.proxy.count(Call::ListJobs)), (1, 6));
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_not_described_yet_is_not_lost() {
    let cloud = Cloud::start(sandbox!(), 2, &[]).await;
    let bench = Bench::new(&cloud).await;
    bench.proxy.on(Call::DescribeJobs, 1..=5, jobs_changed(Vec::clear));
    let mut engine = bench.engine().await;
    bench.finish(&mut engine).await;
    assert!(bench.proxy.count(Call::DescribeJobs) > 5);
    for partition in &cloud.partitions {
        assert_eq!(bench.story(partition), ["1 intended", "1 accepted", "1 succeeded"]);
    }
    assert_eq!(bench.submits(), 2);
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_descriptions_and_jobs_told_twice_change_nothing() {
    let cloud = Cloud::start(sandbox!(), 2, &[]).await;
    for (many, fault) in [(10, stale()), (u64::MAX, jobs_changed(|jobs| jobs.extend(jobs.clone())))] {
        let bench = Bench::new(&cloud).await;
        bench.proxy.on(Call::DescribeJobs, 1..=many, fault);
        let mut engine = bench.engine().await;
        bench.finish(&mut engine).await;
        for partition in &cloud.partitions {
            assert_eq!(bench.story(partition), ["1 intended", "1 accepted", "1 succeeded"]);
        }
        assert_eq!(bench.submits(), 2);
        bench.each_day_has_one_job().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_reads_every_page_however_odd_they_are() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let bench = Bench::new(&cloud).await;
    bench.proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Reset));
    // Two empty pages, the job twice on the third, an empty one, and the job again on the last.
    let found: Mutex<Vec<Value>> = Mutex::default();
    let odd = Answer::changed(move |request, answer| {
        let mut found = found.lock().unwrap();
        let page: usize = match request.json()["nextToken"].as_str() {
            None => {
                *found = jobs_of(&mut answer.json()).clone();
                1
            }
            Some(token) => token.parse().unwrap(),
        };
        let jobs = match page {
            3 => [found.clone(), found.clone()].concat(),
            5 => found.clone(),
            _ => Vec::new(),
        };
        let mut body = json!({ "jobSummaryList": jobs });
        if page < 5 {
            body["nextToken"] = json!((page + 1).to_string());
        }
        *answer = Message::answer(200, "application/json", body.to_string());
    });
    bench.proxy.on(Call::ListJobs, 1..=u64::MAX, Fault::after(odd));
    let mut engine = bench.engine().await;
    bench.finish(&mut engine).await;
    assert_eq!(bench.story(&cloud.partitions[0]), ["1 intended", "1 unknown", "1 found", "1 succeeded"]);
    assert_eq!((bench.submits(), bench.proxy.count(Call::ListJobs)), (1, 5));
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_read_decides_nothing() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let mut bench = Bench::new(&cloud).await;
    bench.bounds.grace = Duration::ZERO;
    bench.proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::page(502)));
    bench.proxy.on(Call::ListJobs, 1..=u64::MAX, Fault::instead(Answer::page(403)));
    let mut engine = bench.engine().await;
    engine.advance().await.unwrap();
    for _ in 0..3 {
        let error = engine.advance().await.unwrap_err().to_string();
        assert!(error.contains("look for jobs named df-"), "{error}");
        assert_eq!(bench.story(&cloud.partitions[0]), ["1 intended", "1 unknown"]);
    }
    bench.proxy.heal();
    bench.finish(&mut engine).await;
    assert_eq!(bench.story(&cloud.partitions[0]), ["1 intended", "1 unknown", "1 found", "1 succeeded"]);
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_only_a_listing_knows_is_not_lost() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let mut bench = Bench::new(&cloud).await;
    bench.bounds.lost_after = Duration::ZERO;
    bench.proxy.on(Call::DescribeJobs, 1..=u64::MAX, jobs_changed(Vec::clear));
    let mut engine = bench.engine().await;
    bench.steps_until(&mut engine, "it was searched for", |b| b.proxy.count(Call::ListJobs) >= 5).await;
    assert_eq!(bench.story(&cloud.partitions[0]), ["1 intended", "1 accepted"]);
    bench.proxy.heal();
    bench.finish(&mut engine).await;
    assert_eq!(bench.story(&cloud.partitions[0]), ["1 intended", "1 accepted", "1 succeeded"]);
    assert_eq!(bench.submits(), 1);
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_forgotten_is_lost_and_loaded_once_more_where_that_is_allowed() {
    static FORGOTTEN: [Mutex<Option<Value>>; 2] = [Mutex::new(None), Mutex::new(None)];
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    for (idempotent, forgotten) in [Idempotent::Slice, Idempotent::No].into_iter().zip(&FORGOTTEN) {
        let mut bench = Bench::new(&cloud).await;
        bench.bounds.lost_after = Duration::from_secs(1);
        bench.plan.job.idempotent = idempotent;
        // It is forgotten before anybody has looked at its end.
        for call in [Call::DescribeJobs, Call::ListJobs] {
            bench.proxy.on(call, 1..=u64::MAX, forgets_the_first_that_succeeded(forgotten));
        }
        let mut engine = bench.engine().await;
        bench.finish(&mut engine).await;
        let story = bench.story(&cloud.partitions[0]);
        if idempotent == Idempotent::No {
            assert_eq!(story, ["1 intended", "1 accepted", "1 lost", "asked_person"]);
        } else {
            let again = ["1 intended", "1 accepted", "1 lost", "2 intended", "2 accepted", "2 succeeded"];
            assert_eq!(story, again);
        }
        let intents = bench.facts().of("intended").len();
        assert_eq!((bench.submits() as usize, bench.jobs(&cloud.partitions[0]).await), (intents, intents));
        assert!(bench.proxy.submits().values().all(|n| *n == 1));
    }
}
