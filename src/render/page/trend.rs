//! The last sweeps as a row of bars. Their shapes differ, so that nothing depends on colour.

use std::time::SystemTime;

use maud::{Markup, html};

use super::time;
use crate::render::words::{length, many, number};
use crate::report::{Glance, Record, Verdict};

/// What a sweep takes of the width, the gap included.
const SLOT: u64 = 6;

/// Sweeps that there is room for at least, so that the first few do not fill all of it.
const FEWEST: u64 = 24;

/// The line that bars stand on, and that what is unverified hangs below.
const GROUND: u64 = 40;

/// The tallest bar.
const TALLEST: u64 = 38;

/// The bar of one object among very many.
const SHORTEST: u64 = 8;

/// The chart and what it says in words; nothing for one sweep alone, which is no trend.
pub(super) fn render(record: &Record, now: SystemTime) -> Option<Markup> {
    let glances = &record.glances;
    let first = glances.front()?;
    if glances.len() < 2 {
        return None;
    }
    let count = length(glances.len());
    let slots = count.max(FEWEST);
    let most = glances.iter().map(|glance| glance.broken).max()?;
    let summary = summary(record);
    Some(html! {
        figure.trend {
            svg viewBox={ "0 0 " (slots * SLOT) " 48" } preserveAspectRatio="none" role="img" aria-label=(summary) {
                rect.ground x="0" y=(GROUND) width=(slots * SLOT) height="1" {}
                @for (slot, glance) in (slots - count..).zip(glances) {
                    (bar(slot * SLOT, glance, most))
                }
            }
            figcaption {
                (summary) " The first ended " (time::ago(first.finished_at, now)) "."
                @if most > 0 {
                    " Bars are broken objects, " (number(most)) " at most."
                }
                @if glances.iter().any(|glance| !glance.is_complete) {
                    " A mark below the line: not all was verified."
                }
            }
        }
    })
}

fn summary(record: &Record) -> String {
    let with = |verdict| {
        let glances = record.glances.iter();
        length(glances.filter(|glance| glance.verdict == verdict).count())
    };
    let verdicts: Vec<_> = [Verdict::Intact, Verdict::Broken, Verdict::Unverified]
        .into_iter()
        .filter(|&verdict| with(verdict) > 0)
        .map(|verdict| format!("{} {verdict}", number(with(verdict))))
        .collect();
    let sweeps = many(length(record.glances.len()), "sweep", "sweeps");
    format!("The last {sweeps}: {}.", verdicts.join(", "))
}

fn bar(x: u64, glance: &Glance, most: u64) -> Markup {
    let width = SLOT - 2;
    let height = match (glance.broken, glance.is_complete) {
        (0, true) => 3,
        (0, false) => 0,
        (broken, _) => SHORTEST + (TALLEST - SHORTEST) * broken.min(most) / most.max(1),
    };
    let class = if glance.broken > 0 {
        "broken"
    } else {
        "intact"
    };
    let what = format!(
        "{}, {}: {}, {} unverified",
        time::rfc3339(glance.finished_at),
        glance.verdict,
        many(glance.broken, "broken object", "broken objects"),
        number(glance.unverified),
    );
    html! {
        g {
            title { (what) }
            @if height > 0 {
                rect.(class) x=(x) y=(GROUND - height) width=(width) height=(height) {}
            }
            @if !glance.is_complete {
                rect.unverified x=(x) y=(GROUND + 2) width=(width) height="6" {}
            }
        }
    }
}
