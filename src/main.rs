//! The `netlab` program: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    netlab::cli::main()
}
