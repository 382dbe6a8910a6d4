//! Images in use held against what a sweep saw: which of them could not be pulled again, and by whom.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::Contents;
use crate::oci::{Descriptor, Digest, Document, MediaKind, Reference, Repository};
use crate::report::{Finding, InUseFinding, Platform, Sweep, Workload, Wrong};

/// An image of a registry that is in use.
#[derive(Clone, Debug)]
pub struct UsedImage {
    /// As the pods write it.
    pub written: String,
    /// Where it is.
    pub repository: Repository,
    /// What a pull asks for.
    pub reference: Reference,
    /// Who uses it.
    pub workloads: Vec<Workload>,
}

/// What a sweep says of an image in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing: it was not looked at.
    NotSeen,
    /// That this keeps it from being pulled, or nothing does.
    Judged(Vec<InUseFinding>),
    /// That something in its repository could not be verified, and nothing is known to be broken.
    Unknown,
}

/// A sweep, arranged for questions about images.
pub struct Sights<'a> {
    seen: &'a BTreeMap<Repository, Contents>,
    findings: BTreeMap<&'a Repository, Vec<&'a Finding>>,
    unverified: BTreeSet<&'a Repository>,
    is_listed: bool,
}

impl<'a> Sights<'a> {
    /// What a sweep found, and what it `seen` by the way. `is_listed` says whether it looked at what the registry
    /// lists, and so reports what is broken of it itself.
    #[must_use]
    pub fn new(
        sweep: &'a Sweep,
        seen: &'a BTreeMap<Repository, Contents>,
        is_listed: bool,
    ) -> Self {
        let mut findings = BTreeMap::<_, Vec<_>>::new();
        for finding in &sweep.findings {
            findings
                .entry(&finding.repository)
                .or_default()
                .push(finding);
        }
        let results = sweep.repositories.iter();
        let unverified = results.filter(|result| result.unverified > 0);
        Self {
            seen,
            findings,
            unverified: unverified.map(|result| &result.name).collect(),
            is_listed,
        }
    }

    /// What the sweep says of an image.
    #[must_use]
    pub fn judge(&self, image: &UsedImage) -> Judgement {
        let contents = self.seen.get(&image.repository);
        let digest = match &image.reference {
            Reference::Digest(digest) => Some(digest),
            Reference::Tag(tag) => contents.and_then(|contents| contents.tags.get(tag)),
        };
        let manifests = contents.map(|contents| &contents.manifests);
        let document = digest.and_then(|digest| manifests?.get(digest));
        let inside = self.findings.get(&image.repository);
        let findings = inside
            .into_iter()
            .flatten()
            .filter(|finding| match &image.reference {
                Reference::Tag(tag) => finding.tags.contains(tag),
                Reference::Digest(digest) => breaks(finding, digest, document),
            });
        let mut told = Vec::<InUseFinding>::new();
        for finding in findings {
            let hurt = image.workloads.iter();
            let hurt = hurt.filter(|user| is_hurt(user, finding, document));
            self.tell(
                &mut told,
                image,
                Wrong::Promise(finding.defect.reason),
                finding,
                hurt,
            );
        }
        if let Some(document) = document {
            let lacking = image
                .workloads
                .iter()
                .filter(|user| lacks(document, user.platform.as_ref()));
            told.extend(without_platform(image, document, lacking));
        }
        let is_verified = !self.unverified.contains(&image.repository);
        match (document, told.is_empty()) {
            (_, false) => Judgement::Judged(told),
            (Some(_), true) if is_verified => Judgement::Judged(told),
            (Some(_), true) => Judgement::Unknown,
            (None, true) if !is_verified && !self.is_listed => Judgement::Unknown,
            (None, true) => Judgement::NotSeen,
        }
    }

