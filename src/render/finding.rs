//! What every report says of a broken object, in words and in this order. A report only lays it out.

use std::collections::HashSet;

use super::in_use;
use super::words::{self, length, many, number};
use crate::oci::Tag;
use crate::report::{Action, Finding, Found, Repair};

/// One thing to say, behind a label of six letters at most.
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) text: String,
    /// Whether it is meant to be copied, and so never broken.
    pub(super) is_verbatim: bool,
}

fn fact(label: &'static str, text: impl Into<String>) -> Fact {
    Fact {
        label,
        text: text.into(),
        is_verbatim: matches!(label, "digest" | "parent" | "repeat"),
    }
}

/// What is broken and how, such as `layer not found`.
pub(super) fn heading(finding: &Finding) -> String {
    let (kind, reason) = (finding.kind, finding.defect.reason);
    format!("{} {}", words::kind(kind), words::reason(reason))
}

/// The same in the words of JSON and metrics: `layer/not_found`.
pub(super) fn code(finding: &Finding) -> String {
    format!("{}/{}", finding.kind, finding.defect.reason)
}

/// Where it is: `REPOSITORY@DIGEST`, or the repository of a tag that leads nowhere.
pub(super) fn place(finding: &Finding) -> String {
    match &finding.digest {
        Some(digest) => format!("{}@{digest}", finding.repository),
        None => finding.repository.to_string(),
    }
}

/// All facts of objects that are told together, by their findings; what each has for itself is said of the
/// first. Names `most` tags and platforms.
pub(super) fn facts(findings: &[&Found], most: usize) -> Vec<Fact> {
    let found = findings[0];
    let mut platforms: Vec<_> = findings.iter().flat_map(|found| &found.platforms).collect();
    platforms.sort_unstable();
    platforms.dedup();
    let platforms: Vec<_> = platforms.into_iter().map(|platform| &**platform).collect();
    let harm = [
        fact("of", attached_to(found, most)),
        fact("breaks", breaks(findings, most).unwrap_or_default()),
        fact("for", some(&platforms, most)),
    ];
    let mut facts = evidence(found);
    facts.extend(why(found));
    facts.extend(harm);
    facts.retain(|fact| !fact.text.is_empty());
    let order = ["digest", "parent", "of", "breaks", "for"];
    facts.sort_by_key(|fact| {
        order
            .iter()
            .position(|label| *label == fact.label)
            .unwrap_or(order.len())
    });
    facts
}

/// The tags that are broken, each once, with their repositories where there are several.
pub(super) fn breaks(findings: &[&Found], most: usize) -> Option<String> {
    let first = &findings[0].repository;
    let is_one_repository = findings.iter().all(|found| found.repository == *first);
    let mut seen = HashSet::new();
    let tags = findings.iter().flat_map(|found| found.named_tags());
    let tags: Vec<_> = tags.filter(|tag| seen.insert(*tag)).collect();
    let names = tags.iter().map(|(repository, tag)| {
        if is_one_repository {
            tag.to_string()
        } else {
            format!("{repository}:{tag}")
        }
    });
    let count = many(length(tags.len()), "tag:", "tags:");
    let names = some(&names.collect::<Vec<_>>(), most);
    (!tags.is_empty()).then(|| format!("{count} {names}"))
}

/// The tags of the image that it is attached to, or should be.
fn attached_to(found: &Found, most: usize) -> String {
    if found.attached_to.is_empty() {
        return String::new();
    }
    let names: Vec<_> = found.attached_to.iter().map(Tag::as_str).collect();
    format!("{}, which can be pulled all the same", some(&names, most))
}

/// The first `most` of some names, and how many more there are.
pub(super) fn some<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let shown: Vec<_> = names.iter().take(most).map(AsRef::as_ref).collect();
    let more = match names.len().saturating_sub(most) {
        0 => String::new(),
        more => format!(" and {} more", number(length(more))),
    };
    shown.join(", ") + &more
}

/// What shows that it is broken.
pub(super) fn evidence(finding: &Finding) -> Vec<Fact> {
    let text = |digest: &Option<_>| digest.as_ref().map(ToString::to_string);
    let facts = [
        ("digest", text(&finding.digest)),
        ("parent", text(&finding.parent)),
        ("expect", promise(finding)),
        ("answer", Some(answer(finding))),
        ("repeat", Some(finding.defect.evidence.request.to_string())),
    ];
    let facts = facts
        .into_iter()
        .filter_map(|(label, text)| Some(fact(label, text?)));
    facts.filter(|fact| !fact.text.is_empty()).collect()
}

