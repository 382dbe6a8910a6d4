//! Sweeps and reports for the tests of every report: one with everything in it, and the plain ones.

use std::time::{Duration, SystemTime};

use crate::oci::{Digest, MediaKind, Reference, Tag};
use crate::registry::{Access, Authentication, Depth, Software, Unverified, UnverifiedReason};
use crate::report::fixture::observed;
use crate::report::{
    Bracket, Counts, Coverage, Defect, Documents, Evidence, Expected, Exposed, Finding, Image,
    ImageOutcome, InUseFinding, InUseResult, InUseUnknown, Kind, Listed, Mode, Named, NamedImage,
    Nearby, Node, Origin, Promised, Reason, Report, RepositoryResult, SkipReason, State, Sweep,
    Unasked, Unmet, UnverifiedObjects, Workload, Wrong,
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Something of everything: broken, unverified, skipped, partial, with warnings.
pub(crate) fn rich() -> Sweep {
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
            platform_mismatches: 0,
            requests: 20_655,
            bytes: 18_734_211,
            blobs_read: 1_204,
            blobs_put_off: 6_020,
            scrubbed_bytes: 7_340_032,
        },
        repositories: vec![
            RepositoryResult {
                name: name("ops/vault"),
                broken: 0,
                unverified: 1,
                tags: 1,
            },
            RepositoryResult {
                name: name("team/app"),
                broken: 2,
                unverified: 0,
                tags: 1,
            },
            RepositoryResult {
                name: name("team/app-next"),
                broken: 1,
                unverified: 0,
                tags: 1,
            },
            RepositoryResult {
                name: name("team/web"),
                broken: 2,
                unverified: 3,
                tags: 1,
            },
            RepositoryResult {
                name: name("tools/build"),
                broken: 1,
                unverified: 0,
                tags: 1,
            },
        ],
        findings: rich_findings(),
        exposed: [("team/app", 3), ("team/web", 1_024)]
            .map(|(repository, manifests)| Exposed {
                repository: name(repository),
                manifests,
                digests: vec![digest(repository)],
            })
            .into(),
        unverified: vec![
            group(None, UnverifiedReason::Deadline, limit, 1_201),
            group(Some("ops/vault"), UnverifiedReason::Unauthorized, login, 1),
            group(
                Some("team/web"),
                UnverifiedReason::Timeout,
                "HEAD /v2/team/web/manifests/2.0.0: no answer in 30 s, 4 attempts",
                3,
            ),
        ],
        skipped: [
            (SkipReason::ForeignLayer, 2),
            (SkipReason::TagFilter, 1_310),
            (SkipReason::RangeUnsupported, 17),
        ]
        .into(),
        warnings: vec![
            "the certificate of this registry is not verified (--insecure-skip-tls-verify): an \
             answer may come from anyone"
                .into(),
            "team/old is in the catalog and has no tags".into(),
        ],
        scrub_period: Some(Duration::from_secs(7 * 24 * 3600)),
        read_every: Some(Duration::from_secs(24 * 3600)),
        oldest_read_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_500_000)),
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
            bracket: Bracket {
                last_intact: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_555_800)),
                first_broken: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_556_700)),
            },
            nearby: Nearby {
                pointed_to: vec![digest("index of team/app")],
                sibling: Some(("1.3.8".parse().expect("a tag"), digest("1.3.8"))),
                copy: None,
                elsewhere: None,
            },
            ..finding(
                "team/app",
                (Kind::Child, Reason::NotFound),
                &["1.4.0", "stable"],
                404,
            )
        },
        Finding {
            digest: None,
            ..finding("team/app", (Kind::Tag, Reason::NotFound), &["1.3.9"], 404)
        },
        elsewhere(),
        Finding {
            platforms: vec!["linux/amd64".into(), "linux/arm64".into()],
            parent: Some(digest("manifest of team/web")),
            media_type: Some(LAYER.into()),
            size: Some(80_000),
            ..finding("team/web", (Kind::Layer, Reason::ShortRead), &releases, 206)
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
                500,
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
                200,
            )
        },
    ]
}

/// The first of the findings again, in another repository.
fn elsewhere() -> Finding {
    Finding {
        digest: Some(digest("team/app child not_found")),
        platforms: vec!["linux/arm64/v8".into()],
        parent: Some(digest("index of team/app")),
        nearby: Nearby {
            pointed_to: vec![digest("index of team/app")],
            copy: Some(name("team/archive")),
            elsewhere: None,
            ..Nearby::default()
        },
        ..finding(
            "team/app-next",
            (Kind::Child, Reason::NotFound),
            &["nightly"],
            404,
        )
    }
}

