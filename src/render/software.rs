//! What is said of each software: its name, how it was recognised, and what takes there what no tag
//! names.

use crate::registry::{Identified, Software};

/// As people call it.
pub(crate) fn title(software: Software) -> &'static str {
    match software {
        Software::Distribution2 => "distribution 2 (registry:2)",
        Software::Distribution3 => "distribution 3 (registry:3)",
        Software::Zot => "zot",
        Software::Gitea => "Gitea or Forgejo",
        Software::Harbor => "Harbor",
        Software::GitLab => "GitLab",
        Software::Quay => "Quay",
        Software::Nexus => "Sonatype Nexus",
        Software::Artifactory => "JFrog Artifactory",
        Software::DockerHub => "Docker Hub",
        Software::Ghcr => "GitHub's container registry",
        Software::Ecr => "Amazon ECR",
        Software::Gar => "Google Artifact Registry",
        Software::Acr => "Azure Container Registry",
    }
}

/// Which software it is, and what shows that.
pub(crate) fn told(found: &Identified) -> String {
    let title = title(found.name);
    let shown = match found.signs.as_slice() {
        [] => return format!("{title}, as --software says"),
        [sign] => sign.to_string(),
        [signs @ .., last] => {
            let signs: Vec<_> = signs.iter().map(|sign| &**sign).collect();
            format!("{} and {last}", signs.join(", "))
        }
    };
    let doubt = if found.is_sure() { "" } else { ", by one sign" };
    format!("{title}{doubt}: {shown}")
}

/// What becomes of manifests that an index names and no tag does.
pub(crate) struct CleanUp {
    /// What takes them there, or keeps them. Goes on from "Indexes name them and no tag does:".
    pub(crate) what: &'static str,
    /// What to do, or not to do.
    pub(crate) remedy: &'static str,
}

const UNTAGGED: &str = "a clean-up that goes by tags takes them for untagged";

/// Tags protect them everywhere.
const TAG_THEM: &str = "before anything is cleaned up, give each of them a tag, or see that what an index names \
                        is kept";

/// What takes them in each software, or keeps them, and what to do: by its source or its documentation.
const CLEAN_UPS: &[(Software, &str, &str)] = &[
    (
        Software::Distribution2,
        "registry:2 takes them for untagged",
        "never run `registry garbage-collect` with --delete-untagged here, or give each of them a tag before",
    ),
    // registry/storage/garbagecollect.go: unmarkReferencedManifest, in 3.0.0 and not in 2.8.3.
    (
        Software::Distribution3,
        "`garbage-collect --delete-untagged` of registry:3 keeps them, and that of registry:2 on the same store \
         does not; scripts that delete what has no tag do not either",
        "never clean this store with registry:2, and let scripts keep what an index names",
    ),
    // pkg/storage/gc/gc.go: identifyManifestsReferencedInIndex.
    (
        Software::Zot,
        "zot's gc keeps them for as long as their index is there; its retention takes the index once no rule \
         keeps a tag of it",
        "see that the retention rules keep the tags of these indexes",
    ),
    // services/packages/container/cleanup.go: ShouldBeSkipped. The API was tried.
    (
        Software::Gitea,
        "clean-up rules keep them, and whoever deletes package versions by their digest (API, web page, \
         scripts) takes them",
        "let nothing delete versions named sha256:… of these packages",
    ),
    // src/jobservice/job/impl/gc: children are no candidates of their own.
    (
        Software::Harbor,
        "Harbor's garbage collection and tag retention take them with their index, once no rule keeps a tag of it",
        "do a dry run of the retention and of the garbage collection (\"delete untagged artifacts\") before",
    ),
    // registry/storage/garbagecollect.go of its fork; with the metadata database manifest_references are kept.
    (
        Software::GitLab,
        "`registry-garbage-collect -m` (without the metadata database) takes what no tag names; clean-up policies \
         delete tags",
        "do not run it with -m here, and see that clean-up policies keep the tags of these indexes",
    ),
    (
        Software::Quay,
        "Quay collects them with their index, once its tags are pruned and the time machine's window is over",
        "see that auto-prune policies and tag expiry keep the tags of these indexes",
    ),
    (
        Software::Nexus,
        "clean-up policies and the task \"Delete unused manifests and images\" decide about them",
        "preview the policies, and see that they keep what an index names",
    ),
    (
        Software::Artifactory,
        "clean-up policies and scripts see them as folders of their own, named by digests",
        "see that they keep folders named by digests that an index names",
    ),
    (
        Software::DockerHub,
        "Docker Hub keeps them; scripts that delete images without tags take them",
        "let scripts keep what an index names",
    ),
    // actions/delete-package-versions: delete-only-untagged-versions.
    (
        Software::Ghcr,
        "clean-up actions that delete untagged versions take them (delete-only-untagged-versions)",
        "use an action that keeps what an index names, or none",
    ),
    // ImageReferencedByManifestList, of BatchDeleteImage and of lifecycle rules.
    (
        Software::Ecr,
        "ECR's lifecycle rules keep them while their index is there; rules for untagged or old images take the \
         index once it has no tag that a rule keeps",
        "preview the lifecycle rules, and see that they keep the tags of these indexes",
    ),
    (
        Software::Gar,
        "clean-up policies with `tagState: untagged` are about such manifests",
        "run the policy with --dry-run before, and add a keep rule",
    ),
    (
        Software::Acr,
        "`acr purge --untagged` and the retention policy for untagged manifests are about such manifests",
        "run `acr purge` with --dry-run before, and lock what an index names",
    ),
];

