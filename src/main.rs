//! The command line of keydb-harness.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