/// Five findings in as many repositories: a child that is gone, a layer that is cut, a config with other
/// bytes, a tag that leads nowhere, and a layer about which replicas disagree.
pub(crate) fn five() -> Sweep {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let kinds = [
        ("team/a", Kind::Child, Reason::NotFound),
        ("team/b", Kind::Layer, Reason::ShortRead),
        ("team/c", Kind::Config, Reason::DigestMismatch),
        ("team/d", Kind::Tag, Reason::NotFound),
        ("team/e", Kind::Layer, Reason::Inconsistent),
    ];
    let findings = kinds.map(|(repository, kind, reason)| {
        let mut finding = finding(repository, (kind, reason), &["1.4.0", "stable"], 404);
        finding.confirmations = 2;
        finding.bracket = Bracket {
            last_intact: at(1_714_555_800),
            first_broken: at(1_714_556_700),
        };
        if kind == Kind::Tag {
            finding.digest = None;
        } else {
            finding.parent = Some(digest(repository));
            finding.platforms = vec!["linux/amd64".into(), "linux/arm64/v8".into()];
        }
        finding
    });
    let result = |finding: &Finding| RepositoryResult {
        name: finding.repository.clone(),
        broken: 1,
        unverified: 0,
        tags: 2,
    };
    let mut sweep = Sweep {
        repositories: findings.iter().map(result).collect(),
        findings: findings.into(),
        ..plain("registry.example:5050", 612_400)
    };
    sweep.in_use = Some(in_use(&sweep));
    sweep
}

/// A registry in which all is well.
pub(crate) fn intact() -> Sweep {
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
            platform_mismatches: 0,
            requests: 3_101,
            bytes: 912_441,
            blobs_read: 0,
            blobs_put_off: 0,
            scrubbed_bytes: 0,
        },
        repositories: vec![RepositoryResult {
            name: name("base/os"),
            broken: 0,
            unverified: 0,
            tags: 1,
        }],
        mode: Mode::Mirror,
        ..plain("mirror.example", 1_240)
    }
}

/// A registry that does not answer.
pub(crate) fn unverified() -> Sweep {
    let why = Unverified::new(
        UnverifiedReason::Connect,
        "GET https://down.example/v2/: connection refused, 4 attempts",
    );
    Sweep {
        counts: Counts {
            requests: 4,
            ..Counts::default()
        },
        unverified: vec![UnverifiedObjects {
            repository: None,
            why: why.clone(),
            count: 1,
        }],
        listed: Listed::Failed(why),
        ..plain("down.example", 7_002)
    }
}

