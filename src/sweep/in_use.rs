//! Images in use held against what a sweep saw: which of them could not be pulled again, and by whom.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::Contents;
use crate::oci::{Descriptor, Digest, Document, MediaKind, Printable, Reference, Repository};
use crate::report::{
    Finding, InUseFinding, Kind, Platform, Reason, Sweep, Workload, Wrong, windows_runs,
};

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
    is_sparse: bool,
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
            is_sparse: false,
        }
    }

    /// Of a mirror, which may leave out children: one that is not there hurts whose nodes are known to pull it.
    #[must_use]
    pub fn of_mirror(mut self, is_mirror: bool) -> Self {
        self.is_sparse = is_mirror;
        self
    }

    /// The users of an image whose nodes pull a child that the sweep took for left out.
    #[must_use]
    pub fn left_out(&self, image: &UsedImage) -> Vec<Workload> {
        let contents = self.seen.get(&image.repository);
        let Some((contents, document)) = contents.and_then(|contents| {
            let digest = match &image.reference {
                Reference::Digest(digest) => digest,
                Reference::Tag(tag) => contents.tags.get(tag)?,
            };
            Some((contents, contents.manifests.get(digest)?))
        }) else {
            return Vec::new();
        };
        let pulls_it = |user: &&Workload| {
            let child = pulled(document, user);
            child.is_some_and(|child| contents.left_out.contains(&child.digest))
        };
        image.workloads.iter().filter(pulls_it).cloned().collect()
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
        let below = match (&image.reference, manifests) {
            (Reference::Digest(digest), Some(manifests)) if inside.is_some() => {
                reach(digest, manifests)
            }
            _ => BTreeSet::new(),
        };
        let findings = inside
            .into_iter()
            .flatten()
            .filter(|finding| match &image.reference {
                Reference::Tag(tag) => finding.tags.contains(tag),
                Reference::Digest(digest) => breaks(finding, digest, &below),
            });
        let mut told = Vec::<InUseFinding>::new();
        for finding in findings {
            let hurt = image.workloads.iter();
            let hurt = hurt.filter(|user| {
                is_hurt(user, finding, document)
                    && !(self.is_sparse && may_do_without(user, finding, document, inside))
            });
            self.tell(
                &mut told,
                image,
                Wrong::Promise(finding.defect.reason),
                finding,
                hurt,
            );
        }
        if let Some(document) = document {
            let lacking = image.workloads.iter().filter(|user| lacks(document, user));
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
        let object = finding.digest.as_ref().map(ToString::to_string);
        told.push(InUseFinding {
            kind: finding.kind,
            reason,
            detail: object.unwrap_or_default().into(),
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
/// others it is told by what is `below` them. An object has one of its parents in a finding, and may have several.
fn breaks(finding: &Finding, digest: &Digest, below: &BTreeSet<&Digest>) -> bool {
    if finding.is_of_referrers() {
        return false;
    }
    let broken = finding.digest.iter().chain(&finding.parent);
    let mut broken = broken.filter(|broken| *broken == digest || below.contains(broken));
    finding.nearby.pointed_to.contains(digest) || broken.next().is_some()
}

/// All that a manifest leads to, as far as its manifests were read.
fn reach<'a>(
    digest: &'a Digest,
    manifests: &'a BTreeMap<Digest, Document>,
) -> BTreeSet<&'a Digest> {
    let (mut below, mut waiting) = (BTreeSet::new(), vec![digest]);
    while let Some(digest) = waiting.pop() {
        let Some(document) = manifests.get(digest) else {
            continue;
        };
        let blobs = document.config.iter().chain(&document.layers);
        let named = document.children.iter().chain(blobs);
        let new = named
            .map(|one| &one.digest)
            .filter(|one| below.insert(*one));
        waiting.extend(new.collect::<Vec<_>>());
    }
    below
}

/// The children that are images for a platform.
fn images(document: &Document) -> impl Iterator<Item = &Descriptor> {
    document.children.iter().filter(|child| !child.attestation)
}

/// What a child says of its platform, and the same as platforms are compared; `None` if it says nothing of use. An
/// empty variant is none.
fn stated(child: &Descriptor) -> Option<(&str, Platform)> {
    let text = child.platform.as_deref()?;
    Some((text, text.trim_end_matches('/').parse().ok()?))
}

/// The image of an index that a user's nodes pull; several for Windows, where they run some, and nobody knows which.
fn candidates<'a>(document: &'a Document, user: &Workload) -> Vec<(&'a str, &'a Descriptor)> {
    let Some(node) = &user.platform else {
        return Vec::new();
    };
    let ranked = images(document).filter_map(|child| {
        let (text, platform) = stated(child)?;
        let rank = node.rank(&platform)?;
        let version = version(text);
        let runs = match &user.os_version {
            Some(build) if !version.is_empty() => windows_runs(build, version),
            _ => true,
        };
        // Of those for Windows the one with the greatest version, as text (containerd/platforms, `Less`).
        runs.then_some((rank, std::cmp::Reverse(version), text, child))
    });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(rank, version, ..)| (*rank, *version));
    let mut versions = ranked.iter().map(|(_, version, ..)| version);
    let first = versions.next();
    if user.os_version.is_some() || versions.all(|other| Some(other) == first) {
        ranked.truncate(1);
    }
    let ranked = ranked.into_iter();
    ranked.map(|(_, _, text, child)| (text, child)).collect()
}

