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

/// Whether the source told something, when it last did, and whether that is of all clusters.
pub(super) fn source(swept: &[Swept<'_>]) -> [Family; 3] {
    let mut up = gauge(
        "in_use_source_up",
        "Whether the source of what is in use told something before the last sweep.",
    );
    let mut read = gauge(
        "in_use_source_timestamp_seconds",
        "When the source of what is in use last told something.",
    );
    let mut partial = gauge(
        "in_use_source_partial",
        "Whether the source of what is in use is of some clusters out of several: --in-use-partial or --in-use-matcher.",
    );
    for one in swept {
        let Some(in_use) = &one.record.in_use else {
            continue;
        };
        partial.count(&one.labels(&[]), u64::from(in_use.is_part));
        up.count(&one.labels(&[]), u64::from(in_use.away.is_none()));
        if let Some(at) = in_use.read_at.and_then(seconds) {
            read.add(&one.labels(&[]), at);
        }
    }
    [up, read, partial]
}

#[cfg(test)]
mod tests {
    use crate::render::{fixture, metrics};
    use crate::report::{InUseResult, Record};

    fn series(in_use: InUseResult) -> Vec<String> {
        let mut sweep = fixture::intact();
        sweep.in_use = Some(in_use);
        let mut record = Record::new(sweep.registry.clone());
        record.absorb(sweep);
        let text = metrics::render(&[&record]);
        let own = text
            .lines()
            .filter(|line| line.contains("in_use") && !line.starts_with('#'));
        own.map(str::to_owned).collect()
    }

    #[test]
    fn broken_ones_have_series_and_a_source_says_how_it_is() {
        let in_use = fixture::in_use(&fixture::five());
        let told = series(in_use.clone());
        let broken = told.iter().filter(|line| line.contains("in_use_broken{"));
        assert_eq!(broken.count(), 3, "what never ran has none: {told:?}");
        let has = |told: &[String], part: &str| told.iter().any(|line| line.contains(part));
        assert!(
            has(&told, "namespace=\"shop\",image=\"registry.example:5050/"),
            "{told:?}"
        );
        assert!(has(&told, "reason=\"platform_missing\"} 1"), "{told:?}");
        assert!(
            told.iter()
                .any(|line| line.contains("in_use_source_up{") && line.ends_with(" 1"))
        );
        assert!(has(&told, "in_use_source_timestamp_seconds{"));

        let never = series(InUseResult::away("s", "refused"));
        assert!(
            never
                .iter()
                .any(|line| line.contains("in_use_source_up{") && line.ends_with(" 0"))
        );
        assert!(
            !has(&never, "in_use_source_timestamp_seconds{"),
            "it never told anything"
        );

        let mut many = in_use;
        let one = many.findings.remove(0);
        many.findings = (0..1_003)
            .map(|number| crate::report::InUseFinding {
                image: format!("r.example/app:{number}").into(),
                ..one.clone()
            })
            .collect();
        let told = series(many);
        let broken = told.iter().filter(|line| line.contains("in_use_broken{"));
        assert_eq!(broken.count(), 1_000);
        let dropped = "family=\"registry_manifest_integrity_in_use_broken\"} 3";
        assert!(has(&told, dropped), "{dropped}");
    }
}
