//! Examinations for the tests of what is rendered from them.

use std::time::{Duration, SystemTime};

use crate::doctor::{
    BlobAnswers, BlobHead, Contact, Etag, Examination, Greeting, Identity, Login, ManifestGet,
    ManifestHead, NextPage, Page, PageSize, Protection, Pull, Range, Sample, StatedDigest,
    StatedLength, Wanted,
};
use crate::registry::{Certificate, Unverified, UnverifiedReason};

/// 2030-01-01, noon.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_499_200)
}

fn why(reason: UnverifiedReason, detail: &str) -> Unverified {
    Unverified::new(reason, detail)
}

fn page(entries: u64) -> Page {
    Page {
        entries,
        asked: 1000,
        size: PageSize::Accepted,
        next: NextPage::None,
    }
}

/// A distribution that everybody may look at, with nothing to complain of.
pub(in crate::doctor) fn plain() -> Examination {
    let repository = "team/app".parse().expect("a name");
    Examination {
        registry: "127.0.0.1:5000".into(),
        address: "http://127.0.0.1:5000/v2/".into(),
        at: now(),
        contact: Contact::Answered(Greeting {
            status: 200,
            http: "1.1",
            server: None,
            api_version: Some("registry/2.0".into()),
            redirected_to: None,
            protection: Protection::None,
        }),
        identity: Identity::Nobody,
        wanted: Wanted::Nothing,
        login: Login::NotWanted,
        catalog: Some(Ok(page(12))),
        sample: Some(Sample {
            repository,
            tags: Ok(page(3)),
            unknown: Some(404),
            pull: Some(Pull {
                tag: "v1".parse().expect("a tag"),
                head: Ok(ManifestHead {
                    status: 200,
                    digest: StatedDigest::Agrees,
                    length: StatedLength::Agrees,
                }),
                get: Ok(ManifestGet {
                    digest: StatedDigest::Agrees,
                    manifests: 3,
                    blobs: 6,
                }),
                blob: Some(BlobAnswers {
                    size: 1482,
                    head: Ok(BlobHead {
                        status: 200,
                        length: StatedLength::Agrees,
                        etag: Etag::Quoted,
                        accepts_ranges: true,
                    }),
                    redirected_to: None,
                    range: Range::Honoured,
                }),
            }),
        }),
        limits: Vec::new(),
        requests: 8,
        bytes: 3_120,
    }
}

/// The sample's blob, to be changed.
fn blob(examination: &mut Examination) -> &mut BlobAnswers {
    let pull = examination
        .sample
        .as_mut()
        .and_then(|sample| sample.pull.as_mut());
    pull.and_then(|pull| pull.blob.as_mut())
        .expect("the plain examination has one")
}

/// Encrypted, with tokens, an object store, limits, and a certificate that ends soon.
pub(in crate::doctor) fn large() -> Examination {
    let mut examination = plain();
    examination.registry = "registry.example".into();
    examination.address = "https://registry.example/v2/".into();
    let certificate = Certificate {
        subject: "CN=registry.example".into(),
        issuer: "CN=Example Intermediate Authority 3,O=Example Trust Services,C=DE".into(),
        not_after: now() + Duration::from_secs(5 * 24 * 3600),
    };
    examination.contact = Contact::Answered(Greeting {
        status: 401,
        http: "2",
        server: Some("nginx/1.22.1".into()),
        api_version: Some("registry/2.0".into()),
        redirected_to: None,
        protection: Protection::Verified(Some(certificate)),
    });
    examination.identity = Identity::Given("sweeper".into());
    let (host, service) = (
        "auth.registry.example".into(),
        Some("registry.example".into()),
    );
    examination.wanted = Wanted::Token { host, service };
    examination.login = Login::Accepted;
    let size = PageSize::Refused("405 Method Not Allowed (UNSUPPORTED)".into());
    let next = NextPage::OtherHost("internal.registry.example".into());
    examination.catalog = Some(Ok(Page {
        size,
        next,
        ..page(100)
    }));
    let blob = blob(&mut examination);
    blob.redirected_to = Some("https://bucket.storage.example".into());
    blob.head = Ok(BlobHead {
        status: 403,
        length: StatedLength::Differs,
        etag: Etag::Absent,
        accepts_ranges: false,
    });
    examination.limits = vec![
        ("ratelimit-limit".into(), "100;w=21600".into()),
        ("ratelimit-remaining".into(), "76;w=21600".into()),
    ];
    examination
}