/// What a platform states as the version of Windows.
fn version(platform: &str) -> &str {
    let version = platform.strip_prefix("windows(");
    let version = version.and_then(|rest| rest.split_once(')'));
    version.map_or("", |(version, _)| version)
}

/// The image of an index that a user's nodes pull; `None` where none is for them, or that is not known.
fn pulled<'a>(document: &'a Document, user: &Workload) -> Option<&'a Descriptor> {
    match candidates(document, user).as_slice() {
        [(_, child)] => Some(child),
        _ => None,
    }
}

/// Whether what is broken is of the image that a user's nodes pull, as far as that is known. Where there is none for
/// them, they need nothing of it.
fn is_hurt(user: &Workload, finding: &Finding, document: Option<&Document>) -> bool {
    if document.is_some_and(|document| lacks(document, user)) {
        return false;
    }
    let candidates = document.map(|document| candidates(document, user));
    let candidates = candidates.unwrap_or_default();
    let is_pulled = |broken: &Printable| {
        let mut pulled = candidates
            .iter()
            .map(|(text, _)| text.trim_end_matches('/'));
        pulled.any(|text| text == broken.trim_end_matches('/'))
    };
    candidates.is_empty() || finding.platforms.is_empty() || finding.platforms.iter().any(is_pulled)
}

/// Whether a child that is not there may be one that a mirror leaves out and a user's nodes do without: which they
/// pull is not known, and another is there.
fn may_do_without(
    user: &Workload,
    finding: &Finding,
    document: Option<&Document>,
    all: Option<&Vec<&Finding>>,
) -> bool {
    let is_absence = |it: &Finding| (it.kind, it.defect.reason) == (Kind::Child, Reason::NotFound);
    let is_absent = |child: &Descriptor| {
        let mut all = all.into_iter().flatten().filter(|it| is_absence(it));
        all.any(|it| it.digest.as_ref() == Some(&child.digest))
    };
    is_absence(finding)
        && document.is_some_and(|document| {
            pulled(document, user).is_none() && !images(document).all(is_absent)
        })
}

/// Whether an index has surely no image for a node.
fn lacks(document: &Document, user: &Workload) -> bool {
    document.kind == MediaKind::Index
        && user.platform.is_some()
        && images(document).all(|child| stated(child).is_some())
        && images(document).next().is_some()
        && candidates(document, user).is_empty()
}

