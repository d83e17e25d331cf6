//! The wire suite: what networks, services and people do to a submission, and that it is made exactly once all the same.
//!
//! The engine is the real one, over the real SDK; between it and the local engine stands a proxy that does what it is
//! told and counts what goes through. The proxy counts requests; the engine, asked by another way, tells which jobs there
//! are; the journal is read as text. `docs/exactly-once.md` has the table of what is shown here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod clocks;
mod credentials;
mod doubles;
mod killed;
mod lists;
mod shapes;
mod snapshots;
mod store;
mod suspended;
mod table;
mod together;
mod writers;
