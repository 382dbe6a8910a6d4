//! The command line: what was typed becomes settings, settings become a run, a run becomes an exit
//! code. Nothing below this layer reads the environment or arguments, or prints.

mod args;
mod compare;
#[cfg(test)]
mod configured;
mod doctor;
mod early;
mod error;
mod exit;
mod explain;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/cli.rs"]
pub(crate) mod fuzzing;
mod generated;
mod image;
mod input;
mod job;
mod keep;
mod merge;
mod output;
mod progress;
mod run;
mod settings;
mod signals;
mod suggest;
mod surroundings;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

pub use exit::Exit;

use args::LogFormat;
use error::Error;
use job::{Job, load};
use progress::Screen;
use settings::Typed;
use surroundings::Surroundings;

use crate::oci::printable;

/// Runs the program with the process's arguments and environment, and says how it ended.
#[must_use]
pub fn main() -> Exit {
    signals::end_early();
    output::tell();
    let words: Vec<_> = std::env::args_os().collect();
    let around = Surroundings::of_process();
    let is_json = early::is_json(&words, &around);
    run(words, &around, is_json).unwrap_or_else(|error| {
        early::say(&error.to_string(), is_json);
        match error {
            Error::Unresolved(_) => Exit::Unverified,
            _ => Exit::Usage,
        }
    })
}

fn run(words: Vec<OsString>, around: &Surroundings, is_json: bool) -> Result<Exit, Error> {
    if words.iter().any(|argument| is_password(argument)) {
        return Err(Error::Usage(PASSWORD_TYPED.to_owned()));
    }
    let typed = match Typed::parse(words) {
        Ok(typed) => typed,
        Err(error) => {
            // Help and version come this way, too, and are no error.
            let is_error = error.use_stderr();
            if is_error && is_json {
                let text = error.render().to_string();
                return Err(Error::Usage(text.trim_start_matches("error: ").to_owned()));
            }
            let _ = error.print();
            return Ok(if is_error { Exit::Usage } else { Exit::Intact });
        }
    };
    let job = load(&typed, around)?;
    let screen = Screen::new(shows_progress(&typed, &job, around));
    let is_colored = around.uses_color(io::stderr().is_terminal());
    log_to_stderr(&typed, &job, &screen, is_colored);
    std::panic::set_hook(Box::new(log_fault));
    for warning in suggest::variables(around) {
        tracing::warn!("{warning}");
    }
    let runtime =
        runtime(&job).map_err(|error| Error::System("no runtime can be started", error))?;
    let color = around.uses_color(io::stdout().is_terminal());
    let exit = match job {
        Job::Sweep(settings) => {
            // Files are read again, and what was typed stays.
            let reload = || match load(&typed, around)? {
                Job::Sweep(settings) => Ok(*settings),
                _ => Err(Error::Usage("this is not a sweep".to_owned())),
            };
            runtime.block_on(run::run(*settings, color, &screen, reload))
        }
        Job::Print(text) if output::print(&text) => Ok(Exit::Intact),
        Job::Print(_) => Ok(Exit::Unverified),
        Job::Examine(examinations) => runtime.block_on(examinations.run(color)),
        Job::Explain(explanation) => runtime.block_on(explanation.run(color, &screen)),
        Job::Merge(merge) => merge.run(color),
        Job::Keep(keeping) => runtime.block_on(keeping.run(color, &screen)),
        Job::Compare(comparing) => runtime.block_on(comparing.run(color, &screen)),
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
fn runtime(job: &Job) -> io::Result<tokio::runtime::Runtime> {
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

/// Progress where a person waits for a single run, at a terminal that a line can be drawn over on.
fn shows_progress(typed: &Typed, job: &Job, around: &Surroundings) -> bool {
    let is_waited_for = match job {
        Job::Sweep(settings) => {
            settings.service.is_none() && settings.report.log_format == LogFormat::Text
        }
        Job::Explain(_) | Job::Keep(_) | Job::Compare(_) => true,
        _ => false,
    };
    let (_, is_quiet) = typed.loudness();
    is_waited_for && !is_quiet && io::stderr().is_terminal() && !around.is_dumb()
}

/// A panic in the form of the log, for whoever reads that: it may be a program.
fn log_fault(fault: &std::panic::PanicHookInfo<'_>) {
    let fault = printable(&fault.to_string().replace('\n', " "));
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    tracing::error!("a fault of this program, which is a bug: {fault}{backtrace}");
}

fn log_to_stderr(typed: &Typed, job: &Job, screen: &Screen, is_colored: bool) {
    let (verbose, quiet) = typed.loudness();
    // A service says what each sweep came to; a single sweep prints a report.
    let (more, format) = match job {
        Job::Sweep(settings) => (
            u8::from(settings.service.is_some()),
            settings.report.log_format,
        ),
        Job::Merge(merge) => (0, merge.report().log_format),
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
