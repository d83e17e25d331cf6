//! That one guard at a time acts for a folder: the next engine waits until the last one's guard has come to its end.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getppid};

/// The argument behind which the engine's process number, its folder and its control group follow.
const FOR: &str = "--for";
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// What a guard was started for.
#[derive(Debug)]
pub struct Claim {
    /// The control group that holds those of the runs, where there are any.
    pub home: Option<PathBuf>,
    _folder: File,
}

/// The arguments of a guard that this process starts for a folder, and for a control group if runs are to have some.
pub fn arguments(folder: &Path, home: Option<&Path>) -> [OsString; 4] {
    [
        FOR.into(),
        std::process::id().to_string().into(),
        folder.into(),
        home.map(Into::into).unwrap_or_default(),
    ]
}

/// Takes the folder that this guard was started for, until it ends. Nothing where its engine has ended already: another
/// one may be there, which would not know of it.
pub fn take() -> Option<Claim> {
    let mut arguments = env::args_os().skip_while(|argument| argument != FOR).skip(1);
    let (engine, folder, home) = (arguments.next()?, arguments.next()?, arguments.next()?);
    let file = open(Path::new(&folder)).ok()?;
    // Held by a guard that is stuck and was given up, or free.
    let _ = file.try_lock();
    let engine = engine.to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    let home = (!home.is_empty()).then(|| PathBuf::from(home));
    if engine.is_some() && getppid() == engine {
        return Some(Claim { home, _folder: file });
    }
    // There is nobody else to do it, and nothing can be in it.
    let _ = home.map(fs::remove_dir);
    None
}

/// Waits until no guard acts for a folder; gives up after some seconds, should one be stuck.
pub fn wait_until_free(folder: &Path) -> io::Result<()> {
    let file = open(folder)?;
    let until = Instant::now() + PATIENCE;
    while file.try_lock().is_err() && Instant::now() < until {
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn open(folder: &Path) -> io::Result<File> {
    let path: PathBuf = folder.join("guard.lock");
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_goes_on_when_the_last_one_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let held = open(dir.path()).unwrap();
        held.try_lock().unwrap();
        let folder = dir.path().to_owned();
        let waiting = thread::spawn(move || wait_until_free(&folder).map(|()| Instant::now()));
        thread::sleep(Duration::from_millis(50));
        let ended = Instant::now();
        drop(held);
        assert!(waiting.join().unwrap().unwrap() >= ended);
    }
}
