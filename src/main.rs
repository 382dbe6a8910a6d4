//! The binary `probe`: runs the program and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(registry_probe::cli::main().code())
}
