//! Compares two registries (`probe compare`): two sweeps, a second look at what differs, and where that is told.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::args::{FailOn, PageArg};
use super::error::Error;
use super::exit::Exit;
use super::input;
use super::keep::{named_images, noted};
use super::output::print_unless_ended;
use super::progress::Screen;
use super::run::client;
use super::settings::{CompareSettings, Sources, compared};
use super::signals::Signals;
use crate::content::{
    Compared, Comparison, Configs, Difference, Holdings, Likeness, Memory, Outcome, Pair, Side,
    compare, diff_ids, unverified,
};
use crate::oci::{Digest, Reference, Repository};
use crate::registry::client::HttpRegistry;
use crate::registry::{Answer, Registry as _};
use crate::render::compare as render;
use crate::report::Sweep;
use crate::service::{self, Unwritten};
use crate::sweep::{Policy, Source, WaitReason};

/// The largest state that is read.
const LARGEST_STATE: u64 = 256 << 20;

/// Configs that are read at a time.
const AT_A_TIME: usize = 4;

/// What is compared, and what is known of it.
pub(super) struct Comparing {
    settings: CompareSettings,
    memory: Memory,
}

/// One side, as it was seen in one look.
struct Look {
    sweep: Sweep,
    holdings: Holdings,
    /// Whether what was not seen is not there, or else only what was asked for.
    is_listed: bool,
}

impl Look {
    fn side(&self) -> Side<'_> {
        Side::new(&self.holdings, &self.sweep, self.is_listed)
    }
}

impl Comparing {
    pub(super) fn resolve(sources: &Sources) -> Result<Self, Error> {
        let settings = compared(sources)?;
        let state = settings.publish.state.as_deref();
        let memory = state.map_or_else(|| Ok(Memory::default()), remember);
        let memory = memory.map_err(|why| Error::option("state", why))?;
        Ok(Self { settings, memory })
    }

    /// Looks at both sides, at what differs once more, and tells what came of it.
    pub(super) async fn run(mut self, color: bool, screen: &Screen) -> Result<Exit, Error> {
        let cancel = CancellationToken::new();
        let signals = Signals::listen(&cancel)?;
        let registries = [
            client(self.settings.a.http.clone())?,
            client(self.settings.b.http.clone())?,
        ];
        self.settings.b.policy.progress = self.settings.a.policy.progress.clone();
        let work = self.look(&registries, &cancel);
        let mut outcome = Box::pin(screen.during(&self.settings.a.policy.progress, work)).await;
        if let Some(exit) = signals.exit() {
            return Ok(exit);
        }
        let is_handed_on = tokio::select! {
            is_handed_on = self.hand_on(&mut outcome) => is_handed_on,
            () = cancel.cancelled() => false,
        };
        let args = &self.settings.args;
        let text = match args.page.output {
            PageArg::Text => render::text(&outcome, color),
            PageArg::Json => render::json(&outcome),
        };
        let is_told = print_unless_ended(text, &signals).await && is_handed_on;
        let fails = |what| {
            let on = &args.fail_on.fail_on;
            on.contains(&what) && !on.contains(&FailOn::Never)
        };
        let exit = match outcome.likeness() {
            Likeness::Different if fails(FailOn::Broken) => Exit::Broken,
            Likeness::Unverified if fails(FailOn::Unverified) => Exit::Unverified,
            _ if !is_told && fails(FailOn::Unverified) => Exit::Unverified,
            _ => Exit::Intact,
        };
        Ok(signals.exit().unwrap_or(exit))
    }

    /// Both looks. What the second does not confirm is no difference.
    async fn look(&self, registries: &[HttpRegistry; 2], cancel: &CancellationToken) -> Outcome {
        let CompareSettings {
            a,
            b,
            names,
            mapping,
            pair,
            args,
            ..
        } = &self.settings;
        let policies = [&a.policy, &b.policy];
        let is_listed = pair.is_none();
        let [first_a, first_b] =
            looks(registries, policies.map(Clone::clone), is_listed, cancel).await;
        let pairs: BTreeSet<_> = match pair {
            Some(pair) => [pair.clone()].into(),
            None => Pair::of_all(&first_a.holdings, &first_b.holdings, mapping),
        };
        let configs = Configs::new();
        let comparison = Comparison {
            // A candidate is whatever was not seen.
            a: Side::new(&first_a.holdings, &first_a.sweep, true),
            b: Side::new(&first_b.holdings, &first_b.sweep, true),
            configs: &configs,
            is_sparse: args.sparse,
        };
        let mut compared = compare(&comparison, &pairs);
        let mut gaps = [&first_a, &first_b].map(|look| unverified(&look.sweep));
        if !compared.doubtful.is_empty() {
            let wait = policies[0].confirm_after;
            tokio::select! {
                () = policies[0].progress.sleep(WaitReason::SecondLook, wait) => {}
                () = cancel.cancelled() => {}
            }
            let doubtful = std::mem::take(&mut compared.doubtful);
            let again = [
                again(policies[0], &first_a, doubtful.iter().map(|pair| &pair.a)),
                again(policies[1], &first_b, doubtful.iter().map(|pair| &pair.b)),
            ];
            drop((first_a, first_b));
            let fresh = registries.each_ref().map(HttpRegistry::reconnected);
            let [look_a, look_b] = looks(&fresh, again, is_listed, cancel).await;
            for (gaps, look) in gaps.iter_mut().zip([&look_a, &look_b]) {
                if gaps.is_empty() {
                    *gaps = unverified(&look.sweep);
                }
            }
            let confirmed = confirm(&fresh, [&look_a, &look_b], &doubtful, args.sparse).await;
            take_confirmed(&mut compared, confirmed);
        }
        let [a, b] = names.clone();
        Outcome {
            a,
            b,
            compared,
            young: Vec::new(),
            remembered: Vec::new(),
            gaps,
        }
    }

