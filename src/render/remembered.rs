//! What an earlier sweep found broken, and this one could not verify again: it stays a failure.

use super::broken::since;
use super::lines::{BAD, Lines, STRONG};
use super::words::{self, length, many};
use crate::report::{Finding, Sweep};

pub(super) fn write(lines: &mut Lines, sweep: &Sweep) {
    if sweep.remembered.is_empty() {
        return;
    }
    let count = many(
        length(sweep.remembered.len()),
        "broken object",
        "broken objects",
    );
    lines.blank();
    let title = format!("Known from before, and not verified again: {count}");
    lines.title(&title, STRONG);
    for (number, finding) in sweep.remembered.iter().enumerate() {
        if number > 0 {
            lines.blank();
        }
        one(lines, finding, sweep);
    }
}

fn one(lines: &mut Lines, finding: &Finding, sweep: &Sweep) {
    let (kind, reason) = (finding.kind, finding.defect.reason);
    let what = format!("{} {}", words::kind(kind), words::reason(reason));
    let place = format!("in {}", finding.repository);
    lines.heading([what, place, format!("[{kind}/{reason}]")], BAD);
    if let Some(digest) = &finding.digest {
        lines.verbatim("digest", &digest.to_string());
    }
    if !finding.tags.is_empty() {
        lines.entry("breaks", finding.tags.iter().map(ToString::to_string));
    }
    if let Some(since) = since(finding, sweep) {
        lines.entry("since", since.split_whitespace());
    }
}
