//! What the probe will do about a registry as it is, and what its operator can.

use super::facts::FEW_DAYS;
use super::{Line, Mark};
use crate::doctor::{
    BlobAnswers, CacheSign, Contact, Examination, Identity, Login, NextPage, Outlook, Page,
    Protection, Pull, Range, Sample, StatedDigest, StatedLength, Wanted,
};
use crate::render::words::{many, number};

/// What follows from the facts, the way into the registry first.
pub(in crate::doctor) fn advice(examination: &Examination) -> Vec<Line> {
    let mut advice = Advice(Vec::new());
    match &examination.contact {
        Contact::Silence { .. } | Contact::Stranger(..) => advice.unreachable(examination),
        Contact::Answered(_) => {
            advice.connection(examination);
            advice.login(examination);
            advice.lists(examination);
            if examination.cache_sign() != CacheSign::None {
                advice.cache();
            } else if let Some(pull) = examination.pull() {
                advice.manifests(pull);
                advice.blobs(pull.blob.as_ref());
            }
            advice.pace(examination);
            advice.cost(examination);
            advice.command(examination);
        }
    }
    advice.0
}

struct Advice(Vec<Line>);

impl Advice {
    /// What the probe will do.
    fn will(&mut self, text: impl Into<String>) {
        self.0.push(Line::new(Mark::Plain, "", text));
    }

    /// What is for somebody to think about, or to do.
    fn care(&mut self, text: impl Into<String>) {
        self.0.push(Line::new(Mark::Care, "", text));
    }

    fn unreachable(&mut self, examination: &Examination) {
        let name = &examination.registry;
        match &examination.contact {
            Contact::Silence {
                speaks_http: true, ..
            } => self.care(format!(
                "It speaks plain HTTP at that port: write http://{name}."
            )),
            Contact::Silence { why, .. } => self.care(sentence(why.hint())),
            Contact::Stranger(greeting, why) => {
                if greeting.status == 400 && greeting.protection == Protection::None {
                    self.care(format!(
                        "If it speaks TLS at that port, write https://{name}."
                    ));
                }
                self.care(sentence(why.hint()));
            }
            Contact::Answered(_) => {}
        }
        self.will(
            "A sweep would say `unverified` and exit with 3: what is down is not broken, and what \
             was not seen is not fine.",
        );
    }

    fn connection(&mut self, examination: &Examination) {
        let Some(greeting) = examination.contact.greeting() else {
            return;
        };
        if let Some(origin) = &greeting.redirected_to {
            self.care(format!(
                "Name {origin} in its place: a login is not sent to where the registry sends us."
            ));
        }
        if matches!(greeting.protection, Protection::Unverified(_)) {
            self.care(
                "It talks to whoever answers, as --insecure-skip-tls-verify asks. Name the \
                 certificate authority with --ca-file in its place.",
            );
        }
        let days = greeting.protection.certificate();
        let days = days.and_then(|certificate| certificate.days_left(examination.at));
        if let Some(days) = days.filter(|&days| days < FEW_DAYS) {
            self.care(format!(
                "Renew the certificate: in {} every sweep will be `unverified` (tls).",
                many(days, "day", "days")
            ));
        }
    }

    fn login(&mut self, examination: &Examination) {
        let how = format!(
            "--username with --password-file, PROBE_USERNAME with PROBE_PASSWORD, or `docker login \
             {}` as the user that runs the probe",
            examination.registry
        );
        match (&examination.login, &examination.wanted) {
            (Login::NotWanted | Login::Accepted, _) => {}
            (Login::Missing, Wanted::Token { .. }) => {
                self.will(format!(
                    "It asks as nobody, and sees what is public. For more: {how}."
                ));
            }
            (Login::Missing, Wanted::Other) => {
                self.care("It cannot log in: the registry must offer Basic or Bearer.");
            }
            (Login::Missing, _) => self.care(format!("It needs a login: {how}.")),
            (Login::Refused(_), _) => self.care(format!(
                "The login is wrong, or has expired. Nothing more was asked, so as not to lock it. \
                 Set another: {how}."
            )),
            (Login::Untried(_), _) => {
                self.care(format!("Look at the login. It can be set by {how}."));
            }
        }
    }

    fn lists(&mut self, examination: &Examination) {
        const BY_NAME: &str = "--repo NAME (once for each), or --repos-file FILE";
        match &examination.catalog {
            None => {}
            Some(Err(_)) => {
                self.care(format!(
                    "It cannot list this registry. Name the repositories: {BY_NAME}."
                ));
            }
            Some(Ok(page)) if page.entries == 0 => match &examination.sample {
                Some(sample) if sample.tags.is_ok() => self.care(format!(
                    "The catalog does not show {}, which is there. Name the repositories: \
                     {BY_NAME}.",
                    sample.repository
                )),
                _ => self.care(format!(
                    "An empty catalog proves nothing: some registries show one to whoever may not \
                     see more, and a cache shows what it has stored. A sweep has nothing to check \
                     then, and says so. If there is more, name the repositories: {BY_NAME}."
                )),
            },
            Some(Ok(page)) => {
                let count = many(page.entries, "repository", "repositories");
                self.will(if page.is_all() {
                    format!("It lists the catalog in every sweep, and walks {count}.")
                } else {
                    format!("It lists the catalog page by page: {count}, and then more.")
                });
                self.links(page);
            }
        }
        if let Some(sample) = &examination.sample {
            self.refusal(sample);
        }
    }