/// A registry with nothing in it.
pub(crate) fn empty() -> Sweep {
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

/// A registry of which twelve repositories seemed broken when the sweep was stopped, and one timed out.
pub(crate) fn stopped() -> Sweep {
    let end = "it was told to stop";
    let suspected = |number: u64| {
        let repository = format!("team/app{number:02}");
        group(Some(&repository), UnverifiedReason::Cancelled, end, number)
    };
    let seen = |number: usize| {
        let repository = format!("team/app{:02}", number % 12 + 1);
        let what = (Kind::Layer, Reason::NotFound);
        let tags = ["1.0", "1.1", "1.2", "1.3", "1.4"];
        let object = digest(&number.to_string());
        broken(&repository, what, &tags[number % 3..], 404, object)
    };
    let slow = "HEAD /v2/base/os/manifests/2.0.0: no answer in 30 s, 4 attempts";
    let others = [
        group(Some("base/os"), UnverifiedReason::Timeout, slow, 1),
        group(Some("tools/build"), UnverifiedReason::Cancelled, end, 4),
    ];
    Sweep {
        unverified: (1..=12).map(suspected).chain(others).collect(),
        suspected: (0..78).map(seen).collect(),
        mode: Mode::Private,
        ..intact()
    }
}

/// A registry whose storage is away: of the images, and of everything.
pub(crate) fn away() -> [Sweep; 2] {
    let nothing = "none of the 9 tags and manifests in 3 repositories is there, as when the storage is not \
                   mounted or is another one";
    let unlisted = "there was nothing to check: the registry lists no repository (or none to these credentials, or \
                    none that the filters take), and 3 repositories with 9 tags were known; if that is right, say \
                    --allow-empty";
    let reason = UnverifiedReason::StorageUnavailable;
    let objects = Sweep {
        counts: Counts {
            repositories: Coverage {
                listed: 3,
                checked: 0,
            },
            tags: Coverage {
                listed: 9,
                checked: 9,
            },
            requests: 265,
            ..Counts::default()
        },
        unverified: vec![group(None, reason, nothing, 9)],
        ..plain("away.example", 32_120)
    };
    let lists = Sweep {
        unverified: vec![group(None, reason, unlisted, 1)],
        ..plain("away.example", 31)
    };
    [objects, lists]
}

/// A registry of which there was nothing to check, for each reason that there is.
pub(crate) fn unlisted() -> [Sweep; 4] {
    let detail = "there was nothing to check: no repository in scope has a tag in scope";
    let sweep = Sweep {
        unverified: vec![group(None, UnverifiedReason::NothingListed, detail, 1)],
        ..plain("empty.example", 31)
    };
    let mut filtered = sweep.clone();
    filtered.skipped = [(SkipReason::RepositoryFilter, 1_204)].into();
    let mut without_tags = sweep.clone();
    without_tags.counts.repositories = Coverage {
        listed: 3,
        checked: 3,
    };
    let mut tags_filtered = without_tags.clone();
    tags_filtered.skipped = [(SkipReason::TagFilter, 1)].into();
    [sweep, filtered, without_tags, tags_filtered]
}

/// An intact image that was named by its digest.
pub(crate) fn by_digest() -> Sweep {
    let manifest = digest("by digest");
    Sweep {
        counts: Counts {
            repositories: Coverage {
                listed: 1,
                checked: 1,
            },
            manifests: 1,
            blobs: 9,
            requests: 20,
            bytes: 1_312,
            ..Counts::default()
        },
        listed: Listed::Images(vec![format!("team/app@{manifest}")]),
        ..plain("registry.example:5050", 412)
    }
}

/// An image of two platforms, of which the second is gone.
pub(crate) fn explained() -> Sweep {
    let node = |kind, of: &str, size, media_type: &str| Node {
        kind,
        digest: Some(digest(of)),
        document: None,
        media_type: Some(media_type.into()),
        size: Some(size),
        platform: None,
        state: State::Intact,
        is_repeated: false,
        children: Vec::new(),
    };
    let mut broken = finding("team/app", (Kind::Child, Reason::NotFound), &["1.4.0"], 404);
    broken.digest = Some(digest("arm64"));
    broken.platforms = vec!["linux/arm64".into()];
    broken.parent = Some(digest("index"));
    let amd64 = Node {
        platform: Some("linux/amd64".into()),
        document: Some(MediaKind::Manifest),
        children: vec![
            node(Kind::Config, "config", 110, CONFIG),
            node(Kind::Layer, "one", 29_534_201, LAYER),
            node(Kind::Layer, "two", 1_024, LAYER),
        ],
        ..node(Kind::Child, "amd64", 482, MANIFEST)
    };
    let arm64 = Node {
        platform: Some("linux/arm64".into()),
        state: State::Broken(broken.defect.clone()),
        ..node(Kind::Child, "arm64", 482, MANIFEST)
    };
    let image = Image {
        repository: name("team/app"),
        reference: Reference::Tag("1.4.0".parse().expect("a tag")),
        root: Node {
            document: Some(MediaKind::Index),
            media_type: None,
            children: vec![amd64, arm64],
            ..node(Kind::Tag, "index", 741, "")
        },
    };
    Sweep {
        images: vec![image],
        findings: vec![broken],
        listed: Listed::Images(vec!["team/app:1.4.0".into()]),
        ..plain("registry.example:5050", 412)
    }
}

/// Two intact images, of which one is not as expected.
pub(crate) fn expected() -> Sweep {
    let mut sweep = explained();
    sweep.findings.clear();
    sweep.counts.tags = Coverage {
        listed: 2,
        checked: 2,
    };
    let image = &mut sweep.images[0];
    image.root.children.truncate(1);
    let other = Image {
        reference: Reference::Tag("1.4.1".parse().expect("a tag")),
        ..image.clone()
    };
    let unmet = |expected, observed: &str| Unmet {
        image: other.name().into(),
        expected,
        observed: observed.into(),
    };
    let leads_to = format!("it leads to {}", digest("index"));
    sweep.unmet = vec![
        unmet(Expected::Digest(digest("what was pushed")), &leads_to),
        unmet(
            Expected::Platform("linux/arm64".parse().expect("a platform")),
            "it is for linux/amd64",
        ),
    ];
    sweep.listed = Listed::Images(
        sweep
            .images
            .iter()
            .chain([&other])
            .map(Image::name)
            .collect(),
    );
    sweep.images.push(other);
    sweep
}

/// Images in use of a sweep: one that it lists and found broken, one that no list has, one that lacks a platform, one
/// that never ran, and one that could not be judged.
pub(crate) fn in_use(sweep: &Sweep) -> InUseResult {
    let user = |kind: &str, name: &str, platform: &str, pods| Workload {
        origin: Origin {
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: Some(name.into()),
            container: Some("app".into()),
            field: None,
        },
        pods,
        names: (0..pods.min(3))
            .map(|number| format!("{name}-{number}").into())
            .collect(),
        platform: platform.parse().ok(),
        os_version: None,
        has_run: true,
    };
    let first = sweep
        .findings
        .iter()
        .find(|finding| !finding.tags.is_empty());
    let listed = first.expect("something is broken");
    let image_of = |tag: &str, reason, detail: &str, workload: Workload| InUseFinding {
        image: format!("{}/{}:{tag}", sweep.registry, listed.repository).into(),
        repository: listed.repository.clone(),
        reference: tag.into(),
        kind: Kind::Tag,
        reason,
        detail: detail.into(),
        is_listed: false,
        workloads: vec![workload],
    };
    let lost = Wrong::Promise(Reason::NotFound);
    let mut result = InUseResult {
        source: "prometheus=http://prometheus.example:9090/".into(),
        read_at: Some(sweep.finished_at),
        containers: 1_234,
        images: 40,
        images_of_others: 17,
        ..InUseResult::default()
    };
    result.found(&InUseFinding {
        kind: listed.kind,
        is_listed: true,
        ..image_of(
            listed.tags[0].as_str(),
            Wrong::Promise(listed.defect.reason),
            "sha256:9820b4af4ffcfda558e907d729b89096d140a5872cb9c4166d241377411d1d45",
            user("ReplicaSet", "web-7d9c5b6f4", "linux/amd64", 12),
        )
    });
    result.found(&image_of(
        "deleted",
        lost,
        "",
        user("CronJob", "report", "linux/amd64", 1),
    ));
    let detail = "no image for linux/arm64, but for linux/amd64";
    let on_arm = InUseFinding {
        kind: Kind::Child,
        ..image_of(
            "single",
            Wrong::PlatformMissing,
            detail,
            user("DaemonSet", "agent", "linux/arm64", 3),
        )
    };
    result.found(&on_arm);
    let mut typo = user("ReplicaSet", "typo-5c", "linux/amd64", 1);
    typo.has_run = false;
    result.found(&image_of("typo", lost, "", typo));
    result.unverified.push(InUseUnknown {
        image: format!("{}/team/hidden:1", sweep.registry).into(),
        detail: "it could not be asked for".into(),
        workloads: vec![user("StatefulSet", "db", "linux/amd64", 2)],
    });
    result
}

/// An image that is not as expected and an intact one, which documents name, and what else these name.
pub(crate) fn documents() -> Sweep {
    let mut sweep = expected();
    sweep.unmet.remove(0);
    let origin = |kind: &str, name: &str, container: Option<&str>, field: Option<&str>| Origin {
        kind: kind.into(),
        namespace: container.map(|_| "prod".into()),
        name: Some(name.into()),
        container: container.map(Into::into),
        field: field.map(Into::into),
    };
    let named = |written: &str, origins: Vec<Origin>| Named {
        written: written.into(),
        origins,
        more: 0,
    };
    let pods = (0..40).map(|number| origin("Pod", &format!("p{number}"), Some("app"), None));
    let deployment = origin("Deployment", "web", Some("app"), None);
    let asked = sweep.images.iter().map(Image::name).collect::<Vec<_>>();
    let origins = [vec![deployment.clone()], pods.collect()];
    let images = asked
        .into_iter()
        .zip(origins)
        .map(|(image, origins)| NamedImage {
            named: named(&format!("registry.example/{image}"), origins),
            image,
            outcome: ImageOutcome::Unverified,
            why: None,
        });
    let mut unresolved = named("app:${TAG}", vec![origin("service", "web", None, None)]);
    unresolved.more = 2;
    let field = origin("Backup", "db", None, Some("spec.image"));
    let mut documents = Documents {
        images: images.collect(),
        unasked: Some(Unasked {
            unresolved: vec![unresolved, named("", vec![deployment])],
            unresolved_allowed: false,
            invalid: Vec::new(),
            not_taken: vec![named("tools/backup:1\x1b", vec![field])],
            built: vec![named("shop", vec![origin("service", "shop", None, None)])],
            left_out: [("docker.io".to_owned(), 3), ("quay.io".to_owned(), 1)].into(),
        }),
    };
    documents.judge(&sweep.images, &sweep.unmet);
    sweep.documents = Some(documents);
    sweep
}

/// A registry with a thousand broken objects, each of which breaks a thousand tags.
pub(crate) fn thousand() -> Sweep {
    let tags: Vec<Tag> = (0..1_000)
        .map(|n| format!("1.0.{n}").parse().expect("a tag"))
        .collect();
    let findings = (0..1_000).map(|n| {
        let repository = format!("team/app{n:03}");
        let what = (Kind::Layer, Reason::ShortRead);
        Finding {
            tags: tags.clone(),
            ..finding(&repository, what, &[], 206)
        }
    });
    Sweep {
        findings: findings.collect(),
        ..plain("registry.example:5050", 612_400)
    }
}

/// One of each verdict, and an empty one.
pub(crate) fn all() -> [Report; 4] {
    [rich().into(), intact().into(), blind(), empty().into()]
}

/// A registry that does not answer, and of which something broken is known from before.
pub(crate) fn blind() -> Report {
    Report::of(unverified(), rich_findings().into_iter().take(2).collect())
}

fn plain(registry: &str, millis: u64) -> Sweep {
    let started_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_714_557_600_250);
    Sweep {
        registry: registry.into(),
        access: Access {
            host: registry.into(),
            api: format!("https://{registry}/v2/"),
            dialled: String::new(),
            is_verified: true,
            is_encrypted: true,
            login: Authentication::Password,
            software: Some(crate::report::fixture::software(Software::Distribution2)),
        },
        started_at,
        finished_at: started_at + Duration::from_millis(millis),
        ..crate::report::fixture::sweep()
    }
}

