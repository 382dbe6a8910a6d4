//! What a run prints and leaves behind: the report on standard output, reports in files, and the
//! summary of a CI step.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::args::{OutputArg, ReportFile};
use crate::model::{Record, Sweep};
use crate::{report, service};

/// The forms and places that reports are wanted in.
pub(super) struct Output {
    pub(super) form: OutputArg,
    pub(super) files: Vec<ReportFile>,
    /// Where GitHub Actions takes a step's summary from.
    pub(super) summary: Option<PathBuf>,
}

impl Output {
    /// Prints and writes the reports. Whether all of them could be written; what could not is logged.
    pub(super) fn write(&self, sweeps: &[Sweep], records: &[Record], color: bool) -> bool {
        let text = render(self.form, sweeps, records, color);
        // Whoever closed the pipe has read enough.
        let _ = io::stdout().write_all(text.as_bytes());
        let mut is_written = true;
        let mut note = |path: &Path, written: io::Result<()>| {
            if let Err(error) = written {
                tracing::error!("{} cannot be written: {error}", path.display());
                is_written = false;
            }
        };
        for ReportFile { form, path } in &self.files {
            let text = render(*form, sweeps, records, false);
            note(path, service::replace(path, text.as_bytes()));
        }
        if let (OutputArg::Github, Some(path)) = (self.form, &self.summary) {
            note(path, append_summary(path, sweeps));
        }
        is_written
    }
}

fn render(form: OutputArg, sweeps: &[Sweep], records: &[Record], color: bool) -> String {
    match form {
        OutputArg::Text => report::text::render(sweeps, color),
        OutputArg::Json => report::json::render(sweeps),
        OutputArg::Prom => report::metrics::render(&records.iter().collect::<Vec<_>>()),
        OutputArg::Junit => report::junit::render(sweeps),
        OutputArg::Github => report::github::annotations(sweeps),
    }
}

/// Adds to the summary, which other commands of the same step may have begun.
fn append_summary(path: &Path, sweeps: &[Sweep]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(report::github::summary(sweeps, taken).as_bytes())
}
