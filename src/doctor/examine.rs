//! Asks the registry, one request after the other: the greeting, the login, the first page of the catalog,
//! the tags of one repository, and one image as far as a sweep would pull it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::Outcome::{Fine, Info, Warn};
use super::connection;
use super::image::{CacheSign, Image};
use super::lists::{self, Page};
use super::login::Login;
use super::subject::Doctor;
use super::{Advice, Check, Examination, Outlook};
use crate::oci::{Repository, Tag, printable};
use crate::registry::client::HttpRegistry;
use crate::registry::client::auth::Scheme;
use crate::registry::client::scope::Scope;
use crate::registry::{Registry as _, Traffic, Unverified};
use crate::render::words::{number, since_epoch};

const NOT_TOLD: &str = "not told: a zot that fetches on demand (`sync`) answers as any other";

/// Repositories that are looked into until one has a tag.
const MOST_REPOSITORIES: usize = 5;

/// Examines a registry. The sample is taken from the first of the `named` repositories that has a tag,
/// or of the catalog if none are named. `options` are those that it was reached by, as they are typed.
pub async fn examine(registry: &HttpRegistry, named: &[Repository], options: &str) -> Examination {
    let at = since_epoch(SystemTime::now());
    let found = Examination {
        registry: printable(registry.endpoint.name()),
        address: printable(registry.endpoint.base().as_str()),
        examined_at: humantime::format_rfc3339_seconds(at).to_string(),
        words: "it answers, and shows nothing that could be swept".to_owned(),
        ..Examination::default()
    };
    let mut doctor = Doctor::new(registry, named, options, found);
    doctor.heads();
    doctor.look().await;
    let software = registry.access().software;
    connection::identify(&mut doctor.found.checks, software.as_ref());
    let Traffic { requests, bytes } = registry.traffic();
    Examination {
        requests,
        bytes,
        ..doctor.found
    }
}

/// A repository that was looked into.
struct Sample {
    repository: Repository,
    tags: Result<Page<Tag>, Unverified>,
    /// The status for a manifest that nobody has.
    unknown: Option<u16>,
    image: Option<Image>,
    /// Whether to ask for an image might make it fetch that from elsewhere, and nobody said that it does not.
    is_withheld: bool,
}

impl Sample {
    /// Why nothing of it may be pulled. A manifest that is missing or damaged is another matter, and one
    /// for a sweep.
    fn why(&self) -> Option<&Unverified> {
        let of_image = self
            .image
            .as_ref()
            .and_then(|image| image.extent.as_ref().err());
        let is_refusal = |why: &&Unverified| why.is_refusal();
        self.tags.as_ref().err().or(of_image.filter(is_refusal))
    }

    fn sign(&self) -> CacheSign {
        match &self.image {
            _ if self.is_withheld => CacheSign::Untold,
            _ if self.unknown == Some(500) => CacheSign::UnknownFails,
            Some(image) => image.sign,
            None => CacheSign::None,
        }
    }
}

