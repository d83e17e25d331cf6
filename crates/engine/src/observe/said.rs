//! What jobs say of themselves.

use dayfill_core::fact::{Ended, Fact};
use dayfill_core::ledger::Try;
use dayfill_core::result::{self, MOST_BYTES, Read};
use dayfill_core::spec::Success;

use crate::advance::Engine;
use crate::book::BookError;
use crate::event::Event;
use crate::ports::ErrorKind;

impl Engine {
    /// Whether the job must have written a result to count as a success.
    pub(super) fn promised(&self, t: &Try) -> bool {
        let plan = self.book.plans().get(&t.intended.plan);
        plan.is_some_and(|p| p.plan().job.success == Success::Result)
    }

    /// What a job has said of itself. Where that cannot be read just now it is none, and nothing is said of the job yet:
    /// the next look sees it again. What nobody lets us read is an error where the job must have said something.
    pub(super) async fn said(&self, t: &Try) -> Result<Option<Said>, BookError> {
        let name = t.intended.name.as_str();
        Ok(Some(match self.book.journal().result(name, MOST_BYTES + 1).await {
            Ok(None) => Said::Nothing,
            Ok(Some(bytes)) => match result::read(&bytes, &t.intended) {
                Ok(read) => Said::Something(read),
                Err(why) => Said::Ignored(why),
            },
            Err(e) if e.kind == ErrorKind::Denied && !self.promised(t) => Said::Ignored(e.what),
            Err(e) if matches!(e.kind, ErrorKind::Denied | ErrorKind::Credentials) => return Err(e.into()),
            Err(e) => {
                let what = format!("the result of job {name} cannot be read: {}; looking again", e.what);
                self.reporter.hear(Event::Warning { what });
                return Ok(None);
            }
        }))
    }
}

pub(super) fn remarked(fact: Fact, what: String) -> Fact {
    match fact {
        Fact::Ended(ended) => Fact::Ended(Box::new(Ended { remark: Some(what), ..*ended })),
        other => other,
    }
}

/// What a job has said of itself.
pub(super) enum Said {
    Nothing,
    Ignored(String),
    Something(Read),
}

impl Said {
    /// Why there is no result to go by, if there is none.
    pub(super) fn missing(&self) -> Option<String> {
        match self {
            Self::Nothing => Some("there is none".to_owned()),
            Self::Ignored(why) => Some(why.clone()),
            Self::Something(_) => None,
        }
    }

    /// Where nobody has measured the peak, it is what the job says.
    pub(super) fn note(self, ended: &mut Ended) {
        match self {
            Self::Nothing => {}
            Self::Ignored(why) => ended.result_ignored = Some(why),
            Self::Something(Read { result, ignored }) => {
                ended.peak_kib = ended.peak_kib.or(result.peak_kib);
                ended.result = Some(result);
                ended.result_ignored = ignored;
            }
        }
    }
}
