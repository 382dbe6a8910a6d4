//! One run: the steps of a plan against its world, each of them held against the oracle.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroUsize;
use std::sync::{Arc, Once};
use std::time::Duration;

use registry_probe::oci::{Reference, Repository};
use registry_probe::registry::{Depth, ManifestMethod};
use registry_probe::render::metrics;
use registry_probe::report::{Reach, Record, Sweep, Verdict, state};
use registry_probe::sweep::{
    self, Empty, Expectations, Filter, KnownManifests, ManifestPolicy, Policy, ReferrerPolicy,
    Scope, Source,
};
use tokio_util::sync::CancellationToken;

use super::oracle::{self, Case, Class, Lie, Past};
use super::plan::{Cancel, Named, Plan, Step, What, Wish};
use super::registry::{Asked, Shared};
use super::show;
use super::view::View;
use super::world::{Ms, World};

pub(crate) const REGISTRY: &str = "registry.example";

/// Virtual time after which a step hangs.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

/// Between two looks of `verify` at what a push has not brought yet.
const PAUSE: Ms = 2000;

/// What came of a run.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) sweeps: u64,
    pub(crate) complete: u64,
    pub(crate) requests: u64,
    /// Sweeps and looks at named images, by their verdicts.
    pub(crate) verdicts: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) lies: Vec<Lie>,
    /// A hash of everything that was asked, answered and said.
    pub(crate) trace: u64,
    /// What there is to see of the lies, if that was asked for.
    pub(crate) shown: String,
}

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// Counts the panics of this thread from now on, those that are caught as well.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            usual(info);
        }));
    });
}

/// Runs a plan on a clock of its own.
pub(crate) fn run(plan: Plan, is_shown: bool) -> Outcome {
    count_panics();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(async {
        // From here on the clock stands at whole milliseconds.
        tokio::time::sleep(Duration::from_millis(1)).await;
        Run::new(plan, is_shown).go().await
    })
}

/// What goes on through a run.
struct Run {
    shared: Arc<Shared>,
    steps: Vec<Step>,
    concurrency: NonZeroUsize,
    is_named: bool,
    /// Requests that one sweep may send.
    most: u64,
    header: Option<String>,
    record: Record,
    /// The manifests that were read, in the runs that ask for these by HEAD.
    manifests: Option<Arc<KnownManifests>>,
    series: BTreeMap<Repository, u64>,
    past: Vec<Past>,
    hasher: DefaultHasher,
    outcome: Outcome,
}

/// A step that has ended.
struct Ended {
    sweep: Option<Sweep>,
    log: Vec<Asked>,
    from: Ms,
    to: Ms,
    is_over: bool,
    has_panicked: bool,
}

impl Run {
    fn new(plan: Plan, is_shown: bool) -> Self {
        let header = is_shown.then(|| show::plan(&plan));
        let repos = plan.world.repos.len();
        Self {
            steps: plan.steps,
            concurrency: NonZeroUsize::new(plan.concurrency).expect("some at a time"),
            is_named: plan.is_named,
            // Three looks, what the last one asks for a dozen times, and where it is asked what is attached, which
            // is not told, four questions about that in each look.
            most: 5 * plan.requests
                + 64
                + if asks_referrers(plan.world.seed) {
                    3 * 4
                } else {
                    0
                },
            shared: Shared::new(plan.world),
            header,
            record: Record::new(REGISTRY),
            manifests: plan.requests.is_multiple_of(2).then(Arc::default),
            series: BTreeMap::new(),
            past: vec![Past::default(); repos],
            hasher: DefaultHasher::new(),
            outcome: Outcome::default(),
        }
    }

    async fn go(mut self) -> Outcome {
        for (number, step) in std::mem::take(&mut self.steps).iter().enumerate() {
            let wait = step.at.saturating_sub(self.shared.now());
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if step.is_new_process {
                let text = state::render(std::slice::from_ref(&self.record));
                let mut records = state::parse(&text).expect("what was just written is read");
                self.record = records.remove(0);
                self.manifests = self.manifests.as_deref().map(read_again);
            }
            let ended = self.step(step).await;
            ended.log.hash(&mut self.hasher);
            self.outcome.sweeps += 1;
            self.outcome.requests += ended.log.len() as u64;
            let lies = self.judge(step, &ended);
            self.show(number, step, &ended, &lies);
            let is_end = ended.sweep.is_none();
            self.outcome.lies.extend(lies);
            if is_end {
                break;
            }
        }
        self.outcome.trace = self.hasher.finish();
        self.outcome
    }

