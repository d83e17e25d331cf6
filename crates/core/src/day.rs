//! Days of a zone and the window of days that a backfill covers.
//!
//! A day is a calendar date in the zone of the window. Its end is an instant, and that instant is where zones are
//! unkind: midnight may not exist (the clock jumps over it), may exist twice, and a whole day may be missing.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// The first and the last year that four digits can write.
const YEARS: RangeInclusive<i32> = 1..=9999;

/// The days of a backfill: both ends inclusive, counted in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    from: NaiveDate,
    to: Option<NaiveDate>,
    zone: Tz,
}

/// Why two dates are no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The last day comes before the first.
    #[error("the window ends on {to}, before it begins on {from}")]
    Reversed {
        /// The first day.
        from: NaiveDate,
        /// The last day.
        to: NaiveDate,
    },
    /// A year that four digits cannot write.
    #[error("the year of {day} is not between 0001 and 9999")]
    Year {
        /// The day.
        day: NaiveDate,
    },
}

/// How far a day has come, seen from a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DayPhase {
    /// Over for at least the settling time: its data is taken to be complete.
    Settled,
    /// Begun, and not yet over for the settling time: data may still arrive.
    Settling,
    /// Not begun: there can be no data.
    Future,
}

impl Window {
    /// A window from `from` to `to`, both inclusive; no `to` means the last settled day at the time of asking.
    pub fn new(from: NaiveDate, to: Option<NaiveDate>, zone: Tz) -> Result<Self, WindowError> {
        use chrono::Datelike as _;
        for day in std::iter::once(from).chain(to) {
            if !YEARS.contains(&day.year()) {
                return Err(WindowError::Year { day });
            }
        }
        match to {
            Some(to) if to < from => Err(WindowError::Reversed { from, to }),
            _ => Ok(Self { from, to, zone }),
        }
    }

    /// The first day.
    pub fn from(&self) -> NaiveDate {
        self.from
    }

    /// The last day, where one was named.
    pub fn to(&self) -> Option<NaiveDate> {
        self.to
    }

    /// The zone in which days begin and end.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The days of the window as seen at `now`, both ends inclusive, ascending.
    ///
    /// A `to` that was named is taken at its word, later than today or not: those days are listed too, and
    /// [`Window::phase`] says that they are settling or in the future, so that whoever leaves them out can say so. Empty when `to` was left
    /// out and no day since `from` has settled.
    pub fn days(&self, now: DateTime<Utc>, settle: Duration) -> impl Iterator<Item = NaiveDate> + use<> {
        let last = self.to.unwrap_or_else(|| self.last_settled_day(now, settle));
        self.from.iter_days().take_while(move |day| *day <= last)
    }

    /// The last day whose end in the zone lies at least `settle` before `now`.
    pub fn last_settled_day(&self, now: DateTime<Utc>, settle: Duration) -> NaiveDate {
        let settled = before(now, settle);
        let mut day = self.day_at(settled);
        while self.day_end(day) > settled {
            match day.pred_opt() {
                Some(previous) => day = previous,
                None => break,
            }
        }
        day
    }

    /// How far `day` has come at `now`.
    pub fn phase(&self, day: NaiveDate, now: DateTime<Utc>, settle: Duration) -> DayPhase {
        if self.day_end(day) <= before(now, settle) {
            DayPhase::Settled
        } else if day <= self.day_at(now) {
            DayPhase::Settling
        } else {
            DayPhase::Future
        }
    }

    /// The calendar day in the zone at an instant.
    pub fn day_at(&self, instant: DateTime<Utc>) -> NaiveDate {
        // chrono panics where an offset leads out of its range of years; such instants are a quarter of a million
        // years away, and keep their UTC date.
        let margin = chrono::TimeDelta::days(2);
        if instant < DateTime::<Utc>::MIN_UTC + margin || instant > DateTime::<Utc>::MAX_UTC - margin {
            return instant.date_naive();
        }
        instant.with_timezone(&self.zone).date_naive()
    }

    /// The instant at which `day` is over in the zone: the next midnight.
    ///
    /// Where the clock jumps over that midnight, the instant of the jump; where midnight comes twice, the second
    /// one. The end of a day that the zone left out altogether is the end of the day before.
    pub fn day_end(&self, day: NaiveDate) -> DateTime<Utc> {
        let Some(midnight) = day.checked_add_days(Days::new(1)).map(|next| next.and_time(NaiveTime::MIN))
        else {
            return DateTime::<Utc>::MAX_UTC;
        };
        match self.zone.from_local_datetime(&midnight) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(_, instant) => instant.with_timezone(&Utc),
            LocalResult::None => self.jump_over(midnight),
        }
    }

    /// The first second at which the local clock shows `missing` or later, to be asked only inside a gap.
    fn jump_over(&self, missing: chrono::NaiveDateTime) -> DateTime<Utc> {
        // No offset is beyond 26 hours and no zone changes twice within two days, so local time rises through
        // this span but for the one jump, and bisection finds it.
        const SPAN_SECONDS: i64 = 26 * 3600;
        let around = missing.and_utc().timestamp();
        let shows_later = |second: i64| {
            DateTime::from_timestamp(second, 0)
                .is_some_and(|instant| instant.with_timezone(&self.zone).naive_local() >= missing)
        };
        let (mut before, mut after) = (around - SPAN_SECONDS, around + SPAN_SECONDS);
        while after - before > 1 {
            let middle = i64::midpoint(before, after);
            if shows_later(middle) {
                after = middle;
            } else {
                before = middle;
            }
        }
        DateTime::from_timestamp(after, 0).unwrap_or(missing.and_utc())
    }
}

