//! What every report says of a broken object, in words and in this order. A report only lays it out.

use super::words::{self, length, many, number};
use crate::report::{Finding, Found, Repair};

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

/// All facts of an object, by its findings in several repositories or the only one. Names `most` tags.
pub(super) fn facts(findings: &[&Found], most: usize) -> Vec<Fact> {
    let found = findings[0];
    let mut platforms: Vec<_> = findings.iter().flat_map(|found| &found.platforms).collect();
    platforms.sort_unstable();
    platforms.dedup();
    let platforms: Vec<_> = platforms.into_iter().map(|platform| &**platform).collect();
    let harm = [
        fact("breaks", breaks(findings, most).unwrap_or_default()),
        fact("for", platforms.join(", ")),
    ];
    let mut facts = evidence(found);
    facts.extend(why(found));
    facts.extend(harm);
    facts.retain(|fact| !fact.text.is_empty());
    let order = ["digest", "parent", "breaks", "for"];
    facts.sort_by_key(|fact| {
        order
            .iter()
            .position(|label| *label == fact.label)
            .unwrap_or(order.len())
    });
    facts
}

/// The tags that it breaks, with their repositories where there are several.
pub(super) fn breaks(findings: &[&Found], most: usize) -> Option<String> {
    let count = findings.iter().map(|found| found.tags.len()).sum();
    let tags = findings.iter().flat_map(|found| found.named_tags());
    let names = tags.take(most).map(|(repository, tag)| match findings {
        [_] => tag.to_string(),
        _ => format!("{repository}:{tag}"),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let more = match count {
        count if count > most => format!(" and {} more", number(length(count - most))),
        _ => String::new(),
    };
    (count > 0).then(|| format!("{} {names}{more}", many(length(count), "tag:", "tags:")))
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
    since.into_iter().chain([fact("cause", cause)]).collect()
}

/// Up to `most` repairs, each with its label.
pub(super) fn repairs(found: &Found, most: usize) -> impl Iterator<Item = (&'static str, &Repair)> {
    let labels = std::iter::once("repair").chain(std::iter::repeat("or"));
    labels.zip(found.repairs.iter().take(most))
}

/// The facts and what to do, in lines, for programs that show plain text. Names `most` tags.
pub(super) fn lines(findings: &[&Found], most: usize) -> Vec<String> {
    let found = findings[0];
    let facts = facts(findings, most).into_iter();
    let mut lines: Vec<_> = facts
        .map(|fact| format!("{} {}", fact.label, fact.text))
        .collect();
    lines.push(format!("remedy {}", found.hint));
    for (label, repair) in repairs(found, 1) {
        lines.push(format!("{label} {}:", repair.what));
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
