//! AWS Batch, its logs and S3 on this machine, for any AWS client.
//!
//! [`LocalEngine::start`] listens on one port of 127.0.0.1. What it is asked for is decided by the service that
//! a request is signed for: Batch (REST JSON), CloudWatch Logs (GetLogEvents) or S3. Jobs run as processes, or as containers,
//! and find the engine through the same environment variables as any other client.
//!
//! **Security.** It runs the commands that job definitions name, with the rights of whoever started it. So it
//! binds loopback only, answers only to `127.0.0.1` and `localhost` in `Host` (no web page can lead a browser
//! to it under another name), and lets in only what is signed with the keys made up at this start, no longer
//! ago than [`LocalConfig::signature_age`]. The keys stand in `endpoint.json`, which only its owner can read.
//!
//! **S3.** Buckets are folders and objects are files, written through S3 or put there by hand. A file put there
//! by hand has an ETag made from its size, time and inode, which ends in `-0`: it changes when the file does,
//! but it is not the MD5 of the bytes. Keys with an empty, `.` or `..` component are refused; what else cannot
//! be a file is kept beside the bucket, under `.s3local`. A file system that does not tell `A` from `a` does not
//! tell such keys apart either.

mod api;
mod auth;
mod batch;
mod docker;
mod endpoint;
mod engine;
mod guard;
mod lake;
mod limit;
mod logs;
pub mod machine;
mod names;
mod process;
mod runner;
pub mod scheduler;
mod server;
mod table;
mod wire;

pub use batch::{Answer, Batch, BatchConfig, OpenError, StartError as BatchStartError};
pub use endpoint::{Endpoint, running};
pub use guard::guard_main;
pub use lake::LakeError;
pub use limit::cgroup::CgroupError;
pub use limit::{LimitMeans, Limits};
pub use runner::Runner;
pub use scheduler::Reclaims;
pub use server::{LocalConfig, LocalEngine, StartError};