/// The same for one, and where it is not known, nothing is blamed.
pub(crate) fn clean_up(software: Option<Software>) -> CleanUp {
    let mut rows = CLEAN_UPS.iter();
    let row = rows.find(|(of, ..)| Some(*of) == software);
    let (what, remedy) = row.map_or((UNTAGGED, TAG_THEM), |(_, what, remedy)| (*what, *remedy));
    CleanUp { what, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{fixture, json, text};
    use crate::report::Report;

    #[test]
    fn nothing_is_blamed_that_is_not_there() {
        for software in [None]
            .into_iter()
            .chain(Software::ALL.iter().copied().map(Some))
        {
            let CleanUp { what, remedy } = clean_up(software);
            let is_distribution = matches!(
                software,
                Some(Software::Distribution2 | Software::Distribution3)
            );
            let blames = [what, remedy].concat().contains("registry:2");
            assert_eq!(blames, is_distribution, "{software:?}: {what}; {remedy}");
            let is_own = what != UNTAGGED;
            assert_eq!(is_own, software.is_some(), "{software:?}");
        }
    }

    /// In what people read and in what programs read.
    #[test]
    fn every_report_names_it() {
        let mut report = fixture::rich().into();
        let Report { sweep, .. } = &mut report;
        sweep.access.software = Some(Identified {
            name: Software::Ghcr,
            signs: vec!["its host name".into(), "the header X".into()],
        });
        let found: serde_json::Value =
            serde_json::from_str(&json::render([&report])).expect("JSON");
        assert_eq!(found["software"]["name"], "ghcr");
        assert_eq!(found["software"]["signs"][1], "the header X");
        let lines = text::render(
            &[report],
            text::View {
                color: false,
                details: false,
            },
        );
        let words: Vec<_> = lines.split_whitespace().collect();
        let words = words.join(" ");
        for part in [
            "software GitHub's container registry: its host name and the header X",
            "no tag does: clean-up actions that delete untagged versions take them",
        ] {
            assert!(words.contains(part), "{part}: {lines}");
        }
        assert!(!words.contains("registry:2"), "{lines}");
    }

    #[test]
    fn how_sure_it_is() {
        let found = |signs: &[&str]| Identified {
            name: Software::Zot,
            signs: signs.iter().map(|&sign| sign.into()).collect(),
        };
        assert_eq!(told(&found(&[])), "zot, as --software says");
        assert_eq!(told(&found(&["a"])), "zot, by one sign: a");
        assert_eq!(told(&found(&["a", "b", "c"])), "zot: a, b and c");
    }
}
