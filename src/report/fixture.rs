//! Sweeps for the tests of every report: one with everything in it, and the plain ones.

use std::time::{Duration, SystemTime};

use crate::model::{
    Counts, Coverage, Defect, Depth, Digest, Evidence, Exemption, Finding, Kind, Listed, Mode,
    Obstacle, ObstacleReason, Reason, RepositoryResult, Sweep, Tag, Unverified,
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Something of everything: broken, unverified, skipped, partial, with warnings.
pub(super) fn rich() -> Sweep {
    let limit = "the sweep's 10 minutes were up";
    let login = "GET /v2/ops/vault/tags/list: 401, the token service refused the login";
    let mut sweep = Sweep {
        counts: Counts {
            repositories: Coverage {
                listed: 214,
                checked: 121,
            },
            tags: Coverage {
                listed: 3_000,
                checked: 1_796,
            },
            indexes: 912,
            manifests: 2_204,
            blobs: 8_731,
            absent: 0,
            requests: 20_655,
            bytes: 18_734_211,
        },
        repositories: vec![
            RepositoryResult {
                name: name("ops/vault"),
                broken: 0,
                unverified: 1,
            },
            RepositoryResult {
                name: name("team/app"),
                broken: 2,
                unverified: 0,
            },
            RepositoryResult {
                name: name("team/web"),
                broken: 2,
                unverified: 3,
            },
            RepositoryResult {
                name: name("tools/build"),
                broken: 1,
                unverified: 0,
            },
        ],
        findings: rich_findings(),
        unverified: vec![
            group(None, ObstacleReason::Deadline, limit, 1_201),
            group(Some("ops/vault"), ObstacleReason::Unauthorized, login, 1),
            group(
                Some("team/web"),
                ObstacleReason::Timeout,
                "HEAD /v2/team/web/manifests/2.0.0: no answer in 30 s, 4 attempts",
                3,
            ),
        ],
        skipped: [
            (Exemption::ForeignLayer, 2),
            (Exemption::TagFilter, 1_310),
            (Exemption::RangeUnsupported, 17),
        ]
        .into(),
        warnings: vec![
            "the certificate of this registry is not verified (--insecure-skip-tls-verify): an \
             answer may come from anyone"
                .into(),
            "team/old is in the catalog and has no tags".into(),
        ],
        ..plain("registry.example:5050", 612_400)
    };
    sweep.listed = Listed::Catalog;
    sweep
}

fn rich_findings() -> Vec<Finding> {
    let releases: Vec<String> = (0..44)
        .map(|n| format!("2024.{}.{}", n / 4 + 1, n % 4))
        .collect();
    let releases: Vec<&str> = releases
        .iter()
        .map(String::as_str)
        .chain(["latest"])
        .collect();
    vec![
        Finding {
            platforms: vec!["linux/arm64/v8".into()],
            parent: Some(digest("index of team/app")),
            media_type: Some(MANIFEST.into()),
            size: Some(1_432),
            ..finding(
                "team/app",
                (Kind::Child, Reason::NotFound),
                &["1.4.0", "stable"],
                (
                    "a manifest of 1432 bytes, by the index",
                    "404 MANIFEST_UNKNOWN",
                    404,
                ),
            )
        },
        Finding {
            digest: None,
            ..finding(
                "team/app",
                (Kind::Tag, Reason::NotFound),
                &["1.3.9"],
                (
                    "a manifest, by the list of tags",
                    "404 MANIFEST_UNKNOWN",
                    404,
                ),
            )
        },
        Finding {
            platforms: vec!["linux/amd64".into(), "linux/arm64".into()],
            parent: Some(digest("manifest of team/web")),
            media_type: Some(LAYER.into()),
            size: Some(80_000),
            ..finding(
                "team/web",
                (Kind::Layer, Reason::ShortRead),
                &releases,
                (
                    "80000 bytes, by the manifest",
                    "HEAD announces 80000 bytes; of the last one, asked for by its position, 0 \
                     bytes came",
                    206,
                ),
            )
        },
        Finding {
            parent: Some(digest("manifest of team/web")),
            media_type: Some(CONFIG.into()),
            size: Some(2_310),
            confirmations: 0,
            ..finding(
                "team/web",
                (Kind::Config, Reason::Unreadable),
                &["2023.12.0"],
                ("2310 bytes, by the manifest", "", 500),
            )
        },
        Finding {
            parent: None,
            media_type: Some(MANIFEST.into()),
            depth: Depth::Digest,
            confirmations: 3,
            ..finding(
                "tools/build",
                (Kind::Manifest, Reason::DigestMismatch),
                &[],
                ("", "200, and bytes that hash to something else", 200),
            )
        },
    ]
}

/// A registry in which all is well.
pub(super) fn intact() -> Sweep {
    Sweep {
        counts: Counts {
            repositories: Coverage {
                listed: 12,
                checked: 12,
            },
            tags: Coverage {
                listed: 310,
                checked: 310,
            },
            indexes: 41,
            manifests: 322,
            blobs: 1_204,
            absent: 6,
            requests: 3_101,
            bytes: 912_441,
        },
        repositories: vec![RepositoryResult {
            name: name("base/os"),
            broken: 0,
            unverified: 0,
        }],
        mode: Mode::Mirror,
        ..plain("mirror.example", 1_240)
    }
}

/// A registry that does not answer.
pub(super) fn unverified() -> Sweep {
    let obstacle = Obstacle::new(
        ObstacleReason::Connect,
        "GET https://down.example/v2/: connection refused, 4 attempts",
    );
    Sweep {
        counts: Counts {
            requests: 4,
            ..Counts::default()
        },
        unverified: vec![Unverified {
            repository: None,
            obstacle: obstacle.clone(),
            count: 1,
        }],
        listed: Listed::Failed(obstacle),
        ..plain("down.example", 7_002)
    }
}

/// A registry with nothing in it.
pub(super) fn empty() -> Sweep {
    Sweep {
        counts: Counts {
            requests: 2,
            bytes: 21,
            ..Counts::default()
        },
        warnings: vec!["the catalog lists no repository: there was nothing to check".into()],
        ..plain("[::1]:5000", 3)
    }
}

/// Each of the above.
pub(super) fn all() -> [Sweep; 4] {
    [rich(), intact(), unverified(), empty()]
}

fn plain(registry: &str, millis: u64) -> Sweep {
    let started_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_714_557_600_250);
    Sweep {
        registry: registry.into(),
        started_at,
        finished_at: started_at + Duration::from_millis(millis),
        depth: Depth::Tail,
        mode: Mode::Private,
        listed: Listed::Catalog,
        counts: Counts::default(),
        repositories: Vec::new(),
        findings: Vec::new(),
        unverified: Vec::new(),
        skipped: std::collections::BTreeMap::new(),
        warnings: Vec::new(),
        certificate_expires_at: None,
    }
}

