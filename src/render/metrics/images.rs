//! The images that are broken, to be joined with what a cluster runs.

use super::{Family, Swept, gauge};

/// Broken images that have a series. They are for joins: whoever has more broken images than this has
/// other worries.
const MOST_IMAGES: usize = 1_000;

/// A 1 for every tag that something broken breaks, with the image as a pod's specification names it.
pub(super) fn broken(swept: &[Swept<'_>], dropped: &mut Family) -> Family {
    let mut family = gauge(
        "broken_image_info",
        "A tag that cannot be pulled, or not for every platform; always 1.",
    );
    for one in swept {
        let mut tags: Vec<_> = one
            .record
            .findings()
            .flat_map(|finding| finding.tags.iter().map(|tag| (&finding.repository, tag)))
            .collect();
        tags.sort();
        tags.dedup();
        let surplus = tags.len().saturating_sub(MOST_IMAGES);
        let labels = one.labels(&[("family", family.name())]);
        dropped.count(&labels, surplus as u64);
        for (repository, tag) in tags.into_iter().take(MOST_IMAGES) {
            let image = format!("{}/{repository}:{tag}", one.sweep.access.host);
            let labels = one.labels(&[
                ("repository", repository.as_str()),
                ("tag", tag.as_str()),
                ("image", &image),
            ]);
            family.count(&labels, 1);
        }
    }
    family
}