    /// Takes up what is known from before, keeps what is known now, and hands the metrics on. Whether all of that
    /// worked; what did not is logged.
    async fn hand_on(&mut self, outcome: &mut Outcome) -> bool {
        let CompareSettings { publish, args, .. } = &self.settings;
        let now = SystemTime::now();
        let known = self.memory.known(&outcome.a, &outcome.b);
        known.absorb(outcome, args.grace, now);
        let metrics = render::metrics(outcome, known.last_complete, now);
        let mut errors = Vec::new();
        let mut write = |option: &str, path: &Path, text: &str| {
            if let Err(error) = service::write(path, text.as_bytes()) {
                let (path, why) = (path.display(), Unwritten(&error));
                errors.push(format!("{option} {path} cannot be written: {why}"));
            }
        };
        if let Some(path) = &publish.state {
            write("--state", path, &self.memory.render());
        }
        // A run that saw too little leaves what stands there, which grows old.
        let is_blind = outcome.likeness() == Likeness::Unverified;
        if let Some(path) = publish
            .textfile
            .as_ref()
            .filter(|path| !is_blind || !path.exists())
        {
            write("--textfile", path, &metrics);
        }
        if let Some(gateway) = &publish.gateway {
            let instance = format!("{} and {}", outcome.a, outcome.b);
            let is_whole = outcome.is_complete();
            let pushed = gateway.push_text(&instance, is_whole, metrics).await;
            errors.extend(pushed.err().map(|error| error.to_string()));
        }
        for error in &errors {
            tracing::error!("{error}");
        }
        errors.is_empty()
    }
}

/// Looks at both sides at the same time.
async fn looks(
    registries: &[HttpRegistry; 2],
    [a, b]: [Policy; 2],
    is_listed: bool,
    cancel: &CancellationToken,
) -> [Look; 2] {
    let [of_a, of_b] = registries;
    let look = async |registry: &HttpRegistry, policy: Policy| {
        let is_named = matches!(policy.scope.source, Source::Images(_));
        let (sweep, holdings) = noted(registry, policy, cancel).await;
        // A list that is not whole lacks what may be there.
        let is_listed = is_listed && !is_named && sweep.is_complete();
        Look {
            sweep,
            holdings,
            is_listed,
        }
    };
    let (a, b) = tokio::join!(Box::pin(look(of_a, a)), Box::pin(look(of_b, b)));
    [a, b]
}

/// How a side is looked at once more: what is in doubt, or all of it again where nothing else is known to be there.
fn again<'a>(
    policy: &Policy,
    first: &Look,
    images: impl Iterator<Item = &'a (Repository, Reference)>,
) -> Policy {
    let is_empty = first.holdings.values().all(|held| held.tags.is_empty());
    let mut policy = policy.clone();
    if !is_empty {
        policy.scope = named_images(images.cloned().collect(), &first.holdings);
    }
    policy.confirm_after = std::time::Duration::ZERO;
    policy
}

/// What the second look at both sides comes to, with the configs read that tell what was converted.
async fn confirm(
    registries: &[HttpRegistry; 2],
    [a, b]: [&Look; 2],
    doubtful: &BTreeSet<Pair>,
    is_sparse: bool,
) -> Compared {
    let compared = |configs: &Configs| {
        let comparison = Comparison {
            a: a.side(),
            b: b.side(),
            configs,
            is_sparse,
        };
        compare(&comparison, doubtful)
    };
    let first = compared(&Configs::new());
    if first.unread.is_empty() {
        return first;
    }
    let [of_a, of_b] = registries;
    let unread = first.unread.into_iter();
    let reads = unread.map(|(is_a, repository, digest)| {
        let registry = if is_a { of_a } else { of_b };
        config(registry, repository, digest)
    });
    let reads = futures::stream::iter(reads).buffer_unordered(AT_A_TIME);
    let configs: Vec<_> = reads.collect().await;
    compared(&configs.into_iter().flatten().collect())
}

async fn config(
    registry: &HttpRegistry,
    repository: Repository,
    digest: Digest,
) -> Option<(Digest, Vec<String>)> {
    match registry.config(&repository, &digest).await {
        Answer::Found(body) if digest.of_same_algorithm(&body.bytes).as_ref() == Some(&digest) => {
            Some((digest, diff_ids(&body.bytes)))
        }
        _ => None,
    }
}

/// Keeps what both looks saw, as the second saw it.
fn take_confirmed(compared: &mut Compared, confirmed: Compared) {
    let first: BTreeSet<_> = compared.differences.iter().map(Difference::key).collect();
    let confirmed_too = confirmed.differences.into_iter();
    compared.differences = confirmed_too
        .filter(|it| first.contains(&it.key()))
        .collect();
    compared.converted.extend(confirmed.converted);
    compared.converted.sort();
    compared.converted.dedup();
    compared.unverified += confirmed.unverified;
}

/// What earlier runs left in a file.
fn remember(path: &Path) -> Result<Memory, String> {
    let named = |why: String| format!("{}: {why}", path.display());
    if !path.exists() {
        return Ok(Memory::default());
    }
    let text = input::read(path, LARGEST_STATE).map_err(named)?;
    Memory::parse(&text).map_err(named)
}
