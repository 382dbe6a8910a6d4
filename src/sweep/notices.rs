//! What readers should know of images that are not broken: clients take them, or some of them do.

use std::collections::{BTreeMap, BTreeSet};

use crate::oci::{Digest, Repository};

/// What there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Notice {
    /// An index without any child.
    NoChildren,
    /// A manifest that names a blob of no bytes.
    NoBytes,
    /// A manifest of more than 4 MiB.
    Large,
    /// A document of a type that only it and its header know.
    OwnType,
    /// An image whose config names another platform than its index.
    OtherPlatform,
    /// What is attached to a manifest that is gone.
    Dangling,
    /// What containerd takes and containers/image does not.
    RefusedByOthers,
}

impl Notice {
    fn words(self) -> &'static str {
        match self {
            Self::NoChildren => "indexes that promise nothing",
            Self::NoBytes => {
                "manifests with a config or layer of 0 bytes, which containerd refuses"
            }
            Self::Large => {
                "manifests of more than 4 MiB, which podman, CRI-O and skopeo refuse, and containerd by tag"
            }
            Self::OtherPlatform => {
                "images whose config names another platform than their index, which may run all the same"
            }
            Self::Dangling => "images that are gone, and to which something is attached still",
            Self::OwnType => "documents of a type that no client knows",
            Self::RefusedByOthers => {
                "manifests that podman, CRI-O and skopeo refuse, and containerd does not, for their \
                 Content-Type or a `history`"
            }
        }
    }
}

/// Places of each kind of notice that are kept.
const KEPT: usize = 1000;
/// And of those, the ones that are told.
const TOLD: usize = 3;

/// What there is to know, and of which manifests.
#[derive(Clone, Default)]
pub(super) struct Notices(BTreeMap<Notice, BTreeSet<(Repository, Digest)>>);

impl Notices {
    pub(super) fn note(&mut self, notice: Notice, repository: &Repository, digest: &Digest) {
        let places = self.0.entry(notice).or_default();
        if places.len() < KEPT {
            places.insert((repository.clone(), digest.clone()));
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (notice, places) in other.0 {
            for (repository, digest) in places {
                self.note(notice, &repository, &digest);
            }
        }
    }

    /// A sentence for each kind.
    pub(super) fn sentences(&self) -> Vec<String> {
        let sentence = |(notice, places): (&Notice, &BTreeSet<(Repository, Digest)>)| {
            let told = places.iter().take(TOLD);
            let told: Vec<_> = told
                .map(|(repository, digest)| format!("{repository}@{digest}"))
                .collect();
            let more = match places.len().saturating_sub(TOLD) {
                0 => String::new(),
                more if places.len() < KEPT => format!(" and {more} more"),
                more => format!(" and {more} more at least"),
            };
            format!("{}: {}{more}", notice.words(), told.join(", "))
        };
        self.0.iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_told_once_with_a_few_of_its_places() {
        let mut notices = Notices::default();
        let app: Repository = "app".parse().expect("a name");
        let digest = |n: usize| Digest::sha256(&n.to_le_bytes());
        notices.note(Notice::NoBytes, &app, &digest(0));
        notices.note(Notice::NoBytes, &app, &digest(0));
        let expected = format!(
            "manifests with a config or layer of 0 bytes, which containerd refuses: app@{}",
            digest(0)
        );
        assert_eq!(notices.sentences(), [expected]);
        let mut more = Notices::default();
        (0..2 * KEPT).for_each(|n| more.note(Notice::NoChildren, &app, &digest(n)));
        notices.add(more);
        let sentences = notices.sentences();
        assert_eq!(sentences.len(), 2);
        assert!(
            sentences[0].ends_with(" and 997 more at least"),
            "{}",
            sentences[0]
        );
    }
}
