//! The command line: what was typed becomes settings, settings become a run, a run becomes an exit
//! code. Nothing below this floor reads the environment or arguments, or prints.

mod args;
mod doctor;
mod exit;
mod explain;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/cli.rs"]
pub(crate) mod fuzzing;
mod generated;
mod image;
mod output;
mod progress;
mod run;
mod settings;
mod signals;
mod suggest;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::LazyLock;
use std::time::Duration;

pub use exit::Exit;

use args::{Cli, Command, LogFormat};
use progress::Screen;
use settings::{Job, Surroundings, Typed, UsageError};

use crate::oci::printable;

/// Runs the program with the process's arguments and environment, and says how it ended.
#[must_use]
pub fn main() -> Exit {
    if std::env::args_os().any(|argument| is_password(&argument)) {
        return usage_error(PASSWORD_TYPED);
    }
    let typed = match Typed::parse(std::env::args_os().collect()) {
        Ok(typed) => typed,
        Err(error) => {
            // Help and version come this way, too, and are no error.
            let is_error = error.use_stderr();
            let _ = error.print();
            return if is_error { Exit::Usage } else { Exit::Intact };
        }
    };
    let around = Surroundings {
        user_id: std::fs::metadata("/proc/self")
            .ok()
            .map(|process| process.uid()),
        environment: environment(),
        stdin: LazyLock::new(read_stdin),
    };
    let job = match settings::load(&typed, &around) {
        Ok(job) => job,
        Err(error) => return usage_error(&error.to_string()),
    };
    let screen = Screen::new(shows_progress(&typed.cli, &job, &around));
    let is_colored = uses_color(&around, std::io::stderr().is_terminal());
    log_to_stderr(&typed.cli, &job, &screen, is_colored);
    std::panic::set_hook(Box::new(log_fault));
    let runtime = match runtime(&job) {
        Ok(runtime) => runtime,
        Err(error) => return usage_error(&format!("no runtime can be started: {error}")),
    };
    let color = uses_color(&around, std::io::stdout().is_terminal());
    let exit = match job {
        Job::Sweep(settings) => {
            // Files are read again, and what was typed stays.
            let reload = move || match settings::load(&typed, &around)? {
                Job::Sweep(settings) => Ok(*settings),
                _ => Err(UsageError("this is not a sweep".into())),
            };
            runtime.block_on(run::run(*settings, color, &screen, reload))
        }
        Job::Print(text) => generated::told(text.as_bytes()),
        Job::Examine(examinations) => runtime.block_on(examinations.run(color)),
        Job::Explain(explanation) => runtime.block_on(explanation.run(color, &screen)),
        Job::Complete(shell) => generated::completions(shell),
        Job::Manual(folder) => generated::manual(&folder),
    };
    // What hangs (a disk, a name server, a reader) has had its time.
    runtime.shutdown_timeout(LAST_MOMENT);
    exit
}

/// How long what is left to do in the background may take when the process ends.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// One thread for what ends: nearly all of a sweep is waiting for answers, and to wake another thread for
/// each of them costs more than to take it in. The service answers its own clients besides.
fn runtime(job: &Job) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match job {
        Job::Sweep(settings) if settings.service.is_some() => {
            tokio::runtime::Builder::new_multi_thread()
        }
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

/// Without the value, which has been seen by enough.
const PASSWORD_TYPED: &str = "--password is not taken: everybody on this machine can read the \
     arguments of a process; use --password-file, --password-stdin or PROBE_PASSWORD";

/// Whether an argument is what other programs take a password by.
fn is_password(argument: &std::ffi::OsStr) -> bool {
    let text = argument.to_string_lossy();
    text == "--password" || text.starts_with("--password=")
}

fn usage_error(message: &str) -> Exit {
    let _ = writeln!(std::io::stderr(), "error: {message}");
    Exit::Usage
}

/// The environment, but for what is not text: no variable of ours is otherwise.
fn environment() -> std::collections::HashMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

fn read_stdin() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(64 * 1024).read_to_string(&mut text)?;
    Ok(text)
}

/// Colour on a terminal that shows it, which standard output or error `is_terminal` says to be, unless NO_COLOR is set to something (no-color.org).
fn uses_color(around: &Surroundings, is_terminal: bool) -> bool {
    let is_set = |name: &str| {
        around
            .environment
            .get(name)
            .is_some_and(|value| !value.is_empty())
    };
    is_terminal && !is_set("NO_COLOR") && !is_dumb(around)
}

/// Whether the terminal does not know escape sequences.
fn is_dumb(around: &Surroundings) -> bool {
    let term = around.environment.get("TERM");
    term.is_none_or(|term| term == "dumb")
}

/// Progress where a person waits for a single run, at a terminal that a line can be drawn over on.
fn shows_progress(typed: &Cli, job: &Job, around: &Surroundings) -> bool {
    let is_waited_for = match job {
        Job::Sweep(settings) => {
            settings.service.is_none() && settings.log_format == LogFormat::Text
        }
        Job::Explain(_) => true,
        _ => false,
    };
    let (_, is_quiet) = loudness(typed);
    is_waited_for && !is_quiet && std::io::stderr().is_terminal() && !is_dumb(around)
}

/// How much more than warnings is to be said, and whether not even these.
fn loudness(typed: &Cli) -> (u8, bool) {
    match &typed.command {
        Some(Command::Verify(verify)) => (verify.report.verbose, verify.report.quiet),
        Some(Command::Doctor(doctor)) => (doctor.verbose, doctor.quiet),
        Some(Command::Explain(explain)) => (explain.verbose, explain.quiet),
        Some(Command::Completions { .. } | Command::Man { .. }) => (0, false),
        None => (typed.sweep.report.verbose, typed.sweep.report.quiet),
    }
}

/// A panic in the form of the log, for whoever reads that: it may be a program.
fn log_fault(fault: &std::panic::PanicHookInfo<'_>) {
    let fault = printable(&fault.to_string().replace('\n', " "));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!("a fault of this program, which is a bug: {fault}\n{backtrace}");
    } else {
        tracing::error!("a fault of this program, which is a bug: {fault}");
    }
}

fn log_to_stderr(typed: &Cli, job: &Job, screen: &Screen, is_colored: bool) {
    let (verbose, quiet) = loudness(typed);
    // A service says what each sweep came to; a single sweep prints a report.
    let (more, format) = match job {
        Job::Sweep(settings) => (u8::from(settings.service.is_some()), settings.log_format),
        _ => (0, LogFormat::Text),
    };
    let verbose = verbose.saturating_add(more);
    let screen = screen.clone();
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "registry_probe=info,warn",
        (_, _) => "registry_probe=debug,info",
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(move || screen.stderr())
        .with_ansi(is_colored)
        // It would say so to the same standard error, and crash if that cannot be written.
        .log_internal_errors(false)
        .with_target(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
