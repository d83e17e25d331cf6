//! What the end-to-end tests share: a folder of its own for every test, with a lake, a backfill and a job definition
//! in it, and the command line as a process that starts there.

// Helpers of tests end a test by panicking, as the tests themselves do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// What is asserted of a command may be all that is wanted of it.
#![allow(clippy::return_self_not_must_use)]

use std::io::Write as _;

pub mod facts;
pub mod processes;
pub mod ran;
pub mod random;
pub mod sandbox;
pub mod scrub;
pub mod server;
pub mod table;
pub mod wire;

pub use facts::Facts;
pub use ran::Ran;
pub use random::SplitMix64;
pub use sandbox::Sandbox;
pub use scrub::scrub;
pub use server::Server;

/// A [`Sandbox`] whose command line is the one that was built for this test.
#[macro_export]
macro_rules! sandbox {
    () => {
        $crate::Sandbox::new(env!("CARGO_BIN_EXE_dayfill-under-test"))
    };
}

/// Says, where nobody can overlook it, that a test did not run.
pub fn skip(reason: &str) {
    // Past the harness, which keeps what `eprintln!` says of a test that passes to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
