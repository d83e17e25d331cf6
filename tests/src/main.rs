//! The command line under test.

fn main() -> std::process::ExitCode {
    dayfill::main()
}
