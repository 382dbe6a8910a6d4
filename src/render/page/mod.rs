//! The status page that a person on call reads first: what is known of all watched registries, as
//! one HTML document without anything from elsewhere. Its script copies commands, and nothing else needs it.

mod broken;
mod finding;
mod in_use;
mod limits;
mod overview;
mod registry;
mod state;
mod time;
mod trend;

use std::sync::LazyLock;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::oci::shorten;
use crate::report::Record;
use state::State;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("copy.js");

/// Seconds until a browser asks for the page again, by itself.
const RELOAD: u32 = 60;

/// Characters of a text that a registry wrote. What is longer is no name and no message; all of it is
/// in the JSON report.
const LONGEST_TEXT: usize = 600;

/// One registry, as the page shows it.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// What is known of it.
    pub record: &'a Record,
    /// What is done about it right now.
    pub phase: Phase,
}

/// What a registry's loop is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A sweep is under way.
    Sweeping {
        /// When it began.
        since: SystemTime,
    },
    /// Nothing, until the next sweep.
    Waiting {
        /// When that is due.
        until: SystemTime,
    },
}

/// The whole page, with ages as of `now`, the worst registry first. Its size is bounded, whatever is broken: what is left out
/// is counted, and is in the JSON report.
#[must_use]
pub fn render(watches: &[Watch<'_>], now: SystemTime) -> String {
    let mut watches = watches.to_vec();
    watches.sort_by_key(|watch| std::cmp::Reverse(State::of(watch.record)));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                meta http-equiv="refresh" content=(RELOAD);
                title { (title(&watches)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the verdict" }
                (masthead(now))
                main #main {
                    (overview::render(&watches, now))
                    @for watch in &watches {
                        (registry::render(*watch, now))
                    }
                }
                (foot())
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// The value of the Content-Security-Policy header that the page is served with: the one stylesheet
/// and the one script inside it, known by their hashes, and nothing else. Even markup that came through could not act.
#[must_use]
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let [style, script] = [STYLE, SCRIPT].map(|text| STANDARD.encode(Sha256::digest(text)));
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
}

/// The verdict comes first: that much of it fits on a tab.
fn title(watches: &[Watch<'_>]) -> String {
    let states = || watches.iter().map(|watch| State::of(watch.record));
    let Some(worst) = states().max() else {
        return "Registry integrity".into();
    };
    let word = worst.word();
    match watches {
        [one] => format!("{word}: {} · Registry integrity", name(one.record)),
        several => format!(
            "{word}: {} of {} registries · Registry integrity",
            states().filter(|&state| state == worst).count(),
            several.len(),
        ),
    }
}

fn masthead(now: SystemTime) -> Markup {
    html! {
        header.masthead {
            h1 { "Registry integrity" }
            p.asof { "As of " (time::at(now, now)) ", reloads every minute" }
            nav aria-label="Other formats" {
                a href="report.json" { "Report (JSON)" }
                a href="metrics" { "Metrics" }
            }
        }
    }
}

fn foot() -> Markup {
    html! {
        footer {
            p {
                "Everything here was asked of the registries over HTTP, the way a container runtime \
                 asks. Nothing is called broken on one look, and what could not be looked at is \
                 never called fine."
            }
            p { "Written by probe " (env!("CARGO_PKG_VERSION")) "." }
        }
    }
}

/// Text that may come from a registry, without what could reorder or hide what stands beside it. It
/// is escaped where it is put into the page, as everything is.
fn text(text: &str) -> String {
    shorten(text, LONGEST_TEXT)
}

/// What a registry is called on the page: its name, and which shard of it is watched.
fn name(record: &Record) -> String {
    let last = record.last.as_ref();
    let title = last.map(|report| report.sweep.title());
    text(title.as_deref().unwrap_or(&record.registry))
}

/// Where the JSON report of one registry is: relative, as all links are, for an ingress or `kubectl proxy` may put
/// a prefix before the page's path.
fn report_url(record: &Record) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("registry", &record.registry);
    format!("report.json?{}", query.finish())
}

/// The name by which a link inside the page leads to a registry, or to a repository in it.
fn anchor(names: &[&str]) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".-_:/".contains(c) {
            c
        } else {
            '-'
        }
    };
    names.join("/").chars().map(plain).collect()
}

