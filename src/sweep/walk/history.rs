//! What earlier looks at a repository saw of its objects, and what earlier sweeps know of them: what a
//! walk needs so that it asks for no blob a second time and trusts no single answer that differs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::SystemTime;

use super::graph::{Endpoint, Length};
use super::tag_list::TagList;
use crate::oci::{Digest, Tag};
use crate::registry::Depth;
use crate::report::{Finding, Known, Reason};

/// Looks at a repository in one sweep, at most.
pub(in crate::sweep) const MOST_LOOKS: u32 = 3;

/// What is asked for in a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sweep) enum Object {
    /// Where a tag points to.
    Tag(Tag),
    /// A manifest or a blob.
    Content(Endpoint, Digest),
    /// What has to be attached to a manifest.
    Attached(Digest),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Content(Endpoint::Manifests, digest) => write!(f, "manifest {digest}"),
            Self::Content(Endpoint::Blobs, digest) => write!(f, "blob {digest}"),
            Self::Attached(digest) => write!(f, "what is attached to {digest}"),
        }
    }
}

impl Object {
    /// The object that a finding is about.
    pub(in crate::sweep) fn of(finding: &Finding) -> Option<Self> {
        match (&finding.digest, finding.tags.first()) {
            (Some(digest), _) if finding.defect.reason == Reason::ReferrerMissing => {
                Some(Self::Attached(digest.clone()))
            }
            (Some(digest), _) if finding.kind.is_blob() => {
                Some(Self::Content(Endpoint::Blobs, digest.clone()))
            }
            (Some(digest), _) => Some(Self::Content(Endpoint::Manifests, digest.clone())),
            (None, tag) => tag.cloned().map(Self::Tag),
        }
    }
}

/// What is known of an object that was seen broken.
#[derive(Clone, Debug, Default)]
pub(in crate::sweep) struct Past {
    /// Whether the last sweep found it broken.
    pub(in crate::sweep) is_known: bool,
    /// The depth at which it was seen broken: what a close look shows, a shorter one does not clear.
    pub(in crate::sweep) depth: Option<Depth>,
    /// Looks of this sweep that found it broken.
    pub(in crate::sweep) times_broken: u32,
    /// Whether the last look that asked for it found it broken.
    pub(in crate::sweep) was_broken_last: bool,
    /// The intact tag with the name nearest to those that it breaks, as the first look saw it.
    pub(in crate::sweep) sibling: Option<(Tag, Digest)>,
}

/// What was seen of a repository before a walk begins.
#[derive(Default)]
pub(in crate::sweep) struct History {
    /// Looks of this sweep.
    pub(in crate::sweep) looks: u32,
    /// What was seen broken, in this sweep or as of the last one.
    past: BTreeMap<Object, Past>,
    /// The tags of what the last sweep found broken.
    known_tags: BTreeSet<Tag>,
    /// Since when images are known to which something was, or has to be, attached.
    first_seen: BTreeMap<Digest, SystemTime>,
    /// Whether that is not remembered of other images any more.
    pub(in crate::sweep) has_no_room: bool,
    /// The tag whose turn it was in the first look to be asked for by GET, too.
    pub(in crate::sweep) pulled: Option<Tag>,
    /// Its list of tags, as each look of this sweep had it.
    pub(super) lists: Vec<TagList>,
    /// Tags in its list, as of the last sweep.
    pub(in crate::sweep) tags_known: u64,
    /// How closely to look at each of its blobs, whatever is due: something was broken in it, and it is not
    /// known what.
    pub(in crate::sweep) read_at: Option<Depth>,
    /// What was seen intact in this sweep, with its length, as hashes: a repository has millions.
    intact: Intact,
    hashes: RandomState,
}

/// How many tables there are.
const TABLES: u64 = 16;

/// Hashes of what was seen intact, each with a length. In several tables, which grow one by one: a table that grows
/// stands beside its old self.
#[derive(Default)]
struct Intact(Vec<HashMap<u64, Length>>);

impl Intact {
    fn insert(&mut self, key: u64, length: Length) {
        if self.0.is_empty() {
            self.0.resize_with(Self::table(u64::MAX) + 1, HashMap::new);
        }
        self.0[Self::table(key)].insert(key, length);
    }

    fn get(&self, key: u64) -> Option<Length> {
        self.0.get(Self::table(key))?.get(&key).copied()
    }

    fn table(key: u64) -> usize {
        usize::try_from(key % TABLES).unwrap_or(0)
    }
}

