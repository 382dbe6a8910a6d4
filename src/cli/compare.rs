//! Compares two registries (`probe compare`): two sweeps, further looks at what differs, and where that is told.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::args::{CompareArgs, FailOn, PageArg};
use super::error::Error;
use super::exit::Exit;
use super::input;
use super::keep::noted;
use super::output::print_unless_ended;
use super::progress::Screen;
use super::run::client;
use super::settings::{CompareSettings, Sources, compared};
use super::signals::Signals;
use crate::content::{
    Compared, Comparison, Configs, Confirming, Gap, Holdings, Likeness, Memory, Outcome, Pair,
    Side, Stated, Unseen, compare, unknown,
};
use crate::oci::{Digest, Reference, Repository};
use crate::registry::client::HttpRegistry;
use crate::registry::{Answer, Registry as _};
use crate::render::compare as render;
use crate::report::Sweep;
use crate::service::{self, Unwritten};
use crate::sweep::{Policy, Scope, Source, WaitReason, with_control};

/// The largest state that is read.
const LARGEST_STATE: u64 = 256 << 20;

/// Looks after the first: what moves may need more than one to be seen standing still.
const MORE_LOOKS: usize = 2;

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
    /// Whether the registry was to list its repositories.
    is_catalog: bool,
}

impl Look {
    fn has_nothing(&self) -> bool {
        self.holdings.values().all(|held| held.tags.is_empty())
    }

    fn lists_nothing(&self) -> bool {
        self.is_catalog && self.sweep.is_complete() && self.has_nothing()
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

    /// Looks at both sides, and again at what differs. What no two looks saw alike is no difference.
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
        let mut last = looks(registries, policies.map(Clone::clone), cancel).await;
        let pairs: BTreeSet<_> = match pair {
            Some(pair) => [pair.clone()].into(),
            None => Pair::of_all(&last[0].holdings, &last[1].holdings, mapping),
        };
        let mut gaps = last.each_ref().map(|look| unknown(&look.sweep));
        // A candidate is whatever was not seen.
        let first = seen(&last, [Unseen::Absent; 2], None, args.sparse, &pairs);
        drop(pairs);
        let lists_nothing = last.each_ref().map(Look::lists_nothing);
        let mut confirming = Confirming::new(first);
        for _ in 0..MORE_LOOKS {
            if confirming.doubtful().is_empty() {
                break;
            }
            let wait = policies[0].confirm_after;
            tokio::select! {
                () = policies[0].progress.sleep(WaitReason::SecondLook, wait) => {}
                () = cancel.cancelled() => {}
            }
            let doubtful = confirming.doubtful();
            let again = [
                again(policies[0], &last[0], doubtful.iter().map(|pair| &pair.a)),
                again(policies[1], &last[1], doubtful.iter().map(|pair| &pair.b)),
            ];
            drop(last);
            let fresh = registries.each_ref().map(HttpRegistry::reconnected);
            last = looks(&fresh, again, cancel).await;
            let unseen = note_gaps(&last, lists_nothing, &mut gaps);
            let found = confirm(&fresh, &last, unseen, args.sparse, doubtful).await;
            confirming.look(found);
        }
        let [a, b] = names.clone();
        Outcome {
            a,
            b,
            compared: confirming.finish(),
            young: Vec::new(),
            remembered: Vec::new(),
            gaps,
            may_be_empty: args.allow_empty,
        }
    }

    /// Takes up what is known from before, keeps what is known now, and hands the metrics on. Whether all of that
    /// worked; what did not is logged.
    async fn hand_on(&mut self, outcome: &mut Outcome) -> bool {
        let CompareSettings { publish, args, .. } = &self.settings;
        let now = SystemTime::now();
        let extent = extent(args);
        let known = self.memory.known(&outcome.a, &outcome.b, &extent);
        known.absorb(outcome, args.grace, now);
        let metrics = render::metrics(outcome, &extent, known.last_complete, now);
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
            let sides = format!("{} and {}", outcome.a, outcome.b);
            let instance = [&*sides, &extent].join(" ");
            let instance = instance.trim_end();
            let is_whole = outcome.is_complete();
            let pushed = gateway.push_text(instance, is_whole, metrics).await;
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
    [of_a, of_b]: &[HttpRegistry; 2],
    [a, b]: [Policy; 2],
    cancel: &CancellationToken,
) -> [Look; 2] {
    let look = async |registry: &HttpRegistry, policy: Policy| {
        let is_catalog = policy.scope.source == Source::Catalog;
        let (sweep, holdings) = noted(registry, policy, cancel).await;
        Look {
            sweep,
            holdings,
            is_catalog,
        }
    };
    let (a, b) = tokio::join!(Box::pin(look(of_a, a)), Box::pin(look(of_b, b)));
    [a, b]
}

/// How a side is looked at once more: by the names that are in doubt, whatever its lists leave out.
fn again<'a>(
    policy: &Policy,
    last: &Look,
    images: impl Iterator<Item = &'a (Repository, Reference)>,
) -> Policy {
    let mut policy = policy.clone();
    let images = with_control(images.cloned().collect(), &last.holdings);
    policy.scope = Scope::new(Source::Images(images));
    policy.confirm_after = std::time::Duration::ZERO;
    policy
}

