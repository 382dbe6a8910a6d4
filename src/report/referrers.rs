//! What is attached to images: how much of it a sweep saw, and what of it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::outcome::Reason;
use super::time;
use crate::oci::{Digest, ReferrerType, Repository};

/// Images of one registry of which it is remembered what was attached to them: each takes some hundred bytes.
const MOST_IMAGES: usize = 50_000;
/// Types that are remembered of one.
const MOST_TYPES: usize = 16;
/// Sweeps in a row that have to find nothing of a type any more: who signs anew takes the old signature away first.
const ABSENCES: u32 = 2;
/// Sweeps that tell of it: a day of them at the default interval. What is replaced on purpose must not warn for ever.
const TOLD: u32 = 96;

/// What is attached to the images of a registry, as one sweep saw it. It says nothing of the registry itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Referrers {
    /// Images that were asked about.
    pub images: u64,
    /// What is attached to them.
    pub attached: u64,
    /// Images of which nothing is known, because the registry did not answer for what is attached to them.
    pub unanswered: u64,
    /// Why not, of the first of them.
    pub why: Option<String>,
    /// Signatures and the like whose image is gone.
    pub dangling: u64,
    /// When a sweep last knew it of all images.
    #[serde(default, with = "time::option")]
    #[cfg_attr(test, schemars(with = "Option<time::Rfc3339>"))]
    pub answered_at: Option<SystemTime>,
    /// What was attached and is gone since two sweeps, where that is remembered.
    pub lost: Vec<Lost>,
    /// By repository, to be remembered.
    #[serde(skip)]
    pub seen: BTreeMap<Repository, SeenReferrers>,
}

/// What a sweep saw attached to the images of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenReferrers {
    /// Those of which there is something to remember.
    pub images: Vec<ImageReferrers>,
    /// Whether the first look saw all images that there are: what it did not see is gone.
    pub is_all: bool,
    /// Whether there was no room for more of them.
    pub is_cut: bool,
    /// Whether it is not known of some images.
    pub is_unanswered: bool,
    /// Those of them that were known to lack what is required.
    pub unanswered: BTreeSet<Digest>,
}

/// A type of which something was attached to an image, and nothing is any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lost {
    /// Where the image is.
    pub repository: Repository,
    /// The image.
    pub digest: Digest,
    /// The type.
    #[serde(rename = "type")]
    pub what: ReferrerType,
}

/// What is attached to one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReferrers {
    /// The image.
    pub digest: Digest,
    /// The types of what is attached to it, as far as that is known.
    pub types: Vec<ReferrerType>,
    /// Whether these are all.
    pub is_whole: bool,
    /// Whether it lacks what is required of it.
    pub is_wanting: bool,
}

/// What is remembered of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownReferrers {
    /// When it was first seen.
    #[serde(with = "time")]
    pub since: SystemTime,
    /// The types that were attached to it, each with the number of sweeps in a row that found none.
    #[serde(default)]
    types: BTreeMap<ReferrerType, u32>,
}

impl Referrers {
    /// Adds what was seen in other repositories.
    pub fn add(&mut self, other: Self) {
        self.images += other.images;
        self.attached += other.attached;
        self.unanswered += other.unanswered;
        self.why = self.why.take().or(other.why);
        self.dangling += other.dangling;
        // Not known of a part is not known of the whole: `None` is the least.
        self.answered_at = self.answered_at.min(other.answered_at);
        self.lost.extend(other.lost);
        let had: usize = self.seen.values().map(|seen| seen.images.len()).sum();
        let mut room = MOST_IMAGES.saturating_sub(had);
        for (repository, mut seen) in other.seen {
            seen.is_cut |= seen.images.len() > room;
            seen.images.truncate(room);
            seen.images.shrink_to_fit();
            room -= seen.images.len();
            self.seen.insert(repository, seen);
        }
    }

    /// Adds what another part of the sweep saw.
    pub(super) fn merge(all: &mut Option<Self>, part: Option<Self>) {
        match (all.as_mut(), part) {
            (Some(all), Some(part)) => all.add(part),
            (None, part) => *all = part,
            (Some(_), None) => {}
        }
    }

    /// Whether nobody answered for what a known finding is about.
    #[must_use]
    pub fn is_unanswered(&self, known: &Finding) -> bool {
        let Some(seen) = self.seen.get(&known.repository) else {
            return false;
        };
        match &known.digest {
            Some(image) if known.defect.reason == Reason::ReferrerMissing => {
                seen.unanswered.contains(image)
            }
            // To which images it is attached is not known any more.
            _ => seen.is_unanswered,
        }
    }

    /// Warnings of what is lost, and of what did not answer.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(why) = &self.why {
            let (images, all) = (self.unanswered, self.images);
            warnings.push(format!(
                "what is attached is not known of {images} of {all} images, and nothing is concluded from that: {why}"
            ));
        }
        if !self.lost.is_empty() {
            const TOLD: usize = 3;
            let told = self.lost.iter().take(TOLD).map(|lost| {
                let Lost {
                    repository,
                    digest,
                    what,
                } = lost;
                format!("{what} of {repository}@{digest}")
            });
            let told: Vec<_> = told.collect();
            let more = match self.lost.len().saturating_sub(TOLD) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let told = told.join(", ");
            warnings.push(format!(
                "was attached, and in two sweeps nothing of its type is: {told}{more}"
            ));
        }
        warnings
    }
}

