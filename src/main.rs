//! The `pannier` program: parse, run, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    pannier::cli::main()
}
