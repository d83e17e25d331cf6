//! What a plan says of the time that its jobs will take, and of hosts that will be taken from them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{History, Plan};
use crate::fact::Outcome;
use crate::ledger::{Ledger, TryState};
use crate::spot::{Experience, LengthAdvice, Outlook};

/// When all of a plan should be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedDeadline {
    /// The deadline.
    pub at: DateTime<Utc>,
    /// When all is expected to be done on the first queue; none where too little is known of how long jobs take.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub done_by: Option<DateTime<Utc>>,
}

impl History {
    /// What the jobs of this ledger took that succeeded.
    pub fn of(ledger: &Ledger) -> Self {
        let mut history = Self::default();
        for t in ledger
            .slices()
            .flat_map(|(_, r)| &r.tries)
            .filter(|t| t.state == TryState::Ended(Outcome::Succeeded))
        {
            let times = t.ended.as_ref().and_then(|e| e.started_at.zip(e.stopped_at));
            if let Some((started, stopped)) = times {
                history.jobs += 1;
                history.seconds += (stopped - started).num_seconds().max(0) as u64;
                history.bytes += t.intended.bytes;
            }
        }
        history
    }
}

impl Plan {
    /// Says whether the deadline can be kept, and how long jobs should run.
    pub(super) fn foresee(&mut self, deadline: Option<DateTime<Utc>>, ledger: &Ledger) {
        self.length = LengthAdvice::of(self, &Experience::of(ledger, self.made_at));
        self.deadline = deadline.map(|at| {
            // Every job of a plan that is just made takes its slice up anew.
            let outlook = Outlook::of(at, self, ledger, u64::MAX, self.made_at);
            PlannedDeadline { at, done_by: outlook.done_by() }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Scene, at, job, plan};

    #[test]
    fn a_plan_tells_when_it_will_be_done_and_without_a_deadline_nothing() {
        let mut scene = Scene::of(plan((1..=3).map(|of| job(of, 1, 0)).collect()));
        let foreseen = |scene: &Scene| {
            let mut plan = plan(vec![job(4, 1, 0)]);
            plan.made_at = at(600);
            plan.foresee(Some(at(9_999)), &scene.ledger);
            plan.deadline.unwrap()
        };
        assert_eq!(foreseen(&scene), PlannedDeadline { at: at(9_999), done_by: None });
        for name in scene.submit() {
            scene.succeed(&name);
        }
        // A minute, and the rest of the minute that it ends in.
        assert_eq!(foreseen(&scene).done_by, Some(at(680)));
        let mut plan = plan(vec![job(2, 1, 0)]);
        let digest = plan.digest();
        plan.foresee(None, &scene.ledger);
        assert_eq!((plan.digest(), plan.length), (digest, None), "a plan of before keeps its digest");
    }
}
