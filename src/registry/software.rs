//! Which software a registry runs, and what shows it.

use serde::{Deserialize, Serialize};

use crate::oci::Printable;
use crate::words::words;

words! {
    /// Software that serves the OCI Distribution API, as far as repairs and advice differ.
    Software {
        /// distribution, `registry:2`.
        Distribution2 = "distribution-2",
        /// distribution, `registry:3`.
        Distribution3 = "distribution-3",
        /// zot.
        Zot = "zot",
        /// Gitea's packages, or Forgejo's.
        Gitea = "gitea",
        /// Harbor, which runs distribution behind a core of its own.
        Harbor = "harbor",
        /// GitLab's container registry.
        GitLab = "gitlab",
        /// Quay.
        Quay = "quay",
        /// Sonatype Nexus.
        Nexus = "nexus",
        /// JFrog Artifactory.
        Artifactory = "artifactory",
        /// Docker Hub.
        DockerHub = "docker-hub",
        /// GitHub's container registry.
        Ghcr = "ghcr",
        /// Amazon's registries.
        Ecr = "ecr",
        /// Google's registries.
        Gar = "gar",
        /// Azure's registry.
        Acr = "acr",
    }
}

impl Software {
    /// Whether HEAD of a manifest is better than GET where its bytes are known: HEAD reads the storage as GET
    /// does (distribution, zot), or GET counts as a pull and HEAD does not (zot, Harbor, Docker Hub).
    #[must_use]
    pub fn is_asked_by_head(self) -> bool {
        matches!(
            self,
            Self::Distribution2 | Self::Distribution3 | Self::Zot | Self::Harbor | Self::DockerHub
        )
    }

    /// Whether each repository has a file of its own of every blob. zot has, with `dedupe: false`, and for `subPaths`
    /// in any case; nothing shows how it is set.
    #[must_use]
    pub fn stores_by_repository(self) -> bool {
        self == Self::Zot
    }
}

/// Which software a registry runs, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Identified {
    /// The software.
    pub name: Software,
    /// What shows it, each by itself: a header, an error's text. Empty where the caller named it.
    pub signs: Vec<Printable>,
}

impl Identified {
    /// Whether that is sure enough for paths in its store: the caller named it, or two signs agree.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        self.signs.is_empty() || self.signs.len() >= 2
    }
}