impl Doctor<'_> {
    async fn look(&mut self) {
        let Some((wants_login, answer)) = self.greet().await else {
            return;
        };
        let mut login = Login::NotWanted;
        if wants_login {
            login = self.log_in(answer).await;
        }
        let mut seen = None;
        // What is public is shown to whoever has no login, as a sweep finds, too. A wrong one is not shown again.
        if !matches!(login, Login::Refused(_)) {
            let url = self.registry.endpoint.catalog();
            let catalog = self.first_page(url, Scope::Catalog).await;
            if login == Login::NotWanted && self.scheme() != Scheme::Open {
                // Some registries let everybody greet them, and only then ask who it is.
                let answer = catalog.as_ref().map(drop).map_err(Clone::clone);
                login = self.log_in(answer).await;
            }
            let listed = catalog.as_ref().map_or(&[][..], |page| &page.items);
            let named = Some(self.named).filter(|named| !named.is_empty());
            let sample = self.sample(named.unwrap_or(listed)).await;
            seen = Some((catalog, sample));
        }
        let sample = seen.as_ref().and_then(|(_, sample)| sample.as_ref());
        let is_open = sample.is_some_and(|sample| sample.why().is_none());
        let check = self.login(&login, wants_login, is_open).await;
        self.note(check);
        if let Some((catalog, sample)) = &seen {
            let there = sample.as_ref().filter(|sample| sample.tags.is_ok());
            let there = there.map(|sample| &sample.repository);
            self.note(lists::catalog(catalog, there));
            self.sampled(sample.as_ref());
        }
        self.note(limits(&self.limits));
        if let Some((catalog, Some(sample))) = &seen {
            if sample.unknown.is_some() || sample.is_withheld {
                self.note(cache(sample.sign(), sample.unknown));
            }
            self.judge(catalog, sample);
        }
    }

    /// The first of some repositories that has a tag, or simply the first.
    async fn sample(&mut self, candidates: &[Repository]) -> Option<Sample> {
        let mut first = None;
        for repository in candidates.iter().take(MOST_REPOSITORIES) {
            let url = self.registry.endpoint.tags(repository);
            let mut sample = Sample {
                repository: repository.clone(),
                tags: self.first_page(url, Scope::Pull(repository)).await,
                unknown: None,
                image: None,
                is_withheld: self.registry.may_fetch(),
            };
            let listed = sample.tags.as_ref().map_or(&[][..], |page| &page.items);
            if !listed.is_empty() && sample.is_withheld {
                return Some(sample);
            }
            if !listed.is_empty() {
                sample.unknown = self.ask_for_unknown(repository).await;
                if sample.unknown != Some(500) {
                    sample.image = self.pull(repository, listed.to_vec()).await;
                }
                return Some(sample);
            }
            first.get_or_insert(sample);
        }
        first
    }

    fn sampled(&mut self, sample: Option<&Sample>) {
        let not_tried = |id, outcome, words| Check::new(id, outcome, words, Value::Null);
        let Some(sample) = sample else {
            return self.note(not_tried("tags", Warn, "not tried: no repository is known"));
        };
        self.note(lists::tags(&sample.repository, &sample.tags, sample.why()));
        let why = match sample.sign() {
            CacheSign::UnknownFails => Some("not tried: a cache would store it"),
            CacheSign::Untold if sample.tags.is_ok() => {
                Some("not tried: a zot that fetches on demand would store it")
            }
            _ => None,
        };
        if let Some(why) = why {
            self.note(not_tried("manifest", Info, why));
        }
        let checks = sample.image.iter().flat_map(|image| &image.checks);
        self.found.checks.extend(checks.cloned());
    }

    /// What all that was found comes to.
    fn judge(&mut self, catalog: &Result<Page<Repository>, Unverified>, sample: &Sample) {
        let name = &sample.repository;
        if sample.why().is_some() {
            self.found.words = format!("it answers, and {name} cannot be pulled");
            return;
        }
        let has_catalog = catalog.as_ref().is_ok_and(|page| page.entries > 0);
        let is_cache = !matches!(sample.sign(), CacheSign::None | CacheSign::Untold);
        let (how, mode) = match (is_cache, has_catalog) {
            (true, _) => (", with --mode pull-through", " --mode pull-through"),
            (false, true) => ("", ""),
            (false, false) => (", by the names of its repositories", ""),
        };
        self.found.outlook = Outlook::Ready;
        self.found.words = format!("it can be swept{how}");
        self.found.requests_of_a_sweep = requests(catalog, sample);
        let requests = self.found.requests_of_a_sweep.map(number);
        if let Some(requests) = requests.filter(|_| has_catalog && !is_cache) {
            let is_all = catalog.as_ref().is_ok_and(Page::is_all);
            let what = ["The first page of repositories", "A sweep"][usize::from(is_all)];
            self.found.advice.push(Advice::will(format!(
                "{what} takes up to {requests} requests if all are like {name}; what images share is \
                 asked for once."
            )));
        }
        let repo = Some(format!(" --repo {name}")).filter(|_| !has_catalog);
        let repo = repo.unwrap_or_default();
        let login = self.given_user().map_or("", |_| " (with the login as now)");
        let mut advice = Advice::will(format!("Try it{login}:"));
        let (options, registry) = (self.options, self.to_type());
        advice.command = Some(format!("probe --once{options}{mode}{repo} {registry}"));
        self.found.advice.push(advice);
    }

    /// What to type for this registry: its name, unless that would mean another scheme or leave out a
    /// path.
    fn to_type(&self) -> String {
        let endpoint = &self.registry.endpoint;
        let address = endpoint.base().as_str().trim_end_matches("/v2/");
        let has_path = endpoint.base().path() != "/v2/";
        let is_named = endpoint.is_https() != endpoint.is_loopback() && !has_path;
        printable(if is_named { endpoint.name() } else { address })
    }
}

/// The requests of one sweep, if all repositories and images are like the sample and have nothing in
/// common: one for the greeting, each page, tag, child of an index and blob, and one more for each repository.
fn requests(catalog: &Result<Page<Repository>, Unverified>, sample: &Sample) -> Option<u64> {
    let repositories = catalog.as_ref().ok()?.entries;
    let tags = sample.tags.as_ref().ok()?.entries;
    let (manifests, blobs) = *sample.image.as_ref()?.extent.as_ref().ok()?;
    // A registry may say that it has any number.
    let of_image = manifests.saturating_add(blobs).saturating_add(1);
    let of_repository = tags.saturating_mul(of_image).saturating_add(2);
    Some(repositories.saturating_mul(of_repository).saturating_add(2))
}

fn limits(limits: &BTreeMap<String, String>) -> Check {
    let pair = |(name, value)| format!("{name}: {value}");
    let said: Vec<_> = limits.iter().map(pair).collect();
    if said.is_empty() {
        return Check::new("rate_limits", Info, "none stated", json!(limits));
    }
    Check::new("rate_limits", Warn, said.join("; "), json!(limits)).care(
        "It waits where it is told to (429), and what stays refused is `unverified`, never `broken`. To \
         stay below the limits, look at fewer tags (--tags-per-repo), or less often.",
    )
}

fn cache(sign: CacheSign, unknown: Option<u16>) -> Check {
    let how = match sign {
        CacheSign::Untold => {
            let data = json!({ "sign": sign, "unknown_manifest_status": unknown });
            return Check::new("cache", Info, NOT_TOLD, data).care(
                "Say --mode private here and in sweeps if zot's `sync` has no `onDemand: true`: then an image is looked \
                 at. Say --mode pull-through if it has: such a zot fetches and stores each image that it is asked for.",
            );
        }
        CacheSign::None => {
            let data = json!({ "sign": sign, "unknown_manifest_status": unknown });
            return Check::new("cache", Fine, "no sign of a pull-through cache", data);
        }
        CacheSign::UnknownFails => ": it fails (500) on a manifest that nobody has",
        CacheSign::BareEtag => ", by the Etag of a blob (distribution)",
        CacheSign::HeadDenies => ": HEAD denies a blob that GET has (Harbor)",
    };
    let words = format!("looks like a pull-through cache{how}");
    let data = json!({ "sign": sign, "unknown_manifest_status": unknown });
    Check::new("cache", Warn, words, data).care(
        "Say --mode pull-through: a cache downloads and stores what it is asked for, so a sweep in this \
         mode asks for its lists alone. `probe verify --mode pull-through IMAGE` checks an image's \
         manifests. In any other mode a sweep stops once it notices.",
    )
}
