//! The tables in Markdown, ratios before times: on a busy machine only they mean something.

use std::fmt::Write as _;

use super::contest::Contestant;

const OF_SWEEPS: &str = "\
| sweep | times as fast | median | fastest to slowest | on the processor: itself | the servers \
| tags | manifests | blobs | requests | objects a second |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

const OF_VERIFICATIONS: &str = "\
| `probe verify` | median | fastest to slowest | manifests | blobs |
|---|--:|--:|--:|--:|
";

/// The sweeps, compared with the first of them.
pub(crate) fn of_sweeps(sweeps: &[Contestant]) -> String {
    let baseline = sweeps[0].median(|turn| turn.elapsed);
    let mut text = OF_SWEEPS.to_owned();
    for sweep in sweeps {
        let median = sweep.median(|turn| turn.elapsed);
        let (fastest, slowest) = sweep.extremes();
        let itself = sweep.median(|turn| turn.spent.clients);
        let servers = sweep.median(|turn| turn.spent.servers);
        let (checked, requests) = (sweep.checked, sweep.requests);
        let objects = f64::from(u32::try_from(checked.total()).expect("a small store"));
        writeln!(
            text,
            "| {} | {:.1} | {median:.2} s | {fastest:.2} to {slowest:.2} s | {itself:.2} s | {servers:.2} s \
             | {} | {} | {} | {requests} | {:.0} |",
            sweep.name,
            baseline / median,
            checked.tags,
            checked.manifests,
            checked.blobs,
            objects / median,
        )
        .expect("text takes text");
    }
    text
}

/// The verifications, in milliseconds.
pub(crate) fn of_verifications(verifications: &[Contestant]) -> String {
    let mut text = OF_VERIFICATIONS.to_owned();
    for run in verifications {
        let (fastest, slowest) = run.extremes();
        writeln!(
            text,
            "| {} image | {:.1} ms | {:.1} to {:.1} ms | {} | {} |",
            run.name,
            run.median(|turn| turn.elapsed) * 1000.0,
            fastest * 1000.0,
            slowest * 1000.0,
            run.checked.manifests,
            run.checked.blobs,
        )
        .expect("text takes text");
    }
    text
}
