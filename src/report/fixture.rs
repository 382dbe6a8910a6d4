//! A sweep and a finding to test rules with.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::{
    Bracket, Counts, Defect, Evidence, Finding, Kind, Listed, Mode, Nearby, Reason, Sweep,
};
use crate::oci::Digest;
use crate::registry::{Access, Depth};

/// An empty sweep of a whole registry.
pub(crate) fn sweep() -> Sweep {
    Sweep {
        registry: "r.example".into(),
        access: Access::default(),
        started_at: SystemTime::UNIX_EPOCH,
        finished_at: SystemTime::UNIX_EPOCH,
        depth: Depth::Tail,
        mode: Mode::Private,
        listed: Listed::Catalog,
        counts: Counts::default(),
        repositories: Vec::new(),
        findings: Vec::new(),
        images: Vec::new(),
        unmet: Vec::new(),
        missing: Vec::new(),
        out_of_scope: Vec::new(),
        exposed: Vec::new(),
        unverified: Vec::new(),
        skipped: BTreeMap::new(),
        warnings: Vec::new(),
        scrub_period: None,
        certificate_expires_at: None,
    }
}

/// A finding on one object under the tag `v1` of `app`.
pub(crate) fn finding(kind: Kind, reason: Reason) -> Finding {
    Finding {
        repository: "app".parse().expect("a name"),
        kind,
        digest: Some(Digest::sha256(b"object")),
        media_type: None,
        size: None,
        tags: vec!["v1".parse().expect("a tag")],
        platforms: Vec::new(),
        parent: None,
        defect: Defect {
            reason,
            evidence: Evidence::default(),
        },
        depth: Depth::Tail,
        confirmations: 1,
        nearby: Nearby::default(),
        bracket: Bracket::default(),
    }
}
