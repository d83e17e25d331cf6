//! AWS Batch, its logs and S3 on this machine, for any AWS client.

mod batch;

pub use batch::{Answer, Batch, BatchConfig, OpenError, StartError};
