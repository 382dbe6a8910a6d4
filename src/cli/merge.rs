//! Merges reports of shards (`probe merge`): which files, and the one report and exit code that come of them.

use std::path::{Path, PathBuf};

use super::args::MergeArgs;
use super::error::{Error, without_mark};
use super::exit::Exit;
use super::input::{self, is_standard, name};
use super::output;
use super::settings::Sources;
use crate::report::{Merging, Part};

/// The largest file that is read: a report of a hundred thousand findings is smaller.
const LARGEST: u64 = 256 << 20;

/// The files to merge, and what is to come of them.
pub(super) struct Merge {
    args: MergeArgs,
    /// Where GitHub Actions takes a step's summary from.
    summary: Option<PathBuf>,
}

impl Merge {
    pub(super) fn resolve(sources: &Sources) -> Result<Self, Error> {
        let args = sources.resolve::<MergeArgs>(None)?.args;
        if args.files.iter().filter(|path| is_standard(path)).count() > 1 {
            return Err(Error::Usage("standard input (`-`) can be read once".into()));
        }
        let summary = sources.around.first(&["GITHUB_STEP_SUMMARY"]);
        let summary = summary.map(Into::into);
        Ok(Self { args, summary })
    }

    /// The options of what to print.
    pub(super) fn report(&self) -> &super::args::ReportArgs {
        &self.args.report
    }

    /// Reads the reports, prints the one that they make, and says what it comes to.
    ///
    /// # Errors
    ///
    /// If no file holds a report.
    pub(super) fn run(self, color: bool) -> Result<Exit, Error> {
        let (mut parts, mut unusable) = (Vec::new(), Vec::new());
        for path in &self.args.files {
            let source = name(path);
            let whole = |parts: Vec<Part>| {
                let checked = parts.iter().try_for_each(Part::check_repositories);
                checked.map(|()| parts)
            };
            let parsed = read(path).and_then(|text| Part::parse(&text, &source));
            match parsed.and_then(whole) {
                Ok(read) => parts.extend(read),
                Err(why) => unusable.push((source, why)),
            }
        }
        if parts.is_empty() {
            let first = unusable.first();
            return Err(Error::Usage(match first {
                Some((file, why)) => format!("there is no report to merge: {file}: {why}"),
                None => "there is no report to merge: these are of no registry".to_owned(),
            }));
        }
        let merging = Merging {
            interval: self.args.interval,
            allow_empty: self.args.allow_empty,
            unusable: &unusable,
        };
        let records = merging.merge(parts);
        let (report, summary) = (&self.args.report, self.summary.as_deref());
        let is_written = output::write(report, summary, &records, color);
        Ok(Exit::of(
            &output::reports(&records),
            is_written,
            &report.fail_on.fail_on,
        ))
    }
}

/// The text of a file, if it is not too large.
fn read(path: &Path) -> Result<String, String> {
    let text = input::read(path, LARGEST)?;
    if text.trim_ascii().is_empty() {
        return Err("it is empty, as a shard that was killed leaves it".to_owned());
    }
    Ok(without_mark(text))
}