fn finding(
    repository: &str,
    (kind, reason): (Kind, Reason),
    tags: &[&str],
    (promised, observed, status): (&str, &str, u16),
) -> Finding {
    let object = digest(&format!("{repository} {kind} {reason}"));
    let request = match kind {
        Kind::Tag => format!("GET /v2/{repository}/manifests/{}", tags[0]),
        Kind::Child | Kind::Manifest => format!("GET /v2/{repository}/manifests/{object}"),
        Kind::Config | Kind::Layer => format!("GET /v2/{repository}/blobs/{object}"),
    };
    let tag = |tag: &&str| tag.parse::<Tag>().expect("a tag");
    let evidence = Evidence {
        promised: promised.into(),
        observed: observed.into(),
        request,
        status: Some(status),
    };
    Finding {
        repository: name(repository),
        kind,
        digest: Some(object),
        media_type: None,
        size: None,
        tags: tags.iter().map(tag).collect(),
        platforms: Vec::new(),
        parent: None,
        defect: Defect { reason, evidence },
        depth: Depth::Tail,
        confirmations: 1,
    }
}

fn group(repository: Option<&str>, reason: ObstacleReason, detail: &str, count: u64) -> Unverified {
    let obstacle = Obstacle::new(reason, detail);
    Unverified {
        repository: repository.map(name),
        obstacle,
        count,
    }
}

fn name(text: &str) -> crate::model::Repository {
    text.parse().expect("a repository's name")
}

fn digest(of: &str) -> Digest {
    Digest::sha256(of.as_bytes())
}
