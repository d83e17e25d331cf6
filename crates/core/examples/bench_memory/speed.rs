//! How long it takes to learn.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use dayfill_core::memory::{Model, Observation};

use crate::tables::Random;

const JOBS: u64 = 10_000;
const FITS: u32 = 50;

/// Prints the time of a fit to ten thousand jobs: the mean and the longest of many.
pub fn print(out: &mut impl Write) -> io::Result<()> {
    let mut random = Random::new(1);
    let jobs: Vec<Observation> = (0..JOBS)
        .map(|_| {
            let bytes = random.draw() >> 30;
            let peak = 500.0 + bytes as f64 / 2e7 + (random.draw() >> 54) as f64;
            Observation::succeeded(bytes, 1 + bytes % 1000, 2048, Some(peak), 1.0 + peak / 100.0)
        })
        .collect();
    let took: Vec<Duration> = (0..FITS)
        .map(|_| {
            let began = Instant::now();
            black_box(Model::fit(black_box(&jobs)));
            began.elapsed()
        })
        .collect();
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let (mean, longest) =
        (took.iter().sum::<Duration>() / FITS, took.iter().max().copied().unwrap_or_default());
    writeln!(
        out,
        "A fit to {JOBS} jobs takes {:.1} ms, at most {:.1} ms of {FITS} times.",
        ms(mean),
        ms(longest)
    )
}
