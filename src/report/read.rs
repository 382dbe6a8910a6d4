//! Reports read back from their JSON, which anybody may have written: what does not hold together is refused.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::finding::Finding;
use super::sweep::{Listed, Sweep};
use super::verdict::Verdict;
use crate::oci::{Repository, printable, shorten};
use crate::registry::{Authentication, Identified, Unverified, UnverifiedReason};

/// The version of reports in JSON. Grows with a change that breaks readers; what is only added leaves it
/// as it is.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// More objects than any registry has, and few enough that those of many reports can be added.
const MOST_OBJECTS: u128 = 1 << 40;

/// More bytes and requests than any sweep takes.
const MOST_TRAFFIC: u64 = 1 << 53;

/// More looks than any sweep takes.
const MOST_LOOKS: u32 = 1_000;

/// A report as it was read.
#[derive(Clone, Debug)]
pub struct Part {
    /// The file that it is from, for people.
    pub source: String,
    /// Its sweep.
    pub sweep: Sweep,
    /// What it remembers of earlier ones.
    pub remembered: Vec<Finding>,
}

/// What says which of the two forms a text has.
#[derive(Deserialize)]
struct Head<'a> {
    schema_version: u64,
    #[serde(borrow)]
    reports: Option<Vec<&'a RawValue>>,
}

/// What stands beside the sweep.
#[derive(Deserialize)]
struct Beside {
    schema_version: u64,
    verdict: Verdict,
    complete: bool,
    software: Option<Identified>,
    remembered: Vec<Finding>,
    images: Vec<IgnoredAny>,
}

impl Part {
    /// The reports in a text, which is what `--output json` printed: one, or those of several registries.
    ///
    /// # Errors
    ///
    /// If it is anything else, or of another version, or does not hold together: why.
    pub fn parse(text: &str, source: &str) -> Result<Vec<Self>, String> {
        let head: Head<'_> = serde_json::from_str(text).map_err(|error| no_report(&error))?;
        check_version(head.schema_version)?;
        match head.reports {
            Some(reports) => {
                let reports = reports.iter();
                reports.map(|one| Self::one(one.get(), source)).collect()
            }
            None => Ok(vec![Self::one(text, source)?]),
        }
    }

    /// Checks that every repository that was checked is named, as in a report that nobody has changed.
    ///
    /// # Errors
    ///
    /// If not: how many of them are.
    pub fn check_repositories(&self) -> Result<(), String> {
        let repositories = self.sweep.repositories.iter();
        let named = repositories.filter(|result| result.unverified == 0).count();
        let checked = self.sweep.counts.repositories.checked;
        if named as u64 == checked {
            return Ok(());
        }
        Err(format!(
            "it says that {checked} repositories were checked, and names {named} of them"
        ))
    }

    fn one(text: &str, source: &str) -> Result<Self, String> {
        let beside: Beside = serde_json::from_str(text).map_err(|error| no_report(&error))?;
        check_version(beside.schema_version)?;
        let mut sweep: Sweep = serde_json::from_str(text).map_err(|error| no_report(&error))?;
        sweep.access.software = beside.software;
        let dialled = &sweep.access.dialled;
        let is_address = ["http://", "https://"].map(|scheme| dialled.starts_with(scheme));
        if !dialled.is_empty() && !is_address.contains(&true) {
            return Err("what it says that was dialled is no address".into());
        }
        if !beside.images.is_empty() {
            return Err("it is about images that were named, and only sweeps are merged".into());
        }
        // Why the list failed is told of the registry, among other reasons perhaps.
        if let Listed::Failed(why) = &mut sweep.listed {
            use UnverifiedReason::{NothingListed, ShardsIncomplete, StorageUnavailable};
            let told = sweep.unverified.iter().filter(|g| g.repository.is_none());
            let is_of_list = |why: &&Unverified| {
                !matches!(
                    why.reason,
                    NothingListed | ShardsIncomplete | StorageUnavailable
                )
            };
            if let Some(told) = told.map(|group| &group.why).find(is_of_list) {
                why.clone_from(told);
            }
        }
        if (beside.verdict, beside.complete) != (sweep.verdict(), sweep.is_complete()) {
            return Err(format!(
                "it says {}, and what it holds comes to {}: it was changed, or a later version wrote it",
                in_words(beside.verdict, beside.complete),
                in_words(sweep.verdict(), sweep.is_complete())
            ));
        }
        let mut part = Self {
            source: source.to_owned(),
            sweep,
            remembered: beside.remembered,
        };
        part.make_printable();
        part.check_shard()?;
        part.check_numbers()?;
        Ok(part)
    }

