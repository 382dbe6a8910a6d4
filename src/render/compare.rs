//! What a comparison of two registries came to: the page for people, JSON, and metrics.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::lines::{BAD, GOOD, Lines, STRONG, UNSURE};
use super::metrics::{Family, encode};
use super::words::{length, many};
use crate::content::{Difference, DifferenceKind, Direction, Gap, Likeness, Outcome};

/// As many of anything as the page names.
const MOST: usize = 50;

/// The page for people, in lines of 80 columns but for what is to be copied.
#[must_use]
pub fn text(outcome: &Outcome, color: bool) -> String {
    let mut lines = Lines::new(color);
    lead(&mut lines, outcome);
    let mut groups = BTreeMap::<_, Vec<&Difference>>::new();
    for difference in &outcome.compared.differences {
        let group = groups
            .entry((difference.direction, difference.kind))
            .or_default();
        group.push(difference);
    }
    for ((direction, kind), differences) in groups {
        lines.blank();
        let count = differences.len();
        lines.title(&format!("{} ({count})", title(kind, direction)), STRONG);
        for difference in differences.iter().take(MOST) {
            one(&mut lines, difference);
        }
        more(&mut lines, count);
    }
    if !outcome.remembered.is_empty() {
        lines.blank();
        lines.title("Known from before, and not seen again", STRONG);
        for known in outcome.remembered.iter().take(MOST) {
            lines.heading(
                [known.what.as_str(), "—", title(known.kind, known.direction)],
                STRONG,
            );
        }
        more(&mut lines, outcome.remembered.len());
    }
    for (name, gaps) in [&outcome.a, &outcome.b].into_iter().zip(&outcome.gaps) {
        unknown(&mut lines, name, gaps);
    }
    notices(&mut lines, outcome);
    lines.finish()
}

/// What it comes to, in a sentence.
fn lead(lines: &mut Lines, outcome: &Outcome) {
    let compared = &outcome.compared;
    let images = many(compared.images, "image", "images");
    let count = length(compared.differences.len() + outcome.remembered.len());
    let (style, what) = match outcome.likeness() {
        Likeness::Equal => {
            let are = if compared.images == 1 { "is" } else { "are" };
            (GOOD, format!("{images} {are} the same in both"))
        }
        Likeness::Different => {
            let differences = many(count, "difference", "differences");
            if compared.images == 0 {
                (BAD, format!("{differences}, known from before"))
            } else {
                (BAD, format!("{differences} in {images}"))
            }
        }
        Likeness::Unverified
            if outcome.gaps.iter().all(Vec::is_empty) && compared.unverified == 0 =>
        {
            (UNSURE, "there was nothing to compare".to_owned())
        }
        Likeness::Unverified if compared.images == 0 => {
            (UNSURE, "nothing could be compared".to_owned())
        }
        Likeness::Unverified => (
            UNSURE,
            format!("not all could be compared, and no difference is known in {images}"),
        ),
    };
    let words = format!("{} and {}: {what}", outcome.a, outcome.b);
    lines.lead(
        &outcome.likeness().word().to_uppercase(),
        style,
        words.split(' '),
    );
}

fn title(kind: DifferenceKind, direction: Direction) -> &'static str {
    use DifferenceKind as K;
    match (kind, direction) {
        (K::Tag, Direction::BOnly) => "Tags that A lacks",
        (K::Tag, _) => "Tags that B lacks",
        (K::Digest, _) => "Tags that lead to something else",
        (K::Platform, Direction::BOnly) => "Platforms that A lacks",
        (K::Platform, _) => "Platforms that B lacks",
        (K::Manifest, Direction::BOnly) => "Manifests that A has lost or keeps broken",
        (K::Manifest, _) => "Manifests that B has lost or keeps broken",
        (K::Blob, Direction::BOnly) => "Blobs that A has lost or keeps broken",
        (K::Blob, _) => "Blobs that B has lost or keeps broken",
    }
}

fn one(lines: &mut Lines, difference: &Difference) {
    let Difference {
        a,
        b,
        object,
        platform,
        other_images,
        ..
    } = difference;
    let mut items = vec![a.clone()];
    if a != b {
        items.push(format!("(in B {b})"));
    }
    items.extend(platform.iter().map(|platform| format!("for {platform}")));
    if *other_images > 0 {
        items.push(format!(
            "and {}",
            many(*other_images, "other image", "other images")
        ));
    }
    lines.heading(items, anstyle::Style::new());
    if let Some(object) = object {
        lines.verbatim("object", &object.to_string());
    } else if difference.kind == DifferenceKind::Digest {
        for (side, digest) in [("A", &difference.a_digest), ("B", &difference.b_digest)] {
            lines.verbatim(
                side,
                &digest.as_ref().map(ToString::to_string).unwrap_or_default(),
            );
        }
    }
}

