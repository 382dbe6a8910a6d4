//! Documents that name images: which of their objects would fail, and what was not asked for.

use super::finding::some;
use super::lines::{BAD, Lines, STRONG, UNSURE};
use super::words::{length, many, number};
use crate::report::{Documents, Found, ImageOutcome, Named, NamedImage, Origin, Sweep, Unasked};

/// Objects that are named in a short report, and names of one sort that were not asked for.
const OBJECTS: usize = 30;
const NAMES: usize = 5;

/// Something that would fail where a document is applied.
pub(super) struct Harm<'a> {
    pub(super) origin: &'a Origin,
    pub(super) image: &'a NamedImage,
}

impl Harm<'_> {
    /// What cannot be pulled, and why.
    pub(super) fn what(&self) -> String {
        what(self.image)
    }
}

/// An image, and why it cannot be pulled.
pub(super) fn what(image: &NamedImage) -> String {
    match &image.why {
        Some(why) => format!("{} ({why})", image.image),
        None => image.image.clone(),
    }
}

/// Where an image is named: the first few places, and how many more there are.
pub(super) fn places(named: &Named, most: usize) -> Vec<String> {
    let shown = named.origins.iter().take(most).map(ToString::to_string);
    let more = length(named.origins.len().saturating_sub(most)) + named.more;
    let more = (more > 0).then(|| format!("and {} more places", number(more)));
    shown.chain(more).collect()
}

/// The images that documents name and that cannot be pulled as promised.
pub(super) fn broken(sweep: &Sweep<Found>) -> impl Iterator<Item = &NamedImage> {
    let documents = sweep.documents.iter();
    let images = documents.flat_map(|documents| &documents.images);
    images.filter(|image| image.outcome == ImageOutcome::Broken)
}

/// Everything that would fail, by the object that names it.
pub(super) fn harms(sweep: &Sweep<Found>) -> Vec<Harm<'_>> {
    let mut harms: Vec<_> = broken(sweep)
        .flat_map(|image| {
            let origins = image.named.origins.iter();
            origins.map(move |origin| Harm { origin, image })
        })
        .collect();
    harms.sort_by_key(|harm| harm.origin);
    harms
}

/// Names that are none, or have to be resolved before anybody can be asked for them.
pub(super) fn unresolved(sweep: &Sweep<Found>) -> impl Iterator<Item = &Named> {
    let documents = sweep.documents.as_ref();
    let unasked = documents.and_then(|documents| documents.unasked.as_ref());
    unasked.into_iter().flat_map(Unasked::lacking)
}

/// Says below the verdict that more is named than could be asked for.
pub(super) fn gap(lines: &mut Lines, sweep: &Sweep<Found>) {
    let unasked = sweep.documents.iter().filter_map(|it| it.unasked.as_ref());
    let invalid = unasked.map(|unasked| unasked.invalid.len()).sum();
    let unresolved = unresolved(sweep).count() - invalid;
    for (count, what) in [
        (invalid, "by what no runtime takes for a name"),
        (unresolved, "and still to be resolved"),
    ] {
        if count > 0 {
            let names = many(length(count), "image is", "images are");
            let text = format!("{names} named in documents {what}");
            lines.lead("PARTIAL", UNSURE, text.split_whitespace());
        }
    }
}

pub(super) fn write(lines: &mut Lines, sweep: &Sweep<Found>, details: bool) {
    let Some(documents) = &sweep.documents else {
        return;
    };
    harmed(lines, sweep, documents, details);
    if let Some(unasked) = &documents.unasked {
        rest(lines, unasked, details);
    }
}

fn harmed(lines: &mut Lines, sweep: &Sweep<Found>, documents: &Documents, details: bool) {
    let harms = harms(sweep);
    if harms.is_empty() {
        return;
    }
    let most = if details { usize::MAX } else { OBJECTS };
    let (count, of) = (
        length(broken(sweep).count()),
        length(documents.images.len()),
    );
    let of = many(of, "image", "images");
    lines.blank();
    let title = format!("Would fail: {} of {of} that documents name", number(count));
    lines.title(&title, BAD);
    for harm in harms.iter().take(most) {
        let text = format!("{}: {}", harm.origin, harm.what());
        lines.column("-", 2, text.split_whitespace());
    }
    let unkept: u64 = broken(sweep).map(|image| image.named.more).sum();
    if let more @ 1.. = length(harms.len().saturating_sub(most)) + unkept {
        let text = format!(
            "and {} more places, as JSON and --details say",
            number(more)
        );
        lines.column("-", 2, text.split_whitespace());
    }
}

/// What was named and not asked for, shortly.
fn rest(lines: &mut Lines, unasked: &Unasked, details: bool) {
    let most = if details { usize::MAX } else { NAMES };
    let names = |list: &[Named]| {
        let names: Vec<_> = list.iter().map(name).collect();
        (!names.is_empty()).then(|| some(&names, most))
    };
    let left_out = unasked.left_out.iter();
    let left_out: Vec<_> = left_out
        .map(|(host, count)| format!("{host} ({})", many(*count, "image", "images")))
        .collect();
    let rows = [
        ("no name", names(&unasked.invalid)),
        ("unresolved", names(&unasked.unresolved)),
        ("built", names(&unasked.built)),
        (
            "left out",
            (!left_out.is_empty()).then(|| some(&left_out, most)),
        ),
        ("not taken", names(&unasked.not_taken)),
    ];
    if rows.iter().all(|(_, names)| names.is_none()) {
        return;
    }
    lines.blank();
    lines.title("Named in documents and not asked for", STRONG);
    for (label, names) in rows {
        if let Some(names) = names {
            lines.column(label, 12, names.split_whitespace());
        }
    }
}

/// What is written, and where it is first.
pub(super) fn name(named: &Named) -> String {
    let written = crate::oci::shorten(&named.written, 80);
    let written = if written.is_empty() {
        "no name"
    } else {
        &written
    };
    let others = length(named.origins.len().saturating_sub(1)) + named.more;
    match (named.origins.first(), others) {
        (Some(origin), 0) => format!("{written} ({origin})"),
        (Some(origin), more) => format!("{written} ({origin} and {} more)", number(more)),
        (None, _) => written.to_owned(),
    }
}