    /// What becomes a part of commands and names, and was an address when it was written.
    fn make_printable(&mut self) {
        let (registry, access) = (&mut self.sweep.registry, &mut self.sweep.access);
        let mut texts = vec![
            registry,
            &mut access.host,
            &mut access.api,
            &mut access.dialled,
        ];
        if let Authentication::Token { realm, service } = &mut access.login {
            texts.push(realm);
            texts.extend(service);
        }
        let findings = self.sweep.findings.iter_mut();
        let findings = findings.chain(&mut self.remembered);
        let images = findings.filter_map(|found| found.nearby.elsewhere.as_mut());
        texts.extend(images.map(|elsewhere| &mut elsewhere.image));
        for text in texts {
            *text = printable(text);
        }
    }

    /// A shard tells of its own repositories only.
    fn check_shard(&self) -> Result<(), String> {
        let Some(shard) = self.sweep.shard else {
            return Ok(());
        };
        let reached = self.sweep.repositories.iter().map(|result| &result.name);
        let broken = self.sweep.findings.iter().map(|found| &found.repository);
        let mut all = reached.chain(broken);
        match all.find(|name: &&Repository| !shard.holds(name)) {
            Some(name) => Err(format!(
                "{name} is in it, which does not belong to shard {shard}"
            )),
            None => Ok(()),
        }
    }

    /// Whatever is added up or counted on from stays far from the end of numbers.
    fn check_numbers(&self) -> Result<(), String> {
        let sweep = &self.sweep;
        let counts = &sweep.counts;
        let objects = [
            counts.repositories.listed,
            counts.repositories.checked,
            counts.tags.listed,
            counts.tags.checked,
            counts.indexes,
            counts.manifests,
            counts.blobs,
            counts.absent,
        ];
        let results = sweep.repositories.iter();
        let objects = objects
            .into_iter()
            .chain(sweep.exposed.iter().map(|exposed| exposed.manifests))
            .chain(sweep.unverified.iter().map(|group| group.count))
            .chain(sweep.skipped.values().copied())
            .chain(results.flat_map(|result| [result.broken, result.unverified, result.tags]));
        let objects: u128 = objects.map(u128::from).sum();
        let traffic = [counts.requests, counts.bytes, counts.scrubbed_bytes];
        let findings = sweep.findings.iter().chain(&sweep.suspected);
        let mut findings = findings.chain(&self.remembered);
        if objects > MOST_OBJECTS
            || traffic.iter().any(|count| *count > MOST_TRAFFIC)
            || findings.any(|found| found.confirmations > MOST_LOOKS)
        {
            return Err("its numbers are larger than those of any sweep".into());
        }
        Ok(())
    }
}

fn in_words(verdict: Verdict, complete: bool) -> String {
    let complete = if complete { "complete" } else { "not complete" };
    format!("{verdict} and {complete}")
}

fn check_version(version: u64) -> Result<(), String> {
    if version == u64::from(SCHEMA_VERSION) {
        return Ok(());
    }
    Err(format!(
        "it is of version {version}, and this program reads {SCHEMA_VERSION}"
    ))
}