    /// Shows what is new of the lies of a step, if that was asked for.
    fn show(&mut self, number: usize, step: &Step, ended: &Ended, lies: &[Lie]) {
        let Some(header) = &mut self.header else {
            return;
        };
        let known = &self.outcome.lies;
        let mut new = lies.to_vec();
        new.retain(|lie| known.iter().all(|known| known.class != lie.class));
        if !new.is_empty() {
            self.outcome.shown += &std::mem::take(header);
            let world = &self.shared.world;
            let sweep = ended.sweep.as_ref();
            self.outcome.shown += &show::lies(world, number, step, sweep, &ended.log, &new);
        }
    }

    /// Does what a step says.
    async fn step(&self, step: &Step) -> Ended {
        let cancel = CancellationToken::new();
        let from = self.shared.now();
        let (at_request, timer) = match step.cancel {
            Some(Cancel::AtRequest(number)) => (Some((number, cancel.clone())), None),
            Some(Cancel::After(time)) => {
                let token = cancel.clone();
                let timer = tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(time)).await;
                    token.cancel();
                });
                (None, Some(timer))
            }
            None => (None, None),
        };
        let looks = match &step.what {
            What::Verify(wish) => 3 * (wish.wait / PAUSE + 3),
            What::Sweep | What::Nothing => 1,
        };
        let registry = self.shared.connect(self.most * looks, at_request);
        let policy = self.policy(step);
        let nothing = Record::new(REGISTRY);
        let panics = PANICS.with(Cell::get);
        let sweep = async {
            match &step.what {
                What::Sweep => sweep::sweep(&registry, &policy, &self.record, &cancel).await,
                What::Nothing => sweep::sweep(&registry, &policy, &nothing, &cancel).await,
                What::Verify(wish) => {
                    let expectations = expectations(&self.shared.world, wish);
                    sweep::verify(&registry, &policy, &expectations, &cancel).await
                }
            }
        };
        let sweep = tokio::time::timeout(FOR_EVER, sweep).await;
        if let Some(timer) = timer {
            timer.abort();
        }
        let log = self.shared.take_log();
        debug_assert!(
            log.iter()
                .all(|asked| is_possible(&self.shared.world, asked))
        );
        Ended {
            is_over: log.len() as u64 >= self.most * looks,
            sweep: sweep.ok(),
            log,
            from,
            to: self.shared.now(),
            has_panicked: PANICS.with(Cell::get) > panics,
        }
    }

    fn policy(&self, step: &Step) -> Policy {
        let world = &self.shared.world;
        let source = match &step.what {
            What::Sweep if self.is_named => {
                let names = world.repos.iter().map(|repo| repo.name.clone());
                Source::Repositories(names.collect())
            }
            What::Sweep | What::Nothing => Source::Catalog,
            What::Verify(wish) => Source::Images(
                wish.images
                    .iter()
                    .map(|(repo, named)| named_image(world, *repo, *named))
                    .collect(),
            ),
        };
        let mut policy = policy(source);
        policy.turn = step.at;
        policy.manifests = ManifestPolicy {
            method: ManifestMethod::Head,
            every: Duration::from_secs(24 * 3600),
            known: self.manifests.clone(),
        };
        if matches!(step.what, What::Nothing) {
            let none = Filter::new(&["no-such-team/*".to_owned()], &[]);
            policy.scope.repositories = none.expect("a pattern");
            policy.empty = Empty::Unverified;
        }
        policy.depth = step.depth;
        policy.concurrency = self.concurrency;
        policy.confirm_after = Duration::from_millis(step.confirm);
        policy.deadline = step.deadline.map(Duration::from_millis);
        policy.referrers = referrers(world.seed, &policy.scope.source);
        policy
    }

    /// Takes in what a step has brought, and gives the lies in it.
    fn judge(&mut self, step: &Step, ended: &Ended) -> Vec<Lie> {
        let mut lies = Vec::new();
        if ended.has_panicked {
            lies.push(Lie::new(Class::Panicked, "it panicked".into(), Vec::new()));
        }
        let Some(sweep) = &ended.sweep else {
            let class = if ended.is_over {
                Class::TooManyRequests
            } else {
                Class::Hung
            };
            let text = format!("no end after {} requests", ended.log.len());
            lies.push(Lie::new(class, text, Vec::new()));
            return lies;
        };
        let kind = match &step.what {
            What::Sweep => "sweep",
            What::Nothing => "sweep of nothing",
            What::Verify(_) => "verify",
        };
        let verdict = sweep.verdict();
        *self
            .outcome
            .verdicts
            .entry((kind, verdict.word()))
            .or_default() += 1;
        self.outcome.complete += u64::from(sweep.is_complete());
        self.trace(sweep);
        let shared = Arc::clone(&self.shared);
        // What a layer unpacks to is as whole as its bytes.
        let depth = step.depth.min(Depth::Digest);
        let view = View::new(&shared.world, &ended.log, ended.from, ended.to, depth);
        match &step.what {
            What::Sweep => lies.extend(self.absorb(view, sweep)),
            What::Nothing if verdict == Verdict::Intact => {
                let text = "intact, with a filter that takes nothing".to_owned();
                lies.push(Lie::new(Class::NothingChecked, text, Vec::new()));
            }
            What::Nothing => {}
            What::Verify(wish) => lies.extend(oracle::verify(&view, sweep, wish)),
        }
        lies
    }

    fn absorb(&mut self, view: View<'_>, sweep: &Sweep) -> Vec<Lie> {
        let before = self.record.clone();
        self.record.absorb(sweep.clone());
        let series = failures(&metrics::render(&[&self.record]));
        series.hash(&mut self.hasher);
        let case = Case {
            view,
            sweep,
            before: &before,
            after: &self.record,
            series_before: &self.series,
            series_after: &series,
            past: &self.past,
        };
        let lies = case.lies();
        self.past = case.becomes_past();
        self.series = series;
        lies
    }

    fn trace(&mut self, sweep: &Sweep) {
        sweep.verdict().hash(&mut self.hasher);
        sweep.is_complete().hash(&mut self.hasher);
        for finding in &sweep.findings {
            (&finding.repository, finding.kind, &finding.digest).hash(&mut self.hasher);
            finding.defect.hash(&mut self.hasher);
        }
        for result in &sweep.repositories {
            (&result.name, result.broken, result.unverified).hash(&mut self.hasher);
        }
    }
}