/// Takes in what a sweep saw of a repository. What is not an image of it any more is forgotten, if it saw all of
/// them, unless it `is_held`. Those that lack something come first: for how long they do is what a grace goes by. Gives
/// what is lost.
pub(super) fn remember(
    known: &mut BTreeMap<Digest, KnownReferrers>,
    (repository, images): (&Repository, &[ImageReferrers]),
    is_all: bool,
    is_held: impl Fn(&Digest) -> bool,
    now: SystemTime,
    room: &mut usize,
) -> Vec<Lost> {
    let mut lost = Vec::new();
    if is_all {
        let seen: BTreeSet<_> = images.iter().map(|image| &image.digest).collect();
        known.retain(|digest, _| seen.contains(digest) || is_held(digest));
    }
    let wanting = images.iter().filter(|image| image.is_wanting);
    let others = images.iter().filter(|image| !image.is_wanting);
    for image in wanting.chain(others) {
        let is_known = known.contains_key(&image.digest);
        if !is_known && (*room == 0 || image.types.is_empty() && !image.is_wanting) {
            continue;
        }
        *room -= usize::from(!is_known);
        let entry = known.entry(image.digest.clone());
        let of_image = entry.or_insert_with(|| KnownReferrers {
            since: now,
            types: BTreeMap::new(),
        });
        for what in &image.types {
            if of_image.types.len() < MOST_TYPES || of_image.types.contains_key(what) {
                of_image.types.insert(what.clone(), 0);
            }
        }
        for (what, absences) in &mut of_image.types {
            if image.types.contains(what) {
                continue;
            }
            *absences = absences.saturating_add(u32::from(image.is_whole));
            if *absences >= ABSENCES {
                lost.push(Lost {
                    repository: repository.clone(),
                    digest: image.digest.clone(),
                    what: what.clone(),
                });
            }
        }
        of_image
            .types
            .retain(|_, absences| *absences < ABSENCES + TOLD);
    }
    lost
}

/// That there are more images than are remembered.
pub(super) fn no_room() -> String {
    format!(
        "what is attached is remembered of {MOST_IMAGES} images, and there are more: of those, nothing is told that is \
         lost, and a grace of --require-referrer counts as over"
    )
}

/// How many more images can be remembered beside these.
pub(super) fn room(known: usize) -> usize {
    MOST_IMAGES.saturating_sub(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn image(name: &str, types: &[&str], is_whole: bool) -> ImageReferrers {
        let types = types.iter().map(|text| text.parse().expect("a type"));
        ImageReferrers {
            digest: Digest::sha256(name.as_bytes()),
            types: types.collect(),
            is_whole,
            is_wanting: false,
        }
    }

    #[test]
    fn a_type_is_lost_when_two_sweeps_find_none_of_it() {
        let app: Repository = "app".parse().expect("a name");
        let mut known = BTreeMap::new();
        let mut see = |images: &[ImageReferrers], is_all: bool| {
            let mut room = 100;
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
            let is_held = |_: &Digest| false;
            let lost = remember(&mut known, (&app, images), is_all, is_held, now, &mut room);
            let lost: Vec<_> = lost.iter().map(|lost| lost.what.to_string()).collect();
            (lost.join(" "), known.len())
        };
        let none = |count| (String::new(), count);
        assert_eq!(
            see(
                &[
                    image("a", &["signature", "sbom"], true),
                    image("b", &[], true)
                ],
                true
            ),
            none(1)
        );
        // Signing anew: away for one sweep.
        assert_eq!(see(&[image("a", &["sbom"], true)], true), none(1));
        assert_eq!(
            see(&[image("a", &["signature", "sbom"], true)], true),
            none(1)
        );
        assert_eq!(see(&[image("a", &["sbom"], true)], true), none(1));
        // Nobody answered, or somebody did in part: that counts for nothing.
        assert_eq!(see(&[image("a", &[], false)], true), none(1));
        assert_eq!(see(&[], false), none(1));
        assert_eq!(
            see(&[image("a", &["sbom"], true)], true),
            ("signature".to_owned(), 1)
        );
        assert_eq!(see(&[image("a", &["sbom"], true)], true).0, "signature");
        assert_eq!(see(&[image("a", &["signature"], true)], true), none(1));
        // An image that is gone has lost nothing.
        assert_eq!(see(&[image("b", &[], true)], true), none(0));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let app: Repository = "app".parse().expect("a name");
        let (mut known, mut room) = (BTreeMap::new(), 1);
        let images = [image("a", &["sbom"], true), image("b", &["sbom"], true)];
        remember(
            &mut known,
            (&app, &images),
            true,
            |_| false,
            SystemTime::now(),
            &mut room,
        );
        assert_eq!((known.len(), room), (1, 0));
        // Since when an image lacks something is remembered first, and as long as that is a finding.
        let (mut known, mut room) = (BTreeMap::new(), 1);
        let mut wanting = image("b", &[], true);
        wanting.is_wanting = true;
        let images = [image("a", &["sbom"], true), wanting.clone()];
        for (images, is_held) in [(&images[..], false), (&[], true)] {
            let now = SystemTime::now();
            let held = |_: &Digest| is_held;
            remember(&mut known, (&app, images), true, held, now, &mut room);
            assert_eq!(known.keys().collect::<Vec<_>>(), [&wanting.digest]);
        }
    }

    #[test]
    fn what_is_lost_for_good_is_not_told_for_ever() {
        let app: Repository = "app".parse().expect("a name");
        let (mut known, mut room, mut told) = (BTreeMap::new(), 100, 0);
        for round in 0..300 {
            let types: &[&str] = if round == 0 { &["sbom"] } else { &[] };
            let images = [image("a", types, true)];
            let now = SystemTime::now();
            let lost = remember(&mut known, (&app, &images), true, |_| false, now, &mut room);
            told += lost.len();
        }
        assert_eq!(told, 97);
    }
}