    /// Notes what is broken of an image, once for each reason.
    fn tell<'b>(
        &self,
        told: &mut Vec<InUseFinding>,
        image: &UsedImage,
        reason: Wrong,
        finding: &Finding,
        hurt: impl Iterator<Item = &'b Workload>,
    ) {
        let known = told.iter_mut().find(|known| known.reason == reason);
        if let Some(known) = known {
            for workload in hurt {
                if !known.workloads.contains(workload) {
                    known.workloads.push(workload.clone());
                }
            }
            return;
        }
        let workloads: Vec<_> = hurt.cloned().collect();
        if workloads.is_empty() {
            return;
        }
        let object = finding.digest.as_ref().map(|digest| format!(" {digest}"));
        let detail = format!("{}{}", finding.kind, object.unwrap_or_default());
        told.push(InUseFinding {
            kind: finding.kind,
            reason,
            detail: detail.into(),
            is_listed: self.is_listed,
            workloads,
            ..named(image)
        });
    }
}

/// A finding about an image, whose rest is to be said.
fn named(image: &UsedImage) -> InUseFinding {
    InUseFinding {
        image: (&image.written).into(),
        repository: image.repository.clone(),
        reference: image.reference.to_string().into(),
        kind: crate::report::Kind::Child,
        reason: Wrong::PlatformMissing,
        detail: "".into(),
        is_listed: false,
        workloads: Vec::new(),
    }
}

/// Whether what is broken keeps a manifest from being pulled. The walk names the manifests that tags lead to; of
/// others it is told by what they name.
fn breaks(finding: &Finding, digest: &Digest, document: Option<&Document>) -> bool {
    let is_it = finding.digest.as_ref() == Some(digest) || finding.parent.as_ref() == Some(digest);
    let names = |broken: &Option<Digest>| {
        let document = document.into_iter();
        let mut named =
            document.flat_map(|it| it.children.iter().chain(&it.config).chain(&it.layers));
        broken
            .as_ref()
            .is_some_and(|broken| named.any(|one| one.digest == *broken))
    };
    is_it
        || finding.nearby.pointed_to.contains(digest)
        || names(&finding.digest)
        || names(&finding.parent)
}

/// The children that are images for a platform.
fn images(document: &Document) -> impl Iterator<Item = &Descriptor> {
    document.children.iter().filter(|child| !child.attestation)
}

/// The image of an index that a node pulls, by its platform; `None` where none is for it, or that is not known.
fn pulled<'a>(document: &'a Document, node: Option<&Platform>) -> Option<&'a str> {
    let node = node?;
    let stated = images(document).filter_map(|child| child.platform.as_deref());
    let ranked = stated.filter_map(|text| Some((node.rank(&text.parse().ok()?)?, text)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, text)| text)
}

/// Whether what is broken is of the image that a user's nodes pull, as far as that is known.
fn is_hurt(user: &Workload, finding: &Finding, document: Option<&Document>) -> bool {
    let pulled = document.and_then(|document| pulled(document, user.platform.as_ref()));
    pulled.is_none_or(|platform| {
        finding.platforms.is_empty() || finding.platforms.iter().any(|broken| **broken == *platform)
    })
}

/// Whether an index has surely no image for a node.
fn lacks(document: &Document, node: Option<&Platform>) -> bool {
    document.kind == MediaKind::Index
        && node.is_some()
        && images(document).all(|child| child.platform.is_some())
        && images(document).next().is_some()
        && pulled(document, node).is_none()
}

/// The finding that an index has no image for some users.
fn without_platform<'a>(
    image: &UsedImage,
    document: &Document,
    users: impl Iterator<Item = &'a Workload>,
) -> Option<InUseFinding> {
    let workloads: Vec<_> = users.cloned().collect();
    let wanted: BTreeSet<_> = workloads
        .iter()
        .filter_map(|user| user.platform.as_ref())
        .collect();
    let wanted: Vec<_> = wanted.into_iter().map(ToString::to_string).collect();
    let there: Vec<_> = images(document)
        .filter_map(|child| child.platform.as_deref())
        .take(8)
        .collect();
    let detail = format!(
        "no image for {}, but for {}",
        wanted.join(", "),
        there.join(", ")
    );
    (!workloads.is_empty()).then(|| InUseFinding {
        detail: detail.into(),
        workloads,
        ..named(image)
    })
}