/// Our own words, in which backquotes enclose what is to be typed.
fn advice(words: &str) -> Markup {
    html! {
        @for (index, piece) in words.split('`').enumerate() {
            @if index % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::registry::{Unverified, UnverifiedReason};
    use crate::render::fixture;
    use crate::report::fixture::evidence_of;
    use crate::report::{Finding, Sweep, UnverifiedObjects};

    const HOSTILE: &str =
        "<img src=x onerror=\"alert(1)\">'\"><script>alert(2)</script>\u{202e}\x1b[31m&lt;";

    fn assert_snapshot(name: &str, text: &str) {
        // The stylesheet and the script are no part of what is said, and a line for each element is a diff to read.
        let text = text
            .replace(STYLE, "…")
            .replace(SCRIPT, "…")
            .replace('<', "\n<")
            .replace("\n</", "</")
            .replace(env!("CARGO_PKG_VERSION"), "…");
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
    }

    fn record(sweeps: impl IntoIterator<Item = Sweep>) -> Record {
        let mut sweeps = sweeps.into_iter().peekable();
        let mut record = Record::new(sweeps.peek().expect("a sweep").registry.clone());
        sweeps.for_each(|sweep| record.absorb(sweep));
        record
    }

    /// A page about one registry, five minutes after its last sweep.
    fn page(record: &Record) -> String {
        let last = record.last.as_ref().map(|report| report.sweep.finished_at);
        let now = last.unwrap_or(SystemTime::UNIX_EPOCH) + Duration::from_secs(300);
        let phase = match last {
            Some(_) => Phase::Waiting {
                until: now + Duration::from_secs(605),
            },
            None => Phase::Sweeping {
                since: now - Duration::from_secs(47),
            },
        };
        render(&[Watch { record, phase }], now)
    }

    fn later(mut sweep: Sweep, seconds: u64) -> Sweep {
        sweep.started_at += Duration::from_secs(seconds);
        sweep.finished_at += Duration::from_secs(seconds);
        sweep
    }

    /// A sweep with `count` findings, as many in each repository as there are tenths of them.
    fn crowd(count: usize) -> Sweep {
        let mut sweep = fixture::rich();
        sweep.unverified.clear();
        let one = sweep.findings[0].clone();
        let finding = |index: usize| Finding {
            repository: format!("crowd/{}", index % 10).parse().expect("a name"),
            digest: Some(crate::oci::Digest::sha256(&index.to_le_bytes())),
            ..one.clone()
        };
        sweep.findings = (0..count).map(finding).collect();
        sweep.repositories = (0..10)
            .map(|index| crate::report::RepositoryResult {
                name: format!("crowd/{index}").parse().expect("a name"),
                broken: 1,
                unverified: 0,
                tags: 1,
            })
            .collect();
        sweep
    }

    /// The names of all elements, and those of all attributes, that a browser would see.
    fn markup(page: &str) -> std::collections::BTreeSet<String> {
        let mut names = std::collections::BTreeSet::new();
        for tag in page.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("every tag ends");
            // Quoted values hold no quotes: what stands between two of them is not markup.
            let outside: String = tag.split('"').step_by(2).collect::<Vec<_>>().join(" ");
            names.extend(outside.split([' ', '=', '/']).map(str::to_owned));
        }
        names
    }

    #[test]
    fn before_the_first_sweep() {
        let page = page(&Record::new("registry.example:5050"));
        assert_snapshot("empty", &page);
        assert!(
            !page.contains(">Intact<"),
            "nothing is known, so nothing is well"
        );
    }

    #[test]
    fn a_healthy_registry() {
        let sweeps = [fixture::intact(), later(fixture::intact(), 900)];
        assert_snapshot("healthy", &page(&record(sweeps)));
    }

    #[test]
    fn a_shard() {
        let mut sweep = fixture::rich();
        sweep.shard = crate::report::Shard::new(2, 4);
        let page = page(&record([sweep]));
        let said = "registry.example:5050, shard 2/4";
        assert_eq!(page.matches(said).count(), 2, "the title and the heading");
        assert!(page.contains("2 of 4, counted from 0"), "{page}");
    }

    #[test]
    fn a_broken_registry() {
        assert_snapshot("broken", &page(&record([fixture::rich()])));
    }

    #[test]
    fn hostile_text() {
        let mut sweep = fixture::rich();
        sweep.findings.truncate(1);
        sweep.registry = HOSTILE.into();
        sweep.warnings = vec![HOSTILE.into()];
        sweep.findings[0].platforms = vec![HOSTILE.into()];
        let evidence = &mut sweep.findings[0].defect.evidence;
        *evidence = evidence_of(HOSTILE);
        let why = Unverified::new(UnverifiedReason::Protocol, HOSTILE);
        sweep.unverified = vec![UnverifiedObjects {
            repository: None,
            why,
            count: 1,
        }];
        let hostile = page(&record([sweep]));
        assert_snapshot("hostile", &hostile);

        let unknown = &markup(&hostile) - &markup(&page(&record([fixture::rich()])));
        assert!(unknown.is_empty(), "markup came through: {unknown:?}");
        // Between the commands of one repair stands the end of a line.
        let is_hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(
            !hostile
                .replace(STYLE, "")
                .replace(SCRIPT, "")
                .contains(is_hidden)
        );
    }

    #[test]
    fn what_could_not_be_re_verified_stays_and_is_marked() {
        let seen = fixture::rich();
        let mut blind = later(fixture::unverified(), 900);
        blind.registry.clone_from(&seen.registry);
        let record = record([seen, blind]);
        let page = page(&record);
        let marks = page.matches("not re-verified").count();
        assert!(!page.contains("<li class=\"member\""));
        assert_eq!(marks, record.findings().count());
        assert!(page.contains("6 known failures stay until a sweep can look again."));
        assert!(
            page.contains("<title>Broken: "),
            "a blind sweep is no all-clear"
        );
    }

    #[test]
    fn a_sweep_without_a_verdict_says_what_happened() {
        let reported = |sweep: Sweep| {
            let page = page(&record([sweep]));
            assert!(page.contains("<title>Unverified: "), "{page}");
            page
        };
        let stopped = reported(fixture::stopped());
        assert!(stopped.contains("<p>78 objects seem broken and were not looked at again.</p>"));
        assert!(stopped.contains("and 48 more"), "{stopped}");
        let [_, filtered, ..] = fixture::unlisted().map(reported);
        let nothing = "<p>Nothing was checked: the filters leave out its 1,204 repositories.</p>";
        assert!(filtered.contains(nothing), "{filtered}");
        assert!(!filtered.contains("left 1 object"), "{filtered}");
        let [objects, lists] = fixture::away().map(reported);
        for away in [&objects, &lists] {
            assert!(
                away.contains("<p>Its storage seems to be away.</p>"),
                "{away}"
            );
        }
        assert!(objects.contains("left 9 objects unverified"), "{objects}");
        // What is known stays, and what is in the way is shown beside it.
        let seen = fixture::rich();
        let [_, mut lists] = fixture::away();
        lists.registry.clone_from(&seen.registry);
        let known = page(&record([seen, later(lists, 900)]));
        let nothing = "The last sweep verified nothing: the registry's storage is away. 6 known failures stay";
        assert!(known.contains(nothing), "{known}");
    }

    #[test]
    fn a_current_finding_is_not_marked() {
        assert!(!page(&record([crowd(3)])).contains("not re-verified"));
    }

    #[test]
    fn failures_that_another_process_counted_are_shown() {
        let mut blind = record([fixture::unverified()]);
        blind.recall("team/app".parse().expect("a name"), 3, None);
        let page = page(&blind);
        assert!(page.contains("3 failures were counted before this process began"));
        assert!(page.contains("<title>Broken: "));
    }

    #[test]
    fn thousands_of_findings_are_counted_and_a_fair_share_is_shown() {
        let record = record([crowd(5_000)]);
        let page = page(&record);
        assert_eq!(page.matches("<li class=\"finding\">").count(), 10);
        assert_eq!(page.matches("<li class=\"member\" id=").count(), 100);
        assert!(page.contains("4,900 more findings are not shown here"));
        for repository in record.repositories.keys() {
            let anchor = anchor(&[&record.registry, repository.as_str()]);
            assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor}");
            assert!(page.contains(&format!("href=\"#{anchor}\"")), "{anchor}");
        }
        assert!(page.len() < 250_000, "{}", page.len());
    }

    #[test]
    fn each_finding_can_be_linked_to() {
        let record = record([crate::render::incident::incident(50)]);
        let page = page(&record);
        for finding in record.findings() {
            let of_tag = || finding.tags[0].to_string();
            let object = finding
                .digest
                .as_ref()
                .map_or_else(of_tag, ToString::to_string);
            let names = [
                &record.registry,
                finding.repository.as_str(),
                finding.kind.word(),
            ];
            let id = anchor(&[&names[..], &[object.as_str()]].concat());
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
            assert_eq!(page.matches(&format!("href=\"#{id}\"")).count(), 1, "{id}");
        }
        assert!(page.contains("15 times: child manifest not found"));
        let commands = page.matches("<pre>").count();
        assert!(commands > 50, "{commands}");
        let buttons = page.matches("<button class=\"copy\" type=\"button\" hidden>");
        assert_eq!(buttons.count(), commands);
    }

    #[test]
    fn the_page_stays_of_a_size_that_can_be_loaded() {
        let mut sweep = crowd(200);
        let tag = |index: usize| format!("{index:0>128}").parse().expect("a tag");
        for finding in &mut sweep.findings {
            finding.tags = (0..1_000).map(tag).collect();
            finding.platforms = vec!["x".repeat(1_000).into(); 50];
            finding.defect.evidence = evidence_of(&"x".repeat(10_000));
        }
        sweep.warnings = vec!["x".repeat(10_000); 100];
        let page = page(&record([sweep]));
        assert!(page.len() < 5_000_000, "{}", page.len());
        assert!(page.contains("800 are left out here"));
    }

    #[test]
    fn the_worst_registry_comes_first() {
        let (intact, broken) = (record([fixture::intact()]), record([fixture::rich()]));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_559_600);
        let phase = Phase::Sweeping { since: now };
        let watch = |record| Watch { record, phase };
        let page = render(&[watch(&intact), watch(&broken)], now);
        assert!(page.contains("<title>Broken: 1 of 2 registries"));
        let place = |record: &Record| {
            let id = format!(
                "<section class=\"registry\" id=\"{}\"",
                anchor(&[&record.registry])
            );
            page.find(&id).expect("a section")
        };
        assert!(place(&broken) < place(&intact));
    }

    #[test]
    fn a_sweep_that_does_not_begin_is_reported() {
        let record = record([fixture::intact()]);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_559_600);
        let page = |late| {
            let until = now - Duration::from_secs(late);
            render(
                &[Watch {
                    record: &record,
                    phase: Phase::Waiting { until },
                }],
                now,
            )
        };
        assert!(page(1).contains("about to begin") && !page(1).contains(">late<"));
        assert!(page(600).contains(">late<"));
    }

    /// Whoever changes how the stylesheet is put into the page learns here that browsers refuse it.
    #[test]
    fn the_policy_allows_what_is_ours_and_nothing_is_inline() {
        let page = page(&record([fixture::rich(), later(fixture::rich(), 900)]));
        let (_, rest) = page.split_once("<style>").expect("a stylesheet");
        let (style, rest) = rest.split_once("</style>").expect("its end");
        let hash = STANDARD.encode(Sha256::digest(style));
        assert!(content_security_policy().contains(&format!("style-src 'sha256-{hash}';")));
        assert!(!content_security_policy().contains("unsafe"));
        let (rest, script) = rest.split_once("<script>").expect("a script");
        let (script, _) = script.split_once("</script>").expect("its end");
        let hash = STANDARD.encode(Sha256::digest(script));
        assert!(content_security_policy().contains(&format!("script-src 'sha256-{hash}';")));
        let names = markup(rest);
        for inline in ["style", "script", "link", "img", "onclick"] {
            assert!(!names.contains(inline), "{inline}");
        }
    }
}
