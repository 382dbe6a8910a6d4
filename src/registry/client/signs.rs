//! Which software answers: what the signs that its answers show come to together.
//!
//! Nothing is asked for the sake of a sign. What many copy proves nothing (`Docker-Distribution-Api-Version`
//! alone, `nginx` in `Server`), so distribution, which most others are made from or imitate, is told by two
//! signs that agree and by none of anybody else, and what contradicts itself stays unknown.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::header::WWW_AUTHENTICATE;

use super::meter::Asked;
use super::reply::Reply;
use super::sign_table::{Envelope, Mark, SIGNS, Said, Sign, holds};
use crate::registry::{Identified, Software};

use Mark::{Challenge, Error, Form, Header, Holds, Host};
use Software as S;

/// The signs that were seen so far, a bit for each row of [`SIGNS`].
#[derive(Default)]
pub(super) struct Signs(AtomicU64);

impl Signs {
    /// Takes note of what an answer of the registry itself shows.
    pub(super) fn note(&self, asked: Asked, reply: &Reply) {
        let mut possible = PLACES.possible(reply) & !self.0.load(Ordering::Relaxed);
        let mut said = None;
        let mut new = 0;
        while possible != 0 {
            let place = possible.trailing_zeros();
            possible &= possible - 1;
            let sign = &SIGNS[place as usize];
            if sign.mark.is_in(asked, reply, &mut said) {
                new |= 1 << place;
            }
        }
        if new != 0 {
            self.0.fetch_or(new, Ordering::Relaxed);
        }
    }

    /// What the signs come to that a registry of this name has shown so far.
    pub(super) fn identify(&self, host: &str) -> Option<Identified> {
        let seen = self.0.load(Ordering::Relaxed);
        let host = host.split(':').next().unwrap_or_default();
        let bits = (0..).map(|place| 1_u64 << place);
        let shown = bits.zip(SIGNS).filter(|(bit, sign)| match sign.mark {
            Host(is_it) => is_it(host),
            _ => seen & bit != 0,
        });
        conclude(&shown.map(|(_, sign)| sign).collect::<Vec<_>>())
    }
}

/// Where signs are looked for, each as bits for rows of [`SIGNS`]. An answer has few headers, so nearly all signs are
/// out of the question before they are looked for one by one.
struct Places {
    headers: Vec<(&'static str, u64)>,
    errors: u64,
    /// Those for which that is not known beforehand.
    anywhere: u64,
}

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let mut places = Places {
        headers: Vec::new(),
        errors: 0,
        anywhere: 0,
    };
    for (bit, sign) in (0..).map(|place| 1_u64 << place).zip(SIGNS) {
        let name = match sign.mark {
            Host(_) => continue,
            Header(name) | Holds(name, _) => name,
            Challenge(_) => WWW_AUTHENTICATE.as_str(),
            Error(_) => {
                places.errors |= bit;
                continue;
            }
            Form(_) => {
                places.anywhere |= bit;
                continue;
            }
        };
        match places.headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, bits)) => *bits |= bit,
            None => places.headers.push((name, bit)),
        }
    }
    places
});

impl Places {
    /// The signs that an answer may show.
    fn possible(&self, reply: &Reply) -> u64 {
        let is_error = reply.status.is_client_error() || reply.status.is_server_error();
        let errors = if is_error { self.errors } else { 0 };
        let names = reply.headers.keys();
        let bits = names.map(|name| {
            let known = self
                .headers
                .iter()
                .find(|(known, _)| *known == name.as_str());
            known.map_or(0, |(_, bits)| *bits)
        });
        bits.fold(self.anywhere | errors, |all, bits| all | bits)
    }
}

/// The software that all of these signs show: what is in front of distribution, and else distribution, of
/// which two have to speak.
fn conclude(shown: &[&Sign]) -> Option<Identified> {
    let is_base = |sign: &&&Sign| {
        let is_base = |name: &Software| matches!(name, S::Distribution2 | S::Distribution3);
        !sign.shows.is_empty() && sign.shows.iter().all(is_base)
    };
    let front: Vec<_> = shown.iter().filter(|sign| !is_base(sign)).collect();
    let (signs, least) = if front.is_empty() {
        (shown.iter().filter(is_base).collect(), 2)
    } else {
        (front, 1)
    };
    let fits = |name: &&Software| signs.iter().all(|sign| sign.shows.contains(name));
    let mut names = Software::ALL.iter().filter(fits);
    let (Some(&name), None) = (names.next(), names.next()) else {
        return None;
    };
    (signs.len() >= least).then(|| Identified {
        name,
        signs: signs.iter().map(|sign| sign.words.into()).collect(),
    })
}

