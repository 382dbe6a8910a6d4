//! What a registry can do, fact by fact.

use super::{Line, Mark};
use crate::doctor::{
    BlobAnswers, BlobHead, CacheSign, Contact, Etag, Examination, Greeting, Login, ManifestGet,
    ManifestHead, NextPage, Page, PageSize, Protection, Pull, Range, Sample, StatedDigest,
    StatedLength, Wanted,
};
use crate::registry::{Certificate, Unverified};
use crate::render::words::{self, many, number};

/// Fewer days than this are worth a thought: who renews certificates by a timer, does so earlier.
pub(super) const FEW_DAYS: u64 = 21;

/// Everything that was found, in the order in which it was asked for.
pub(in crate::doctor) fn facts(examination: &Examination) -> Vec<Line> {
    let mut facts = vec![address(examination)];
    match &examination.contact {
        Contact::Silence { why, .. } => {
            facts.push(Line::new(Mark::Bad, "answer", trouble(why)));
            return facts;
        }
        Contact::Stranger(greeting, why) => {
            facts.extend(about(greeting, examination));
            facts.push(Line::new(Mark::Bad, "answer", trouble(why)));
            return facts;
        }
        Contact::Answered(greeting) => facts.extend(about(greeting, examination)),
    }
    facts.push(login(&examination.wanted, &examination.login));
    facts.extend(examination.catalog.as_ref().map(catalog));
    facts.extend(examination.sample.iter().map(tags));
    facts.extend(examination.pull().into_iter().flat_map(image));
    facts.push(limits(&examination.limits));
    if examination
        .sample
        .as_ref()
        .is_some_and(|sample| sample.unknown.is_some())
    {
        facts.push(cache(examination.cache_sign()));
    }
    facts
}

/// An unverified reason in words, with the word that reports and metrics know it by.
pub(super) fn trouble(why: &Unverified) -> String {
    format!("{} [{}]", why.detail, why.reason)
}

fn address(examination: &Examination) -> Line {
    let address = &examination.address;
    let Some(greeting) = examination.contact.greeting() else {
        return Line::new(Mark::Plain, "address", address.clone());
    };
    let protection = match greeting.protection {
        Protection::None => "not encrypted",
        Protection::Verified(_) => "encrypted",
        Protection::Unverified(_) => "encrypted, and with whom is not verified",
    };
    let http = format!("{address} (HTTP/{}, {protection})", greeting.http);
    match &greeting.redirected_to {
        None => Line::new(Mark::Fine, "address", http),
        Some(origin) => {
            let text = format!("{http}, which sends us on to {origin}");
            Line::new(Mark::Care, "address", text)
        }
    }
}

fn about(greeting: &Greeting, examination: &Examination) -> Vec<Line> {
    let mut said = Vec::new();
    said.extend(
        greeting
            .server
            .as_ref()
            .map(|server| format!("Server: {server}")),
    );
    let version = greeting.api_version.as_ref();
    said.extend(version.map(|version| format!("API version: {version}")));
    let software = if said.is_empty() {
        "it does not say".into()
    } else {
        said.join("; ")
    };
    let mut lines = vec![Line::new(Mark::Plain, "software", software)];
    let certificate = match (&greeting.protection, greeting.protection.certificate()) {
        (Protection::None, _) => return lines,
        (_, None) => Line::new(Mark::Care, "certificate", "it cannot be read"),
        (_, Some(certificate)) => self::certificate(certificate, examination),
    };
    lines.push(certificate);
    lines
}

fn certificate(certificate: &Certificate, examination: &Examination) -> Line {
    let Certificate {
        subject,
        issuer,
        not_after,
    } = certificate;
    let end = humantime::format_rfc3339_seconds(words::since_epoch(*not_after)).to_string();
    let day = end.split('T').next().unwrap_or_default();
    let (mark, left) = match certificate.days_left(examination.at) {
        None => (Mark::Bad, "ended".into()),
        Some(days) => {
            let mark = if days < FEW_DAYS {
                Mark::Care
            } else {
                Mark::Fine
            };
            (mark, format!("ends in {}", many(days, "day", "days")))
        }
    };
    let text = format!("{left}, on {day}: {subject}, by {issuer}");
    Line::new(mark, "certificate", text)
}

