//! What documents name: the images of a registry with where they stand, and what was not asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::image::{Image, Node, State, Unmet};
use super::origin::Origin;
use crate::oci::Printable;
use crate::words::words;

/// What documents name (`--images-from`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "NamedInDocuments"))]
pub struct Documents {
    /// The images of this registry, and what came of each.
    pub images: Vec<NamedImage>,
    /// What was not asked for. It is about all registries, and stands in the last report of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unasked: Option<Unasked>,
}

words! {
    /// What came of an image that documents name.
    ImageOutcome {
        /// All of it can be pulled.
        Intact = "intact",
        /// It cannot be pulled as promised or as expected.
        Broken = "broken",
        /// Not everything of it could be verified.
        Unverified = "unverified",
    }
}

/// An image that documents name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NamedImage {
    /// As it was asked for: `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    pub image: String,
    /// As it is written, and where.
    #[serde(flatten)]
    pub named: Named,
    /// What came of it.
    pub outcome: ImageOutcome,
    /// What is wrong with it, as `layer/not_found`; null where nothing is.
    pub why: Option<Printable>,
}

/// Text of some documents, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Named {
    /// As it is written, where it was met first.
    pub written: Printable,
    /// Where.
    pub origins: Vec<Origin>,
    /// In how many more places that are not listed.
    #[serde(rename = "more_origins")]
    pub more: u64,
}

/// What documents name and nobody was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unasked {
    /// Where an image has to stand, and what stands there names none: `${TAG}` is still to be replaced.
    pub unresolved: Vec<Named>,
    /// Whether the caller accepts that.
    pub unresolved_allowed: bool,
    /// What stands where an image has to, and no runtime takes for its name: what is described cannot start.
    #[serde(default)]
    pub invalid: Vec<Named>,
    /// What may be an image, or may be something else.
    pub not_taken: Vec<Named>,
    /// Images of services that are built where they run.
    pub built: Vec<Named>,
    /// Registries that were left out, with how many images of each.
    pub left_out: BTreeMap<String, u64>,
}

impl Unasked {
    /// What is named for an image that has to be known, and names none.
    pub fn lacking(&self) -> impl Iterator<Item = &Named> {
        let unresolved = (!self.unresolved_allowed).then_some(&self.unresolved);
        self.invalid.iter().chain(unresolved.into_iter().flatten())
    }
}

impl Documents {
    /// Says of each image what came of it, by what was seen and what was not as expected.
    pub fn judge(&mut self, images: &[Image], unmet: &[Unmet]) {
        let seen: BTreeMap<_, _> = images.iter().map(|one| (one.name(), one)).collect();
        for named in &mut self.images {
            let unmet = unmet.iter().find(|it| it.image == &*named.image);
            let unmet = unmet.map(|it| format!("expected {}", it.expected));
            let mut doubt = None;
            let seen = seen.get(&named.image);
            let broken = seen.and_then(|image| worst(&image.root, &mut doubt));
            // What is broken wins over what is not as expected, and that over what is not known.
            let (outcome, why) = match (seen, broken.or(unmet), doubt) {
                (None, ..) => (ImageOutcome::Unverified, None),
                (_, Some(why), _) => (ImageOutcome::Broken, Some(why)),
                (_, None, Some(why)) => (ImageOutcome::Unverified, Some(why)),
                (_, None, None) => (ImageOutcome::Intact, None),
            };
            (named.outcome, named.why) = (outcome, why.map(Printable::from));
        }
    }
}

/// The first broken object of a tree; notes the first of which nothing is known.
fn worst(node: &Node, doubt: &mut Option<String>) -> Option<String> {
    let said = |word: &str| format!("{}/{word}", node.kind);
    match &node.state {
        State::Broken(defect) => return Some(said(defect.reason.word())),
        State::Unverified(why) => *doubt = doubt.take().or(Some(said(why.reason.word()))),
        State::Changed => *doubt = doubt.take().or(Some(said("changed"))),
        State::Intact | State::Skipped(_) | State::Absent => {}
    }
    node.children.iter().find_map(|child| worst(child, doubt))
}
