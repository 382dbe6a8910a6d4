//! Looking again, and what only the end of a sweep shows of its findings: whether the registry, and what stands
//! in front of it, still answers as it did; whether a page is how a storage says "absent".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::control::{Controls, answers};
use super::judge;
use super::ledger::Ledger;
use super::looking::nothing;
use super::memory_limits::NamesLimit;
use super::owner::{Crawl, Task};
use super::progress::WaitReason;
use super::refusals::Refusals;
use super::scope::Source;
use super::walk::Endpoint;
use super::walk::Walked;
use super::walk::page;
use super::{likeness, nearby};
use crate::oci::{Printable, Reference, Repository};
use crate::registry::{Answer, ListEnd, Refusal, Registry};
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::report::{Finding, Outcome, Presence, Reason};

/// Times that a sweep looks through a catalog that it reads again for what the first one did not name: a
/// registry may name something else each time.
const MOST_CATALOGS: u8 = 4;
/// Repositories in a row whose page is that of something in between, after which all others' are, too.
const MOST_FOREIGN: u32 = 32;

impl<R: Registry> Crawl<'_, R> {
    /// Waits, and puts whatever was not plainly intact on the list again, over new connections.
    pub(super) async fn prepare_another_look(
        &mut self,
        wait: Duration,
        deadline: Option<Instant>,
    ) -> Result<(), Unverified> {
        // Rather an early look than none before the deadline.
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = left.map_or(wait, |left| wait.min(left / 3));
        let repositories = self.doubtful.len();
        if !self.policy.is_repeated && wait.is_zero() {
            tracing::info!(repositories, "looking again at what is not plainly intact");
        } else if !self.policy.is_repeated {
            tracing::warn!(
                repositories,
                ?wait,
                "looking again at what is not plainly intact"
            );
        }
        let progress = &self.policy.progress;
        progress.sleep(WaitReason::SecondLook, wait).await;
        self.registry = self.registry.reconnected();
        answers(&self.registry, &self.controls).await?;
        let unlisted = self.unlisted_now().await;
        self.room = NamesLimit::default();
        self.troubles_in_a_row = 0;
        self.refusals = Refusals::default();
        // Names in their order, so that a sweep asks the same in the same order each time.
        self.doubtful
            .sort_unstable_by(|a, b| a.repository.cmp(&b.repository));
        for before in self.doubtful.drain(..) {
            self.waiting.push_back(Task {
                repository: before.repository.clone(),
                is_listed: !unlisted.contains(&before.repository),
                before: Some(Box::new(before)),
            });
        }
        Ok(())
    }

    /// The repositories that the catalog, read again, does not name: of those that it did not name before, and
    /// of those whose list of tags was not there. What it names and no look has seen is put on the list.
    async fn unlisted_now(&mut self) -> BTreeSet<Repository> {
        let doubtful = self.doubtful.iter();
        let unlisted = doubtful.clone().filter(|walked| walked.is_unlisted);
        let gone = doubtful.filter(|walked| walked.presence == Presence::Gone);
        let name = |walked: &Walked| walked.repository.clone();
        let (unlisted, gone): (BTreeSet<_>, BTreeSet<_>) =
            (unlisted.map(name).collect(), gone.map(name).collect());
        if unlisted.is_empty() && gone.is_empty() || self.policy.scope.source != Source::Catalog {
            return BTreeSet::new();
        }
        let catalog = self.registry.repositories().await;
        // A catalog that is not read, or empty, takes nothing from the list.
        if catalog.end != ListEnd::Whole || catalog.is_empty() {
            return unlisted;
        }
        let mut names = &unlisted | &gone;
        for listed in &catalog.items {
            names.remove(listed);
        }
        if self.catalogs_reread < MOST_CATALOGS {
            self.catalogs_reread += 1;
            self.wait_for_new(catalog.items);
        }
        names
    }

    /// Settles what only the end of a sweep shows.
    pub(super) async fn conclude(&mut self) {
        let concurrency = self.policy.concurrency.get();
        take_back_what_is_no_fault(&self.registry, &self.controls, &mut self.ledger).await;
        let findings = self.ledger.findings();
        nearby::look(&self.registry, &self.copies, findings, concurrency).await;
        likeness::drop_unlike(&self.registry, findings, concurrency).await;
        if self.is_in_doubt
            && let Err(why) = self.is_still_there().await
        {
            self.ledger.listing_failed(why);
        }
    }

    /// Where the sweep was cut short, takes back what only its end would have shown to be the objects' fault.
    pub(super) fn take_back_what_was_not_vetted(&mut self, cut_short: &Unverified) {
        let (controls, ledger) = (&self.controls, &mut self.ledger);
        let is_told_to = matches!(
            cut_short.reason,
            UnverifiedReason::Cancelled | UnverifiedReason::Deadline
        );
        ledger.take_back(|finding| {
            let page = is_page(finding).then(|| unvetted(cut_short, finding));
            let outage = (!is_told_to && is_like_an_outage(finding)).then(|| cut_short.clone());
            page.or_else(|| unreadable(finding, controls)).or(outage)
        });
        for finding in std::mem::take(&mut ledger.deleted_by_page) {
            let why = unvetted(cut_short, &finding);
            ledger.obstruct(Some(finding.repository), &why);
        }
    }

    /// Asks whether the registry still is the one that was listed. A store that is unmounted or
    /// emptied under it answers 404 to everything, which is what a registry without tags does.
    async fn is_still_there(&mut self) -> Result<(), Unverified> {
        answers(&self.registry, &self.controls).await?;
        let was_listed = self.ledger.repositories_listed > 0;
        if was_listed && self.controls.is_empty() && self.policy.scope.source == Source::Catalog {
            let listing = self.registry.repositories().await;
            if listing.is_empty() {
                let detail = "the catalog is empty now, and was not a moment ago";
                return Err(Unverified::new(UnverifiedReason::RegistryError, detail));
            }
            for name in listing.items {
                if self.ledger.missing.remove(&name).is_some() {
                    let detail = "the catalog lists it now, and did not before";
                    let why = Unverified::new(UnverifiedReason::RegistryError, detail);
                    self.ledger.obstruct(Some(name), &why);
                }
            }
        }
        Ok(())
    }
}

