//! A seed's trial: an image, and in what its registry deviates. The same seed always gives the same.

use std::sync::Arc;

use fastrand::Rng;
use registry_double::{Ranges, RawEdit, Registry, sha256};
use serde_json::Value;

use crate::damage::Damage;
use crate::field;
use crate::habit::{self, Deed, Habit};
use crate::image::{self, Builder, Part, Shape, Stored};
use crate::incident;
use crate::tarball::tar;
use crate::wire::{self, Asked, Deviation};

/// To be raised when what a deviation does changes while its words stay: the verdicts of clients are of
/// another registry then.
const GENERATION: u32 = 1;

/// What is tried.
pub(crate) struct Trial {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    pub(crate) stored: Vec<Stored>,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) wires: Vec<Deviation>,
    pub(crate) habits: Vec<Habit>,
    pub(crate) damages: Vec<Damage>,
}

/// One trial in so many is an incident that is known, and not one by chance.
const INCIDENTS: u64 = 12;

impl Trial {
    pub(crate) fn of(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        if seed % INCIDENTS == INCIDENTS - 1 {
            return incident::choose(seed, random);
        }
        let [fields, wires, habits, damages] = numbers(random);
        let shape = Shape::choose(random, wires + habits == 0, fields + wires == 0);
        let mut trial = Self::build(seed, shape, random, fields, &mut field::change);
        let stored = &trial.stored;
        trial.wires = (0..wires).map(|_| wire::choose(random, stored)).collect();
        trial.habits = (0..habits).map(|_| habit::choose(random, stored)).collect();
        trial.damages = (0..damages)
            .map(|_| Damage::choose(random, stored))
            .collect();
        trial
    }

    /// Builds the image, so many fields of its documents changed.
    pub(crate) fn build(
        seed: u64,
        shape: Shape,
        random: &mut Rng,
        mut fields: usize,
        change: &mut dyn FnMut(&mut Value, &mut Rng, &[Stored]) -> field::Told,
    ) -> Self {
        let mut changes = random.fork();
        let mut told = Vec::new();
        // Documents are built from the leaves up, and where one of them is changed the ones above it
        // name it as it became.
        let altered = altered_part(shape, random);
        let mut alter = |part: Part, document: &mut _, served: &mut String, stored: &[Stored]| {
            while fields > 0 && part == altered {
                fields -= 1;
                let (kind, words) = change(document, &mut changes, stored);
                told.push((kind, format!("{part:?}: {words}")));
                let written = document["mediaType"].as_str().unwrap_or_default();
                if is_token(written) && changes.bool() {
                    written.clone_into(served);
                }
            }
        };
        let stored = Builder::new(shape, random, &mut alter).build();
        Self {
            seed,
            shape,
            stored,
            fields: told,
            wires: Vec::new(),
            habits: Vec::new(),
            damages: Vec::new(),
        }
    }

    /// Whether these bytes are what the tag names. skopeo writes a list anew where it corrects what it
    /// says of its children, and these are the same then.
    pub(crate) fn is_root(&self, bytes: &[u8]) -> bool {
        let children = |bytes: &[u8]| -> Option<Vec<Value>> {
            let document: Value = serde_json::from_slice(bytes).ok()?;
            let children = document["manifests"].as_array()?.iter();
            Some(children.map(|child| child["digest"].clone()).collect())
        };
        let is = |root: &Stored| {
            let is_rewritten = self.is_of_documents()
                && children(bytes).is_some()
                && children(bytes) == children(&root.bytes);
            root.bytes == bytes || is_rewritten
        };
        let mut roots = self.stored.iter().rev();
        if self.has_two_tags() {
            roots.any(is)
        } else {
            roots.next().is_some_and(is)
        }
    }

