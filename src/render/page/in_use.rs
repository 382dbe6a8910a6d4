//! Whose pods could not start again.

use maud::{Markup, html};

use crate::render::in_use::{in_brief, notices, owners, why};
use crate::render::words::{length, number};
use crate::report::{Found, Sweep};

/// Owners that are shown; the others are counted.
const MOST: usize = 30;

pub(super) fn render(sweep: &Sweep<Found>) -> Option<Markup> {
    let in_use = sweep.in_use.as_ref()?;
    let (owners, notices) = (owners(&in_use.findings), notices(in_use));
    if owners.is_empty() && notices.is_empty() {
        return None;
    }
    let left_out = owners.len().saturating_sub(MOST);
    Some(html! {
        section.part {
            h3 { "In use " span.count { (number(length(in_use.findings.len()))) } }
            @if !owners.is_empty() { p { (in_brief(in_use)) "." } }
            ul.warnings {
                @for ((namespace, name), owner) in owners.iter().take(MOST) {
                    li {
                        (namespace) ": " (name) ", " (owner.pods())
                        ul {
                            @for found in &owner.images {
                                li { code { (found.image) } " " (super::text(&why(found))) }
                            }
                        }
                    }
                }
                @if left_out > 0 { li { "and " (number(length(left_out))) " more" } }
                @for notice in notices { li { (super::text(&notice)) } }
            }
        }
    })
}