    fn refusal(&mut self, sample: &Sample) {
        let name = &sample.repository;
        match &sample.tags {
            Err(why) if !why.is_refusal() => self.care(format!(
                "Check the name of {name}: the registry does not know it, or does not show it to \
                 this login."
            )),
            tags if tags.is_err() || sample.is_closed() => self.care(format!(
                "What it is refused, such as {name}, will be `unverified` and never `broken`. Give \
                 this login the right to pull, or leave it out with --exclude-repo."
            )),
            _ => {}
        }
    }

    fn links(&mut self, page: &Page) {
        if let NextPage::OtherHost(place) | NextPage::OtherPath(place) = &page.next {
            self.will(format!(
                "It takes no more than the query of the links to {place}, and stays at the address \
                 above."
            ));
        }
        if page.next == NextPage::None && !page.is_all() {
            self.will("It asks on from the last name of a full page that has no link.");
        }
    }

    fn cache(&mut self) {
        self.care(
            "Say --mode pull-through: a cache downloads and stores what it is asked for, so a sweep \
             in this mode asks for its lists alone. `probe verify --mode pull-through IMAGE` checks \
             an image's manifests. In any other mode a sweep stops once it notices.",
        );
    }

    fn manifests(&mut self, pull: &Pull) {
        let Ok(get) = &pull.get else {
            self.care(format!(
                "The manifest of {} could not be had: a sweep will tell whether that is a fault.",
                pull.tag
            ));
            return;
        };
        let is_wrong = |digest| digest == StatedDigest::Differs;
        match &pull.head {
            Ok(head) if is_wrong(head.digest) || is_wrong(get.digest) => self.care(
                "The digest that it states is not that of the bytes. A sweep goes by the bytes, and \
                 calls that broken.",
            ),
            Ok(head) if head.status != 200 => self.will(format!(
                "It asks by GET where HEAD says {}, before it believes that.",
                head.status
            )),
            Ok(head) if head.digest == StatedDigest::Absent => {
                self.will("It reads each tag's manifest and hashes it, as no digest is stated.");
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn blobs(&mut self, blob: Option<&BlobAnswers>) {
        let Some(blob) = blob else { return };
        match &blob.range {
            Range::NotAsked => {}
            Range::Honoured => self.will(
                "It reads the last byte of every blob (--depth tail): that shows files that are \
                 gone, empty or cut short, even where HEAD still calls them whole.",
            ),
            Range::Ignored => self.care(
                "It cannot read the last byte of a large blob alone, and compares its length only. \
                 To see damaged files, say --depth digest, which reads everything.",
            ),
            Range::Empty => self.care(
                "The file behind the sample blob is gone or cut short, while HEAD calls it whole. A \
                 sweep will say so.",
            ),
            Range::Refused(_) => self.care(
                "Blobs that answer so will be `unverified`. Give this login the right to pull, or \
                 look at what stands in front of the registry.",
            ),
        }
        let says_length = |head: &crate::doctor::BlobHead| {
            head.status == 200 && head.length != StatedLength::Absent
        };
        if !blob.head.as_ref().is_ok_and(says_length) && !matches!(blob.range, Range::Refused(_)) {
            self.will("It asks for blobs by GET, too, as HEAD does not tell how long they are.");
        }
        if let Some(origin) = &blob.redirected_to {
            self.will(format!(
                "It follows to {origin} for blobs, without a login: that host, too, must be \
                 reachable from where the probe runs."
            ));
        }
    }

    fn pace(&mut self, examination: &Examination) {
        if !examination.limits.is_empty() {
            self.care(
                "It waits where it is told to (429), and what stays refused is `unverified`, never \
                 `broken`. To stay below the limits, look at fewer tags (--tags-per-repo), or less \
                 often.",
            );
        }
    }

    fn cost(&mut self, examination: &Examination) {
        if examination.cache_sign() != CacheSign::None {
            return;
        }
        let (Some(Ok(page)), Some(sample)) = (&examination.catalog, &examination.sample) else {
            return;
        };
        if let Some(requests) = examination
            .requests_of_a_sweep()
            .filter(|_| page.entries > 0)
        {
            let requests = number(requests);
            let what = if page.is_all() {
                "A sweep"
            } else {
                "The first page of repositories"
            };
            self.will(format!(
                "{what} takes up to {requests} requests if all are like {}; what images share is \
                 asked for once.",
                sample.repository
            ));
        }
    }

    /// The command to type next.
    fn command(&mut self, examination: &Examination) {
        if examination.outlook() != Outlook::Ready {
            return;
        }
        let has_catalog = matches!(&examination.catalog, Some(Ok(page)) if page.entries > 0);
        let repo = match &examination.sample {
            Some(sample) if !has_catalog => format!(" --repo {}", sample.repository),
            _ => String::new(),
        };
        let mode = match examination.cache_sign() {
            CacheSign::None => "",
            CacheSign::UnknownFails | CacheSign::BareEtag | CacheSign::HeadDenies => {
                " --mode pull-through"
            }
        };
        let address = address(examination);
        let is_given = matches!(examination.identity, Identity::Given(_));
        let options = if is_given {
            " (with the login as now)"
        } else {
            ""
        };
        self.will(format!(
            "Try it{options}: probe --once{mode}{repo} {address}"
        ));
    }
}

/// What to type for this registry: its name, unless that would mean another scheme or leave out a
/// path.
fn address(examination: &Examination) -> &str {
    let name = examination.registry.as_str();
    let address = examination.address.trim_end_matches("/v2/");
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let is_loopback = ["127.", "localhost", "[::1]"]
        .iter()
        .any(|start| name.starts_with(start));
    let scheme_of_name = if is_loopback { "http" } else { "https" };
    if scheme == scheme_of_name && !rest.contains('/') {
        name
    } else {
        address
    }
}

/// A hint as a sentence.
fn sentence(hint: &str) -> String {
    let mut letters = hint.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