fn more(lines: &mut Lines, count: usize) {
    if count > MOST {
        lines.heading(
            [format!("and {} more", count - MOST)],
            anstyle::Style::new(),
        );
    }
}

fn unknown(lines: &mut Lines, name: &str, gaps: &[Gap]) {
    if gaps.is_empty() {
        return;
    }
    lines.blank();
    lines.title(&format!("Not known of {name}"), STRONG);
    for gap in gaps.iter().take(MOST) {
        let place = gap.repository.as_ref().map(|name| format!("{name}:"));
        let what = gap.what.split(' ').map(str::to_owned);
        lines.heading(place.into_iter().chain(what), anstyle::Style::new());
    }
    more(lines, gaps.len());
}

fn notices(lines: &mut Lines, outcome: &Outcome) {
    let compared = &outcome.compared;
    let notices = [
        (
            length(compared.converted.len()),
            "converted: other bytes of the same layers",
        ),
        (
            length(outcome.young.len()),
            "younger than --grace, and no differences yet",
        ),
        (compared.left_out, "left out by the sparse copy"),
        (
            compared.missing_on_both,
            "broken on both sides: `probe sweep` says how",
        ),
        (
            compared.unverified,
            "of which one side gave no answer to go by",
        ),
    ];
    let notices: Vec<_> = notices.iter().filter(|(count, _)| *count > 0).collect();
    if notices.is_empty() {
        return;
    }
    lines.blank();
    lines.title("Besides", STRONG);
    for (count, what) in notices {
        lines.column(&count.to_string(), 8, what.split(' '));
    }
}

/// The same in JSON.
#[must_use]
pub fn json(outcome: &Outcome) -> String {
    let [of_a, of_b] = &outcome.gaps;
    let document = json!({
        "a": outcome.a,
        "b": outcome.b,
        "verdict": outcome.likeness(),
        "complete": outcome.is_complete(),
        "compared": outcome.compared,
        "young": outcome.young,
        "remembered": outcome.remembered,
        "not_known": { "a": of_a, "b": of_b },
    });
    format!("{document:#}\n")
}

/// The sides, and by what filters they are narrowed, if they are.
fn labels<'a>(outcome: &'a Outcome, extent: &'a str) -> Vec<(&'a str, &'a str)> {
    let labels = [("a", &*outcome.a), ("b", &*outcome.b), ("filters", extent)];
    let given = labels.into_iter().filter(|(_, value)| !value.is_empty());
    given.collect()
}

/// Metrics of a comparison that ended now; `last_complete` is when one last saw all.
#[must_use]
pub fn metrics(
    outcome: &Outcome,
    extent: &str,
    last_complete: Option<u64>,
    now: SystemTime,
) -> String {
    let sides = labels(outcome, extent);
    let gauge = |name: &str, help: &str, value: u64| {
        let mut family = Family::gauge(&format!("registry_compare_{name}"), help);
        family.count(&sides, value);
        family
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut families = vec![
        gauge(
            "last_run_timestamp_seconds",
            "When a comparison last ended, whatever came of it.",
            now,
        ),
        gauge(
            "unverified",
            "What could not be compared, by reason and repository.",
            length(outcome.gaps.iter().map(Vec::len).sum()) + outcome.compared.unverified,
        ),
    ];
    if outcome.likeness() != Likeness::Unverified {
        let mut differences = Family::gauge(
            "registry_compare_differences",
            "Confirmed differences of two registries that are older than the grace time.",
        );
        for ((direction, kind), count) in outcome.counts() {
            let own = [("direction", direction.word()), ("kind", kind.word())];
            differences.count(&[&sides[..], &own].concat(), count);
        }
        families.push(differences);
        families.push(gauge(
            "young_differences",
            "Differences that are younger than the grace time.",
            length(outcome.young.len()),
        ));
        families.push(gauge(
            "converted",
            "Images with other bytes of the same layers.",
            length(outcome.compared.converted.len()),
        ));
        families.push(gauge(
            "images",
            "Images that were compared.",
            outcome.compared.images,
        ));
    }
    families.extend(last_complete.map(|at| {
        gauge(
            "last_complete_timestamp_seconds",
            "When everything on both sides was last compared.",
            at,
        )
    }));
    encode(families)
}
