//! Effects in order: enumerate, submit, observe, advance, watch, over four small ports.

pub mod adapters;
pub mod advance;
pub mod book;
pub mod divide;
pub mod enumerate;
pub mod event;
pub mod observe;
pub mod ports;
pub mod segment;
pub mod snapshot;
pub mod submit;
#[cfg(test)]
mod testing;
pub mod watch;
