//! A sweep and a finding to test rules with.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::{
    Bracket, Counts, Defect, Evidence, Finding, Kind, LengthSource, Listed, Mode, Nearby, Observed,
    Promised, Reads, Reason, Start, Sweep,
};
use crate::oci::{Digest, MediaKind};
use crate::registry::{Access, Depth, Identified, Software};

/// An empty sweep of a whole registry.
pub(crate) fn sweep() -> Sweep {
    Sweep {
        registry: "r.example".into(),
        access: Access {
            software: Some(software(Software::Distribution2)),
            ..Access::default()
        },
        started_at: SystemTime::UNIX_EPOCH,
        finished_at: SystemTime::UNIX_EPOCH,
        shard: None,
        run_id: None,
        interval: None,
        depth: Depth::Tail,
        mode: Mode::Private,
        listed: Listed::Catalog,
        counts: Counts::default(),
        repositories: Vec::new(),
        findings: Vec::new(),
        suspected: Vec::new(),
        images: Vec::new(),
        unmet: Vec::new(),
        in_use: None,
        documents: None,
        missing: Vec::new(),
        out_of_scope: Vec::new(),
        referrers: None,
        exposed: Vec::new(),
        unverified: Vec::new(),
        skipped: BTreeMap::new(),
        warnings: Vec::new(),
        scrub_period: None,
        read_every: None,
        oldest_read_at: None,
        reads: Reads::default(),
        certificate_expires_at: None,
    }
}

/// Software that the caller named.
pub(crate) fn software(name: Software) -> Identified {
    Identified {
        name,
        signs: Vec::new(),
    }
}

/// What is typically observed where this is what is wrong.
pub(crate) fn observed(reason: Reason, status: u16) -> Observed {
    let refused = |code: Option<&str>, from_storage| Observed::Refused {
        status,
        code: code.map(Into::into),
        from_storage,
        is_page: false,
    };
    match reason {
        Reason::NotFound => refused(Some("MANIFEST_UNKNOWN"), false),
        Reason::StorageMissing => refused(None, true),
        Reason::Unreadable => refused(None, false),
        Reason::ShortRead => Observed::Cut {
            received: 0,
            announced: Some(80_000),
        },
        Reason::SizeMismatch => Observed::OtherLength {
            length: 0,
            source: LengthSource::Stated,
        },
        Reason::DigestMismatch => Observed::OtherBytes {
            length: None,
            digest: Digest::sha256(b"other bytes"),
            start: Start::Other,
        },
        Reason::InvalidManifest => Observed::InvalidManifest {
            problem: "`config` is missing".into(),
        },
        Reason::MediaTypeMismatch => Observed::OtherKind {
            kind: MediaKind::Manifest,
            own_type: "".into(),
            served_as: None,
        },
        Reason::Contradiction => Observed::OtherLayers { layers: 2 },
        Reason::UnpackFailed => Observed::NotUnpacked {
            problem: "the archive ends early".into(),
        },
        Reason::ReferrerMissing => Observed::Attached {
            types: "sbom".into(),
        },
        Reason::Inconsistent => Observed::Changing {
            observed: Box::new(refused(Some("BLOB_UNKNOWN"), false)),
        },
    }
}

/// Evidence in which every text is `text`.
pub(crate) fn evidence_of(text: &str) -> Box<Evidence> {
    Box::new(Evidence {
        promised: Some(Promised::MediaType {
            media_type: text.into(),
        }),
        observed: Some(Observed::InvalidManifest {
            problem: text.into(),
        }),
        request: text.into(),
        status: Some(200),
    })
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
        attached_to: Vec::new(),
        platforms: Vec::new(),
        parent: None,
        defect: Defect {
            reason,
            evidence: Box::default(),
        },
        depth: Depth::Tail,
        confirmations: 1,
        nearby: Nearby::default(),
        bracket: Bracket::default(),
    }
}
