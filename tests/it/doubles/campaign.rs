//! A campaign of faults: sweeps through a network that fails at a point and in a way that a seed
//! decides. Whatever fails, the sweep ends, finds nothing that is not broken, and counts
//! nothing as checked that it did not see.
//!
//! Short by itself; `PROBE_CAMPAIGN_RUNS=2000` makes it long, and `PROBE_CAMPAIGN_SEED` names the first
//! seed, so that a run which failed is replayed by `PROBE_CAMPAIGN_RUNS=1 PROBE_CAMPAIGN_SEED=…`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use futures::StreamExt as _;
use registry_double::{Double, Fault, FaultProxy, Mishap, OverMax};
use registry_probe::registry::Depth;
use registry_probe::report::{Counts, Finding, Sweep};

use super::probe::{Probe, details};
use crate::PATIENCE;

/// Runs unless the environment says otherwise.
const FEW: u64 = 60;
/// Runs at a time. They mostly wait.
const AT_A_TIME: usize = 12;
const TIMEOUT: Duration = Duration::from_millis(400);
const DEADLINE: Duration = Duration::from_secs(4);
/// No sweep of the shelf sends as many requests: later faults would never be met.
const LAST_POINT: usize = 90;
const KINDS: u64 = 10;

/// One sweep to be, as its seed decides.
#[derive(Clone, Copy, Debug)]
struct Trial {
    #[expect(dead_code, reason = "shown by `Debug`, to replay it by")]
    seed: u64,
    mishap: Mishap,
    is_damaged: bool,
    depth: Depth,
    requests_at_a_time: usize,
}

impl Trial {
    fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let millis = Duration::from_millis;
        // Below and above the longest wait for an answer.
        let time = millis(random.u64(50..1500));
        let fault = match seed % KINDS {
            0 => Fault::Refuse(time),
            1 => Fault::ResetBeforeHead,
            2 => Fault::ResetAfterHead,
            3 => Fault::Stall(random.usize(0..1500)),
            4 => Fault::Trickle(random.usize(1..200), millis(random.u64(1..200))),
            5 => Fault::CutBody(random.usize(0..1000)),
            6 => Fault::Duplicate,
            7 => Fault::Corrupt(random.usize(..), random.u8(1..)),
            8 => Fault::HalfOpen,
            _ => Fault::BlackHole(time),
        };
        // What alters or cuts every answer in the same way, on every connection and for good, is no
        // failing network any more: it is what this registry's clients get, and rightly a finding.
        let is_an_answer = matches!(
            fault,
            Fault::Duplicate | Fault::Corrupt(..) | Fault::CutBody(_)
        );
        let is_for_ever = !is_an_answer && random.u8(..4) == 0;
        let exchanges = if is_for_ever {
            usize::MAX
        } else {
            random.usize(1..=4)
        };
        Self {
            seed,
            mishap: Mishap {
                fault,
                first: random.usize(1..=LAST_POINT),
                exchanges,
            },
            is_damaged: random.bool(),
            depth: *random.choice(&DEPTHS).expect("there are depths"),
            requests_at_a_time: if random.bool() { 1 } else { 4 },
        }
    }

    /// Sweeps on a thread of its own, for one sweep is one task and should not wait for another's.
    async fn run(self) -> Run {
        let sweep = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(self.sweep())
        };
        let ended = tokio::task::spawn_blocking(sweep);
        let run = tokio::time::timeout(PATIENCE, ended).await;
        let run = run.unwrap_or_else(|_| panic!("it does not end: {self:?}"));
        run.unwrap_or_else(|_| panic!("it panicked: {self:?}"))
    }

    async fn sweep(self) -> Run {
        let double = shelf(self.is_damaged).await;
        let proxy = FaultProxy::start(double.address(), self.mishap);
        let probe = Probe::of(&double)
            .through(&proxy.url())
            .depth(self.depth)
            .concurrency(self.requests_at_a_time)
            .timeout(TIMEOUT)
            .confirm_after(Duration::from_millis(50))
            .deadline(DEADLINE);
        let sweep = probe.sweep().await;
        let took = sweep.finished_at.duration_since(sweep.started_at);
        Run {
            trial: self,
            sweep,
            took: took.unwrap_or_default(),
            struck: proxy.struck(),
        }
    }
}

/// All but the one that unpacks: the double's layers are no archives.
const DEPTHS: [Depth; 3] = [Depth::Head, Depth::Tail, Depth::Digest];