/// Since when it is broken, if more is known than this sweep alone, and what broke it.
pub(super) fn why(found: &Found) -> Vec<Fact> {
    let time = |time| humantime::format_rfc3339_seconds(words::since_epoch(time));
    let bracket = found.bracket;
    let since = bracket
        .first_broken
        .and_then(|broken| match bracket.last_intact {
            Some(intact) => Some(format!(
                "first broken {}, last intact {}",
                time(broken),
                time(intact)
            )),
            None if broken == found.reported_at => None,
            None => Some(format!("first broken {}, or before", time(broken))),
        });
    let cause = format!("{} [{}]", words::cause(found.cause), found.cause);
    let since = since.map(|since| fact("since", since));
    let used = in_use::users(&found.in_use).map(|users| fact("used", format!("by {users}")));
    let cause = [fact("cause", cause)];
    since.into_iter().chain(cause).chain(used).collect()
}

/// Up to `most` repairs, each with its label.
pub(super) fn repairs(found: &Found, most: usize) -> impl Iterator<Item = (&'static str, &Repair)> {
    let labels = std::iter::once("repair").chain(std::iter::repeat("or"));
    labels.zip(found.repairs.iter().take(most))
}

/// What a repair is called, and what exactly is done: `PUSH` and `v1 again`, or `RESTORE:` and `mount it`. A
/// verb that says no more than the name is left out.
pub(super) fn labelled(repair: &Repair) -> (String, &str) {
    let name = repair.action.label();
    let verb = match repair.action {
        Action::RollBack => "roll back",
        action => action.word(),
    };
    match repair.what.strip_prefix(verb) {
        Some(rest) if rest.starts_with(' ') => (name, rest.trim_start()),
        Some(rest) if rest.starts_with(": ") => (name + ":", &rest[2..]),
        _ => (name + ":", &repair.what),
    }
}

/// The same in one text.
pub(super) fn what(repair: &Repair) -> String {
    let (name, what) = labelled(repair);
    format!("{name} {what}")
}

/// The facts and what to do, in lines, for programs that show plain text. Names `most` tags and
/// platforms.
pub(super) fn lines(findings: &[&Found], most: usize) -> Vec<String> {
    let found = findings[0];
    let facts = facts(findings, most).into_iter();
    let mut lines: Vec<_> = facts
        .map(|fact| format!("{} {}", fact.label, fact.text))
        .collect();
    lines.push(format!("remedy {}", found.hint));
    for (label, repair) in repairs(found, 1) {
        lines.push(format!("{label} {}:", what(repair)));
        lines.extend(repair.commands.iter().map(ToString::to_string));
    }
    lines
}

/// What was promised: in the words of the evidence, or else by the descriptor.
fn promise(finding: &Finding) -> Option<String> {
    match &finding.defect.evidence.promised {
        None => finding.size.map(|size| many(size, "byte", "bytes")),
        // The digest stands two lines above.
        Some(promised) => Some(format!("{promised:#}")),
    }
}

/// What came back, and how often it did.
fn answer(finding: &Finding) -> String {
    let times = match finding.confirmations {
        0 => "seen once".to_owned(),
        1 => "seen twice".to_owned(),
        more => format!("seen {} times", number(u64::from(more) + 1)),
    };
    let evidence = &finding.defect.evidence;
    match (&evidence.observed, evidence.status) {
        (Some(observed), Some(status)) if !observed.is_refusal() => {
            format!("{observed} (HTTP {status}, {times})")
        }
        (Some(observed), _) => format!("{observed} ({times})"),
        (None, Some(status)) => format!("HTTP {status} ({times})"),
        (None, None) => times,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_is_named_once() {
        let told = |action, text: &str| {
            let (what_is_done, commands) = (text.to_owned(), Vec::new());
            what(&Repair {
                action,
                what: what_is_done,
                commands,
            })
        };
        let cases = [
            (Action::Push, "push v1 again", "PUSH v1 again"),
            (
                Action::Push,
                "pushing is of no use",
                "PUSH: pushing is of no use",
            ),
            (
                Action::Restart,
                "delete its file",
                "RESTART: delete its file",
            ),
            (
                Action::RollBack,
                "roll back: v2 will contain v1",
                "ROLLBACK: v2 will contain v1",
            ),
            (
                Action::Delete,
                "if nobody needs v1: delete it",
                "DELETE: if nobody needs v1: delete it",
            ),
        ];
        for (action, text, expected) in cases {
            assert_eq!(told(action, text), expected);
        }
    }
}
