//! The `dayfill` command.

fn main() -> std::process::ExitCode {
    dayfill::main()
}