/// Three repositories with lists of several pages, images of several platforms, layers that are read
/// whole and layers that are not; whole, or damaged in seven places.
async fn shelf(is_damaged: bool) -> Double {
    let double = Double::start().await;
    double.quirks(|quirks| {
        for listing in [&mut quirks.catalog, &mut quirks.tags] {
            listing.honours_n = true;
            listing.max = Some(2);
            listing.over_max = OverMax::Clamp;
        }
    });
    let mut images = Vec::new();
    for name in ["app", "team/base", "team/web"] {
        let long = name.repeat(30_000).into_bytes();
        let amd64 = double.image(name, Some("v1"), &[b"amd64", &long]);
        let arm64 = double.image(name, Some("v2"), &[b"arm64", name.as_bytes()]);
        let riscv = double.image(name, None, &[b"riscv", b"another", &long]);
        let children = [("linux/amd64", &amd64), ("linux/riscv64", &riscv)];
        double.index(name, Some("latest"), &children);
        double.image(name, Some("lone"), &[format!("lone {name}").as_bytes()]);
        images.push([amd64, arm64, riscv]);
    }
    if is_damaged {
        double.remove_manifest_link("app", &images[0][2].digest);
        double.truncate_bytes(&images[1][0].layers[1], 1000);
        double.empty_bytes(&images[1][1].layers[1]);
        double.remove_tag_link("team/web", "lone");
        double.flip_bit(&images[2][1].digest, 100);
        double.remove_bytes(&images[2][2].config);
        double.empty_manifest_link("team/base", &images[1][2].digest);
    }
    double
}

/// What a sweep through a sound network says, which is the truth as far as its depth goes.
struct Truth {
    findings: BTreeMap<String, Finding>,
    /// For each repository, how many findings are in it.
    broken: BTreeMap<String, u64>,
    counts: Counts,
}

impl Truth {
    async fn of(is_damaged: bool, depth: Depth) -> Self {
        let double = shelf(is_damaged).await;
        let sweep = Probe::of(&double).depth(depth).sweep().await;
        assert!(sweep.is_complete(), "{}", details(&sweep));
        assert_eq!(sweep.findings.is_empty(), !is_damaged);
        let requests = double.requests().len();
        assert!(requests < 5 * LAST_POINT, "{requests} requests");
        let repositories = sweep.repositories.iter();
        Self {
            findings: sweep
                .findings
                .iter()
                .map(|f| (words(f), f.clone()))
                .collect(),
            broken: repositories
                .map(|result| (result.name.to_string(), result.broken))
                .collect(),
            counts: sweep.counts,
        }
    }
}

impl Truth {
    /// Whether this is broken, and breaks what the finding says: all of it, or as much of it as a
    /// sweep saw that did not see everything.
    fn knows(&self, finding: &Finding) -> bool {
        self.findings.values().any(|known| {
            let object = |f: &Finding| {
                (
                    f.repository.clone(),
                    f.kind,
                    f.digest.clone(),
                    f.defect.reason,
                )
            };
            object(known) == object(finding)
                && finding.tags.iter().all(|tag| known.tags.contains(tag))
                && finding
                    .platforms
                    .iter()
                    .all(|p| known.platforms.contains(p))
        })
    }
}

fn words(finding: &Finding) -> String {
    let tags: Vec<_> = finding.tags.iter().map(ToString::to_string).collect();
    format!(
        "{} {} {} {:?} {} {:?}",
        finding.repository,
        finding.kind,
        finding.defect.reason,
        finding.digest,
        tags.join(" "),
        finding.platforms
    )
}

/// What was seen of everything, traffic aside.
fn seen(counts: &Counts) -> Counts {
    Counts {
        requests: 0,
        bytes: 0,
        blobs_read: 0,
        scrubbed_bytes: 0,
        ..*counts
    }
}

struct Run {
    trial: Trial,
    sweep: Sweep,
    took: Duration,
    struck: Vec<String>,
}

