//! Images in use that could not be pulled again, for alerts, and how their source is.

use std::collections::BTreeSet;

use super::{Family, Swept, gauge, seconds};

/// Images and namespaces that have a series. Whoever has more broken images in use has other worries.
const MOST: usize = 1_000;

/// A 1 for every image of which pods of a namespace could not start again. Its label has a digest where pods write
/// one: by that alone it is found in a cluster.
pub(super) fn broken(swept: &[Swept<'_>], dropped: &mut Family) -> Family {
    let mut family = gauge(
        "in_use_broken",
        "An image that pods run, as they write it, and that could not be pulled again; always 1.",
    );
    for one in swept {
        let Some(in_use) = &one.record.in_use else {
            continue;
        };
        let series: BTreeSet<_> = in_use
            .findings
            .iter()
            .flat_map(|found| {
                let namespaces = found
                    .workloads
                    .iter()
                    .filter_map(|user| user.origin.namespace.as_ref());
                namespaces.map(|namespace| (&**namespace, &*found.image, found.reason))
            })
            .collect();
        let surplus = series.len().saturating_sub(MOST);
        let labels = one.labels(&[("family", family.name())]);
        dropped.count(&labels, surplus as u64);
        for (namespace, image, reason) in series.into_iter().take(MOST) {
            let labels = one.labels(&[
                ("namespace", namespace),
                ("image", image),
                ("reason", reason.word()),
            ]);
            family.count(&labels, 1);
        }
    }
    family
}

/// Whether the source told something, and when it last did.
pub(super) fn source(swept: &[Swept<'_>]) -> [Family; 2] {
    let mut up = gauge(
        "in_use_source_up",
        "Whether the source of what is in use told something before the last sweep.",
    );
    let mut read = gauge(
        "in_use_source_timestamp_seconds",
        "When the source of what is in use last told something.",
    );
    for one in swept {
        let Some(in_use) = &one.record.in_use else {
            continue;
        };
        up.count(&one.labels(&[]), u64::from(in_use.away.is_none()));
        if let Some(at) = in_use.read_at.and_then(seconds) {
            read.add(&one.labels(&[]), at);
        }
    }
    [up, read]
}