/// Whether an answer is one of those that the oracle thinks possible.
fn is_possible(world: &World, asked: &Asked) -> bool {
    let possible = world.possible(asked.question, asked.depth, asked.at);
    possible.contains(&asked.reply)
}

/// What another process knows of these manifests.
fn read_again(manifests: &KnownManifests) -> Arc<KnownManifests> {
    let mut file = Vec::new();
    manifests.write_to(&mut file, REGISTRY).expect("memory");
    Arc::new(KnownManifests::from_file(&file, REGISTRY).expect("a list"))
}

/// Whether it is asked what is attached to images.
fn asks_referrers(seed: u64) -> bool {
    seed % 3 != 2
}

/// In most runs it is asked what is attached to images, and in some that is required: the registry never tells, and
/// what is not told is neither missing nor keeps anything from a verdict. Who names images has no answer then.
fn referrers(seed: u64, source: &Source) -> ReferrerPolicy {
    let required = "signature".parse().expect("a rule");
    let is_required = seed.is_multiple_of(3) && !matches!(source, Source::Images(_));
    ReferrerPolicy {
        reach: [Reach::All, Reach::Tagged, Reach::Off]
            [usize::try_from(seed % 3).unwrap_or_default()],
        required: is_required.then_some(required).into_iter().collect(),
        has_memory: false,
    }
}

/// How to look at some images or repositories, unless something else is said.
fn policy(source: Source) -> Policy {
    Policy {
        empty: Empty::AllowedIfAlwaysSo,
        confirm_after: Duration::from_secs(1),
        ..Policy::new(REGISTRY, Scope::new(source))
    }
}

/// Sweeps everything.
pub(crate) async fn sweep_once(shared: &Arc<Shared>, known: &Record) -> Sweep {
    let registry = shared.connect(u64::MAX, None);
    let cancel = CancellationToken::new();
    sweep::sweep(&registry, &policy(Source::Catalog), known, &cancel).await
}

fn named_image(world: &World, repo: usize, named: Named) -> (Repository, Reference) {
    let in_repo = &world.repos[repo];
    let reference = match named {
        Named::Tag(tag) => Reference::Tag(in_repo.tags[tag].0.clone()),
        Named::Digest(id) => Reference::Digest(world.content.objects[id].digest.clone()),
    };
    (in_repo.name.clone(), reference)
}

fn expectations(world: &World, wish: &Wish) -> Expectations {
    let digest = wish.digest.map(|id| &world.content.objects[id].digest);
    let platform = wish.platform.map(|text| text.parse().expect("a platform"));
    Expectations {
        digest: digest.cloned(),
        platforms: platform.into_iter().collect(),
        wait: Duration::from_millis(wish.wait),
        recheck_after: wish.recheck.map(Duration::from_millis),
    }
}

/// The series of failures, as a scrape would have them.
pub(crate) fn failures(metrics: &str) -> BTreeMap<Repository, u64> {
    let series = |line: &str| {
        let rest = line.strip_prefix("registry_manifest_integrity_failures{")?;
        let (labels, value) = rest.split_once("} ")?;
        let (_, name) = labels.split_once("repository=\"")?;
        let (name, _) = name.split_once('"')?;
        Some((name.parse().ok()?, value.trim().parse().ok()?))
    };
    metrics.lines().filter_map(series).collect()
}
