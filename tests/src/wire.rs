//! What the wire suite is made of: a proxy that does to requests and answers what networks and services do, and a
//! backfill whose engine reaches the local engine only through it.

mod attached;
mod bench;
mod cloud;
mod fault;
mod message;
mod proxy;
mod shapes;

pub use attached::Attached;
pub use bench::{Bench, Offset, bounds, short_bounds};
pub use cloud::Cloud;
pub use fault::{Answer, Fault, Gate};
pub use message::Message;
pub use proxy::{Call, Proxy};
pub use shapes::{Calls, OF_BATCH, Service};
