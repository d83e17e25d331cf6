//! AWS Batch, its logs and S3 on this machine, for any AWS client.

mod batch;
mod guard;
mod limit;
pub mod scheduler;

pub use batch::{Answer, Batch, BatchConfig, OpenError, StartError};
pub use guard::guard_main;
