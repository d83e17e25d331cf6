//! Lakes whose days need different memory, each for another reason.

use std::fmt::Write as _;

use dayfill_tests::Sandbox;
use serde_json::json;

/// Days in a lake.
pub const DAYS: u32 = 30;
/// Jobs in flight.
pub const IN_FLIGHT: u32 = 4;
/// What a job asks for before anything is known.
pub const START_MIB: u64 = 128;
/// The most that a job may ask for.
pub const MAX_MIB: u64 = 2048;

/// Bytes of the day that no job can load in one piece.
const MONSTER: u64 = 4_000_000;
/// Which day that is.
const MONSTER_DAY: u32 = 15;

/// Before and after a job is at its peak; a job that is killed has run for half its time.
const HALF: &str = "sleep 1";

/// What the memory of a job follows.
#[derive(Debug, Clone, Copy)]
pub enum Lake {
    Bytes,
    Objects,
    Nothing,
    BytesWithMonster,
}

impl Lake {
    pub const ALL: [Self; 4] = [Self::Bytes, Self::Objects, Self::Nothing, Self::BytesWithMonster];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "memory follows bytes",
            Self::Objects => "memory follows the number of objects",
            Self::Nothing => "memory follows nothing",
            Self::BytesWithMonster => "memory follows bytes, one day fits nowhere",
        }
    }

    /// The bytes that a job needs, a statement of `sh`: 50 to 900 million; one day of the last lake needs 4,000.
    fn need(self) -> String {
        match self {
            Self::Bytes | Self::BytesWithMonster => "NEED=$((BYTES * 1000 + 20000000))".to_owned(),
            Self::Objects => "NEED=$((OBJECTS * 10000000))".to_owned(),
            Self::Nothing => {
                let mut cases = String::new();
                for day in 1..=DAYS {
                    // Writing to a string cannot fail.
                    let _ =
                        write!(cases, "*-{day:02}) NEED={};; ", 100_000_000 + shuffled(day, 18) * 17_000_000);
                }
                format!("case $DATE in {cases}esac")
            }
        }
    }

    /// A backfill over this lake, with `binary` as the command line.
    pub fn sandbox(self, binary: &str) -> Sandbox {
        let mut sandbox = Sandbox::new(binary);
        for day in 1..=DAYS {
            let monster = matches!(self, Self::BytesWithMonster) && day == MONSTER_DAY;
            let bytes = if monster { MONSTER } else { 30_000 + (shuffled(day, 7) - 1) * 29_000 };
            // As many as there are hours, but where the number tells.
            let objects = if matches!(self, Self::Objects) { shuffled(day, 12) * 3 } else { 24 };
            let text = "x".repeat((bytes / objects) as usize);
            for object in 0..objects {
                let (hour, number) = (object % 24, object / 24);
                sandbox.object(&format!("app/condor/2018/09/{day:02}/{hour:02}/{number}.log"), &text);
            }
        }
        sandbox.spec["source"]["layout"] = json!("app/{service}/{year}/{month}/{day}/{hour}/");
        sandbox.spec["window"] = json!({ "from": "2018-09-01", "to": format!("2018-09-{DAYS:02}") });
        let job = &mut sandbox.spec["job"];
        job["memory"] = json!({ "start": format!("{START_MIB}MiB"), "max": format!("{MAX_MIB}MiB") });
        job["environment"]["BYTES"] = json!("{bytes}");
        job["environment"]["OBJECTS"] = json!("{objects}");
        sandbox.spec["limits"] = json!({ "in_flight": IN_FLIGHT });
        sandbox.spec["local"] = json!({ "lake": "lake", "vcpus": IN_FLIGHT, "memory": "8GiB" });
        sandbox.save();
        // `dd` holds the whole block as long as nobody takes it.
        sandbox.define(&format!(
            "{}\n{HALF}\ndd if=/dev/zero bs=\"$NEED\" count=1 iflag=fullblock status=none | {HALF}",
            self.need()
        ));
        sandbox
    }
}

/// The days in another order, from 1; different factors give orders that have nothing to do with each other.
fn shuffled(day: u32, factor: u32) -> u64 {
    u64::from(day * factor % (DAYS + 1))
}
