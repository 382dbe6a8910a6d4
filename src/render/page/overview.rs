//! All registries at a glance, where there are several; and what to say where there is none.

use std::time::SystemTime;

use maud::{Markup, html};

use super::state::State;
use super::{Watch, anchor, name, registry, time};
use crate::render::words::number;

pub(super) fn render(watches: &[Watch<'_>], now: SystemTime) -> Markup {
    match watches {
        [] => html! {
            section.registry { p.nothing { "No registry is watched: name one in the configuration." } }
        },
        [_] => html! {},
        several => table(several, now),
    }
}

fn table(watches: &[Watch<'_>], now: SystemTime) -> Markup {
    html! {
        section.overview aria-labelledby="overview" {
            h2 #overview { (watches.len()) " registries" }
            div.scroll role="region" aria-labelledby="overview" tabindex="0" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Verdict" }
                            th scope="col" { "Registry" }
                            th.number scope="col" { "Broken" }
                            th.number scope="col" { "Not verified" }
                            th scope="col" { "Last sweep" }
                            th scope="col" { "Now" }
                        }
                    }
                    tbody { @for watch in watches { (row(watch, now)) } }
                }
            }
        }
    }
}

fn row(watch: &Watch<'_>, now: SystemTime) -> Markup {
    let record = watch.record;
    let state = State::of(record);
    let last = record.last.as_ref();
    let unverified = last.map(|report| report.sweep.unverified_objects());
    html! {
        tr {
            td { span.mark.(state.class()) { (state.icon()) (state.word()) } }
            th scope="row" {
                a href={ "#" (anchor(&[&record.registry])) } { (name(record)) }
            }
            td.number {
                @match state {
                    State::Broken | State::Intact => (number(record.failures())),
                    // A 0 would read as an all-clear.
                    State::Unverified => "none known",
                    State::Pending => "–",
                }
            }
            td.number { @if let Some(count) = unverified { (number(count)) } @else { "–" } }
            td { @if let Some(report) = last { (time::ago(report.sweep.finished_at, now)) } @else { "none yet" } }
            td { (registry::phase(watch.phase, now)) }
        }
    }
}
