//! A command that came to its end.

use serde_json::Value;

/// What a command printed, and how it ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The arguments, for messages.
    pub args: String,
    /// The exit code; 128 and the signal's number where a signal ended it, as a shell has it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Panics, showing all that was printed, unless it ended with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    /// Panics unless standard error holds all of these texts.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} on standard error of {self}");
        }
        self
    }

    /// Panics unless standard output holds all of these texts.
    #[track_caller]
    pub fn prints(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.out.contains(text), "no {text:?} on standard output of {self}");
        }
        self
    }

    /// Panics unless it failed with exactly one error, in one line of its own, and said what to do about it.
    #[track_caller]
    pub fn is_one_clear_error(self) -> Self {
        let errors = self.err.lines().filter(|l| l.starts_with("error: ")).count();
        assert_eq!(errors, 1, "errors of {self}");
        assert!(self.err.lines().any(|l| l.trim_start().starts_with("help: ")), "no hint from {self}");
        assert!(!self.err.contains("panicked") && !self.err.contains("RUST_BACKTRACE"), "a panic of {self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e} in the JSON of {self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`dayfill {}`, which ended with {:?}", self.args, self.code)?;
        write!(f, "--- standard output\n{}\n--- standard error\n{}", self.out, self.err)
    }
}
