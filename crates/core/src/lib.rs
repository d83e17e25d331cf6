//! Every decision of dayfill.
//!
//! Nothing here does I/O, reads a clock, is async or knows an SDK: time and observations come in as arguments,
//! decisions go out as values. The engine executes them; the command line shows them.

pub mod day;
pub mod decide;
pub mod doctor;
pub mod escape;
pub mod fact;
pub mod failure;
pub mod hex;
pub mod job;
pub mod keys;
pub mod layout;
pub mod ledger;
pub mod measure;
pub mod memory;
pub mod partition;
pub mod plan;
pub mod rate;
pub mod report;
pub mod result;
pub mod spec;
pub mod split;
pub mod spot;
pub mod template;
#[cfg(test)]
mod testing;
pub mod units;