fn finding(repository: &str, what: (Kind, Reason), tags: &[&str], status: u16) -> Finding {
    let object = digest(&format!("{repository} {} {}", what.0, what.1));
    broken(repository, what, tags, status, object)
}

/// A finding about an object.
pub(super) fn broken(
    repository: &str,
    (kind, reason): (Kind, Reason),
    tags: &[&str],
    status: u16,
    object: Digest,
) -> Finding {
    let request = match kind {
        Kind::Tag => format!("GET /v2/{repository}/manifests/{}", tags[0]),
        Kind::Child | Kind::Manifest | Kind::Referrer => {
            format!("GET /v2/{repository}/manifests/{object}")
        }
        Kind::Config | Kind::Layer => format!("GET /v2/{repository}/blobs/{object}"),
    };
    let tag = |tag: &&str| tag.parse::<Tag>().expect("a tag");
    let evidence = Evidence {
        promised: Some(match kind {
            Kind::Tag => Promised::Manifest { digest: None },
            Kind::Child | Kind::Manifest | Kind::Referrer => Promised::Manifest {
                digest: Some(object.clone()),
            },
            Kind::Config | Kind::Layer => Promised::Blob {
                digest: object.clone(),
                size: Some(80_000),
            },
        }),
        observed: Some(observed(reason, status)),
        request: request.into(),
        status: Some(status),
    };
    Finding {
        repository: name(repository),
        kind,
        digest: Some(object),
        media_type: None,
        size: None,
        tags: tags.iter().map(tag).collect(),
        attached_to: Vec::new(),
        platforms: Vec::new(),
        parent: None,
        defect: Defect {
            reason,
            evidence: Box::new(evidence),
        },
        depth: Depth::Tail,
        confirmations: 1,
        nearby: Nearby {
            pointed_to: (kind != Kind::Tag && !tags.is_empty())
                .then(|| digest(&format!("index of {repository}")))
                .into_iter()
                .collect(),
            ..Nearby::default()
        },
        bracket: Bracket::default(),
    }
}

fn group(
    repository: Option<&str>,
    reason: UnverifiedReason,
    detail: &str,
    count: u64,
) -> UnverifiedObjects {
    UnverifiedObjects {
        repository: repository.map(name),
        why: Unverified::new(reason, detail),
        count,
    }
}

fn name(text: &str) -> crate::oci::Repository {
    text.parse().expect("a repository's name")
}

fn digest(of: &str) -> Digest {
    Digest::sha256(of.as_bytes())
}
