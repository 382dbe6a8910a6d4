//! What must be kept of a registry (`probe keep`), and what deletions would break (`probe keep --check`).

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::args::{KeepArgs, PageArg};
use super::error::Error;
use super::exit::Exit;
use super::output;
use super::progress::Screen;
use super::run::client;
use super::settings::{KeepSettings, Named, Sources, kept};
use super::signals::Signals;
use crate::content::{Deletion, Gap, Holdings, Kept, Root, breakage};
use crate::oci::{Printable, Reference, Repository};
use crate::registry::client::HttpRegistry;
use crate::render::keep as render;
use crate::report::{Record, SkipReason, Sweep};
use crate::service::Target;
use crate::sweep::{self, Inventory, Policy, Scope, Source};
use crate::{content, registry};

/// As many gaps as are told.
const MOST_GAPS: usize = 50;

/// The registry, and what is asked of its content.
pub(super) struct Keeping {
    settings: KeepSettings,
}

/// The content of a registry, and the sweeps that saw it.
pub(super) struct Seen {
    pub(super) holdings: Holdings,
    pub(super) sweeps: Vec<Sweep>,
    /// Repositories that have what somebody names, and of which no list of tags was read.
    unlisted: BTreeSet<Repository>,
}

impl Keeping {
    pub(super) fn resolve(sources: &Sources) -> Result<Self, Error> {
        let settings = kept(sources)?;
        Ok(Self { settings })
    }

    /// Reads what there is, and prints the list, or what the deletions would break.
    pub(super) async fn run(self, color: bool, screen: &Screen) -> Result<Exit, Error> {
        let cancel = CancellationToken::new();
        let signals = Signals::listen(&cancel)?;
        let KeepSettings {
            target,
            args,
            deletions,
            named,
        } = self.settings;
        let (mut roots, mut gaps) = of_documents(named);
        roots.retain(|root| target.policy.scope.takes(&root.repository));
        gaps.extend(in_use(&target, &mut roots, &cancel).await);
        let policy = target.policy;
        let registry = client(target.http)?;
        let looking = look(&registry, &policy, &roots, &cancel);
        let seen = Box::pin(screen.during(&policy.progress, looking)).await;
        let sweeps: Vec<_> = seen.sweeps.iter().collect();
        let kept = content::kept(&seen.holdings, &roots);
        gaps.extend(content::gaps(&sweeps, &seen.holdings, &kept));
        gaps.extend(seen.unlisted.iter().map(unlisted));
        let lost = content::lost(&sweeps);
        if deletions.is_some() {
            gaps.extend(lost.iter().map(|name| unknown(name)));
        }
        // A page tells them itself.
        tell(&seen, if deletions.is_none() { &gaps } else { &[] });
        let (text, exit) = match deletions {
            Some(deletions) => {
                let checked = render::Checked {
                    registry: policy.registry,
                    deletions: deletions.iter().map(Deletion::name).collect(),
                    unknown: unknown_tags(&seen.holdings, &deletions, &gaps),
                    breaks: breakage(&seen.holdings, &roots, &deletions, args.delete_by_digest),
                    gaps: &gaps,
                };
                let is_json = args.page.output == PageArg::Json;
                let text = if is_json {
                    checked.json()
                } else {
                    checked.text(color)
                };
                (text, exit(&checked))
            }
            None if gaps.is_empty() => {
                let text = list(&policy.registry, &args, &kept, &lost);
                (text, Exit::Intact)
            }
            None => return Ok(signals.exit().unwrap_or(Exit::Unverified)),
        };
        if let Some(exit) = signals.exit() {
            return Ok(exit);
        }
        let exit = if print(text, &cancel).await {
            exit
        } else {
            Exit::Unverified
        };
        Ok(signals.exit().unwrap_or(exit))
    }
}

/// That a repository has more than what somebody names.
fn unlisted(repository: &Repository) -> Gap {
    Gap {
        repository: Some(repository.clone()),
        what: "its images are in use, and the registry does not list it, so its tags are not known: name all repositories \
               (--repos-file)"
            .into(),
    }
}

/// The tags that are to be deleted and that the registry has not, of repositories that were read.
fn unknown_tags(holdings: &Holdings, deletions: &[Deletion], gaps: &[Gap]) -> Vec<String> {
    let is_read = |deletion: &&Deletion| {
        let mut gaps = gaps.iter().map(|gap| gap.repository.as_ref());
        !gaps.any(|gap| gap.is_none_or(|repository| *repository == deletion.repository))
    };
    let is_there = |deletion: &&Deletion| match &deletion.reference {
        Reference::Tag(tag) => {
            let contents = holdings.get(&deletion.repository);
            contents.is_some_and(|contents| contents.tags.contains_key(tag))
        }
        // That nothing leads to a manifest is why it is deleted.
        Reference::Digest(_) => true,
    };
    let unknown = deletions
        .iter()
        .filter(is_read)
        .filter(|deletion| !is_there(deletion));
    unknown.map(Deletion::name).collect()
}

/// That a manifest which is not there may have named what is to be deleted.
fn unknown(name: &str) -> Gap {
    Gap {
        repository: None,
        what: format!("{name} is not there, and what it named is not known").into(),
    }
}