impl Run {
    /// Everything that is not as it must be.
    fn violations(&self, truth: &Truth) -> Vec<String> {
        let mut violations = Vec::new();
        let mut must = |holds: bool, why: String| {
            if !holds {
                violations.push(format!(
                    "{why}\n    {:?}\n    struck {:?}",
                    self.trial, self.struck
                ));
            }
        };
        let sweep = &self.sweep;
        let wrong: Vec<_> = sweep
            .findings
            .iter()
            .filter(|f| !truth.knows(f))
            .map(words)
            .collect();
        must(wrong.is_empty(), format!("false alarms: {wrong:?}"));
        if self.hid_a_list() {
            return violations;
        }
        if sweep.is_complete() {
            let findings: BTreeSet<_> = sweep.findings.iter().map(words).collect();
            let all: BTreeSet<_> = truth.findings.keys().cloned().collect();
            must(
                findings == all,
                format!("it says to be complete with {findings:?} of {all:?}"),
            );
            let (mut seen, all) = (seen(&sweep.counts), seen(&truth.counts));
            let altered = self.altered_manifests();
            for (ours, real) in [
                (&mut seen.indexes, all.indexes),
                (&mut seen.manifests, all.manifests),
            ] {
                if (real..=real + altered).contains(ours) {
                    *ours = real;
                }
            }
            must(
                seen == all,
                format!("it says to be complete and saw {seen:?} of {all:?}"),
            );
        }
        // A repository without anything unverified is known for what it is.
        for result in sweep
            .repositories
            .iter()
            .filter(|result| result.unverified == 0)
        {
            let broken = truth.broken.get(result.name.as_str());
            must(
                broken == Some(&result.broken),
                format!("{result:?} while {broken:?} are broken: {}", details(sweep)),
            );
        }
        let (ours, all) = (&sweep.counts, &truth.counts);
        let counted = [
            (ours.repositories.checked, all.repositories.checked),
            (ours.tags.checked, all.tags.checked),
            (ours.indexes, all.indexes + self.altered_manifests()),
            (ours.manifests, all.manifests + self.altered_manifests()),
            (ours.blobs, all.blobs),
        ];
        let is_honest = counted.iter().all(|(ours, all)| ours <= all);
        must(
            is_honest,
            format!("more counted than there is: {counted:?}"),
        );
        violations
    }

    /// Whether the fault altered a list and left it one. Nothing vouches for a list, as a digest does
    /// for all else; only TLS keeps it from being altered.
    /// What comes altered by a tag may be a manifest still: one of its own, which is looked at, too.
    fn altered_manifests(&self) -> u64 {
        let is_by_tag =
            |line: &&String| line.contains("/manifests/") && !line.contains("/manifests/sha256:");
        match self.trial.mishap.fault {
            Fault::Corrupt(..) => self.struck.iter().filter(is_by_tag).count() as u64,
            _ => 0,
        }
    }

    fn hid_a_list(&self) -> bool {
        let is_list = |line: &String| line.contains("/_catalog") || line.contains("/tags/list");
        matches!(self.trial.mishap.fault, Fault::Corrupt(..)) && self.struck.iter().any(is_list)
    }
}

/// What became of the runs of one kind of fault.
#[derive(Default)]
struct Line {
    runs: usize,
    struck: usize,
    complete: usize,
    findings: usize,
    longest: Duration,
    violations: usize,
}

fn table(lines: &BTreeMap<&str, Line>) -> String {
    let mut text = format!(
        "{:18}{:>6}{:>8}{:>10}{:>10}{:>10}{:>12}\n",
        "fault", "runs", "struck", "complete", "findings", "longest", "violations"
    );
    for (fault, line) in lines {
        let longest = format!("{:.1} s", line.longest.as_secs_f64());
        _ = writeln!(
            text,
            "{fault:18}{:>6}{:>8}{:>10}{:>10}{longest:>10}{:>12}",
            line.runs, line.struck, line.complete, line.findings, line.violations
        );
    }
    text
}

fn from_environment(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failing_network_makes_no_finding_and_hides_none() {
    let runs = from_environment("PROBE_CAMPAIGN_RUNS", FEW);
    let first = from_environment("PROBE_CAMPAIGN_SEED", 0);
    let mut truths = BTreeMap::new();
    for is_damaged in [false, true] {
        for depth in &DEPTHS {
            truths.insert((is_damaged, *depth), Truth::of(is_damaged, *depth).await);
        }
    }
    let trials = (first..first + runs).map(|seed| Trial::of(seed).run());
    let mut done = futures::stream::iter(trials).buffer_unordered(AT_A_TIME);
    let mut lines = BTreeMap::<_, Line>::new();
    let mut violations = Vec::new();
    while let Some(run) = done.next().await {
        let truth = &truths[&(run.trial.is_damaged, run.trial.depth)];
        let mut wrong = run.violations(truth);
        let line = lines.entry(run.trial.mishap.fault.word()).or_default();
        line.runs += 1;
        line.struck += usize::from(!run.struck.is_empty());
        line.complete += usize::from(run.sweep.is_complete());
        line.findings += run.sweep.findings.len();
        line.longest = line.longest.max(run.took);
        line.violations += wrong.len();
        violations.append(&mut wrong);
    }
    _ = write!(std::io::stdout(), "{}", table(&lines));
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        violations.len(),
        violations.join("\n")
    );
    assert!(
        lines.values().any(|line| line.struck > 0),
        "no fault struck"
    );
}
