//! The operations of S3, each from its request to its answer.

pub(super) mod buckets;
pub(super) mod copies;
pub(super) mod listings;
pub(super) mod multipart;
pub(super) mod objects;
