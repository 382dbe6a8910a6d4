//! The status page that a person on call reads first: what is known of all watched registries, as
//! one HTML document without scripts and without anything from elsewhere.

mod broken;
mod finding;
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

use crate::model::{Record, shorten};
use state::State;

const STYLE: &str = include_str!("style.css");

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
            }
        }
    };
    page.into_string()
}

/// The value of the Content-Security-Policy header that the page is served with: the one stylesheet
/// inside it, known by its hash, and nothing else. Even markup that came through could not act.
#[must_use]
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
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
        [one] => format!(
            "{word}: {} · Registry integrity",
            text(&one.record.registry)
        ),
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
                a href="/report.json" { "Report (JSON)" }
                a href="/metrics" { "Metrics" }
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
