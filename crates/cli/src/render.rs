//! Data → text. Only commands decide what is printed; this is how.

mod doctor;
mod explain;
mod foresight;
mod number;
mod plan;
mod status;
mod table;

pub use doctor::doctor;
pub use explain::explain;
pub use plan::{days, jobs, plan, plan_text};
pub use status::status;