    /// The deviations by their kinds, for tables.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        let fields = self.fields.iter().map(|(kind, _)| *kind);
        let wires = self.wires.iter().map(|deviation| deviation.kind);
        let habits = self.habits.iter().map(|habit| habit.kind);
        let damages = self.damages.iter().map(Damage::kind);
        fields.chain(wires).chain(habits).chain(damages).collect()
    }

    /// What is told of it, a line each.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec![self.shape.words()];
        words.extend(self.fields.iter().map(|(_, words)| words.clone()));
        words.extend(self.wires.iter().map(|deviation| deviation.words.clone()));
        words.extend(self.habits.iter().map(|habit| habit.words.clone()));
        words.extend(self.damages.iter().map(Damage::words));
        words
    }

    /// Whether what the documents say deviates, and not only how they are served.
    pub(crate) fn is_of_documents(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether what is answered deviates.
    pub(crate) fn is_of_answers(&self) -> bool {
        !self.wires.is_empty() || !self.habits.is_empty()
    }

    /// Whether bodies have less than they say, and nothing else is odd but the digests that are stated.
    pub(crate) fn is_of_cuts_only(&self) -> bool {
        let kinds = self.kinds();
        let is_of_it = |kind: &&str| matches!(*kind, "body cut" | "header Docker-Content-Digest");
        kinds.contains(&"body cut") && kinds.iter().all(is_of_it)
    }

    /// Whether something is said to have no bytes.
    pub(crate) fn promises_nothing(&self) -> bool {
        self.fields
            .iter()
            .any(|(_, words)| words.ends_with("size is 0"))
    }

    /// Whether there is nothing odd about the registry but what it does with every request of a kind.
    pub(crate) fn is_of_habits_only(&self) -> bool {
        !self.habits.is_empty() && self.habits.len() == self.kinds().len()
    }

    /// Whether that is all that deviates: what is said of the root's digest.
    pub(crate) fn is_of_root_by_digest(&self) -> bool {
        let mut wires = self.wires.iter();
        // A header that is no digest is another thing to each client.
        let is_it = |wire: &Deviation| {
            let is_content = wire.kind != "header Docker-Content-Digest";
            is_content && wire.part == Part::Root && wire.asked == Asked::ByDigest
        };
        self.wires.len() == 1 && wires.all(is_it) && !self.has_two_tags()
    }

    /// Whether HEAD of the tag, or what it leads to, may be another thing than GET of it.
    pub(crate) fn is_of_root_by_head(&self) -> bool {
        let mut wires = self.wires.iter();
        let is_it = |wire: &Deviation| {
            wire.part == Part::Root
                && matches!(
                    wire.asked,
                    Asked::Head | Asked::HeadByTag | Asked::ByTag | Asked::ByDigest
                )
        };
        wires.any(is_it) || self.has_two_tags()
    }

    /// Whether answers end too early, and there is nothing else about them.
    pub(crate) fn is_cut(&self) -> bool {
        self.may_be_cut() && self.wires.len() + self.habits.len() == 1
    }

    /// Whether answers end too early, among other things.
    pub(crate) fn may_be_cut(&self) -> bool {
        let is_cut =
            |kind: &str| kind.contains("cut") || kind == "stub" || kind == "header Content-Length";
        self.wires.iter().any(|wire| is_cut(wire.kind))
    }

    /// Whether HEAD and GET of the tag are about different manifests.
    pub(crate) fn has_two_tags(&self) -> bool {
        self.habits
            .iter()
            .any(|habit| habit.kind == habit::TWO_TAGS)
    }

    pub(crate) fn is_over_tls(&self) -> bool {
        self.habits
            .iter()
            .any(|habit| matches!(habit.deed, Deed::UncleanTls(_)))
    }

    /// Fills a registry, and gives it its habits.
    pub(crate) fn prepare(&self, registry: &Registry) {
        // Something that is whole, by which a client knows that the registry answers.
        let layer = tar("file", b"a layer of the other image");
        registry.image("other", Some("v1"), &[&layer]);
        image::store(registry, &self.stored);
        if self.shape.is_old {
            registry.quirks(|quirks| quirks.ranges = Ranges::HonouredByOldGo);
        }
        for habit in &self.habits {
            match habit.deed {
                Deed::Quirk(change) => registry.quirks(change),
                Deed::Storage(status) => habit::store_elsewhere(registry, status),
                Deed::Change(_) | Deed::UncleanTls(_) => {}
            }
        }
    }

    /// Damages what is in it.
    pub(crate) fn damage(&self, registry: &Registry) {
        for damage in &self.damages {
            damage.wreak(registry);
        }
    }

    /// What its habits make of every answer.
    pub(crate) fn habitual(&self) -> Arc<RawEdit> {
        let mut changes = Vec::new();
        for habit in &self.habits {
            match &habit.deed {
                Deed::Change(change) | Deed::UncleanTls(change) => changes.push(Arc::clone(change)),
                Deed::Quirk(_) | Deed::Storage(_) => {}
            }
        }
        Arc::new(move |request, answer| changes.iter().for_each(|change| change(request, answer)))
    }

    /// What is made of single answers before that.
    pub(crate) fn edit(&self) -> Arc<RawEdit> {
        let mut changes = Vec::new();
        for deviation in &self.wires {
            let target = self
                .stored
                .iter()
                .find(|stored| stored.part == deviation.part);
            let target = target.expect("a deviation is about a part").clone();
            changes.push((target, deviation.asked, Arc::clone(&deviation.change)));
        }
        Arc::new(move |request, answer| {
            for (target, asked, change) in &changes {
                if wire::is_for(request, target) && asked.is_met_by(request) {
                    change(request, answer);
                }
            }
        })
    }
}

