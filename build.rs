//! Tells the program which revision it was built from, and by which compiler, for
//! `registry_probe_build_info` and `probe --version`.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    // A build without a repository, as that of a container image, may name the revision itself.
    println!("cargo:rerun-if-env-changed=PROBE_REVISION");
    println!("cargo:rerun-if-changed=build.rs");
    // It changes with every commit. A path that is not there would make every build run this again.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo:rerun-if-changed=.git/logs/HEAD");
    }
    let revision = env::var("PROBE_REVISION")
        .ok()
        .or_else(|| first_line(Command::new("git").args(["rev-parse", "--short=12", "HEAD"])));
    let rustc =
        env::var_os("RUSTC").and_then(|rustc| first_line(Command::new(rustc).arg("--version")));
    let unknown = || "unknown".to_owned();
    println!(
        "cargo:rustc-env=PROBE_REVISION={}",
        revision.unwrap_or_else(unknown)
    );
    println!(
        "cargo:rustc-env=PROBE_RUSTC={}",
        rustc.unwrap_or_else(unknown)
    );
}

/// What a command prints first, if it succeeds.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.to_owned())
}