impl Mark {
    /// Whether an answer has it. `said` keeps its error once it was read.
    fn is_in(&self, asked: Asked, reply: &Reply, said: &mut Option<Said>) -> bool {
        match self {
            Host(_) => false,
            Header(name) => reply.headers.contains_key(*name),
            Holds(name, part) => reply.header(*name).is_some_and(|text| holds(text, part)),
            Challenge(parts) => {
                let challenges = reply.headers.get_all(WWW_AUTHENTICATE).iter();
                let mut texts = challenges.filter_map(|value| value.to_str().ok());
                texts.any(|text| parts.iter().all(|part| holds(text, part)))
            }
            Error(is_it) => {
                let is_error = reply.status.is_client_error() || reply.status.is_server_error();
                is_error
                    && !reply.body.bytes.is_empty()
                    && is_it(said.get_or_insert_with(|| first_error(&reply.body.bytes)))
            }
            Form(is_it) => is_it(asked, reply),
        }
    }
}

fn first_error(body: &[u8]) -> Said {
    let envelope = serde_json::from_slice::<Envelope>(body).ok();
    let first = envelope.and_then(|envelope| envelope.errors.into_iter().next());
    // zot sends one without a list around it where a login is wanted; measured.
    first
        .or_else(|| serde_json::from_slice(body).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
    use reqwest::{StatusCode, Version};

    use super::*;
    use crate::registry::client::reply::Body;
    use Asked::{Catalog, Manifest, Ping, Tags};

    const VERSION: (&str, &str) = ("docker-distribution-api-version", "registry/2.0");
    const CHARSET: (&str, &str) = ("content-type", "application/json; charset=utf-8");
    const JSON: (&str, &str) = ("content-type", "application/json");
    const YEAR: (&str, &str) = ("cache-control", "max-age=31536000");
    const OF: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    type Heard = (
        Asked,
        u16,
        &'static [(&'static str, &'static str)],
        &'static str,
    );

    fn reply((_, status, headers, body): Heard) -> Reply {
        let header = |(name, value): &(&'static str, &'static str)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        };
        let mut all = HeaderMap::new();
        for (name, value) in headers.iter().map(header) {
            all.append(name, value);
        }
        Reply {
            request: "GET /v2/".into(),
            status: StatusCode::from_u16(status).expect("a status"),
            headers: all,
            redirected_to: None,
            version: Version::HTTP_11,
            tls: None,
            proxy: None,
            body: Body {
                bytes: body.into(),
                was_read: true,
                ..Body::default()
            },
        }
    }

    fn identified(host: &str, heard: &[Heard]) -> Option<(Software, usize)> {
        let signs = Signs::default();
        for &one in heard {
            signs.note(one.0, &reply(one));
        }
        let found = signs.identify(host)?;
        Some((found.name, found.signs.len()))
    }

    const BLOB: Heard = (
        Asked::Blob,
        200,
        &[
            VERSION,
            YEAR,
            ("docker-content-digest", OF),
            (
                "etag",
                "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"",
            ),
        ],
        "",
    );
    const NO_BLOB: Heard = (
        Asked::Blob,
        404,
        &[VERSION, CHARSET],
        r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry","detail":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}"#,
    );

    const FROM_CACHE: Heard = (Asked::Blob, 200, &[VERSION, ("etag", OF)], "");
    const TWO: Heard = (Ping, 200, &[VERSION, CHARSET], "{}");
    const THREE: Heard = (Ping, 200, &[VERSION, JSON], "{}");
    const LIST: Heard = (Catalog, 200, &[VERSION, CHARSET], "{\"repositories\":[]}\n");
    const TAG_2: Heard = (
        Manifest,
        404,
        &[VERSION, CHARSET],
        r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"v1"}}]}"#,
    );
    const TAG_3: Heard = (
        Manifest,
        404,
        &[VERSION, JSON],
        r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":"unknown tag=v1"}]}"#,
    );
    const ZOT: Heard = (
        Ping,
        200,
        &[
            VERSION,
            JSON,
            (
                "access-control-allow-headers",
                "Authorization,content-type,X-ZOT-API-CLIENT",
            ),
        ],
        "",
    );
    const NO_NAME: Heard = (
        Tags,
        404,
        &[JSON],
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"description":"This is returned if","name":"app"}}]}"#,
    );
    const NEXUS: Heard = (Ping, 200, &[("server", "Nexus/3.87.1-01 (PRO)")], "{}");

    const AT: &str = "registry.example:5000";

    type Case = (&'static str, &'static [Heard], Option<(Software, usize)>);

    fn hold(cases: &[Case]) {
        for (host, heard, expected) in cases {
            let what: Vec<_> = heard
                .iter()
                .map(|(_, status, headers, body)| (status, headers, body))
                .collect();
            assert_eq!(identified(host, heard), *expected, "{host} {what:?}");
        }
    }

    #[test]
    fn distribution_and_what_is_like_it() {
        hold(&[
            (AT, &[], None),
            // What everybody says, and one sign of distribution alone, is nothing.
            (AT, &[(Ping, 200, &[VERSION], "{}")], None),
            (AT, &[TWO, LIST], None),
            (AT, &[BLOB, NO_BLOB], None),
            (AT, &[TWO, BLOB], Some((S::Distribution2, 2))),
            (AT, &[TWO, FROM_CACHE], Some((S::Distribution2, 2))),
            (AT, &[LIST, TAG_2], Some((S::Distribution2, 2))),
            (
                AT,
                &[TWO, BLOB, NO_BLOB, TAG_2],
                Some((S::Distribution2, 4)),
            ),
            (AT, &[THREE, BLOB], Some((S::Distribution3, 2))),
            (AT, &[THREE, TAG_3], Some((S::Distribution3, 2))),
            // Both at once: replicas of different versions, or something else.
            (AT, &[TWO, THREE, BLOB], None),
            (
                AT,
                &[
                    TWO,
                    BLOB,
                    (
                        Ping,
                        200,
                        &[("gitlab-container-registry-version", "4.9.0")],
                        "{}",
                    ),
                ],
                Some((S::GitLab, 1)),
            ),
            (
                AT,
                &[
                    TWO,
                    BLOB,
                    (Ping, 200, &[("x-registry-supports-signatures", "1")], "{}"),
                ],
                None,
            ),
            (
                "ec2-1-2-3-4.compute.amazonaws.com:5000",
                &[TWO, BLOB],
                Some((S::Distribution2, 2)),
            ),
        ]);
    }

    #[test]
    fn what_has_headers_of_its_own() {
        hold(&[
            (AT, &[ZOT], Some((S::Zot, 2))),
            (AT, &[NO_NAME], Some((S::Zot, 1))),
            (
                AT,
                &[(
                    Ping,
                    401,
                    &[
                        JSON,
                        ("www-authenticate", "Basic realm=\"Authorization Required\""),
                    ],
                    r#"{"code":"UNAUTHORIZED","message":"authentication required","detail":{"description":"The access"}}"#,
                )],
                Some((S::Zot, 1)),
            ),
            (AT, &[NEXUS], Some((S::Nexus, 1))),
            (
                AT,
                &[
                    NEXUS,
                    (
                        Ping,
                        401,
                        &[(
                            "www-authenticate",
                            "BASIC realm=\"Sonatype Nexus Repository Manager\"",
                        )],
                        "",
                    ),
                ],
                Some((S::Nexus, 2)),
            ),
            (
                AT,
                &[(
                    Ping,
                    200,
                    &[
                        ("server", "Artifactory/7.9.1 70901900"),
                        ("x-artifactory-id", "6d70:2"),
                        CHARSET,
                        VERSION,
                    ],
                    "{}",
                )],
                Some((S::Artifactory, 2)),
            ),
            (
                AT,
                &[(Ping, 200, &[("x-sparse-manifest-support", "false")], "true")],
                Some((S::Quay, 2)),
            ),
            // Two that are no layers of each other.
            (AT, &[ZOT, NEXUS], None),
        ]);
    }

    #[test]
    fn hosts_that_run_one_software() {
        hold(&[
            (
                "ghcr.io",
                &[(Ping, 401, &[("x-github-request-id", "1")], "")],
                Some((S::Ghcr, 2)),
            ),
            (
                "eu.gcr.io",
                &[(Ping, 401, &[("server", "Docker Registry")], "")],
                Some((S::Gar, 2)),
            ),
            ("docker.io", &[TAG_3], Some((S::DockerHub, 1))),
            ("team.azurecr.io", &[], Some((S::Acr, 1))),
            ("europe-docker.pkg.dev", &[], Some((S::Gar, 1))),
            (
                "1234.dkr.ecr.eu-west-1.amazonaws.com",
                &[],
                Some((S::Ecr, 1)),
            ),
            ("notghcr.io", &[], None),
            ("quay.io.example", &[], None),
        ]);
    }

    /// A Gitea whose owners are public names itself by its token service alone.
    #[test]
    fn a_public_gitea_shows_two_signs() {
        const TOKENS: (&str, &str) = (
            "www-authenticate",
            "Bearer realm=\"https://git.example/v2/token\",service=\"container_registry\",scope=\"*\"",
        );
        const CODE: &str = r#"{"errors":[{"code":"UNAUTHORIZED","message":""}]}"#;
        const WORDS: &str = r#"{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}"#;
        const DETAIL: &str = r#"{"errors":[{"code":"DENIED","message":"","detail":null}]}"#;
        hold(&[
            (
                AT,
                &[(Ping, 401, &[JSON, TOKENS], CODE)],
                Some((S::Gitea, 2)),
            ),
            (AT, &[(Ping, 401, &[TOKENS], WORDS)], Some((S::Gitea, 1))),
            (AT, &[(Ping, 401, &[TOKENS], DETAIL)], Some((S::Gitea, 1))),
        ]);
    }

    #[test]
    fn challenges_that_name_it() {
        for (challenge, expected) in [
            (
                "Bearer realm=\"https://git.example/v2/token\",service=\"container_registry\",scope=\"*\"",
                Some(S::Gitea),
            ),
            ("Basic realm=\"Gitea Package API\"", Some(S::Gitea)),
            ("Basic realm=\"Gitea Container Registry\"", Some(S::Gitea)),
            (
                "Bearer realm=\"https://gitlab.example/jwt/auth\",service=\"container_registry\"",
                Some(S::GitLab),
            ),
            (
                "Bearer realm=\"https://h.example/service/token\",service=\"harbor-registry\"",
                Some(S::Harbor),
            ),
            ("Basic realm=\"harbor\"", Some(S::Harbor)),
            (
                "Bearer realm=\"https://q.example/v2/auth\",service=\"q.example\"",
                Some(S::Quay),
            ),
            ("Basic realm=\"Artifactory Realm\"", Some(S::Artifactory)),
            (
                "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"",
                Some(S::DockerHub),
            ),
            (
                "Basic realm=\"https://1.dkr.ecr.eu-west-2.amazonaws.com/\",service=\"ecr.amazonaws.com\"",
                Some(S::Ecr),
            ),
            (
                "Bearer realm=\"https://t.azurecr.io/oauth2/token\",service=\"t.azurecr.io\"",
                Some(S::Acr),
            ),
            (
                "Bearer realm=\"https://t.example/oauth2/token\",service=\"t.example\"",
                None,
            ),
            ("Basic realm=\"Registry\"", None),
        ] {
            let headers: &'static [(&str, &str)] =
                Vec::leak(vec![VERSION, ("www-authenticate", challenge)]);
            let found = identified(AT, &[(Ping, 401, headers, "")]);
            assert_eq!(found.map(|(name, _)| name), expected, "{challenge}");
        }
    }

    #[test]
    fn every_software_has_a_sign_and_every_sign_a_bit() {
        assert!(SIGNS.len() <= 64, "{}", SIGNS.len());
        for (name, _) in &PLACES.headers {
            assert_eq!(*name, name.to_ascii_lowercase(), "as names are in answers");
        }
        for name in Software::ALL {
            let of_it = SIGNS
                .iter()
                .filter(|sign| sign.shows.contains(name))
                .count();
            assert!(of_it >= 2, "{name} could never be sure: {of_it}");
        }
    }

    #[test]
    fn nothing_that_an_answer_says_breaks_it() {
        for body in [
            "",
            "{}",
            "[]",
            "{\"errors\":[]}",
            "{\"errors\":[{\"code\":1}]}",
            "{\"errors\":[{}]}",
        ] {
            assert_eq!(
                identified("r", &[(Asked::Blob, 404, &[], body)]),
                None,
                "{body}"
            );
        }
    }
}