/// Notes what a further look did not learn of each side, and says what it means there that something was not seen.
fn note_gaps(looks: &[Look; 2], lists_nothing: [bool; 2], gaps: &mut [Vec<Gap>; 2]) -> [Unseen; 2] {
    let mut unseen = [Unseen::Asked; 2];
    for (side, look) in looks.iter().enumerate() {
        if gaps[side].is_empty() {
            gaps[side] = unknown(&look.sweep);
        }
        if lists_nothing[side] && look.has_nothing() {
            unseen[side] = Unseen::Unknown;
            gaps[side].push(nothing_there());
        }
    }
    unseen
}

fn nothing_there() -> Gap {
    Gap {
        repository: None,
        what: "its catalog lists nothing, and nothing that the other side has is there by its name, as when the \
               storage is not mounted"
            .into(),
    }
}

/// What two looks come to.
fn seen(
    [a, b]: &[Look; 2],
    unseen: [Unseen; 2],
    configs: Option<&Configs>,
    is_sparse: bool,
    pairs: &BTreeSet<Pair>,
) -> Compared {
    let comparison = Comparison {
        a: Side::new(&a.holdings, &a.sweep, unseen[0]),
        b: Side::new(&b.holdings, &b.sweep, unseen[1]),
        configs,
        is_sparse,
    };
    compare(&comparison, pairs)
}

/// The same, with the configs read that tell what was converted.
async fn confirm(
    [of_a, of_b]: &[HttpRegistry; 2],
    looks: &[Look; 2],
    unseen: [Unseen; 2],
    is_sparse: bool,
    doubtful: &BTreeSet<Pair>,
) -> Compared {
    let first = seen(looks, unseen, None, is_sparse, doubtful);
    if first.unread.is_empty() {
        return first;
    }
    let unread = first.unread.into_iter();
    let reads = unread.map(|(is_a, repository, digest)| {
        let registry = if is_a { of_a } else { of_b };
        config(registry, repository, digest)
    });
    let reads = futures::stream::iter(reads).buffer_unordered(AT_A_TIME);
    let configs: Vec<_> = reads.collect().await;
    let configs = configs.into_iter().flatten().collect();
    seen(looks, unseen, Some(&configs), is_sparse, doubtful)
}

async fn config(
    registry: &HttpRegistry,
    repository: Repository,
    digest: Digest,
) -> Option<(Digest, Stated)> {
    match registry.config(&repository, &digest).await {
        Answer::Found(body) if digest.of_same_algorithm(&body.bytes).as_ref() == Some(&digest) => {
            Some((digest, Stated::read(&body.bytes)))
        }
        _ => None,
    }
}

/// What a comparison is narrowed to, as its options say: it remembers for itself.
fn extent(args: &CompareArgs) -> String {
    let (repositories, tags) = (&args.repositories, &args.tags);
    let rules: Vec<_> = args.rules.iter().map(ToString::to_string).collect();
    let file = repositories.repos_file.iter();
    let file: Vec<_> = file.map(|path| path.display().to_string()).collect();
    let lists = [
        ("--repo", &repositories.repos),
        ("--exclude-repo", &repositories.exclude_repos),
        ("--repos-file", &file),
        ("--tag", &tags.tags),
        ("--exclude-tag", &tags.exclude_tags),
        ("--map", &rules),
    ];
    let given = lists.iter().filter(|(_, values)| !values.is_empty());
    let given = given.map(|(option, values)| format!("{option}={}", values.join(",")));
    let sparse = args.sparse.then(|| "--sparse".to_owned());
    given.chain(sparse).collect::<Vec<_>>().join(" ")
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
