//! The list of what must be kept of a registry, and the page of what deletions would break.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::lines::{BAD, GOOD, Lines, STRONG, UNSURE};
use super::words::{length, many};
use crate::content::{Breakage, Gap, Kept};

/// As many gaps as a page tells.
const MOST_GAPS: usize = 10;

/// One line for each manifest, `REPOSITORY@DIGEST`, and with `blobs` one for each blob of the same repository,
/// `REPOSITORY blob DIGEST`; a comment for each that is `lost`; in the last line how many are listed.
#[must_use]
pub fn list(kept: &Kept, blobs: bool, lost: &BTreeSet<String>) -> String {
    let mut text = String::new();
    let mut count = 0_u64;
    for (repository, target) in kept {
        for digest in &target.manifests {
            let _ = writeln!(text, "{repository}@{digest}");
            count += 1;
        }
        for digest in target.blobs.iter().filter(|_| blobs) {
            let _ = writeln!(text, "{repository} blob {digest}");
            count += 1;
        }
    }
    for name in lost {
        let _ = writeln!(text, "# lost {name}");
    }
    let _ = writeln!(text, "# complete {count}");
    text
}

/// The same in JSON.
#[must_use]
pub fn list_json(registry: &str, kept: &Kept, blobs: bool, lost: &BTreeSet<String>) -> String {
    let entries = |of_blobs: bool| -> Vec<Value> {
        let repositories = kept.iter().flat_map(|(repository, target)| {
            let digests = if of_blobs {
                &target.blobs
            } else {
                &target.manifests
            };
            digests
                .iter()
                .map(move |digest| json!({ "repository": repository, "digest": digest }))
        });
        repositories.collect()
    };
    let manifests = entries(false);
    let mut document = json!({ "registry": registry });
    let mut count = manifests.len();
    document["manifests"] = manifests.into();
    if blobs {
        let blobs = entries(true);
        count += blobs.len();
        document["blobs"] = blobs.into();
    }
    document["lost"] = json!(lost);
    document["complete"] = count.into();
    format!("{document:#}\n")
}

/// What came of a list of deletions.
pub struct Checked<'a> {
    /// The registry's name.
    pub registry: String,
    /// What is to be deleted, as it stands in the list.
    pub deletions: Vec<String>,
    /// The tags among these that the registry has not: there is nothing to delete, or the list is of another one.
    pub unknown: Vec<String>,
    /// What that would break.
    pub breaks: Vec<Breakage>,
    /// What could not be read.
    pub gaps: &'a [Gap],
}

impl Checked<'_> {
    /// The page for people.
    #[must_use]
    pub fn text(&self, color: bool) -> String {
        let mut lines = Lines::new(color);
        let deletions = many(length(self.deletions.len()), "deletion", "deletions");
        let (is_safe, is_known) = (self.breaks.is_empty(), self.gaps.is_empty());
        let (word, style, what) = match (is_safe, is_known) {
            (false, _) => {
                let tags = self.breaks.iter().filter(|broken| broken.origin.is_none());
                let tags = tags.count();
                let others = self.breaks.len() - tags;
                let tags = (tags > 0).then(|| many(length(tags), "other tag", "other tags"));
                let others = (others > 0).then(|| many(length(others), "use", "uses"));
                let broken: Vec<_> = tags.into_iter().chain(others).collect();
                (
                    "BREAKS",
                    BAD,
                    format!("would break {}", broken.join(" and ")),
                )
            }
            (true, true) => ("SAFE", GOOD, "would break nothing else".to_owned()),
            (true, false) => {
                let what = "would break nothing that is known, and not all could be read";
                ("UNVERIFIED", UNSURE, what.to_owned())
            }
        };
        let words = format!("{}: {deletions} {what}", self.registry);
        lines.lead(word, style, words.split(' '));
        for broken in &self.breaks {
            lines.blank();
            let title = match &broken.origin {
                Some(origin) => format!("{origin}: {}", broken.image),
                None => broken.image.clone(),
            };
            lines.title(&title, STRONG);
            let platforms = broken.platforms.iter().map(|platform| &**platform);
            let of_all = broken.platforms.is_empty().then_some("the whole image");
            lines.entry("loses", platforms.chain(of_all));
            for deletion in &broken.deletions {
                lines.verbatim("by", deletion);
            }
        }
        self.tell_unknown(&mut lines);
        if !is_known {
            lines.blank();
            lines.title("Not known", STRONG);
            for gap in self.gaps.iter().take(MOST_GAPS) {
                let place = gap.repository.as_ref().map(|name| format!("{name}:"));
                let what = gap.what.split(' ').map(str::to_owned);
                lines.entry("", place.into_iter().chain(what));
            }
            if self.gaps.len() > MOST_GAPS {
                let more = self.gaps.len() - MOST_GAPS;
                lines.entry("", [format!("and {more} more")]);
            }
        }
        lines.finish()
    }

    fn tell_unknown(&self, lines: &mut Lines) {
        if self.unknown.is_empty() {
            return;
        }
        lines.blank();
        lines.title("Tags that are not there", STRONG);
        for name in self.unknown.iter().take(MOST_GAPS) {
            lines.verbatim("", name);
        }
        if self.unknown.len() > MOST_GAPS {
            let more = self.unknown.len() - MOST_GAPS;
            lines.entry("", [format!("and {more} more")]);
        }
    }

    /// The same in JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let verdict = match (self.breaks.is_empty(), self.gaps.is_empty()) {
            (false, _) => "breaks",
            (true, true) => "safe",
            (true, false) => "unverified",
        };
        let document = json!({
            "registry": self.registry,
            "verdict": verdict,
            "complete": self.gaps.is_empty(),
            "unknown": self.unknown,
            "deletions": self.deletions,
            "breaks": self.breaks,
            "unverified": self.gaps,
        });
        format!("{document:#}\n")
    }
}
