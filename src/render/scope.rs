//! What a sweep was for and went through: what it looked at, and what it left out on purpose.

use super::lines::{Lines, STRONG};
use super::words::{self, many, number};
use super::{in_use, software};
use crate::report::{Coverage, Found, Listed, Mode, Sweep};

/// Images that are named; a report on a thousand documents names them elsewhere.
const IMAGES: usize = 50;

/// What a sweep that is complete and found nothing broken went through, in a clause.
pub(super) fn intact(sweep: &Sweep<Found>) -> String {
    let counts = &sweep.counts;
    let (tags, repositories) = (counts.tags.checked, counts.repositories.checked);
    let inside = many(repositories, "repository", "repositories");
    let objects = counts.indexes + counts.manifests + counts.blobs;
    if tags > 0 {
        let tags = many(tags, "tag", "tags");
        format!("nothing broken, {tags} in {inside} checked")
    } else if objects > 0 {
        let objects = many(objects, "object", "objects");
        format!("nothing broken, {objects} in {inside} checked")
    } else if sweep.mode == Mode::PullThrough && repositories > 0 {
        format!("the lists of {inside} were read, and no image was asked for")
    } else {
        "nothing was there to check".into()
    }
}

/// The first images that were named, and how many more there are.
fn some(images: &[String]) -> String {
    let shown = images[..images.len().min(IMAGES)].join(" ");
    match images.len().saturating_sub(IMAGES) {
        0 => shown,
        more => format!("{shown} and {} more", number(words::length(more))),
    }
}

/// What was read of blobs, where some are left to later sweeps.
fn put_off(sweep: &Sweep<Found>) -> String {
    let counts = &sweep.counts;
    let read = many(counts.blobs_read, "blob", "blobs");
    let (put_off, every) = (
        number(counts.blobs_put_off),
        sweep.read_every.unwrap_or_default(),
    );
    let oldest = match sweep.oldest_read_at {
        Some(at) => {
            let age = words::duration(words::between(at, sweep.finished_at));
            format!("the oldest read is {age} old")
        }
        None => "when the others were read is not known here".into(),
    };
    let every = words::duration(every);
    format!("the bytes of {read}; {put_off} more in later sweeps, each once in {every}; {oldest}")
}

pub(super) fn skipped(lines: &mut Lines, sweep: &Sweep<Found>) {
    if sweep.skipped.is_empty() {
        return;
    }
    lines.blank();
    lines.title("Left out on purpose", STRONG);
    let width = sweep
        .skipped
        .values()
        .map(|&count| number(count).len())
        .max()
        .unwrap_or(0);
    for (&reason, &count) in &sweep.skipped {
        let words = words::skip_reason(reason).split_whitespace();
        let tag = format!("[{reason}]");
        let items = words.chain([tag.as_str()]);
        lines.column(&format!("{:>width$}", number(count)), width + 2, items);
    }
}

/// What the sweep went through, as labels and texts.
pub(super) fn coverage(sweep: &Sweep<Found>) -> Vec<(&'static str, String)> {
    let counts = &sweep.counts;
    let of = |Coverage { listed, checked }| {
        let checked = number(checked);
        match sweep.listed {
            // How many there are would be a guess.
            Listed::Failed(ref why) if why.is_cut_short() => format!("{checked} checked"),
            Listed::Failed(_) => format!("{checked} checked; the list of them is not whole"),
            _ => format!("{checked} of {} checked", number(listed)),
        }
    };
    let mut rows = Vec::new();
    if let Listed::Images(images) = &sweep.listed {
        rows.push(("images", some(images)));
    }
    if let Some(shard) = sweep.shard {
        let text = format!("{} of {}, counted from 0", shard.index(), shard.count());
        rows.push(("shard", text));
    }
    rows.push(("repositories", of(counts.repositories)));
    rows.push(("tags", of(counts.tags)));
    let objects = [
        many(counts.indexes, "index", "indexes"),
        many(counts.manifests, "manifest", "manifests"),
        many(counts.blobs, "blob", "blobs"),
    ];
    rows.push(("objects", objects.join(", ")));
    if counts.absent > 0 {
        let absent = many(counts.absent, "child", "children");
        let text = format!("{absent} of indexes, which this mode allows");
        rows.push(("absent", text));
    }
    let depth = words::depth(sweep.depth, sweep.mode);
    rows.push(("depth", format!("{}: {depth}", sweep.depth)));
    if counts.blobs_put_off > 0 {
        rows.push(("read", put_off(sweep)));
    }
    if let Some(period) = sweep.scrub_period {
        let (read, period) = (words::bytes(counts.scrubbed_bytes), words::duration(period));
        let text = format!("{read} read in full; every blob once in {period}");
        rows.push(("scrub", text));
    }
    if let Some(in_use) = &sweep.in_use {
        rows.push(("in use", in_use::source(in_use)));
    }
    rows.push((
        "mode",
        format!("{}: {}", sweep.mode, words::mode(sweep.mode)),
    ));
    if let Some(found) = &sweep.access.software {
        rows.push(("software", software::told(found)));
    }
    let (requests, bytes) = (number(counts.requests), words::bytes(counts.bytes));
    rows.push(("requests", format!("{requests}, {bytes} received")));
    let took = words::duration(words::between(sweep.started_at, sweep.finished_at));
    let start = humantime::format_rfc3339_seconds(words::since_epoch(sweep.started_at));
    rows.push(("time", format!("{took}, from {start}")));
    rows
}
