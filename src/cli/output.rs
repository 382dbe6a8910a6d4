//! What a run prints and leaves behind: the report on standard output, reports in files, and the
//! summary of a CI step.

use std::borrow::Borrow;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use super::args::{OutputArg, ReportArgs, ReportFile};
use super::signals::Signals;
use crate::render::text::View;
use crate::report::{Record, Report};
use crate::{render, service};

/// What the last sweeps came to, as it was taken in: each finding says since when, and what is remembered is there.
pub(super) fn reports<R: Borrow<Record>>(records: &[R]) -> Vec<&Report> {
    let last = records.iter().map(|record| record.borrow().last.as_ref());
    last.flatten().collect()
}

/// Writes the reports, and then prints the one that is to be printed: a pipe may be read slowly.
/// `summary` is where GitHub Actions takes a step's summary from. Whether all could be written; what could
/// not is logged.
pub(super) fn write<R: Borrow<Record>>(
    args: &ReportArgs,
    summary: Option<&Path>,
    records: &[R],
    color: bool,
) -> bool {
    let reports = &reports(records)[..];
    let details = args.details;
    let mut is_written = true;
    let mut note = |path: &Path, written: io::Result<()>| {
        if let Err(error) = written {
            let (path, error) = (path.display(), service::Unwritten(&error));
            tracing::error!("{path} cannot be written: {error}");
            is_written = false;
        }
    };
    for ReportFile { form, path } in &args.report_files {
        let color = false;
        let text = render(*form, reports, records, View { color, details });
        note(path, service::write(path, text.as_bytes()));
    }
    if let (OutputArg::Github, Some(path)) = (args.output, summary) {
        note(path, append_summary(path, reports));
    }
    let view = View { color, details };
    let is_printed = if args.output == OutputArg::Json {
        print_by(|out| render::json::write(out, reports.iter().copied()))
    } else {
        print(render(args.output, reports, records, view).as_bytes())
    };
    is_printed && is_written
}

/// Makes the outputs of this process known to what writes files: some paths lead to them.
pub(super) fn tell() {
    let (out, err) = (io::stdout(), io::stderr());
    let outputs = [out.as_fd(), err.as_fd()].map(|output| output.try_clone_to_owned());
    service::know_outputs(outputs.into_iter().flatten().collect());
}

/// Writes to standard output. Whether that worked; if it did not, that is logged.
pub(super) fn print(text: &[u8]) -> bool {
    print_by(|out| out.write_all(text))
}

/// The same for what is of no use in part, so that a reader that stops is no success.
pub(super) fn print_whole(text: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    let written = out.write_all(text).and_then(|()| out.flush());
    if let Err(error) = &written {
        let error = service::Unwritten(error);
        tracing::error!("standard output cannot be written whole: {error}");
    }
    written.is_ok()
}

/// The same with what `write` writes.
fn print_by(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> bool {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => true,
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => true,
        Err(error) => {
            let error = service::Unwritten(&error);
            tracing::error!("standard output cannot be written, and its text is lost: {error}");
            false
        }
    }
}

/// How long a page that is whole may take to be read once the process was told to end.
const LAST_PAGE: Duration = Duration::from_secs(1);

/// Writes to standard output, and gives up on a reader that does not read once a signal came.
pub(super) async fn print_unless_ended(text: String, signals: &Signals) -> bool {
    let printing = tokio::task::spawn_blocking(move || print(text.as_bytes()));
    tokio::select! {
        is_printed = printing => is_printed.unwrap_or(false),
        () = signals.ended_for(LAST_PAGE) => false,
    }
}

fn render<R: Borrow<Record>>(
    form: OutputArg,
    reports: &[&Report],
    records: &[R],
    view: View,
) -> String {
    match form {
        OutputArg::Text => render::text::render(reports, view),
        OutputArg::Json => render::json::render(reports.iter().copied()),
        OutputArg::Prom => {
            let records: Vec<_> = records.iter().map(Borrow::borrow).collect();
            render::metrics::render(&records)
        }
        OutputArg::Junit => render::junit::render(reports),
        OutputArg::Github => render::github::annotations(reports),
    }
}

/// Adds to the summary, which other commands of the same step may have begun.
fn append_summary(path: &Path, reports: &[&Report]) -> io::Result<()> {
    service::append(path, |length| {
        let taken = usize::try_from(length).unwrap_or(usize::MAX);
        render::github::summary(reports, taken)
    })
}
