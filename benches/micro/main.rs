//! What the probe itself costs, without a registry in the way: reading and judging manifests, walking a
//! registry that answers from memory, telling an absence from an unverified reason, and rendering.
//!
//! `cargo bench --bench micro`. What is not public is measured through the nearest thing that is.

mod memory;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use divan::{Bencher, counter::ItemsCount};
use memory::Memory;
use registry_probe::oci::{Digest, Document, Reference, Repository};
use registry_probe::registry::client::{Config, Endpoint, HttpRegistry};
use registry_probe::registry::{Access, Depth};
use registry_probe::registry::{Answer, Registry};
use registry_probe::render::{json, metrics};
use registry_probe::report::{
    Bracket, Counts, Defect, Evidence, Finding, Kind, Listed, Mode, Nearby, Observed, Promised,
    Reason, Record, Report, RepositoryResult, Sweep, Verdict,
};
use registry_probe::sweep::{self, Policy, Scope, Source};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

fn main() {
    // `cargo test --all-targets` starts benchmarks, too, to see whether they can be started.
    if std::env::args().any(|argument| argument == "--bench") {
        divan::main();
    }
}

/// A manifest of an image with 20 layers: hashed, and read entry by entry.
#[divan::bench]
fn hash_and_read_a_manifest(bencher: Bencher) {
    let bytes = memory::manifest("app", 20);
    let digest = Digest::sha256(&bytes);
    bencher.bench_local(|| {
        let computed = digest.of_same_algorithm(divan::black_box(&bytes));
        assert_eq!(computed.as_ref(), Some(&digest));
        Document::parse(&bytes, None).expect("a manifest")
    });
}

/// 1,000 images with 10 blobs each, in 100 repositories that answer at once: the walk, the judge, and
/// the tasks that carry questions, for each of the 13,100 answers.
#[divan::bench(sample_count = 20)]
fn walk_and_judge_1000_images(bencher: Bencher) {
    let runtime = Runtime::new().expect("a runtime");
    let memory = Memory::of(100, 10, 10);
    let policy = policy();
    bencher
        .counter(ItemsCount::new(100 + 1_000 + 1_000 + 10_000_usize))
        .bench_local(|| {
            let cancel = CancellationToken::new();
            let known = Record::new(policy.registry.clone());
            let sweep = runtime.block_on(sweep::sweep(&memory, &policy, &known, &cancel));
            assert_eq!(sweep.verdict(), Verdict::Intact);
            assert_eq!(sweep.counts.blobs, 10_000);
        });
}

/// A manifest that is not there, asked for over loopback: one request, its error body, and what they
/// mean.
#[divan::bench]
fn ask_for_an_absent_manifest(bencher: Bencher) {
    let runtime = Runtime::new().expect("a runtime");
    let double = runtime.block_on(registry_double::Double::start());
    double.image("app", Some("v1"), &[b"a layer"]);
    let registry = HttpRegistry::new(Config {
        timeout: Duration::from_secs(5),
        ..Config::new(Endpoint::parse(&double.url(), false).expect("an address"))
    })
    .expect("a client");
    let (repository, absent) = (name("app"), Reference::Digest(Digest::sha256(b"absent")));
    bencher.bench_local(|| {
        let answer = runtime.block_on(registry.manifest(&repository, &absent));
        assert!(matches!(answer, Answer::Absent(_)), "{answer:?}");
    });
}

/// The metrics of 10,000 repositories, as they are rendered when a sweep ends.
#[divan::bench]
fn metrics_of_10000_repositories(bencher: Bencher) {
    let mut record = Record::new("r.example");
    record.absorb(sweep(10_000, 100));
    bencher.bench_local(|| metrics::render(&[divan::black_box(&record)]));
}

/// A sweep with 10,000 findings as JSON.
#[divan::bench(sample_count = 20)]
fn json_of_10000_findings(bencher: Bencher) {
    let reports = [Report::from(sweep(1_000, 10_000))];
    bencher.bench_local(|| json::render(divan::black_box(&reports)));
}

fn name(text: &str) -> Repository {
    text.parse().expect("a name")
}

fn policy() -> Policy {
    Policy {
        depth: Depth::Head,
        concurrency: NonZeroUsize::new(8).expect("some at a time"),
        confirm_after: Duration::ZERO,
        ..Policy::new("memory", Scope::new(Source::Catalog))
    }
}

/// A whole sweep with so many findings, spread over its repositories.
fn sweep(repositories: usize, findings: usize) -> Sweep {
    let repository = |number: usize| name(&format!("team{}/app{number:05}", number % 10));
    let finding = |number: usize| Finding {
        repository: repository(number % repositories),
        kind: Kind::Layer,
        digest: Some(Digest::sha256(&number.to_be_bytes())),
        media_type: Some("application/vnd.oci.image.layer.v1.tar+gzip".into()),
        size: Some(12_345),
        tags: vec!["v1".parse().expect("a tag"), "v2".parse().expect("a tag")],
        attached_to: Vec::new(),
        platforms: vec!["linux/amd64".into()],
        parent: Some(Digest::sha256(b"a parent")),
        defect: Defect {
            reason: Reason::NotFound,
            evidence: Box::new(Evidence {
                promised: Some(Promised::Size { size: 12_345 }),
                observed: Some(Observed::Refused {
                    status: 404,
                    code: Some("BLOB_UNKNOWN".into()),
                    from_storage: false,
                    is_page: false,
                }),
                request: "GET /v2/app/blobs/sha256:0 (Range: bytes=12344-12344)".into(),
                status: Some(404),
            }),
        },
        depth: Depth::Tail,
        confirmations: 1,
        nearby: Nearby::default(),
        bracket: Bracket::default(),
    };
    let result = |number| RepositoryResult {
        name: repository(number),
        broken: (findings / repositories) as u64,
        unverified: 0,
        tags: 1,
    };
    Sweep {
        registry: "r.example".into(),
        access: Access::default(),
        started_at: SystemTime::UNIX_EPOCH,
        finished_at: SystemTime::UNIX_EPOCH + Duration::from_secs(60),
        shard: None,
        run_id: None,
        interval: None,
        depth: Depth::Tail,
        mode: Mode::Private,
        listed: Listed::Catalog,
        counts: Counts::default(),
        repositories: (0..repositories).map(result).collect(),
        missing: Vec::new(),
        out_of_scope: Vec::new(),
        findings: (0..findings).map(finding).collect(),
        images: Vec::new(),
        unmet: Vec::new(),
        in_use: None,
        referrers: None,
        documents: None,
        exposed: Vec::new(),
        unverified: Vec::new(),
        suspected: Vec::new(),
        skipped: BTreeMap::new(),
        warnings: Vec::new(),
        scrub_period: None,
        read_every: None,
        oldest_read_at: None,
        reads: registry_probe::report::Reads::default(),
        certificate_expires_at: None,
    }
}