/// Ranges are ignored, lengths and digests not stated, and the catalog refused.
pub(in crate::doctor) fn vague() -> Examination {
    let mut examination = plain();
    examination.catalog = Some(Err(why(
        UnverifiedReason::Protocol,
        "GET /v2/_catalog?n=1000 answers 404 Not Found",
    )));
    examination.identity = Identity::Stored;
    let blob = blob(&mut examination);
    blob.range = Range::Ignored;
    blob.head = Ok(BlobHead {
        status: 200,
        length: StatedLength::Absent,
        etag: Etag::Absent,
        accepts_ranges: false,
    });
    let sample = examination.sample.as_mut().expect("there is one");
    let pull = sample.pull.as_mut().expect("there is one");
    pull.head = Ok(ManifestHead {
        status: 200,
        digest: StatedDigest::Absent,
        length: StatedLength::Absent,
    });
    pull.get = Ok(ManifestGet {
        digest: StatedDigest::Absent,
        manifests: 1,
        blobs: 2,
    });
    examination
}

/// A pull-through cache that fails on what nobody has.
pub(in crate::doctor) fn cache() -> Examination {
    let mut examination = plain();
    examination.catalog = Some(Ok(page(0)));
    let sample = examination.sample.as_mut().expect("there is one");
    (sample.unknown, sample.pull) = (Some(500), None);
    examination
}

/// A pull-through cache that shows itself by a blob.
pub(in crate::doctor) fn cached_blob() -> Examination {
    let mut examination = plain();
    let blob = blob(&mut examination);
    blob.range = Range::NotAsked;
    blob.head = Ok(BlobHead {
        status: 200,
        length: StatedLength::Agrees,
        etag: Etag::BareDigest,
        accepts_ranges: false,
    });
    examination
}

/// A login that is wrong.
pub(in crate::doctor) fn refused() -> Examination {
    let mut examination = plain();
    examination.identity = Identity::Given("sweeper".into());
    examination.wanted = Wanted::Password;
    examination.login = Login::Refused(why(
        UnverifiedReason::Unauthorized,
        "GET /v2/ answers 401 Unauthorized (UNAUTHORIZED)",
    ));
    (examination.catalog, examination.sample) = (None, None);
    examination
}

/// Tokens for nobody, an empty catalog, and so nothing to see.
pub(in crate::doctor) fn empty() -> Examination {
    let mut examination = plain();
    let (host, service) = ("127.0.0.1:5001".into(), None);
    examination.wanted = Wanted::Token { host, service };
    examination.login = Login::Missing;
    examination.catalog = Some(Ok(page(0)));
    examination.sample = None;
    examination
}

/// Names are listed, and nothing of them may be pulled.
pub(in crate::doctor) fn closed() -> Examination {
    let mut examination = plain();
    let sample = examination.sample.as_mut().expect("there is one");
    sample.tags = Err(why(
        UnverifiedReason::Forbidden,
        "GET /v2/team/app/tags/list?n=1000 answers 403 Forbidden (DENIED)",
    ));
    (sample.unknown, sample.pull) = (None, None);
    examination
}

/// Nobody there; and TLS spoken to a port without it.
pub(in crate::doctor) fn silent(speaks_http: bool) -> Examination {
    let mut examination = plain();
    let (reason, detail) = if speaks_http {
        (
            UnverifiedReason::Tls,
            "GET /v2/: received corrupt message of type InvalidContentType",
        )
    } else {
        (
            UnverifiedReason::Connect,
            "GET /v2/: Connection refused (os error 111)",
        )
    };
    examination.contact = Contact::Silence {
        why: why(reason, detail),
        speaks_http,
    };
    (examination.catalog, examination.sample) = (None, None);
    examination
}

/// A web page in the place of a registry.
pub(in crate::doctor) fn stranger() -> Examination {
    let mut examination = plain();
    let Contact::Answered(greeting) = examination.contact else {
        return examination;
    };
    let greeting = Greeting {
        api_version: None,
        status: 400,
        ..greeting
    };
    let detail = "GET /v2/ answers 400 Bad Request";
    let why = why(UnverifiedReason::Protocol, detail);
    examination.contact = Contact::Stranger(greeting, why);
    (examination.catalog, examination.sample) = (None, None);
    examination
}
