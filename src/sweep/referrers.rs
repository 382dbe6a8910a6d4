//! What is attached to images: of which to ask, what is required of them, and the questions.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::scope::Filter;
use crate::oci::{
    Descriptor, Digest, Reference, ReferrerClass, ReferrerType, Repository, Tag, own_digest,
};
use crate::registry::{Answer, BodyEnd, ManifestBody, Registry, Unverified, UnverifiedReason};
use crate::report::Reach;

/// What is asked about what is attached to images.
#[derive(Clone, Debug, Default)]
pub struct ReferrerPolicy {
    /// Of which images.
    pub reach: Reach,
    /// What has to be attached.
    pub required: Vec<RequiredReferrer>,
    /// Whether it is remembered since when images are there.
    pub has_memory: bool,
}

/// Something that has to be attached to images.
#[derive(Clone, Debug)]
pub struct RequiredReferrer {
    /// Of which type.
    pub what: ReferrerType,
    /// To the images of which repositories.
    repositories: Filter,
    /// For how long an image may be there without it.
    pub grace: Duration,
}

impl FromStr for RequiredReferrer {
    type Err = String;

    /// Takes `TYPE[;repo=GLOB][;grace=TIME]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (mut globs, mut grace, mut parts) = (Vec::new(), None, text.split(';'));
        let what = parts.next().unwrap_or_default().trim();
        let what = what
            .parse::<ReferrerType>()
            .map_err(|error| error.to_string())?;
        for part in parts {
            match part.trim().split_once('=') {
                Some(("repo", glob)) => globs.push(glob.to_owned()),
                Some(("grace", time)) if grace.is_none() => {
                    let time = humantime::parse_duration(time);
                    grace = Some(time.map_err(|error| format!("grace: {error}"))?);
                }
                _ => return Err("expected TYPE, ;repo=GLOB or ;grace=TIME".to_owned()),
            }
        }
        let repositories = Filter::new(&globs, &[]).map_err(|error| error.to_string())?;
        Ok(Self {
            what,
            repositories,
            grace: grace.unwrap_or_default(),
        })
    }
}

impl RequiredReferrer {
    pub(super) fn is_of(&self, repository: &Repository) -> bool {
        self.repositories.takes(repository.as_str())
    }

    /// Whether the time is over for which an image may lack it that was first seen then. Without memory, nobody
    /// knows since when it is there, and it has to be there at once.
    pub(super) fn is_due(
        &self,
        first_seen: Option<SystemTime>,
        now: SystemTime,
        has_memory: bool,
    ) -> bool {
        let age = first_seen.map(|seen| now.duration_since(seen).unwrap_or_default());
        age.map_or(!has_memory || self.grace.is_zero(), |age| age >= self.grace)
    }
}

/// A question about what is attached.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// What is attached to a manifest.
    List(Digest),
    /// Where the tag leads under which cosign keeps this class for it.
    Tag(ReferrerClass, Tag),
    /// Whether the manifest is there that something is attached to.
    Subject(Digest),
}

/// The answer.
pub(super) enum Told {
    List(Result<Vec<Descriptor>, Unverified>),
    Tag(ReferrerClass, Result<Option<Digest>, Unverified>),
    /// The last is not known without an answer.
    Subject(Digest, Result<bool, Unverified>),
}

impl Told {
    /// Why it tells nothing, if it does not.
    pub(super) fn why(&self) -> Option<&Unverified> {
        match self {
            Self::List(told) => told.as_ref().err(),
            Self::Tag(_, told) => told.as_ref().err(),
            Self::Subject(_, told) => told.as_ref().err(),
        }
    }
}

impl Question {
    /// What it comes to without being asked.
    pub(super) fn unanswered(&self, why: Unverified) -> Told {
        match self {
            Self::List(_) => Told::List(Err(why)),
            Self::Tag(class, _) => Told::Tag(*class, Err(why)),
            Self::Subject(subject) => Told::Subject(subject.clone(), Err(why)),
        }
    }

    pub(super) async fn ask<R: Registry>(self, registry: &R, repository: &Repository) -> Told {
        match self {
            Self::List(digest) => Told::List(registry.referrers(repository, &digest).await),
            Self::Tag(class, tag) => {
                // By GET, since HEAD of what is not there is asked again so.
                let answer = registry.manifest(repository, &Reference::Tag(tag)).await;
                Told::Tag(class, there(answer).and_then(digest_of))
            }
            Self::Subject(subject) => {
                let reference = Reference::Digest(subject.clone());
                let named = (repository.clone(), reference.clone());
                // Where to ask might bring it, it is known without.
                if !registry.withheld(&[named]).await.is_empty() {
                    return Told::Subject(subject, Ok(false));
                }
                let answer = registry.manifest(repository, &reference).await;
                Told::Subject(subject, there(answer).map(|it| it.is_some()))
            }
        }
    }
}

/// The digest of a manifest, if there is one.
fn digest_of(body: Option<ManifestBody>) -> Result<Option<Digest>, Unverified> {
    match body {
        Some(body) if matches!(body.end, BodyEnd::Cut | BodyEnd::More) => {
            let detail = format!("{}: the answer is cut short", body.request);
            Err(Unverified::new(UnverifiedReason::Protocol, detail))
        }
        body => Ok(body.map(|body| own_digest(&body.bytes))),
    }
}

/// What is there, `None` if nothing is; a web page in its place tells neither.
fn there<T>(answer: Answer<T>) -> Result<Option<T>, Unverified> {
    match answer {
        Answer::Found(it) => Ok(Some(it)),
        Answer::Absent(refusal) if !refusal.is_page => Ok(None),
        Answer::Absent(refusal) | Answer::Failing(refusal) => {
            let detail = format!("{} answers {}", refusal.request, refusal.status);
            Err(Unverified::new(UnverifiedReason::RegistryError, detail))
        }
        Answer::Unverified(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_a_type_with_repositories_and_a_grace() {
        let rule = |text: &str| text.parse::<RequiredReferrer>();
        let of = |rule: &RequiredReferrer, name: &str| rule.is_of(&name.parse().expect("a name"));
        let plain = rule("signature").expect("a rule");
        assert!(of(&plain, "any/thing") && plain.grace.is_zero());
        let full =
            rule("application/spdx+json; repo=team/*; repo=base; grace=30m").expect("a rule");
        assert!(of(&full, "team/app") && of(&full, "base") && !of(&full, "other"));
        assert_eq!(full.grace, Duration::from_secs(1800));
        for text in [
            "",
            "signed",
            "signature;grace=soon",
            "signature;tag=v1",
            "signature;grace",
            "sbom;repo=[",
        ] {
            assert!(rule(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_grace_needs_memory() {
        let rule: RequiredReferrer = "signature;grace=30m".parse().expect("a rule");
        let at = |minutes: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minutes);
        let is_due = |seen: Option<u64>, memory| rule.is_due(seen.map(at), at(100), memory);
        assert!(is_due(None, false), "nobody knows since when it is there");
        assert!(!is_due(None, true), "it was just seen");
        assert!(!is_due(Some(71), true));
        assert!(is_due(Some(70), true));
        assert!(!is_due(Some(200), true), "a clock that was set back");
    }
}