/// The list of what must be kept. Says what is lost.
fn list(registry: &str, args: &KeepArgs, kept: &Kept, lost: &BTreeSet<String>) -> String {
    for name in lost.iter().take(MOST_GAPS) {
        tracing::warn!("{name} is not there: what it named may be, and is not in the list");
    }
    match args.page.output {
        PageArg::Text => render::list(kept, args.blobs, lost),
        PageArg::Json => render::list_json(registry, kept, args.blobs, lost),
    }
}

fn exit(checked: &render::Checked<'_>) -> Exit {
    match (checked.breaks.is_empty(), checked.gaps.is_empty()) {
        (false, _) => Exit::Broken,
        (true, false) => Exit::Unverified,
        (true, true) => Exit::Intact,
    }
}

/// Prints a text that is of no use in part. Whether that worked.
async fn print(text: String, cancel: &CancellationToken) -> bool {
    let printing = tokio::task::spawn_blocking(move || output::print_whole(text.as_bytes()));
    tokio::select! {
        is_printed = printing => is_printed.unwrap_or(false),
        () = cancel.cancelled() => false,
    }
}

/// What documents name, and what of that is a gap.
fn of_documents(named: Named) -> (Vec<Root>, Vec<Gap>) {
    if named.not_taken > 0 {
        let count = named.not_taken;
        tracing::warn!(
            "{count} texts in documents were not taken for images: `probe verify` lists them"
        );
    }
    let gap = |written: Printable| Gap {
        repository: None,
        what: format!("--images-from: `{written}` is no name of an image, or still to be resolved")
            .into(),
    };
    let mut gaps: Vec<_> = named.unresolved.into_iter().map(gap).collect();
    if named.is_of_others {
        let why = "--images-from: nothing in it is of this registry; is --public-name what it is called there?";
        gaps.push(Gap {
            repository: None,
            what: why.into(),
        });
    }
    (named.roots, gaps)
}

/// Adds what is in use. What cannot be learnt of that is a gap.
async fn in_use(target: &Target, roots: &mut Vec<Root>, cancel: &CancellationToken) -> Vec<Gap> {
    let Some(source) = &target.in_use else {
        return Vec::new();
    };
    let read = tokio::select! {
        read = source.images(target) => read,
        () = cancel.cancelled() => Err("it was told to stop".to_owned()),
    };
    let gap = |what: String| {
        let what = format!("--in-use {}: {what}", source.name).into();
        let repository = None;
        vec![Gap { repository, what }]
    };
    match read {
        Ok(images) => {
            for image in images {
                roots.extend(image.workloads.iter().map(|workload| Root {
                    repository: image.repository.clone(),
                    reference: image.reference.clone(),
                    origin: workload.origin.to_string().into(),
                }));
            }
            Vec::new()
        }
        Err(why) => gap(why),
    }
}

/// Says what keeps the list from being proven, and what is not in it on purpose.
fn tell(seen: &Seen, gaps: &[Gap]) {
    for gap in gaps.iter().take(MOST_GAPS) {
        let place = gap.repository.as_ref().map(|name| format!("{name}: "));
        tracing::error!("not known: {}{}", place.unwrap_or_default(), gap.what);
    }
    if gaps.len() > MOST_GAPS {
        tracing::error!("not known: {} more", gaps.len() - MOST_GAPS);
    }
    for sweep in &seen.sweeps {
        let left_out = sweep.skipped.get(&SkipReason::RepositoryFilter);
        if let Some(count) = left_out {
            tracing::warn!("filters leave out {count} repositories, and nothing of them is listed");
        }
        for warning in &sweep.warnings {
            tracing::warn!("{warning}");
        }
    }
}

/// Sweeps a registry, and then what the roots name besides.
async fn look(
    registry: &HttpRegistry,
    policy: &Policy,
    roots: &[Root],
    cancel: &CancellationToken,
) -> Seen {
    let (sweep, holdings) = noted(registry, policy.clone(), cancel).await;
    let mut seen = Seen {
        holdings,
        sweeps: vec![sweep],
        unlisted: BTreeSet::new(),
    };
    let unseen = roots.iter().filter(|root| !root.is_seen(&seen.holdings));
    let named: BTreeSet<_> = unseen
        .map(|root| (root.repository.clone(), root.reference.clone()))
        .collect();
    if !named.is_empty() {
        let policy = Policy {
            scope: Scope::new(Source::Images(sweep::with_control(named, &seen.holdings))),
            ..policy.clone()
        };
        let (sweep, more) = noted(registry, policy, cancel).await;
        for (repository, contents) in more {
            if !seen.holdings.contains_key(&repository) && !contents.manifests.is_empty() {
                seen.unlisted.insert(repository.clone());
            }
            let known = seen.holdings.entry(repository).or_default();
            known.tags.extend(contents.tags);
            known.manifests.extend(contents.manifests);
        }
        seen.sweeps.push(sweep);
    }
    seen
}

/// Sweeps, and notes the content.
pub(super) async fn noted<R: registry::Registry>(
    registry: &R,
    mut policy: Policy,
    cancel: &CancellationToken,
) -> (Sweep, Holdings) {
    let inventory = Arc::new(Inventory::of_all());
    policy.inventory = Some(Arc::clone(&inventory));
    let nothing = Record::new(policy.registry.clone());
    let sweep = Box::pin(sweep::sweep(registry, &policy, &nothing, cancel)).await;
    (sweep, inventory.take())
}
