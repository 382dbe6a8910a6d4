//! Compares images of two registries, by what sweeps saw of both.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Compared, Difference, DifferenceKind, Direction};
use super::mapping::Pair;
use super::side::{Configs, Leads, Side, is_same_image};
use crate::oci::{Descriptor, Digest, Document, MediaKind, Printable, Reference, Repository};

/// What is compared, and how.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The one side.
    pub a: Side<'a>,
    /// The other side.
    pub b: Side<'a>,
    /// What the configs state that could be read; `None` while none was asked for.
    pub configs: Option<&'a Configs>,
    /// Whether B copies some tags and platforms of A only.
    pub is_sparse: bool,
}

/// Holds some images against each other.
#[must_use]
pub fn compare<'a>(
    comparison: &'a Comparison<'a>,
    pairs: impl IntoIterator<Item = &'a Pair>,
) -> Compared {
    let mut comparing = Comparing {
        comparison,
        objects: BTreeMap::new(),
        on_both: BTreeSet::new(),
        compared: Compared::default(),
    };
    for pair in pairs {
        comparing.pair(pair);
    }
    comparing.compared.missing_on_both = comparing.on_both.len() as u64;
    comparing.compared
}

struct Comparing<'a> {
    comparison: &'a Comparison<'a>,
    /// Where the difference of an object stands that several images need.
    objects: BTreeMap<(&'a Repository, Digest, Direction), usize>,
    on_both: BTreeSet<(&'a Repository, Digest)>,
    compared: Compared,
}

/// How two manifests are to each other.
#[derive(Debug, Default, PartialEq, Eq)]
struct Likeness {
    /// Whether some image differs that both have.
    is_other: bool,
    /// Whether that is not known of some image, for something of it could not be read.
    is_unknown: bool,
    /// The platforms that one side lacks.
    lacks: Vec<(Direction, Printable)>,
}

impl Likeness {
    /// Adds whether an image of both is the same.
    fn add(&mut self, is_same: Option<bool>) {
        self.is_other |= is_same == Some(false);
        self.is_unknown |= is_same.is_none();
    }
}

impl<'a> Comparing<'a> {
    fn pair(&mut self, pair: &'a Pair) {
        let Comparison {
            a, b, is_sparse, ..
        } = self.comparison;
        let (direction, a_digest, b_digest) = match (a.leads(&pair.a), b.leads(&pair.b)) {
            (Leads::Nowhere, Leads::Nowhere) => return,
            (Leads::To(a), Leads::To(b)) => {
                self.compared.images += 1;
                return self.both(pair, a, b);
            }
            // What a copy has lost of its own, it did not leave out.
            (Leads::To(_), Leads::Nowhere) if *is_sparse && !b.has_lost(&pair.b) => {
                self.compared.left_out += 1;
                return;
            }
            (Leads::To(a), Leads::Nowhere) => (Direction::AOnly, Some(a), None),
            (Leads::Nowhere, Leads::To(b)) => (Direction::BOnly, None, Some(b)),
            (Leads::Unknown, _) | (_, Leads::Unknown) => {
                self.compared.unverified += 1;
                return;
            }
        };
        self.compared.images += 1;
        let kind = match pair.a.1 {
            Reference::Tag(_) => DifferenceKind::Tag,
            Reference::Digest(_) => DifferenceKind::Manifest,
        };
        self.differs(pair, kind, direction, (a_digest, b_digest));
    }

    fn differs(
        &mut self,
        pair: &Pair,
        kind: DifferenceKind,
        direction: Direction,
        (a_digest, b_digest): (Option<&Digest>, Option<&Digest>),
    ) -> &mut Difference {
        let name =
            |(repository, reference): &(Repository, Reference)| reference.in_repository(repository);
        self.compared.doubtful.insert(pair.clone());
        let differences = &mut self.compared.differences;
        differences.push(Difference {
            kind,
            direction,
            a: name(&pair.a),
            b: name(&pair.b),
            a_digest: a_digest.cloned(),
            b_digest: b_digest.cloned(),
            object: None,
            platform: None,
            other_images: 0,
        });
        let last = differences.len() - 1;
        &mut differences[last]
    }

    /// Compares what both sides have.
    fn both(&mut self, pair: &'a Pair, a: &'a Digest, b: &'a Digest) {
        let digests = (Some(a), Some(b));
        if a != b && !self.is_part(pair, a, b) {
            let likeness = self.likeness(pair, a, b);
            for (direction, platform) in likeness.lacks {
                if self.comparison.is_sparse && direction == Direction::AOnly {
                    continue;
                }
                let kind = DifferenceKind::Platform;
                self.differs(pair, kind, direction, digests).platform = Some(platform);
            }
            if likeness.is_other {
                self.differs(pair, DifferenceKind::Digest, Direction::Both, digests);
                return;
            }
            let is_told = self.compared.doubtful.contains(pair);
            if likeness.is_unknown {
                self.compared.images -= 1;
                self.compared.unverified += 1;
            } else if !is_told {
                let converted = pair.a.1.in_repository(&pair.a.0);
                self.compared.converted.push(converted);
            }
        }
        self.objects(pair, a, b);
    }

    /// Whether B's image is one of A's index, or an index of some of its images, where that is what B is for.
    fn is_part(&self, pair: &Pair, a: &Digest, b: &Digest) -> bool {
        let sides = self.comparison;
        if !sides.is_sparse {
            return false;
        }
        let holds = |digest| sides.a.holds(&pair.a.0, a, digest);
        let children = || {
            let document = sides.b.document(&pair.b.0, b)?;
            (document.kind == MediaKind::Index).then_some(&document.children)
        };
        holds(b)
            || children().is_some_and(|children| {
                !children.is_empty() && children.iter().all(|child| holds(&child.digest))
            })
    }

    fn likeness(&mut self, pair: &Pair, a: &Digest, b: &Digest) -> Likeness {
        let sides = self.comparison;
        let documents = (
            sides.a.document(&pair.a.0, a),
            sides.b.document(&pair.b.0, b),
        );
        let (Some(document), Some(other)) = documents else {
            return Likeness {
                is_other: true,
                ..Likeness::default()
            };
        };
        match (document.kind, other.kind) {
            (MediaKind::Index, MediaKind::Index) => self.indexes(pair, document, other),
            (MediaKind::Index, _) if sides.is_sparse => {
                let children = document.manifests().map(|child| &child.digest);
                let same: Vec<_> = children.map(|child| self.is_same(pair, child, b)).collect();
                let is_one = same.contains(&Some(true));
                Likeness {
                    is_other: !is_one && !same.contains(&None),
                    is_unknown: !is_one && same.contains(&None),
                    lacks: Vec::new(),
                }
            }
            _ => {
                let mut likeness = Likeness::default();
                likeness.add(self.is_same(pair, a, b));
                likeness
            }
        }
    }

    /// Whether two manifests are the same image; `None` if that is not known.
    fn is_same(&mut self, pair: &Pair, a: &Digest, b: &Digest) -> Option<bool> {
        if a == b {
            return Some(true);
        }
        let sides = self.comparison;
        let documents = (
            sides.a.document(&pair.a.0, a),
            sides.b.document(&pair.b.0, b),
        );
        let is_broken = |a: &Digest, b: &Digest, is_blob| {
            sides.a.is_broken(&pair.a.0, a, is_blob) || sides.b.is_broken(&pair.b.0, b, is_blob)
        };
        let (Some(document), Some(other)) = documents else {
            return is_broken(a, b, false).then_some(false);
        };
        let nothing = Configs::new();
        let is_same = is_same_image(document, other, sides.configs.unwrap_or(&nothing));
        if is_same.is_none() {
            for (is_a, repository, document) in
                [(true, &pair.a.0, document), (false, &pair.b.0, other)]
            {
                let config = document.config.iter();
                let config = config.map(|config| (is_a, repository.clone(), config.digest.clone()));
                self.compared.unread.extend(config);
            }
        }
        let configs = document.config.as_ref().zip(other.config.as_ref());
        let is_lost = configs.is_some_and(|(a, b)| is_broken(&a.digest, &b.digest, true));
        match is_same {
            // While no config was read, that is a candidate.
            None if sides.configs.is_none() || is_lost => Some(false),
            is_same => is_same,
        }
    }

    fn indexes(&mut self, pair: &Pair, a: &Document, b: &Document) -> Likeness {
        let (of_a, of_b) = (by_platform(a), by_platform(b));
        let mut likeness = Likeness::default();
        for (platform, child) in &of_a {
            match of_b.get(platform) {
                None => likeness
                    .lacks
                    .push((Direction::AOnly, Printable::from(platform.as_str()))),
                Some(other) if platform.starts_with(ATTESTATION) => _ = other,
                Some(other) => likeness.add(self.is_same(pair, &child.digest, &other.digest)),
            }
        }
        let beyond = of_b.keys().filter(|platform| !of_a.contains_key(*platform));
        let beyond = beyond.map(|platform| (Direction::BOnly, Printable::from(platform.as_str())));
        likeness.lacks.extend(beyond);
        likeness
    }

    /// Tells what one side has lost of an image, and the other has not.
    fn objects(&mut self, pair: &'a Pair, a: &'a Digest, b: &'a Digest) {
        let sides = self.comparison;
        let of_a = sides.a.broken(&pair.a.0, a);
        let of_b = sides.b.broken(&pair.b.0, b);
        let both = of_a.iter().filter(|object| of_b.contains(object));
        self.on_both
            .extend(both.map(|(digest, _)| (&pair.a.0, digest.clone())));
        for (direction, broken, others) in [
            (Direction::AOnly, &of_b, &of_a),
            (Direction::BOnly, &of_a, &of_b),
        ] {
            for (object, is_blob) in broken.iter().filter(|object| !others.contains(object)) {
                let is_copied = || sides.b.names(&pair.b.0, b, object);
                if sides.is_sparse && direction == Direction::BOnly && !is_copied() {
                    continue;
                }
                let key = (&pair.a.0, object.clone(), direction);
                if let Some(position) = self.objects.get(&key) {
                    self.compared.differences[*position].other_images += 1;
                    self.compared.doubtful.insert(pair.clone());
                    continue;
                }
                self.objects.insert(key, self.compared.differences.len());
                let kind = match is_blob {
                    true => DifferenceKind::Blob,
                    false => DifferenceKind::Manifest,
                };
                let difference = self.differs(pair, kind, direction, (Some(a), Some(b)));
                difference.object = Some(object.clone());
            }
        }
    }
}

/// What attestations are told apart by, in place of a platform.
const ATTESTATION: &str = "attestation";

/// The children of an index by their platforms; of several for one platform, and of attestations, by their numbers.
fn by_platform(index: &Document) -> BTreeMap<String, &Descriptor> {
    let (mut children, mut numbers) = (BTreeMap::new(), BTreeMap::new());
    for child in &index.children {
        let stated = child.platform.as_deref().unwrap_or("no platform");
        let name = if child.attestation {
            ATTESTATION
        } else {
            stated
        };
        let number = numbers
            .entry(name)
            .and_modify(|number| *number += 1)
            .or_insert(1);
        let key = match *number {
            1 => name.to_owned(),
            number => format!("{name}, number {number}"),
        };
        children.insert(key, child);
    }
    children
}

#[cfg(test)]
mod tests {
    use super::super::Holdings;
    use super::super::keep::tests::{contents, digest, image, index, repository, shared};
    use super::super::{Stated, Unseen};
    use super::*;
    use crate::report::{Kind, Reason, Sweep, fixture};
    use crate::sweep::Contents;

    fn sweep() -> Sweep {
        let mut sweep = fixture::sweep();
        sweep.findings.clear();
        sweep
    }

    /// What a comparison tells, as `KIND DIRECTION WHAT`, and the images that were converted.
    fn told(
        a: (&Contents, &Sweep),
        b: (&Contents, &Sweep),
        configs: &Configs,
        is_sparse: bool,
    ) -> (Vec<String>, Vec<String>) {
        let holdings =
            |contents: &Contents| -> Holdings { [(repository("app"), contents.clone())].into() };
        let (held_a, held_b) = (holdings(a.0), holdings(b.0));
        let pairs = Pair::of_all(&held_a, &held_b, &super::super::Mapping::default());
        let comparison = Comparison {
            a: Side::new(&held_a, a.1, Unseen::Absent),
            b: Side::new(&held_b, b.1, Unseen::Absent),
            configs: (!configs.is_empty()).then_some(configs),
            is_sparse,
        };
        let compared = compare(&comparison, &pairs);
        let keys = compared.differences.iter().map(Difference::key);
        let unverified = (compared.unverified > 0).then(|| "unverified".to_owned());
        (keys.chain(unverified).collect(), compared.converted)
    }

    fn plainly(a: &Contents, b: &Contents, is_sparse: bool) -> (Vec<String>, Vec<String>) {
        told((a, &sweep()), (b, &sweep()), &Configs::new(), is_sparse)
    }

    #[test]
    fn the_same_is_the_same_and_tags_are_missed_on_either_side() {
        let a = shared();
        assert_eq!(plainly(&a, &a, false), (Vec::new(), Vec::new()));
        let mut b = a.clone();
        b.tags.remove(&"v1".parse().expect("a tag"));
        assert_eq!(plainly(&a, &b, false).0, ["tag a_only app:v1"]);
        assert_eq!(plainly(&b, &a, false).0, ["tag b_only app:v1"]);
        assert_eq!(plainly(&a, &b, true).0, [""; 0]);
        assert_eq!(plainly(&b, &a, true).0, ["tag b_only app:v1"]);
    }

    #[test]
    fn platforms_are_missed_and_other_images_are_other() {
        let a = shared();
        let with = |children: &[(&str, &str)]| {
            let mut b = a.clone();
            b.manifests.insert(digest("new"), index(children));
            b.tags.insert("v1".parse().expect("a tag"), digest("new"));
            b
        };
        let fewer = with(&[("a", "amd64")]);
        assert_eq!(
            plainly(&a, &fewer, false).0,
            ["platform a_only app:v1 linux/arm64"]
        );
        assert_eq!(
            plainly(&fewer, &a, false).0,
            ["platform b_only app:v1 linux/arm64"]
        );
        assert_eq!(plainly(&a, &fewer, true), (Vec::new(), Vec::new()));
        let other = with(&[("a", "amd64"), ("c", "arm64")]);
        assert_eq!(plainly(&a, &other, false).0, ["digest both app:v1"]);
        let both = with(&[("c", "amd64")]);
        let expected = ["platform a_only app:v1 linux/arm64", "digest both app:v1"];
        assert_eq!(plainly(&a, &both, false).0, expected);
        let mut child = a.clone();
        child.tags.insert("v1".parse().expect("a tag"), digest("b"));
        assert_eq!(plainly(&a, &child, true), (Vec::new(), Vec::new()));
        assert_eq!(plainly(&a, &child, false).0, ["digest both app:v1"]);
    }

    #[test]
    fn other_bytes_of_the_same_layers_are_no_difference() {
        let of = |config: &str, layers: &[&str]| {
            contents(&[("v1", "it")], &[("it", image(config, layers))])
        };
        let converted = (Vec::new(), vec!["app:v1".to_owned()]);
        let other = (vec!["digest both app:v1".to_owned()], Vec::new());
        let a = of("config", &["gzip"]);
        let again = |config: &str, layers: &[&str]| {
            contents(&[("v1", "other")], &[("other", image(config, layers))])
        };
        assert_eq!(plainly(&a, &again("config", &["gzip"]), false), converted);
        assert_eq!(plainly(&a, &again("config", &["zstd"]), false), other);
        assert_eq!(plainly(&a, &again("config", &["one", "two"]), false), other);
        let b = again("other config", &["zstd"]);
        assert_eq!(plainly(&a, &b, false), other);
        let with = |b: &Contents, texts: [&str; 2]| {
            let [of_a, of_b] = texts.map(|text| Stated::read(text.as_bytes()));
            let configs = [(digest("config"), of_a), (digest("other config"), of_b)];
            told((&a, &sweep()), (b, &sweep()), &configs.into(), false)
        };
        let [x, y, serve, erase, arm] = [
            r#"{"rootfs":{"diff_ids":["x"]}}"#,
            r#"{"rootfs":{"diff_ids":["y"]}}"#,
            r#"{"config":{"Cmd":["serve"]},"rootfs":{"diff_ids":["x"]}}"#,
            r#"{"config":{"Cmd":["erase"]},"rootfs":{"diff_ids":["x"]}}"#,
            r#"{"architecture":"arm64","rootfs":{"diff_ids":["x"]}}"#,
        ];
        // One of them could not be read.
        let one = Configs::from([(digest("config"), Stated::read(x.as_bytes()))]);
        let unknown = (vec!["unverified".to_owned()], Vec::new());
        assert_eq!(told((&a, &sweep()), (&b, &sweep()), &one, false), unknown);
        let mut lost = sweep();
        let mut finding = fixture::finding(Kind::Config, Reason::NotFound);
        finding.repository = repository("app");
        finding.digest = Some(digest("other config"));
        lost.findings.push(finding);
        assert_eq!(told((&a, &sweep()), (&b, &lost), &one, false), other);
        assert_eq!(with(&b, [x, x]), converted);
        assert_eq!(with(&b, [serve, serve]), converted);
        for texts in [[x, y], [serve, erase], [x, arm]] {
            assert_eq!(with(&b, texts), other, "{texts:?}");
            // Nor is it one image if the layers are the same, and what is run is not.
            assert_eq!(with(&again("other config", &["gzip"]), texts), other);
        }
        // A config that states no layers shows nothing, nor does one of more of them.
        let more = r#"{"rootfs":{"diff_ids":["x","y"]}}"#;
        for text in ["{}", r#"{"rootfs":{"diff_ids":[]}}"#, more] {
            assert_eq!(with(&b, [text, text]), other, "{text}");
            assert_eq!(with(&again("config", &["zstd"]), [text, text]), other);
        }
        // The same layers in another order.
        let two = of("config", &["one", "two"]);
        let swapped = again("config", &["two", "one"]);
        let stated = Stated::read(more.as_bytes());
        let configs = Configs::from([(digest("config"), stated)]);
        let seen = told((&two, &sweep()), (&swapped, &sweep()), &configs, false);
        assert_eq!(seen, other);
        // Layers that are not packed are not packed in another way.
        let plain = again("other config", &["zstd.tar"]);
        assert_eq!(with(&plain, [x, x]), other);
        let id = digest("zstd.tar").to_string();
        let stated = x.replace("\"x\"", &format!("\"{id}\""));
        assert_eq!(with(&plain, [&stated, &stated]), converted);
    }

    #[test]
    fn what_one_side_did_not_say_is_no_difference() {
        let a = shared();
        let unreadable = |kind, name: Option<&str>| {
            let mut sweep = sweep();
            let mut finding = fixture::finding(kind, Reason::Unreadable);
            finding.repository = repository("app");
            finding.digest = name.map(digest);
            finding.tags = vec!["v1".parse().expect("a tag")];
            sweep.findings.push(finding);
            sweep
        };
        let none = Configs::new();
        let mut without = a.clone();
        without.tags.remove(&"v1".parse().expect("a tag"));
        let tag = unreadable(Kind::Tag, None);
        let seen = told((&a, &sweep()), (&without, &tag), &none, false).0;
        assert_eq!(seen, ["unverified"]);
        for name in ["one", "b"] {
            let manifest = unreadable(Kind::Child, Some(name));
            let seen = told((&a, &sweep()), (&a, &manifest), &none, false).0;
            assert_eq!(seen, ["unverified"], "{name}");
        }
    }

    #[test]
    fn a_sparse_copy_has_not_lost_what_it_names() {
        let a = shared();
        let mut b = a.clone();
        b.tags.remove(&"v1".parse().expect("a tag"));
        let mut lost = sweep();
        let mut finding = fixture::finding(Kind::Tag, Reason::NotFound);
        finding.repository = repository("app");
        finding.digest = None;
        finding.tags = vec!["v1".parse().expect("a tag")];
        lost.findings.push(finding);
        let told = |lost: &Sweep| told((&a, &sweep()), (&b, lost), &Configs::new(), true).0;
        assert_eq!(told(&sweep()), [""; 0]);
        assert_eq!(told(&lost), ["tag a_only app:v1"]);
    }

    #[test]
    fn what_one_side_has_lost_is_told_once() {
        let a = shared();
        let lost = |name: &str, kind| {
            let mut sweep = sweep();
            let mut finding = fixture::finding(kind, Reason::NotFound);
            finding.repository = repository("app");
            finding.digest = Some(digest(name));
            sweep.findings.push(finding);
            sweep
        };
        let (sound, layer) = (sweep(), lost("base", Kind::Layer));
        let none = Configs::new();
        let blob = format!("blob a_only app@{}", digest("base"));
        assert_eq!(told((&a, &sound), (&a, &layer), &none, false).0, [blob]);
        assert_eq!(told((&a, &layer), (&a, &layer), &none, false).0, [""; 0]);
        let child = lost("a", Kind::Child);
        let manifest = format!("manifest b_only app@{}", digest("a"));
        assert_eq!(told((&a, &child), (&a, &sound), &none, false).0, [manifest]);
        // Nothing in scope leads to it.
        let old = lost("old", Kind::Child);
        assert_eq!(told((&a, &old), (&a, &sound), &none, false).0, [""; 0]);
    }
}
