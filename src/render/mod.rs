//! What a sweep or an examination came to, for people and for programs: each report is a pure
//! function of `Report` or `Examination` values, with no clock, no environment and no output of its
//! own.

pub mod compare;
pub mod explain;
pub mod github;
pub mod json;
pub mod junit;
pub mod keep;
pub mod log;
pub mod metrics;
pub mod page;
pub mod text;

mod broken;
mod documents;
mod exposed;
mod finding;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/render.rs"]
pub(crate) mod fuzzing;
mod in_use;
#[cfg(test)]
mod incident;
pub(crate) mod lines;
mod requests;
mod scope;
pub(crate) mod software;
mod story;
mod table;
mod unknown;
pub(crate) mod words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Found, Record};

    /// Text without what a form needs besides: tags, escapes, line breaks, and marks of code.
    fn plain(text: &str) -> String {
        let mut pieces = text.split('<');
        let first = pieces.next().unwrap_or_default().to_owned();
        let text = pieces.fold(first, |text, piece| {
            text + piece.split_once('>').map_or(piece, |(_, rest)| rest)
        });
        let escapes = [
            ("%0A", "\n"),
            ("%25", "%"),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&apos;", "'"),
            ("&amp;", "&"),
            // What is a tag, or would be one, is left out on both sides.
            ("<", ""),
            ("\\\n", ""),
            ("`", ""),
        ];
        let text = escapes
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// All texts in a value, with the number of looks in words.
    fn texts(value: &serde_json::Value) -> String {
        use serde_json::Value;
        match value {
            Value::String(text) => text.clone() + "\n",
            Value::Array(values) => values.iter().map(texts).collect(),
            Value::Object(values) => {
                let looks = values.get("confirmations").and_then(Value::as_u64);
                let looks = looks.map(|more| format!("seen {} times", more + 1));
                values.values().map(texts).collect::<String>() + &looks.unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    /// What a reader has to learn of a finding, whatever the report.
    fn facts(found: &Found) -> Vec<String> {
        let evidence = &found.defect.evidence;
        let second = |time| {
            humantime::format_rfc3339_seconds(time)
                .to_string()
                .replace('Z', "")
        };
        let bracket = [found.bracket.last_intact, found.bracket.first_broken];
        let mut facts = vec![
            found.repository.to_string(),
            found.kind.to_string(),
            found.defect.reason.to_string(),
            found.cause.to_string(),
            format!("{:#}", evidence.promised.as_ref().expect("promised")),
            evidence.observed.as_ref().expect("observed").to_string(),
            evidence.request.to_string(),
            format!("seen {} times", found.confirmations + 1),
        ];
        facts.extend(found.tags.iter().map(ToString::to_string));
        facts.extend(found.platforms.iter().map(ToString::to_string));
        facts.extend(
            found
                .digest
                .iter()
                .chain(&found.parent)
                .map(ToString::to_string),
        );
        facts.extend(bracket.into_iter().flatten().map(second));
        let users = found.in_use.iter().flat_map(|user| &user.origin.name);
        facts.extend(users.map(ToString::to_string));
        match found.repairs.first() {
            Some(repair) => facts.extend(repair.commands.iter().map(ToString::to_string)),
            None => facts.push(found.hint.to_owned()),
        }
        facts
    }

    #[test]
    fn every_report_has_the_same_facts_of_each_finding() {
        let mut record = Record::new("registry.example:5050");
        record.absorb(fixture::five());
        let report = record.last.as_ref().expect("a report");
        assert!(
            report
                .sweep
                .findings
                .iter()
                .any(|found| !found.in_use.is_empty())
        );
        let reports = std::slice::from_ref(report);
        let findings = &report.sweep.findings;
        assert_eq!(findings.len(), 5);
        assert!(findings.iter().any(|found| found.repairs.is_empty()));
        let now = report.sweep.finished_at;
        let phase = page::Phase::Sweeping { since: now };
        let watch = page::Watch {
            record: &record,
            phase,
        };
        let json: serde_json::Value =
            serde_json::from_str(&json::render(reports)).expect("it is JSON");
        let json = json["findings"].as_array().expect("a list").iter();
        // The part of each finding begins with what opens it.
        let parts = |text: String, opening: &str| -> Vec<String> {
            text.split(opening).skip(1).take(5).map(plain).collect()
        };
        for (form, parts) in [
            (
                "text",
                parts(
                    text::render(
                        reports,
                        text::View {
                            details: true,
                            ..text::View::default()
                        },
                    ),
                    "\n\nteam/",
                ),
            ),
            ("page", parts(page::render(&[watch], now), "<article")),
            ("junit", parts(junit::render(reports), "<testcase")),
            ("github", parts(github::annotations(reports), "::error ")),
            ("json", json.map(|finding| plain(&texts(finding))).collect()),
        ] {
            assert_eq!(parts.len(), 5, "{form}");
            for (found, part) in findings.iter().zip(parts) {
                // What opens a part of the text and what is an attribute in XML was cut off.
                let part = format!("{part} {}", found.repository);
                for fact in facts(found) {
                    assert!(part.contains(&plain(&fact)), "{form} lacks {fact}: {part}");
                }
            }
        }
    }

    /// What pods run and no list has is in no finding: each form tells it by itself, with whom it hurts.
    #[test]
    fn every_report_has_the_images_that_only_pods_know() {
        let mut record = Record::new("registry.example:5050");
        record.absorb(fixture::five());
        let report = record.last.as_ref().expect("a report");
        let reports = std::slice::from_ref(report);
        let now = report.sweep.finished_at;
        let phase = page::Phase::Sweeping { since: now };
        let watch = page::Watch {
            record: &record,
            phase,
        };
        let json: serde_json::Value =
            serde_json::from_str(&json::render(reports)).expect("it is JSON");
        let in_use = report.sweep.in_use.as_ref().expect("it is there");
        let told = in_use.findings.iter().filter(|found| !found.is_listed);
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 2);
        for (form, text) in [
            ("text", text::render(reports, text::View::default())),
            ("page", page::render(&[watch], now)),
            ("junit", junit::render(reports)),
            ("github", github::annotations(reports)),
            ("summary", github::summary(reports, 0).replace("&#95;", "_")),
            ("json", texts(&json["in_use"])),
            ("prom", metrics::render(&[&record])),
        ] {
            for found in &told {
                let owner = found.workloads[0].origin.name.as_ref().expect("it has one");
                let reason = found.reason.word();
                let facts = [&*found.image, reason, owner];
                // A metric says in which namespace.
                let facts = &facts[..if form == "prom" { 2 } else { 3 }];
                for fact in facts {
                    assert!(text.contains(fact), "{form} lacks {fact}: {text}");
                }
            }
        }
    }
}
