use std::collections::VecDeque;

use super::*;

/// Requests a second that are allowed at this second.
type Allowed = fn(f64) -> f64;

/// A token bucket whose rate is a function of time.
struct Bucket {
    rate: Allowed,
    burst: f64,
    tokens: f64,
    at: f64,
    allowed: f64,
}

impl Bucket {
    fn new(rate: Allowed, burst: f64) -> Self {
        Self { rate, burst, tokens: burst, at: 0.0, allowed: burst }
    }

    fn fill(&mut self, now: f64) {
        let more = (self.rate)(self.at) * (now - self.at);
        self.tokens = (self.tokens + more).min(self.burst);
        self.allowed += more;
        self.at = now;
    }

    fn take(&mut self, now: f64) -> bool {
        self.fill(now);
        // What adds up to one of floating point.
        let taken = self.tokens > 1.0 - 1e-6;
        self.tokens -= f64::from(u8::from(taken));
        taken
    }
}

#[derive(Debug)]
struct Came {
    /// Of what was allowed.
    share: f64,
    refused: f64,
    most_in_a_second: usize,
}

/// Requests without end for `seconds`, at most 16 under way, each answered after `latency`.
fn run(rate: Allowed, burst: f64, latency: f64, seconds: f64) -> Came {
    let mut bucket = Bucket::new(rate, burst);
    let mut paced = Rate::new(10.0, BATCH_QUOTA);
    let mut answers: VecDeque<(f64, f64, bool)> = VecDeque::new();
    let (mut now, mut sent, mut accepted) = (0.0f64, Vec::new(), 0u32);
    while now < seconds {
        let span = Duration::from_secs_f64;
        let turn = now + paced.wait(span(now)).as_secs_f64();
        match answers.front() {
            Some((heard, ..)) if *heard <= turn || answers.len() >= 16 => {
                let (heard, asked, taken) = answers.pop_front().unwrap();
                now = heard.max(now);
                if taken {
                    accepted += 1;
                    paced.accepted(span(asked), span(now));
                } else {
                    paced.throttled(span(asked), span(now));
                }
            }
            _ => {
                now = turn;
                let taken = bucket.take(now + latency / 2.0);
                paced.sent(span(now));
                answers.push_back((now + latency, now, taken));
                sent.push(now);
            }
        }
    }
    bucket.fill(seconds);
    let within = |from: f64| sent.iter().filter(|at| **at >= from && **at < from + 1.0).count();
    Came {
        share: f64::from(accepted) / bucket.allowed,
        refused: 1.0 - f64::from(accepted) / (sent.len() - answers.len()) as f64,
        most_in_a_second: sent.iter().map(|from| within(*from)).max().unwrap(),
    }
}

fn fifty_ten_fifty(second: f64) -> f64 {
    if (20.0..40.0).contains(&second) { 10.0 } else { 50.0 }
}

fn ten_fifty(second: f64) -> f64 {
    if second < 30.0 { 10.0 } else { 50.0 }
}

#[test]
fn it_uses_what_a_service_allows() {
    let rates: [(&str, Allowed); 5] = [
        ("50", |_| 50.0),
        ("40", |_| 40.0),
        ("25", |_| 25.0),
        ("10", |_| 10.0),
        ("50, 10, 50", fifty_ten_fifty),
    ];
    for (name, rate) in rates {
        for burst in [10.0, 50.0] {
            for latency in [0.0, 0.003, 0.03, 0.2] {
                let came = run(rate, burst, latency, 60.0);
                let what = format!("{name} a second, burst {burst}, latency {latency} s: {came:?}");
                assert!(came.share >= 0.95 && came.refused <= 0.05, "{what}");
                assert!(came.most_in_a_second <= 51, "{what}");
            }
        }
    }
}

#[test]
fn it_finds_that_more_is_allowed() {
    for burst in [10.0, 50.0] {
        for latency in [0.0, 0.003, 0.03, 0.2] {
            let came = run(ten_fifty, burst, latency, 120.0);
            assert!(
                came.share >= 0.9 && came.refused <= 0.05,
                "burst {burst}, latency {latency} s: {came:?}"
            );
        }
    }
}