fn login(wanted: &Wanted, login: &Login) -> Line {
    let wanted = match wanted {
        Wanted::Nothing => "none is asked for".into(),
        Wanted::Password => "a user's password with every request (Basic)".into(),
        Wanted::Token {
            host,
            service: None,
        } => format!("a token (Bearer) from {host}"),
        Wanted::Token {
            host,
            service: Some(service),
        } => {
            format!("a token (Bearer) from {host} for the service {service}")
        }
        Wanted::Other => "of a kind that the probe does not know".into(),
    };
    let is_token = wanted.starts_with("a token");
    let (mark, what) = match login {
        Login::NotWanted => (Mark::Fine, None),
        Login::Accepted => (Mark::Fine, Some("accepted".into())),
        Login::Missing if is_token => (Mark::Plain, Some("asked for as nobody".into())),
        Login::Missing => (Mark::Bad, Some("none is known here".into())),
        Login::Refused(why) => (Mark::Bad, Some(format!("refused: {}", trouble(why)))),
        Login::Untried(why) => (Mark::Care, Some(format!("not tried: {why}"))),
    };
    let text = what.map_or(wanted.clone(), |what| format!("{wanted}; {what}"));
    Line::new(mark, "login", text)
}

fn catalog(page: &Result<Page, Unverified>) -> Line {
    match page {
        Err(why) => Line::new(
            Mark::Bad,
            "catalog",
            format!("not offered: {}", trouble(why)),
        ),
        Ok(page) if page.entries == 0 => Line::new(Mark::Care, "catalog", "offered, and empty"),
        Ok(page) => {
            let count = many(page.entries, "repository", "repositories");
            Line::new(
                page_mark(page),
                "catalog",
                format!("offered: {count}, {}", paging(page)),
            )
        }
    }
}

fn tags(sample: &Sample) -> Line {
    let name = &sample.repository;
    match &sample.tags {
        Err(why) => Line::new(Mark::Bad, "tags", format!("{name}: {}", trouble(why))),
        Ok(page) if page.entries == 0 => Line::new(Mark::Care, "tags", format!("{name} has none")),
        Ok(page) => {
            let count = many(page.entries, "tag", "tags");
            Line::new(
                page_mark(page),
                "tags",
                format!("{name}: {count}, {}", paging(page)),
            )
        }
    }
}

fn page_mark(page: &Page) -> Mark {
    let is_usual = matches!(
        page.next,
        NextPage::None | NextPage::Relative | NextPage::Absolute
    );
    if is_usual && page.size == PageSize::Accepted {
        Mark::Fine
    } else {
        Mark::Care
    }
}

fn paging(page: &Page) -> String {
    let next = match &page.next {
        NextPage::None if page.is_all() => "all on one page".into(),
        NextPage::None => "a full page, and no link to another".into(),
        NextPage::Relative => "and a relative link to more".into(),
        NextPage::Absolute => "and an absolute link to more".into(),
        NextPage::OtherHost(host) => format!("and a link to more at another host, {host}"),
        NextPage::OtherPath(path) => format!("and a link to more at another path, {path}"),
    };
    match &page.size {
        PageSize::Accepted => next,
        PageSize::Refused(words) => {
            format!(
                "{next}; pages of {} are refused: {words}",
                number(page.asked)
            )
        }
    }
}

fn image(pull: &Pull) -> Vec<Line> {
    let mut lines = vec![manifest(pull)];
    if let Some(blob) = &pull.blob {
        lines.extend([blob_head(blob), range(&blob.range), storage(blob)]);
    }
    lines
}

