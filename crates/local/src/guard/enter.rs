//! A command that is in its control group before it runs.
//!
//! A process cannot be started within a group without unsafe code, and one that is put there afterwards has had time to
//! get children. So what is started is this program: it enters the group and becomes the command.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::stdio::{dup2_stdin, stdin};

/// The argument behind which the group and the command follow.
const ENTER: &str = "--enter-control-group";
/// This very program, even where its file was replaced while it ran.
const OWN: &str = "/proc/self/exe";

/// Why a command does not run.
#[derive(Debug)]
pub enum Failed {
    /// It cannot be in its group.
    ToEnter(io::Error),
    /// It cannot be run at all.
    ToRun(io::Error),
}

/// What a process says that was started to enter a group.
#[derive(Debug)]
pub struct Entry {
    said: UnixStream,
}

impl Entry {
    /// Waits until the command runs. The [`Command`] must be gone: it holds the other end.
    pub fn wait(mut self) -> Result<(), Failed> {
        let mut word = String::new();
        self.said.read_to_string(&mut word).map_err(Failed::ToEnter)?;
        let error = |number: &str| io::Error::from_raw_os_error(number.parse().unwrap_or_default());
        match word.split_once(' ') {
            None => Ok(()),
            Some(("run", number)) => Err(Failed::ToRun(error(number))),
            Some((_, number)) => Err(Failed::ToEnter(error(number))),
        }
    }
}

/// A command that enters the group whose file of processes is `processes` and becomes `words`. Its standard input is
/// taken, and in the end empty; all else is the caller's to set.
pub fn command(words: &[String], processes: &Path) -> io::Result<(Command, Entry)> {
    let (said, theirs) = UnixStream::pair()?;
    let mut command = Command::new(OWN);
    command.args(env::args_os().skip(1)).arg(ENTER).arg(processes).args(words);
    command.stdin(OwnedFd::from(theirs));
    Ok((command, Entry { said }))
}

/// Enters and becomes what the arguments of this process say. Returns nothing where it was not started to do so, and
/// its exit code where it cannot.
pub fn enter() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    arguments.find(|argument| argument == ENTER)?;
    let Ok(end) = stdin().try_clone_to_owned() else { return Some(ExitCode::FAILURE) };
    let mut told = UnixStream::from(end);
    let (step, source) = match become_command(arguments) {
        Ok(never) => match never {},
        Err(Failed::ToEnter(source)) => ("enter", source),
        Err(Failed::ToRun(source)) => ("run", source),
    };
    // With the guard there is nobody left to tell.
    let _ = write!(told, "{step} {}", source.raw_os_error().unwrap_or_default());
    Some(ExitCode::FAILURE)
}

fn become_command(mut arguments: impl Iterator<Item = OsString>) -> Result<Infallible, Failed> {
    let missing = || Failed::ToEnter(io::ErrorKind::InvalidInput.into());
    let processes = arguments.next().ok_or_else(missing)?;
    let program = arguments.next().ok_or_else(missing)?;
    // 0 is whoever writes it.
    fs::write(processes, "0").map_err(Failed::ToEnter)?;
    let nothing = File::open("/dev/null").map_err(Failed::ToEnter)?;
    dup2_stdin(nothing).map_err(|errno| Failed::ToEnter(errno.into()))?;
    Err(Failed::ToRun(Command::new(program).args(arguments).exec()))
}