/// How many fields, answers, habits and stored objects deviate: one or a few in all, now and then none.
fn numbers(random: &mut Rng) -> [usize; 4] {
    match random.u8(..100) {
        0 => [0, 0, 0, 0],
        1..31 => [0, 1, 0, 0],
        31..51 => [1, 0, 0, 0],
        51..61 => [0, 0, 1, 0],
        61..64 => [0, 0, 0, 1],
        64..70 => [1, 0, 0, 1],
        70..78 => [0, 1, 0, 1],
        78..83 => [0, 0, 1, 1],
        83..88 => [0, 1, 1, 0],
        88..92 => [0, 2, 0, 0],
        92..95 => [1, 1, 0, 0],
        95..97 => [2, 0, 0, 0],
        97 => [1, 0, 1, 0],
        98 => [0, 2, 1, 1],
        _ => [1, 1, 1, 0],
    }
}

/// The document whose fields change.
fn altered_part(shape: Shape, random: &mut Rng) -> Part {
    let parts: &[Part] = match shape.kind {
        image::Kind::Index | image::Kind::Nested | image::Kind::OddChild => &[
            Part::Root,
            Part::Root,
            Part::Child,
            Part::Child,
            Part::Config,
        ],
        image::Kind::SignedSchema1 => &[Part::Root],
        _ => &[Part::Root, Part::Root, Part::Config],
    };
    *random.choice(parts).expect("there are documents")
}

/// Whether a `Content-Type` can say it.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// What the trials of these seeds are, in a few letters. Verdicts of clients are good for as long as
/// this is the same.
pub(crate) fn version(seeds: std::ops::Range<u64>) -> String {
    let mut all = sha256(GENERATION.to_string());
    for seed in seeds {
        let trial = Trial::of(seed);
        all.push_str(&trial.words().join("\n"));
        for stored in &trial.stored {
            all.push_str(&stored.digest);
            all.push_str(stored.media_type.as_deref().unwrap_or_default());
        }
        all = sha256(&all);
    }
    all[all.len() - 16..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_same_trial_each_time() {
        for seed in 0..200 {
            let (one, other) = (Trial::of(seed), Trial::of(seed));
            assert_eq!(one.words(), other.words());
            let digests = |trial: &Trial| {
                trial
                    .stored
                    .iter()
                    .map(|stored| stored.digest.clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(digests(&one), digests(&other), "{seed}");
        }
        assert_ne!(version(0..20), version(0..21));
    }
}