fn manifest(pull: &Pull) -> Line {
    let head = match &pull.head {
        Err(why) => trouble(why),
        Ok(ManifestHead {
            status: 200,
            digest,
            length,
        }) => {
            format!(
                "HEAD 200, digest {}, length {}",
                stated(*digest),
                measured(*length)
            )
        }
        Ok(head) => format!("HEAD {}", head.status),
    };
    let get = match &pull.get {
        Err(why) => trouble(why),
        Ok(ManifestGet { digest, .. }) => format!("GET 200, digest {}", stated(*digest)),
    };
    let mark = match (&pull.head, &pull.get) {
        (_, Err(_)) => Mark::Bad,
        (Ok(head), Ok(get)) if head.status == 200 => {
            let digests = [head.digest, get.digest];
            if digests.contains(&StatedDigest::Differs) {
                Mark::Bad
            } else if head.digest == StatedDigest::Absent || head.length != StatedLength::Agrees {
                Mark::Care
            } else {
                Mark::Fine
            }
        }
        _ => Mark::Care,
    };
    Line::new(mark, "manifest", format!("{head}; {get}"))
}

fn stated(digest: StatedDigest) -> &'static str {
    match digest {
        StatedDigest::Absent => "not stated",
        StatedDigest::Agrees => "right",
        StatedDigest::Differs => "wrong",
        StatedDigest::Unchecked => "stated",
    }
}

fn measured(length: StatedLength) -> &'static str {
    match length {
        StatedLength::Absent => "not stated",
        StatedLength::Agrees => "right",
        StatedLength::Differs => "wrong",
        StatedLength::Unchecked => "stated",
    }
}

fn blob_head(blob: &BlobAnswers) -> Line {
    match &blob.head {
        Err(why) => Line::new(Mark::Bad, "blob", trouble(why)),
        Ok(BlobHead {
            status: 200,
            length,
            etag,
            accepts_ranges,
        }) => {
            let etag = match etag {
                Etag::Absent => "no Etag",
                Etag::Quoted => "Etag quoted",
                Etag::BareDigest => "Etag a bare digest",
                Etag::Other => "Etag without quotes",
            };
            let ranges = if *accepts_ranges {
                "offered"
            } else {
                "not offered"
            };
            let length_words = measured(*length);
            let text = format!("HEAD 200, length {length_words}, {etag}, ranges {ranges}");
            let mark = match length {
                StatedLength::Agrees => Mark::Fine,
                StatedLength::Absent | StatedLength::Unchecked => Mark::Care,
                StatedLength::Differs => Mark::Bad,
            };
            Line::new(mark, "blob", text)
        }
        Ok(head) => Line::new(Mark::Care, "blob", format!("HEAD {}", head.status)),
    }
}

fn range(range: &Range) -> Line {
    let (mark, text) = match range {
        Range::NotAsked => (Mark::Plain, "not asked for".into()),
        Range::Honoured => (
            Mark::Fine,
            "honoured: the last byte came alone (206)".into(),
        ),
        Range::Ignored => (
            Mark::Care,
            "ignored: the whole blob comes in its place (200)".into(),
        ),
        Range::Empty => (
            Mark::Bad,
            "the last byte was promised (206) and did not come".into(),
        ),
        Range::Refused(why) => (Mark::Bad, trouble(why)),
    };
    Line::new(mark, "range", text)
}

fn storage(blob: &BlobAnswers) -> Line {
    let text = match &blob.redirected_to {
        None => "blobs come from the registry itself".into(),
        Some(origin) => format!("blobs come by redirect from {origin}"),
    };
    Line::new(Mark::Plain, "storage", text)
}

fn limits(limits: &[(String, String)]) -> Line {
    let words: Vec<_> = limits
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    match words.as_slice() {
        [] => Line::new(Mark::Plain, "rate limits", "none stated"),
        words => Line::new(Mark::Care, "rate limits", words.join("; ")),
    }
}

fn cache(sign: CacheSign) -> Line {
    let (mark, text) = match sign {
        CacheSign::None => (Mark::Fine, "no sign of a pull-through cache"),
        CacheSign::UnknownFails => (
            Mark::Care,
            "looks like a pull-through cache: it fails (500) on a manifest that nobody has",
        ),
        CacheSign::BareEtag => (
            Mark::Care,
            "looks like a pull-through cache, by the Etag of a blob (distribution)",
        ),
        CacheSign::HeadDenies => (
            Mark::Care,
            "looks like a pull-through cache: HEAD denies a blob that GET has (Harbor)",
        ),
    };
    Line::new(mark, "cache", text)
}
