//! Damage to what is stored: it is what is lost behind an odd answer that shows whether it was looked
//! at.

use fastrand::Rng;
use registry_double::Registry;

use crate::image::{Part, REPOSITORY, Stored};

/// What happens to the stored bytes of an object.
#[derive(Clone, Copy, Debug)]
enum How {
    Gone,
    LinkGone,
    LinkEmpty,
    Emptied,
    Shorter(usize),
    Altered(usize),
}

/// One object, and its damage.
pub(crate) struct Damage {
    pub(crate) part: Part,
    digest: String,
    is_manifest: bool,
    how: How,
}

impl Damage {
    pub(crate) fn choose(random: &mut Rng, stored: &[Stored]) -> Self {
        let target = random
            .choice(stored.iter().collect::<Vec<_>>())
            .expect("an image has parts");
        let how = match random.u8(..8) {
            _ if target.bytes.is_empty() => How::Gone,
            0..3 => How::Gone,
            3 => How::LinkGone,
            4 => How::LinkEmpty,
            5 => How::Emptied,
            6 => How::Shorter(random.usize(..target.bytes.len())),
            _ => How::Altered(random.usize(..target.bytes.len())),
        };
        Self {
            part: target.part,
            digest: target.digest.clone(),
            is_manifest: target.media_type.is_some(),
            how,
        }
    }

    /// The object's bytes are gone.
    pub(crate) fn loss(stored: &Stored) -> Self {
        Self {
            part: stored.part,
            digest: stored.digest.clone(),
            is_manifest: stored.media_type.is_some(),
            how: How::Gone,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.how {
            How::Gone | How::LinkGone => "object lost",
            How::LinkEmpty => "object unreadable",
            How::Emptied => "object emptied",
            How::Shorter(_) => "object shorter",
            How::Altered(_) => "object altered",
        }
    }

    pub(crate) fn words(&self) -> String {
        format!("{:?} {} in storage: {:?}", self.part, self.digest, self.how)
    }

    pub(crate) fn wreak(&self, registry: &Registry) {
        let digest = &self.digest;
        match (self.how, self.is_manifest) {
            (How::Gone, _) => registry.remove_bytes(digest),
            (How::LinkGone, true) => registry.remove_manifest_link(REPOSITORY, digest),
            (How::LinkGone, false) => registry.remove_layer_link(REPOSITORY, digest),
            (How::LinkEmpty, true) => registry.empty_manifest_link(REPOSITORY, digest),
            (How::LinkEmpty, false) => registry.empty_layer_link(REPOSITORY, digest),
            (How::Emptied, _) => registry.empty_bytes(digest),
            (How::Shorter(length), _) => registry.truncate_bytes(digest, length),
            (How::Altered(at), _) => registry.flip_bit(digest, at),
        }
    }
}
