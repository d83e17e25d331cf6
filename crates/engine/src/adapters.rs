//! Adapters of ports that need nothing but this machine.

mod folder;
mod system_clock;

pub use folder::FolderJournal;
pub use system_clock::SystemClock;