fn before(now: DateTime<Utc>, settle: Duration) -> DateTime<Utc> {
    chrono::TimeDelta::from_std(settle)
        .ok()
        .and_then(|settle| now.checked_sub_signed(settle))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn window(from: &str, to: Option<&str>, zone: Tz) -> Window {
        Window::new(day(from), to.map(day), zone).unwrap()
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn both_ends_are_inclusive() {
        let window = window("2018-10-03", Some("2018-10-05"), Tz::UTC);
        let days: Vec<_> = window.days(utc("2020-01-01T00:00:00Z"), HOUR).collect();
        assert_eq!(days, [day("2018-10-03"), day("2018-10-04"), day("2018-10-05")]);
    }

    #[test]
    fn a_window_cannot_end_before_it_begins() {
        let error = Window::new(day("2018-10-05"), Some(day("2018-10-04")), Tz::UTC).unwrap_err();
        assert_eq!(error, WindowError::Reversed { from: day("2018-10-05"), to: day("2018-10-04") });
        assert!(Window::new(NaiveDate::MIN, None, Tz::UTC).is_err());
        assert!(Window::new(day("2018-10-05"), Some(NaiveDate::MAX), Tz::UTC).is_err());
    }

    #[test]
    fn a_missing_end_is_the_last_settled_day() {
        let window = window("2018-10-01", None, Tz::Asia__Tokyo);
        // 2018-10-03 ends in Tokyo at 15:00 UTC.
        let settle = 6 * HOUR;
        assert_eq!(window.last_settled_day(utc("2018-10-03T20:59:59Z"), settle), day("2018-10-02"));
        assert_eq!(window.last_settled_day(utc("2018-10-03T21:00:00Z"), settle), day("2018-10-03"));
        assert_eq!(window.days(utc("2018-10-03T21:00:00Z"), settle).count(), 3);
        assert_eq!(window.days(utc("2018-09-30T00:00:00Z"), settle).count(), 0);
    }

    #[test]
    fn later_days_are_listed_with_their_phase() {
        let window = window("2018-10-01", Some("2018-10-04"), Tz::UTC);
        let now = utc("2018-10-03T03:00:00Z");
        let phases: Vec<_> = window.days(now, 6 * HOUR).map(|day| window.phase(day, now, 6 * HOUR)).collect();
        assert_eq!(phases, [DayPhase::Settled, DayPhase::Settling, DayPhase::Settling, DayPhase::Future]);
    }

    #[test]
    fn a_midnight_that_is_jumped_over_ends_the_day_at_the_jump() {
        // São Paulo went from 24:00 to 01:00 on 2018-11-03.
        let window = window("2018-11-01", None, Tz::America__Sao_Paulo);
        assert_eq!(window.day_end(day("2018-11-03")), utc("2018-11-04T03:00:00Z"));
        assert_eq!(window.day_at(utc("2018-11-04T02:59:59Z")), day("2018-11-03"));
        assert_eq!(window.day_at(utc("2018-11-04T03:00:00Z")), day("2018-11-04"));
    }

    #[test]
    fn a_midnight_that_comes_twice_ends_the_day_the_second_time() {
        // Havana went from 01:00 back to 00:00 on 2018-11-04.
        let havana = window("2018-11-01", None, Tz::America__Havana);
        assert_eq!(havana.day_end(day("2018-11-03")), utc("2018-11-04T05:00:00Z"));
        // St. John's went from 00:01 back to 23:01 on 2006-10-29: the evening came twice too.
        let st_johns = window("2006-10-01", None, Tz::America__St_Johns);
        assert_eq!(st_johns.day_end(day("2006-10-28")), utc("2006-10-29T03:30:00Z"));
    }

    #[test]
    fn a_day_that_the_zone_left_out_ends_with_the_day_before() {
        // Apia crossed the date line: after 2011-12-29 came 2011-12-31.
        let window = window("2011-12-29", None, Tz::Pacific__Apia);
        let jump = utc("2011-12-30T10:00:00Z");
        assert_eq!(window.day_end(day("2011-12-29")), jump);
        assert_eq!(window.day_end(day("2011-12-30")), jump);
        assert_eq!(window.last_settled_day(jump, Duration::ZERO), day("2011-12-30"));
    }

    #[test]
    fn every_zone_ends_every_day_after_the_day_before() {
        for zone in chrono_tz::TZ_VARIANTS {
            let window = window("1940-01-01", None, zone);
            let mut last = window.day_end(day("1939-12-31"));
            for day in day("1940-01-01").iter_days().step_by(1).take(400) {
                let end = window.day_end(day);
                assert!(end >= last, "{zone} {day}");
                let settled = window.last_settled_day(end, Duration::ZERO);
                assert!(settled >= day && window.day_end(settled) <= end, "{zone} {day} {settled}");
                last = end;
            }
        }
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        let window = window("2018-10-01", None, Tz::Asia__Tokyo);
        for now in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let settled = window.last_settled_day(now, Duration::MAX);
            assert!(settled <= day("2018-10-01"));
            window.phase(NaiveDate::MAX, now, Duration::ZERO);
            window.phase(NaiveDate::MIN, now, Duration::ZERO);
        }
    }
}
