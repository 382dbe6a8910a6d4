//! The binary `probe`: runs the program and exits with its code.

use std::process::ExitCode;

use registry_probe::cli::{self, Exit};

fn main() -> ExitCode {
    // A fault of this program, which has told it already, verifies nothing.
    let exit = std::panic::catch_unwind(cli::main).unwrap_or(Exit::Unverified);
    ExitCode::from(exit.code())
}
