//! dayfill's ports over S3, AWS Batch and CloudWatch Logs. Types of the SDK stop in this crate.
//!
//! [`connect`] finds credentials, Region and endpoints; everything else is made from the [`Connection`] that it
//! returns. The local engine is reached by the same code at another endpoint.

mod batch_queue;
mod connection;
mod convert;
pub mod doctor;
mod error;
mod headers;
pub mod job_definitions;
mod queues;
mod s3_journal;
mod s3_source;
mod submit;
#[cfg(test)]
mod testing;

pub use batch_queue::{BatchQueue, aws_bounds, local_bounds};
pub use connection::{Connection, LocalEndpoint, Settings, connect};
pub use job_definitions::JobDefinitions;
pub use queues::{QueueInfo, Queues};
pub use s3_journal::S3Journal;
pub use s3_source::S3Source;