/// The findings that an index has no image for some users, one for each platform: whoever lacks one is not told those
/// that others lack.
fn without_platform<'a>(
    image: &UsedImage,
    document: &Document,
    users: impl Iterator<Item = &'a Workload>,
) -> Vec<InUseFinding> {
    let mut lacking = BTreeMap::<_, Vec<_>>::new();
    for user in users {
        if let Some(platform) = &user.platform {
            let node = match &user.os_version {
                Some(build) => platform
                    .to_string()
                    .replacen('/', &format!("({build})/"), 1),
                None => platform.to_string(),
            };
            lacking.entry(node).or_default().push(user.clone());
        }
    }
    let there: Vec<_> = images(document)
        .filter_map(|child| child.platform.as_deref())
        .take(8)
        .collect();
    let there = there.join(", ");
    let lacking = lacking.into_iter();
    let findings = lacking.map(|(platform, workloads)| InUseFinding {
        detail: format!("no image for {platform}, but for {there}").into(),
        workloads,
        ..named(image)
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Kind, Origin, Reason, RepositoryResult, fixture};

    fn digest(of: &str) -> Digest {
        Digest::sha256(of.as_bytes())
    }

    fn on(platform: &str) -> Workload {
        Workload {
            origin: Origin::default(),
            pods: 1,
            names: vec![platform.into()],
            platform: platform.parse().ok(),
            os_version: None,
            has_run: true,
        }
    }

    fn image(reference: Reference, platforms: &[&str]) -> UsedImage {
        UsedImage {
            written: "r.example/app".to_owned(),
            repository: "app".parse().expect("a name"),
            reference,
            workloads: platforms.iter().map(|platform| on(platform)).collect(),
        }
    }

    fn tag(name: &str) -> Reference {
        Reference::Tag(name.parse().expect("a tag"))
    }

    /// An index of images for these platforms; `-` states none, and `+` is an attestation.
    fn index(platforms: &[&str]) -> Document {
        let children = platforms.iter().map(|platform| {
            let platform_of = match *platform {
                "-" => String::new(),
                "+" => "\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"},\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"},".to_owned(),
                platform => {
                    let mut parts = platform.split('/');
                    let mut part = || parts.next().unwrap_or_default();
                    let (os, architecture, variant) = (part(), part(), part());
                    let (os, version) = os.split_once('(').unwrap_or((os, ""));
                    let version = version.trim_end_matches(')');
                    format!("\"platform\":{{\"os\":\"{os}\",\"os.version\":\"{version}\",\"architecture\":\"{architecture}\",\"variant\":\"{variant}\"}},")
                }
            };
            let digest = digest(platform);
            format!("{{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",{platform_of}\"digest\":\"{digest}\",\"size\":2}}")
        });
        let children: Vec<_> = children.collect();
        let text = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{}]}}",
            children.join(",")
        );
        Document::parse(text.as_bytes(), None).expect("an index")
    }

    fn seen(document: Document) -> BTreeMap<Repository, Contents> {
        let root = digest("root");
        let contents = Contents {
            tags: [("v1".parse().expect("a tag"), root.clone())].into(),
            manifests: [(root, document)].into(),
            ..Contents::default()
        };
        [("app".parse().expect("a name"), contents)].into()
    }

    fn told(
        sweep: &Sweep,
        seen: &BTreeMap<Repository, Contents>,
        image: &UsedImage,
    ) -> Result<Vec<String>, Judgement> {
        match Sights::new(sweep, seen, true).judge(image) {
            Judgement::Judged(findings) => Ok(findings
                .iter()
                .map(|found| {
                    let names = found.workloads.iter().flat_map(|user| &user.names);
                    let names: Vec<_> = names.map(|name: &Printable| &**name).collect();
                    format!("{}/{} {}", found.kind, found.reason.word(), names.join(" "))
                })
                .collect()),
            other => Err(other),
        }
    }

    #[test]
    fn an_index_lacks_a_platform_only_where_that_is_sure() {
        let sweep = fixture::sweep();
        let of = |children: &[&str], nodes: &[&str]| {
            told(&sweep, &seen(index(children)), &image(tag("v1"), nodes)).expect("it was seen")
        };
        let amd64_alone = of(&["linux/amd64", "+"], &["linux/amd64", "linux/arm64", ""]);
        assert_eq!(amd64_alone, ["child/platform_missing linux/arm64"]);
        // Each is told what it lacks itself.
        let two = of(&["linux/amd64"], &["windows/amd64", "linux/arm64"]);
        assert_eq!(
            two,
            [
                "child/platform_missing linux/arm64",
                "child/platform_missing windows/amd64"
            ]
        );
        for (children, node) in [
            (&["linux/amd64", "-"][..], "linux/arm64"),
            (&["linux/arm/v6"], "linux/arm64"),
            (&["linux/arm64/v8"], "linux/arm64"),
            (&[], "linux/arm64"),
            (&["+"], "linux/arm64"),
            (&["linux/amd64", "linux/ arm64"], "linux/arm64"),
            (&["linux/amd64"], ""),
        ] {
            assert_eq!(of(children, &[node]), [""; 0], "{children:?} {node}");
        }
    }

    #[test]
    fn what_is_broken_hurts_whose_nodes_pull_it() {
        let mut finding = fixture::finding(Kind::Layer, Reason::NotFound);
        finding.repository = "app".parse().expect("a name");
        finding.tags = vec!["v1".parse().expect("a tag")];
        finding.platforms = vec!["linux/arm64".into()];
        finding.parent = Some(digest("linux/arm64"));
        let mut sweep = fixture::sweep();
        sweep.findings = vec![finding.clone(), finding];
        let there = seen(index(&["linux/amd64", "linux/arm64"]));
        let nodes = ["linux/amd64", "linux/arm64", ""];
        let by_tag = told(&sweep, &there, &image(tag("v1"), &nodes));
        assert_eq!(by_tag, Ok(vec!["layer/not_found linux/arm64 ".to_owned()]));
        let by_digest = image(Reference::Digest(digest("root")), &nodes);
        assert_eq!(
            told(&sweep, &there, &by_digest),
            by_tag,
            "by what the index names"
        );
        let amd64_alone = image(tag("v1"), &["linux/amd64"]);
        assert_eq!(told(&sweep, &there, &amd64_alone), Ok(Vec::new()));
        // What a node has no image in an index for is told by that alone.
        let arm = image(tag("v1"), &["linux/arm/v7"]);
        let expected = vec!["child/platform_missing linux/arm/v7".to_owned()];
        assert_eq!(told(&sweep, &there, &arm), Ok(expected));
        // The manifest could not be read: everybody is hurt.
        let lost = told(&sweep, &BTreeMap::new(), &image(tag("v1"), &nodes));
        assert_eq!(
            lost,
            Ok(vec!["layer/not_found linux/amd64 linux/arm64 ".to_owned()])
        );
    }

    #[test]
    fn nodes_of_windows_pull_what_their_build_runs() {
        let node = |build: &str| Workload {
            os_version: (!build.is_empty()).then(|| build.into()),
            names: vec![build.into()],
            ..on("windows/amd64")
        };
        let (old, new) = (
            "windows(10.0.17763.6189)/amd64",
            "windows(10.0.20348.2655)/amd64",
        );
        let mut finding = fixture::finding(Kind::Layer, Reason::NotFound);
        finding.repository = "app".parse().expect("a name");
        finding.tags = vec!["v1".parse().expect("a tag")];
        finding.platforms = vec![new.into()];
        let mut sweep = fixture::sweep();
        sweep.findings = vec![finding];
        let image = UsedImage {
            workloads: ["10.0.17763", "10.0.20348", "10.0.26100", ""]
                .map(node)
                .into(),
            ..image(tag("v1"), &[])
        };
        assert_eq!(
            told(&sweep, &seen(index(&[old, new])), &image),
            Ok(vec!["layer/not_found 10.0.20348 10.0.26100 ".to_owned()])
        );
        // What is of another system hurts nobody, known or not.
        sweep.findings[0].platforms = vec!["linux/amd64".into()];
        let there = seen(index(&[old, new, "linux/amd64"]));
        assert_eq!(told(&sweep, &there, &image), Ok(Vec::new()));
        sweep.findings.clear();
        let there = seen(index(&[old]));
        let judged = Sights::new(&sweep, &there, true).judge(&image);
        let Judgement::Judged(findings) = judged else {
            panic!("it was seen");
        };
        let details: Vec<_> = findings.iter().map(|found| &*found.detail).collect();
        let lacks = |build| format!("no image for windows({build})/amd64, but for {old}/");
        assert_eq!(details, [lacks("10.0.20348"), lacks("10.0.26100")]);
        // What states no version runs anywhere.
        assert_eq!(
            told(&sweep, &seen(index(&["windows/amd64"])), &image),
            Ok(Vec::new())
        );
    }

    #[test]
    fn what_a_mirror_leaves_out_hurts_whose_nodes_pull_it() {
        let mut sweep = fixture::sweep();
        let mut there = seen(index(&["linux/amd64", "linux/arm64"]));
        let contents = there.values_mut().next().expect("one");
        contents.left_out = [digest("linux/arm64")].into();
        let nodes = ["linux/amd64", "linux/arm64", ""];
        let left_out = Sights::new(&sweep, &there, true).left_out(&image(tag("v1"), &nodes));
        assert_eq!(left_out, [on("linux/arm64")]);
        let absent = |platform: &str| {
            let mut finding = fixture::finding(Kind::Child, Reason::NotFound);
            finding.repository = "app".parse().expect("a name");
            finding.tags = vec!["v1".parse().expect("a tag")];
            finding.platforms = vec![platform.into()];
            finding.digest = Some(digest(platform));
            finding
        };
        let mut hurt = |platforms: &[&str]| {
            sweep.findings = platforms.iter().map(|platform| absent(platform)).collect();
            let sights = Sights::new(&sweep, &there, false).of_mirror(true);
            let Judgement::Judged(findings) = sights.judge(&image(tag("v1"), &nodes)) else {
                panic!("it was seen");
            };
            let users = findings.iter().flat_map(|found| &found.workloads);
            users
                .map(|user| user.names[0].to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(hurt(&["linux/arm64"]), ["linux/arm64"]);
        assert_eq!(
            hurt(&["linux/arm64", "linux/amd64"]),
            ["linux/arm64", "", "linux/amd64"]
        );
    }

    #[test]
    fn what_was_not_seen_or_is_in_doubt_is_not_intact() {
        let mut sweep = fixture::sweep();
        let there = seen(index(&["linux/amd64"]));
        let unlisted = image(tag("v2"), &["linux/amd64"]);
        assert_eq!(told(&sweep, &there, &unlisted), Err(Judgement::NotSeen));
        assert_eq!(
            told(&sweep, &there, &image(tag("v1"), &["linux/amd64"])),
            Ok(Vec::new())
        );
        sweep.repositories.push(RepositoryResult {
            name: "app".parse().expect("a name"),
            broken: 0,
            unverified: 1,
            tags: 1,
        });
        let listed = image(tag("v1"), &["linux/amd64"]);
        assert_eq!(told(&sweep, &there, &listed), Err(Judgement::Unknown));
        assert_eq!(told(&sweep, &there, &unlisted), Err(Judgement::NotSeen));
        let asked = Sights::new(&sweep, &there, false).judge(&unlisted);
        assert_eq!(asked, Judgement::Unknown);
    }
}