fn no_report(error: &serde_json::Error) -> String {
    let error = shorten(&error.to_string(), 200);
    format!("it is no report of this version of the program in JSON: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{fixture, github, json, junit, text};
    use crate::report::{Report, Shard};

    fn reports() -> Vec<Report> {
        let away = fixture::away().map(Report::from);
        let unlisted = fixture::unlisted().map(Report::from);
        let others = [fixture::stopped(), fixture::five()];
        let others = others.map(Report::from);
        let all: [&[Report]; 4] = [&fixture::all(), &away, &unlisted, &others];
        all.concat()
    }

    fn read(text: &str) -> Vec<Report> {
        let parts = Part::parse(text, "r.json").expect("a report");
        let parts = parts.into_iter();
        parts
            .map(|part| Report::of(part.sweep, part.remembered))
            .collect()
    }

    #[test]
    fn a_report_that_is_read_back_renders_as_before() {
        for report in reports() {
            let report = std::slice::from_ref(&report);
            let written = json::render(report);
            let again = read(&written);
            assert_eq!(json::render(&again), written);
            let view = text::View {
                details: true,
                ..text::View::default()
            };
            assert_eq!(text::render(&again, view), text::render(report, view));
            assert_eq!(junit::render(&again), junit::render(report));
            assert_eq!(github::annotations(&again), github::annotations(report));
        }
    }

    #[test]
    fn reports_of_several_registries_are_in_one_document() {
        let all = fixture::all();
        let written = json::render(&all);
        assert_eq!(json::render(&read(&written)), written);
        assert!(read(&json::render(&[])).is_empty());
    }

    #[test]
    fn a_repository_that_was_taken_out_is_missed() {
        let mut sweep = fixture::rich();
        let whole = sweep.repositories.iter();
        let whole = whole.filter(|result| result.unverified == 0).count();
        sweep.counts.repositories.checked = whole as u64;
        let part = |sweep: &Sweep| {
            let text = json::render(&[sweep.clone().into()]);
            Part::parse(&text, "r.json").expect("a report").remove(0)
        };
        assert_eq!(part(&sweep).check_repositories(), Ok(()));
        sweep.repositories.retain(|result| result.unverified > 0);
        let error = part(&sweep).check_repositories().expect_err("it is less");
        assert!(error.contains("names 0 of them"), "{error}");
    }

    #[test]
    fn a_hint_of_its_own_stays() {
        let mut sweep = fixture::unverified();
        let why = &mut sweep.unverified[0].why;
        *why = why.clone().advised(Some("look at the proxy"));
        let again = read(&json::render(&[sweep.into()]));
        assert_eq!(again[0].sweep.unverified[0].why.hint(), "look at the proxy");
    }

    #[test]
    fn what_is_no_report_is_refused_and_says_why() {
        let good = json::render(&[fixture::rich().into()]);
        let mut shard = fixture::rich();
        shard.shard = Shard::new(0, 64);
        let swapped = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            good.replacen(from, to, 1)
        };
        for (text, why) in [
            (String::new(), "no report"),
            ("[]".into(), "no report"),
            ("{}".into(), "missing field `schema_version`"),
            ("[".repeat(100_000), "no report"),
            ("{\"schema_version\":1,\"reports\":[1]}".into(), "no report"),
            (good[..good.len() / 2].into(), "EOF"),
            (good.clone() + "x", "trailing"),
            (
                swapped("\"schema_version\": 1", "\"schema_version\": 2"),
                "version 2",
            ),
            (
                swapped("\"not_found\"", "\"eaten\""),
                "unknown variant `eaten`",
            ),
            (
                swapped("\"deadline\"", "\"tired\""),
                "unknown variant `tired`",
            ),
            (
                swapped("\"foreign_layer\"", "\"bored\""),
                "unknown variant `bored`",
            ),
            (
                swapped("\"catalog\"", "\"guessed\""),
                "unknown variant `guessed`",
            ),
            (
                swapped("\"verdict\": \"broken\"", "\"verdict\": \"intact\""),
                "comes to broken",
            ),
            (
                swapped("\"complete\": false", "\"complete\": true"),
                "not complete",
            ),
            (swapped("\"team/app\"", "\"../../etc\""), "not a name"),
            (
                swapped("\"blobs\": 8731", "\"blobs\": 18446744073709551615"),
                "larger than",
            ),
            (swapped("\"blobs\": 8731", "\"blobs\": -1"), "no report"),
            (
                swapped("\"confirmations\": ", "\"confirmations\": 429496729"),
                "larger than",
            ),
            (
                json::render(&[shard.into()]),
                "does not belong to shard 0/64",
            ),
            (
                swapped("\"dialled\": \"\"", "\"dialled\": \"/etc\""),
                "no address",
            ),
            (
                json::render(&[fixture::expected().into()]),
                "images that were named",
            ),
            (
                swapped("\"shard\": null", "\"shard\": {\"index\":4,\"count\":4}"),
                "4/4 is no part",
            ),
        ] {
            let error = Part::parse(&text, "r.json").expect_err(why);
            assert!(error.contains(why), "{error}: {why}");
            assert!(error.len() < 400, "{error}");
        }
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let good = json::render(&[fixture::rich().into()]);
        let added = good.replacen('{', "{\"added\": [{}],", 1);
        assert_eq!(json::render(&read(&added)), good);
    }

    #[test]
    fn hostile_text_is_printable_in_every_form() {
        let hostile = "\\u001b]0;owned\\u0007\\n\\u202eINTACT$(id)";
        let good = json::render(&[fixture::rich().into()]);
        let bad = good.replace("registry.example", hostile);
        let reports = read(&bad);
        for text in [
            text::render(&reports, text::View::default()),
            junit::render(&reports),
            github::annotations(&reports),
        ] {
            let is_plain = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
            assert!(text.chars().all(is_plain), "{text}");
        }
    }
}
