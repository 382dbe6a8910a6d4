//! The probe: the real HTTP side and the real crawl, in this process.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use registry_probe::oci::Repository;
use registry_probe::registry::Depth;
use registry_probe::registry::client::{Config, Endpoint, HttpRegistry};
use registry_probe::report::{Defect, Listed, Promised, Reason, Record, Sweep, Verdict};
use registry_probe::sweep::{self, Filter, Policy, Scope, Source};
use tokio_util::sync::CancellationToken;

use crate::front::Front;
use crate::image::REPOSITORY;

const AT_A_TIME: NonZeroUsize = NonZeroUsize::new(4).expect("more than none");

/// What it says.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) depth: Depth,
    /// About which tags and digests it was answered as no registry without deviations does.
    pub(crate) odd: BTreeSet<String>,
    /// The digests about which it says something.
    pub(crate) named: BTreeSet<String>,
    pub(crate) verdict: Verdict,
    /// Whether it says that something is not there as it was promised.
    pub(crate) is_lost: bool,
    /// Whether it says that what is there cannot be unpacked.
    pub(crate) is_contradicted: bool,
    /// Findings, unverified reasons and warnings, a line each.
    pub(crate) lines: Vec<String>,
    pub(crate) took: Duration,
}

/// Sweeps everything at this depth, as `probe --once` does it.
pub(crate) async fn sweep(front: &Front, depth: Depth) -> Said {
    front.odd();
    let began = std::time::Instant::now();
    let endpoint = Endpoint::parse(&front.url(), false).expect("the registry has an address");
    let _everything = Filter::new(&[], &[]).expect("no pattern is wrong");
    let policy = Policy {
        depth,
        concurrency: AT_A_TIME,
        confirm_after: Duration::ZERO,
        ..Policy::new(endpoint.name(), Scope::new(Source::Catalog))
    };
    let config = Config {
        skip_tls_verify: true,
        concurrency: AT_A_TIME,
        timeout: Duration::from_secs(20),
        ..Config::new(endpoint)
    };
    let http = HttpRegistry::new(config).expect("a client can be made");
    let known = Record::new(policy.registry.clone());
    let sweep = sweep::sweep(&http, &policy, &known, &CancellationToken::new()).await;
    let lines = lines(&sweep);
    let digests = |line: &String| {
        let places = line.match_indices("sha256:");
        places
            .filter_map(|(at, _)| line.get(at..at + 71))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    Said {
        depth,
        odd: front.odd(),
        named: lines.iter().flat_map(digests).collect(),
        verdict: verdict(&sweep),
        is_lost: ours(&sweep).any(|defect| !is_of_unpacking(defect)),
        is_contradicted: ours(&sweep).any(is_of_unpacking),
        lines,
        took: began.elapsed(),
    }
}

fn is_ours(name: &Repository) -> bool {
    name.as_str() == REPOSITORY
}

/// What it finds in the repository that clients were asked about. The other one is there to compare.
fn ours(sweep: &Sweep) -> impl Iterator<Item = &Defect> {
    let findings = sweep.findings.iter();
    let ours = findings.filter(|finding| is_ours(&finding.repository));
    ours.map(|finding| &finding.defect)
}

/// Whether it takes a client that unpacks to see it.
fn is_of_unpacking(defect: &Defect) -> bool {
    matches!(defect.reason, Reason::Contradiction | Reason::UnpackFailed)
        || matches!(defect.evidence.promised, Some(Promised::DiffId { .. }))
}

fn verdict(sweep: &Sweep) -> Verdict {
    if ours(sweep).next().is_some() {
        return Verdict::Broken;
    }
    let is_unverified = sweep
        .unverified
        .iter()
        .any(|group| group.repository.as_ref().is_none_or(is_ours));
    if is_unverified || matches!(sweep.listed, Listed::Failed(_)) {
        Verdict::Unverified
    } else {
        Verdict::Intact
    }
}

fn lines(sweep: &Sweep) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &sweep.findings {
        let digest = finding
            .digest
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let evidence = &finding.defect.evidence;
        lines.push(format!(
            "{} {} {digest}: {}, promised {:?}",
            finding.kind,
            finding.defect.reason,
            evidence.answer(),
            evidence.promised
        ));
    }
    for group in &sweep.unverified {
        let why = &group.why;
        lines.push(format!("unverified {}: {}", why.reason, why.detail));
    }
    lines.extend(
        sweep
            .skipped
            .iter()
            .map(|(skip_reason, n)| format!("skipped {skip_reason} {n}")),
    );
    lines.extend(
        sweep
            .warnings
            .iter()
            .map(|warning| format!("warning {warning}")),
    );
    lines
}
