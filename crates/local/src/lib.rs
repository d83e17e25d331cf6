//! AWS Batch, its logs and S3 on this machine, for any AWS client.

mod api;
mod auth;
mod batch;
mod endpoint;
mod engine;
mod guard;
mod lake;
mod limit;
mod logs;
pub mod machine;
mod names;
mod process;
pub mod scheduler;
mod server;
mod table;
mod wire;

pub use batch::{Answer, Batch, BatchConfig, OpenError, StartError as BatchStartError};
pub use endpoint::{Endpoint, running};
pub use guard::guard_main;
pub use lake::LakeError;
pub use server::{LocalConfig, LocalEngine, StartError};