impl History {
    /// What earlier sweeps know, of the tags that are in scope.
    pub(in crate::sweep) fn of(known: Option<&Known>, is_in_scope: impl Fn(&Tag) -> bool) -> Self {
        let mut history = Self::default();
        let Some(known) = known else {
            return history;
        };
        history.tags_known = known.tags;
        let of_images = known.referrers.iter();
        let seen = of_images.map(|(digest, known)| (digest.clone(), known.since));
        history.first_seen = seen.collect();
        for finding in &known.findings {
            let Some(object) = Object::of(finding) else {
                continue;
            };
            let past = history.past.entry(object).or_default();
            past.is_known = true;
            past.depth = past.depth.max(Some(finding.depth));
            let tags = finding.tags.iter().chain(&finding.attached_to);
            let tags = tags.filter(|tag| is_in_scope(tag));
            history.known_tags.extend(tags.cloned());
        }
        history
    }

    /// The tags of what the last sweep found broken.
    pub(in crate::sweep) fn known_tags(&self) -> &BTreeSet<Tag> {
        &self.known_tags
    }

    /// What the last sweep found broken.
    pub(in crate::sweep) fn known_objects(&self) -> impl Iterator<Item = &Object> {
        let known = self.past.iter().filter(|(_, past)| past.is_known);
        known.map(|(object, _)| object)
    }

    pub(in crate::sweep) fn past(&self, object: &Object) -> Option<&Past> {
        // Most repositories have none, and most objects are asked about.
        if self.past.is_empty() {
            return None;
        }
        self.past.get(object)
    }

    /// The same for a manifest or blob.
    pub(in crate::sweep) fn past_of(&self, endpoint: Endpoint, digest: &Digest) -> Option<&Past> {
        if self.past.is_empty() {
            return None;
        }
        self.past.get(&Object::Content(endpoint, digest.clone()))
    }

    /// Since when an image is known.
    pub(in crate::sweep) fn first_seen(&self, image: &Digest) -> Option<SystemTime> {
        self.first_seen.get(image).copied()
    }

    /// Whether anything was seen broken before.
    pub(in crate::sweep) fn has_past(&self) -> bool {
        !self.past.is_empty()
    }

    /// Whether the next look is the last one.
    pub(in crate::sweep) fn is_last_next(&self) -> bool {
        self.looks + 1 == MOST_LOOKS
    }

    /// Notes that this look found an object broken.
    pub(in crate::sweep) fn note_broken(&mut self, object: Object, finding: &Finding) {
        let past = self.past.entry(object).or_default();
        past.depth = past.depth.max(Some(finding.depth));
        past.times_broken += 1;
        past.was_broken_last = true;
        let sibling = &finding.nearby.sibling;
        past.sibling = past.sibling.take().or_else(|| sibling.clone());
    }

    /// Notes that this look found an object intact that was broken before.
    pub(in crate::sweep) fn note_intact(&mut self, object: &Object) {
        if let Some(past) = self.past.get_mut(object) {
            past.was_broken_last = false;
        }
    }

    /// Notes that this look found an object intact, or counted it.
    pub(in crate::sweep) fn note_seen(
        &mut self,
        endpoint: Endpoint,
        digest: &Digest,
        length: Option<u64>,
    ) {
        let key = self.hashes.hash_one((endpoint, digest));
        self.intact.insert(key, length.into());
    }

    /// Notes that a layer unpacks to what a config says.
    pub(in crate::sweep) fn note_unpacked(&mut self, layer: &Digest, diff_id: &Digest) {
        let key = self.hashes.hash_one((layer, diff_id));
        self.intact.insert(key, None.into());
    }

    /// Whether a look of this sweep noted that.
    pub(in crate::sweep) fn is_unpacked(&self, layer: &Digest, diff_id: &Digest) -> bool {
        self.intact
            .get(self.hashes.hash_one((layer, diff_id)))
            .is_some()
    }

    /// Notes that this look found everything under a tag intact.
    pub(in crate::sweep) fn note_intact_tag(&mut self, tag: &Tag) {
        let key = self.hashes.hash_one(tag);
        self.intact.insert(key, None.into());
    }

    /// Whether a look of this sweep saw this object intact, or counted it; and its length, if known.
    #[expect(
        clippy::option_option,
        reason = "the length of what was seen may be unknown"
    )]
    pub(in crate::sweep) fn seen(
        &self,
        endpoint: Endpoint,
        digest: &Digest,
    ) -> Option<Option<u64>> {
        if self.intact.0.is_empty() {
            return None;
        }
        let key = self.hashes.hash_one((endpoint, digest));
        self.intact.get(key).map(Length::get)
    }

    /// Whether a look of this sweep saw everything under a tag intact.
    pub(in crate::sweep) fn is_intact_tag(&self, tag: &Tag) -> bool {
        self.intact.get(self.hashes.hash_one(tag)).is_some()
    }
}