/// Takes back the findings that are not the objects' fault.
async fn take_back_what_is_no_fault<R: Registry>(
    registry: &R,
    controls: &Controls,
    ledger: &mut Ledger,
) {
    ledger.take_back(|finding| unreadable(finding, controls));
    vet_pages(registry, controls, ledger).await;
    // A network that broke down in the meantime fails on the broken and on the intact alike.
    if ledger.findings().iter().any(is_like_an_outage)
        && let Err(outage) = answers(registry, controls).await
    {
        ledger.take_back(|finding| is_like_an_outage(finding).then(|| outage.clone()));
    }
}

/// A web page of which nobody found out whose it is.
fn unvetted(cut_short: &Unverified, finding: &Finding) -> Unverified {
    let detail = format!("{}; {}", cut_short.detail, page(&finding.defect).detail);
    Unverified::new(cut_short.reason, detail)
}

/// Where nothing of its kind was ever readable, it may not be the object's fault.
fn unreadable(finding: &Finding, controls: &Controls) -> Option<Unverified> {
    let is_it = finding.defect.reason == Reason::Unreadable;
    if !is_it || controls.has_kind_of(endpoint(finding)) {
        return None;
    }
    let evidence = &finding.defect.evidence;
    let detail = format!(
        "{}, and nothing else was found to answer better",
        evidence.answer()
    );
    Some(Unverified::new(UnverifiedReason::RegistryError, detail))
}

/// Whether a network or a registry in trouble could have made such a finding.
fn is_like_an_outage(finding: &Finding) -> bool {
    matches!(
        finding.defect.reason,
        Reason::ShortRead | Reason::Unreadable | Reason::Inconsistent
    )
}

fn endpoint(finding: &Finding) -> Endpoint {
    if finding.kind.is_blob() {
        Endpoint::Blobs
    } else {
        Endpoint::Manifests
    }
}

/// A 404 that is a web page is that of something in between, unless what answers gives the same for what
/// nobody has, and delivers what is intact before and after (Swift, and S3 as a website, do).
async fn vet_pages<R: Registry>(registry: &R, controls: &Controls, ledger: &mut Ledger) {
    let mut vetted = BTreeMap::new();
    let mut foreign_in_a_row = 0;
    let unlisted = std::mem::take(&mut ledger.deleted_by_page);
    let findings = ledger.findings().iter().chain(&unlisted);
    for finding in findings.filter(|finding| is_page(finding)) {
        let place = place(finding);
        if foreign_in_a_row < MOST_FOREIGN && !vetted.contains_key(&place) {
            let is_own = is_page_of_storage(registry, controls, finding).await
                || is_own_page(registry, controls, finding, place.1).await;
            foreign_in_a_row = if is_own { 0 } else { foreign_in_a_row + 1 };
            vetted.insert(place, is_own);
        }
    }
    let foreign = |finding: &Finding| {
        let is_own = vetted.get(&place(finding)).copied().unwrap_or_default();
        (is_page(finding) && !is_own).then(|| page(&finding.defect))
    };
    ledger.take_back(foreign);
    for finding in unlisted {
        if let Some(why) = foreign(&finding) {
            ledger.obstruct(Some(finding.repository), &why);
        }
    }
}