/// Nothing is left over for later, so whatever the rate is below what is allowed is lost.
#[test]
fn a_bucket_that_holds_one_request_is_used_too() {
    for rate in [|_| 50.0, |_| 25.0, |_| 10.0] {
        for latency in [0.0, 0.03] {
            let came = run(rate, 1.0, latency, 60.0);
            let what = format!("{} a second, latency {latency} s: {came:?}", rate(0.0));
            assert!(came.share >= 0.9 && came.refused <= 0.05, "{what}");
        }
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);

/// Requests one after the other from `from` on, each answered at once; returns when the next one is due.
fn ask(rate: &mut Rate, from: Duration, times: u32, taken: bool) -> Duration {
    let mut now = from;
    for _ in 0..times {
        now += rate.wait(now);
        rate.sent(now);
        if taken {
            rate.accepted(now, now);
        } else {
            rate.throttled(now, now);
        }
    }
    now + rate.wait(now)
}

#[test]
fn it_rises_to_the_ceiling_and_no_further() {
    let mut rate = Rate::new(10.0, BATCH_QUOTA);
    ask(&mut rate, Duration::ZERO, 100, true);
    assert!((rate.per_second() - BATCH_QUOTA).abs() < f64::EPSILON);
    assert!((Rate::new(10.0, 4.0).per_second() - 4.0).abs() < f64::EPSILON);
}

#[test]
fn refusals_of_requests_that_were_under_way_together_count_once() {
    let mut rate = Rate::new(20.0, BATCH_QUOTA);
    for n in 0..5 {
        rate.sent(MILLISECOND * (50 * n));
    }
    let heard = Duration::from_secs(1);
    assert!(rate.throttled(MILLISECOND * 50, heard));
    let lowered = rate.per_second();
    assert!((lowered - 14.0).abs() < 1e-9, "{lowered}");
    for n in 2..5 {
        assert!(!rate.throttled(MILLISECOND * (50 * n), heard));
    }
    assert!((rate.per_second() - lowered).abs() < f64::EPSILON);
    assert!(rate.throttled(heard, heard + MILLISECOND * 70), "this one was sent at the lower rate");
    assert!(rate.per_second() < lowered);
}

#[test]
fn between_two_refusals_it_learns_what_is_allowed() {
    let mut rate = Rate::new(10.0, BATCH_QUOTA);
    rate.throttled(Duration::ZERO, Duration::ZERO);
    for n in 1..=30 {
        rate.accepted(Duration::ZERO, MILLISECOND * (50 * n));
    }
    rate.per_second = 40.0;
    rate.throttled(MILLISECOND * 1_500, MILLISECOND * 1_500);
    assert!((rate.per_second() - 20.0 * BELOW).abs() < 1e-9, "30 in 1.5 s: {}", rate.per_second());
}

#[test]
fn a_pause_is_not_made_up_for() {
    let mut rate = Rate::new(50.0, BATCH_QUOTA);
    rate.sent(Duration::ZERO);
    let late = Duration::from_secs(10);
    assert_eq!(rate.wait(late), Duration::ZERO);
    rate.sent(late);
    rate.sent(late + rate.wait(late));
    assert!(rate.wait(late) > MILLISECOND * 10, "{:?}", rate.wait(late));
}

#[test]
fn a_late_timer_makes_nothing_slower() {
    let mut rate = Rate::new(50.0, BATCH_QUOTA);
    let mut now = Duration::ZERO;
    for _ in 0..501 {
        now += rate.wait(now) + MILLISECOND;
        rate.sent(now);
    }
    assert!(now < Duration::from_secs(10) + MILLISECOND * 20, "{now:?}");
}

#[test]
fn a_service_that_took_nothing_for_a_while_is_used_again() {
    let mut rate = Rate::new(10.0, BATCH_QUOTA);
    let now = ask(&mut rate, Duration::ZERO, 500, true);
    let now = ask(&mut rate, now, 60, false);
    assert!((rate.per_second() - FLOOR).abs() < f64::EPSILON);
    ask(&mut rate, now, 60, true);
    assert!(rate.per_second() > 40.0, "{}", rate.per_second());
}
