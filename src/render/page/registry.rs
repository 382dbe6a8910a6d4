//! One registry on the page: the verdict, how old it is and how far it reaches, then the parts about
//! what is wrong.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};

use super::state::{self, State};
use super::{Phase, Watch, anchor, broken, in_use, limits, name, report_url, text, time, trend};
use crate::render::scope;
use crate::render::words::{self, between, length, many, number};
use crate::report::{Coverage, Found, Listed, Record, Report, Sweep};

/// A certificate that ends sooner than this is shown as a warning is.
const CERTIFICATE_NOTICE: Duration = Duration::from_secs(14 * 24 * 3600);

/// A sweep that is due for longer than this did not begin as it should have.
const LATE: Duration = Duration::from_secs(120);

pub(super) fn render(watch: Watch<'_>, now: SystemTime) -> Markup {
    let record = watch.record;
    let state = State::of(record);
    let id = anchor(&[&record.registry]);
    let heading = format!("{id}--name");
    html! {
        section.registry #(id) aria-labelledby=(heading) {
            header.verdict.(state.class()) {
                (state.icon())
                div {
                    h2 #(heading) {
                        span.word { (state.word()) }
                        " " span.name { (name(record)) }
                    }
                    @for sentence in state::sentences(record) { p { (sentence) } }
                }
            }
            (facts(watch, now))
            (trend::render(record, now).unwrap_or_default())
            (broken::render(record, now).unwrap_or_default())
            @if let Some(Report { sweep, .. }) = &record.last {
                (in_use::render(sweep).unwrap_or_default())
                (limits::suspected(sweep).unwrap_or_default())
                (limits::unverified(sweep).unwrap_or_default())
                (limits::exposed(sweep).unwrap_or_default())
                (limits::warnings(sweep).unwrap_or_default())
                (coverage(record, sweep, now))
                (limits::skipped(sweep).unwrap_or_default())
            }
            p.links {
                @if record.last.is_some() {
                    a href=(report_url(record)) { "JSON report of this registry" }
                }
            }
        }
    }
}

/// What is done right now.
pub(super) fn phase(phase: Phase, now: SystemTime) -> Markup {
    match phase {
        Phase::Sweeping { since } => html! {
            "sweeping for " (time::span(between(since, now)))
        },
        Phase::Waiting { until } if between(until, now) > LATE => html! {
            span.label.unverified { "late" } " the next sweep was due " (time::ago(until, now))
        },
        Phase::Waiting { until } if until <= now => html! { "the next sweep is about to begin" },
        Phase::Waiting { until } => html! {
            "next sweep in " (time::span(between(now, until)))
        },
    }
}

fn facts(watch: Watch<'_>, now: SystemTime) -> Markup {
    let record = watch.record;
    let last = record.last.as_ref().map(|report| &report.sweep);
    html! {
        dl.facts {
            div {
                dt { "Last sweep" }
                @match last {
                    Some(sweep) => {
                        dd { (time::ago(sweep.finished_at, now)) }
                        dd.aside {
                            "at " (time::at(sweep.finished_at, now)) ", took "
                            (words::duration(between(sweep.started_at, sweep.finished_at)))
                        }
                    }
                    None => dd { "none yet" },
                }
            }
            div {
                dt { "Last complete sweep" }
                dd { (complete(record, now)) }
                @if let Some(time) = record.last_complete {
                    dd.aside { "at " (time::at(time, now)) }
                }
            }
            div {
                dt { "Tags checked" }
                @match last {
                    Some(sweep) => {
                        dd { (covered(sweep, sweep.counts.tags)) }
                        dd.aside { (covered(sweep, sweep.counts.repositories)) " repositories" }
                    }
                    None => dd { "none yet" },
                }
            }
            div {
                dt { "Now" }
                dd { (phase(watch.phase, now)) }
            }
        }
    }
}

fn complete(record: &Record, now: SystemTime) -> Markup {
    let last = record.last.as_ref().map(|report| report.sweep.finished_at);
    html! {
        @match record.last_complete {
            Some(time) if Some(time) == last => "the last one",
            Some(time) => (time::ago(time, now)),
            None if last.is_some() => span.label.unverified { "none so far" },
            None => "none yet",
        }
    }
}

/// How many were looked at; of how many, unless that would be a guess.
fn covered(sweep: &Sweep<Found>, Coverage { listed, checked }: Coverage) -> String {
    match sweep.listed {
        Listed::Failed(_) => format!("{}, of unknown", number(checked)),
        _ => format!("{} of {}", number(checked), number(listed)),
    }
}

fn coverage(record: &Record, sweep: &Sweep<Found>, now: SystemTime) -> Markup {
    let never = record.repositories.values();
    let never = length(never.filter(|known| known.failures.is_none()).count());
    html! {
        section.part {
            h3 { "Coverage of the last sweep" }
            dl.coverage {
                @if never > 0 {
                    dt { "Not known yet" }
                    dd { (many(never, "repository was", "repositories were")) " not verified to the end by any sweep" }
                }
                @for (label, value) in scope::coverage(sweep) {
                    dt { (label) }
                    dd { (text(&value)) }
                }
                @if let Some(end) = sweep.certificate_expires_at {
                    dt { "Certificate" } dd { (certificate(end, now)) }
                }
            }
        }
    }
}

fn certificate(end: SystemTime, now: SystemTime) -> Markup {
    let left = between(now, end);
    html! {
        @if end <= now {
            span.label.broken { "expired" } " on " (time::day(end))
        } @else {
            @if left < CERTIFICATE_NOTICE { span.label.unverified { "ends soon" } " " }
            "ends in " (time::span(left)) ", on " (time::day(end))
        }
    }
}