fn is_page(finding: &Finding) -> bool {
    let is_absence = matches!(
        finding.defect.reason,
        Reason::NotFound | Reason::StorageMissing
    );
    is_absence && finding.defect.evidence.is_page()
}

/// Where a page says that a finding is absent: in which repository and of which kind, and whether from the
/// storage behind the registry.
fn place(finding: &Finding) -> (Repository, Endpoint, bool) {
    let is_of_storage = finding.defect.reason == Reason::StorageMissing;
    (finding.repository.clone(), endpoint(finding), is_of_storage)
}

/// Whether a page is how the storage that the registry redirects to says "absent": it says so still, and that
/// same storage delivers what is intact before and after. The registry itself knows of what nobody has, and
/// does not redirect for it, so that cannot be compared.
async fn is_page_of_storage<R: Registry>(
    registry: &R,
    controls: &Controls,
    finding: &Finding,
) -> bool {
    let Some(digest) = finding.digest.as_ref().filter(|_| finding.kind.is_blob()) else {
        return false;
    };
    let asked_again = async || {
        let answer = registry.blob(&finding.repository, digest, finding.size, Depth::Tail);
        let refusal = refusal(answer.await).filter(|refusal| refusal.is_page);
        refusal.and_then(|refusal| refusal.storage)
    };
    let Some(storage) = asked_again().await else {
        return false;
    };
    let delivers = async || controls.delivers_from(registry, &storage).await;
    delivers().await && asked_again().await.as_ref() == Some(&storage) && delivers().await
}

async fn is_own_page<R: Registry>(
    registry: &R,
    controls: &Controls,
    finding: &Finding,
    endpoint: Endpoint,
) -> bool {
    let is_redirected = finding.defect.reason == Reason::StorageMissing;
    let repository = &finding.repository;
    let digest = nothing();
    let nobody_has = async || match endpoint {
        Endpoint::Manifests => {
            let reference = Reference::Digest(digest.clone());
            refusal(registry.manifest(repository, &reference).await)
        }
        Endpoint::Blobs => refusal(registry.blob(repository, &digest, None, Depth::Head).await),
    };
    let is_same = |refusal: Refusal| refusal.is_page && refusal.storage.is_some() == is_redirected;
    let delivers = async || {
        if controls.is_empty() {
            is_unlisted(registry, finding).await
        } else {
            controls.delivers(registry, endpoint).await
        }
    };
    delivers().await && nobody_has().await.is_some_and(is_same) && delivers().await
}

/// Whether a whole list lacks the tags of a finding: what a registry has to show in which nothing is intact.
async fn is_unlisted<R: Registry>(registry: &R, finding: &Finding) -> bool {
    let listing = registry.tags(&finding.repository).await;
    let has = |tag| listing.items.contains(tag);
    listing.end == ListEnd::Whole && !finding.tags.iter().any(has)
}

fn refusal<T>(answer: Answer<T>) -> Option<Refusal> {
    match answer {
        Answer::Absent(refusal) => Some(refusal),
        Answer::Found(_) | Answer::Failing(_) | Answer::Unverified(_) => None,
    }
}

impl Controls {
    /// Whether an object of this kind that was intact a moment ago is delivered.
    async fn delivers<R: Registry>(&self, registry: &R, endpoint: Endpoint) -> bool {
        match endpoint {
            Endpoint::Manifests => {
                let Some((repository, digest)) = self.manifest() else {
                    return false;
                };
                let reference = Reference::Digest(digest.clone());
                let answer = registry.manifest(repository, &reference).await;
                judge::manifest(Some(digest), answer).0.outcome == Outcome::Intact
            }
            Endpoint::Blobs => self.delivered(registry).await.is_some(),
        }
    }

    /// Whether a blob that was intact a moment ago is delivered by this storage.
    async fn delivers_from<R: Registry>(&self, registry: &R, storage: &Printable) -> bool {
        let delivered = self.delivered(registry).await;
        delivered.is_some_and(|from| from.as_ref() == Some(storage))
    }

    /// Who delivers a blob that was intact a moment ago, if any of them is delivered: the registry itself, or
    /// the storage behind it.
    async fn delivered<R: Registry>(&self, registry: &R) -> Option<Option<Printable>> {
        for (repository, digest, size) in self.blobs() {
            let answer = registry.blob(repository, digest, *size, Depth::Tail).await;
            let from = match &answer {
                Answer::Found(look) => look.storage.clone(),
                _ => None,
            };
            if judge::blob(digest, *size, answer).outcome == Outcome::Intact {
                return Some(from);
            }
        }
        None
    }
}
