//! The probe as the tests run it: the real HTTP side and the real crawl against one double, in this
//! process.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use registry_double::{Registry, Request};
use registry_probe::oci::{Digest, Reference, Repository};
use registry_probe::registry::Registry as Seam;
use registry_probe::registry::client::{
    Config, CredentialSource, Endpoint, HttpRegistry, LoginStore, Meter, Secret,
};
use registry_probe::registry::{Depth, ManifestMethod, Software};
use registry_probe::report::{
    Finding, Mode, PlatformMismatch, Reach, Record, Shard, SkipReason, Sweep,
};
use registry_probe::sweep::{
    self, Empty, Expectations, Filter, KnownManifests, ManifestPolicy, Policy, Progress, Scope,
    Source, Turn,
};
use tokio_util::sync::CancellationToken;

use super::manners;
use crate::PATIENCE;

/// One sweep to be: a registry, and how to look at it. By default as `probe --once` does it, only
/// with short waits.
pub(super) struct Probe<'a> {
    registry: &'a Registry,
    config: Config,
    policy: Policy,
    known: Record,
    cancel: CancellationToken,
}

fn at_a_time(requests: usize) -> NonZeroUsize {
    NonZeroUsize::new(requests).expect("some requests at a time")
}

fn repository(name: &str) -> Repository {
    name.parse().expect("a repository's name")
}

impl<'a> Probe<'a> {
    /// Everything in this registry.
    pub(super) fn of(registry: &'a Registry) -> Self {
        let endpoint = Endpoint::parse(&registry.url(), false).expect("the double has an address");
        let policy = Policy {
            concurrency: at_a_time(4),
            confirm_after: Duration::ZERO,
            ..Policy::new(endpoint.name(), Scope::new(Source::Catalog))
        };
        let config = Config {
            concurrency: at_a_time(4),
            timeout: PATIENCE,
            ..Config::new(endpoint)
        };
        Self {
            registry,
            config,
            known: Record::new(policy.registry.clone()),
            policy,
            cancel: CancellationToken::new(),
        }
    }

    /// Whoever may have issued the registry's certificate.
    pub(super) fn any_certificate(mut self) -> Self {
        self.config.skip_tls_verify = true;
        self
    }

    /// By another address, that of a proxy in between.
    pub(super) fn through(mut self, url: &str) -> Self {
        self.config.endpoint = Endpoint::parse(url, false).expect("a proxy has an address");
        self
    }

    pub(super) fn depth(mut self, depth: Depth) -> Self {
        self.policy.depth = depth;
        self
    }

    /// What nothing to check comes to.
    pub(super) fn empty(mut self, empty: Empty) -> Self {
        self.policy.empty = empty;
        self
    }

    /// The repositories that match, and no others.
    pub(super) fn matching(mut self, pattern: &str) -> Self {
        let filter = Filter::new(&[pattern.to_owned()], &[]);
        self.policy.scope.repositories = filter.expect("a pattern");
        self
    }

    /// Of a registry that somebody said the kind of.
    pub(super) fn of_a_known_kind(mut self) -> Self {
        self.config.detect_cache = false;
        self.config.spares_upstream = false;
        self
    }

    /// Of this software, as the caller says.
    pub(super) fn software(mut self, name: Software) -> Self {
        self.config.software = Some(name);
        self
    }

    /// With what is known from before.
    pub(super) fn knowing(mut self, record: &Record) -> Self {
        self.known = record.clone();
        self
    }

    /// With this part of the blobs read in full.
    pub(super) fn scrub(mut self, turn: (Turn, Option<u64>)) -> Self {
        self.policy.owed.digest = Some((turn.0.into(), turn.1));
        self
    }

    /// With layers unpacked that are read in full.
    pub(super) fn unpacking(mut self) -> Self {
        self.policy.owed.unpacks = true;
        self
    }

    /// With the manifests that were read before, each of which is read once a day all the same.
    pub(super) fn manifests(mut self, method: ManifestMethod, known: &Arc<KnownManifests>) -> Self {
        self.policy.manifests = ManifestPolicy {
            method,
            every: Duration::from_secs(24 * 3600),
            known: Some(Arc::clone(known)),
        };
        self
    }

    /// With no time for bytes that are not due.
    pub(super) fn owing(mut self, turn: Turn) -> Self {
        self.policy.owed.tail = Some((turn, Duration::ZERO));
        self
    }

    /// Where something unknown was broken in this repository.
    pub(super) fn suspecting(mut self, name: &str) -> Self {
        self.policy.suspects.insert(repository(name));
        self
    }

    /// What an image comes to whose config names another platform than its index.
    pub(super) fn platform_mismatch(mut self, comes_to: PlatformMismatch) -> Self {
        self.policy.platform_mismatch = comes_to;
        self
    }

    /// Of which images to ask what is attached.
    pub(super) fn referrers(mut self, reach: Reach) -> Self {
        self.policy.referrers.reach = reach;
        self
    }

    /// With something more that has to be attached to images.
    pub(super) fn require(mut self, rule: &str) -> Self {
        let rule = rule.parse().expect("a rule");
        self.policy.referrers.required.push(rule);
        self
    }

    /// As where images are remembered.
    pub(super) fn remembering(mut self) -> Self {
        self.policy.referrers.has_memory = true;
        self
    }

    pub(super) fn mode(mut self, mode: Mode) -> Self {
        self.policy.mode = mode;
        self
    }

    /// These repositories, without asking for the catalog.
    pub(super) fn repositories(mut self, names: &[&str]) -> Self {
        let names = names.iter().map(|name| repository(name)).collect();
        self.policy.scope.source = Source::Repositories(names);
        self
    }

    /// These images, each a repository and a tag or digest, without asking for any list.
    pub(super) fn images(mut self, images: &[(&str, &str)]) -> Self {
        let reference = |text: &str| match text.parse::<Digest>() {
            Ok(digest) => Reference::Digest(digest),
            Err(_) => Reference::Tag(text.parse().expect("a tag or digest")),
        };
        let images = images
            .iter()
            .map(|(name, text)| (repository(name), reference(text)));
        self.policy.scope.source = Source::Images(images.collect());
        self
    }

    /// This part of the repositories only.
    pub(super) fn shard(mut self, shard: Shard) -> Self {
        self.policy.scope.shard = Some(shard);
        self
    }

    /// The tags that match, and no others.
    pub(super) fn tags(mut self, pattern: &str) -> Self {
        self.policy.scope.tags = Filter::new(&[pattern.to_owned()], &[]).expect("a pattern");
        self
    }

    pub(super) fn tags_per_repository(mut self, most: usize) -> Self {
        self.policy.scope.tags_per_repository = Some(most);
        self
    }

    pub(super) fn login(mut self, username: &str, password: &str) -> Self {
        self.config.credentials = CredentialSource::Given {
            username: username.to_owned(),
            password: Secret::new(password),
        };
        self
    }

    /// Logins from these docker configs.
    pub(super) fn authfiles(mut self, paths: &[PathBuf]) -> Self {
        self.config.credentials =
            CredentialSource::Stored(paths.iter().map(LoginStore::at).collect());
        self
    }

    pub(super) fn concurrency(mut self, requests: usize) -> Self {
        self.config.concurrency = at_a_time(requests);
        self.policy.concurrency = at_a_time(requests);
        self
    }

    /// Requests a second.
    pub(super) fn max_rps(mut self, requests: f64) -> Self {
        self.config.max_rps = Some(requests);
        self
    }

    /// What counts what is asked.
    pub(super) fn meter(&self) -> Meter {
        self.config.meter.clone()
    }

    /// How far it is.
    pub(super) fn progress(&self) -> std::sync::Arc<Progress> {
        std::sync::Arc::clone(&self.policy.progress)
    }

    pub(super) fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    pub(super) fn confirm_after(mut self, wait: Duration) -> Self {
        self.policy.confirm_after = wait;
        self
    }

    pub(super) fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = Some(deadline);
        self
    }

    pub(super) fn cancelled_by(mut self, cancel: &CancellationToken) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// The HTTP side alone.
    /// What is kept of lists is in scope, as the command line has it.
    fn client(&self) -> HttpRegistry {
        let mut config = self.config.clone();
        let (scope, of_tags) = (self.policy.scope.clone(), self.policy.scope.clone());
        config.repositories.wanted = Arc::new(move |name| scope.wants(name));
        config.tags.wanted = Arc::new(move |tag| of_tags.wants_tag(tag));
        HttpRegistry::new(config).expect("a client can be made")
    }

    /// No more than so many repositories, and tags of each.
    pub(super) fn at_most(mut self, repositories: usize, tags: usize) -> Self {
        (self.config.repositories.most, self.config.tags.most) = (repositories, tags);
        self
    }

    pub(super) fn http(self) -> HttpRegistry {
        self.client()
    }

    /// Sweeps, and holds every request of the log against the manners that all requests must have.
    pub(super) async fn sweep(self) -> Sweep {
        self.sweep_behind(|http| http).await
    }

    /// Holds the images against expectations, with something between the walk and its HTTP side.
    pub(super) async fn verify_behind<R: Seam>(
        self,
        expectations: &Expectations,
        put: impl FnOnce(HttpRegistry) -> R,
    ) -> Sweep {
        let http = self.client();
        sweep::verify(&put(http), &self.policy, expectations, &self.cancel).await
    }

    /// Looks at the images that are named, and holds them against what is expected of them.
    pub(super) async fn verify(self, expectations: &Expectations) -> Sweep {
        let http = self.client();
        let sweep = sweep::verify(&http, &self.policy, expectations, &self.cancel).await;
        manners::hold(self.registry);
        sweep
    }

    /// The same, with something between the walk and its HTTP side.
    pub(super) async fn sweep_behind<R: Seam>(self, put: impl FnOnce(HttpRegistry) -> R) -> Sweep {
        let http = self.client();
        let sweep = sweep::sweep(&put(http), &self.policy, &self.known, &self.cancel).await;
        manners::hold(self.registry);
        sweep
    }
}

/// A deadline that no machine reaches by being slow, and that comes before any request is given up.
pub(super) const DEADLINE: Duration = PATIENCE.checked_div(2).expect("it is no division by zero");

/// For a rule: from that request on, time does not pass by itself any more but jumps to whatever is waited
/// for next, as soon as there is nothing else to do.
pub(super) fn skip_waits(_: &Registry, _: &Request) {
    tokio::time::pause();
}

/// All that a sweep says, one fact a line and nothing left out, so that a test that compares it
/// asserts exactly what is expected: the verdict, `finding REPOSITORY KIND REASON: TAGS`, `unverified reason
/// REPOSITORY REASON`, `absent N`, `skipped REASON N`, and `warning` with its first words.
pub(super) fn told(sweep: &Sweep) -> Vec<String> {
    let mut lines = vec![sweep.verdict().to_string()];
    let finding = |finding: &Finding| {
        let tags: Vec<_> = finding.tags.iter().map(ToString::to_string).collect();
        let (kind, reason) = (finding.kind, finding.defect.reason);
        assert!(
            finding.confirmations > 0,
            "counted on one look: {finding:?}"
        );
        format!(
            "finding {} {kind} {reason}: {}",
            finding.repository,
            tags.join(" ")
        )
    };
    let mut findings: Vec<_> = sweep.findings.iter().map(finding).collect();
    // The sweep sorts them by digest, which says nothing to a reader of a test.
    findings.sort_unstable();
    lines.append(&mut findings);
    for group in &sweep.unverified {
        let place = group
            .repository
            .as_ref()
            .map_or("-".to_owned(), ToString::to_string);
        lines.push(format!("unverified {place} {}", group.why.reason));
    }
    if sweep.counts.absent > 0 {
        lines.push(format!("absent {}", sweep.counts.absent));
    }
    let skipped: &BTreeMap<SkipReason, u64> = &sweep.skipped;
    lines.extend(
        skipped
            .iter()
            .map(|(skip_reason, count)| format!("skipped {skip_reason} {count}")),
    );
    lines.extend(sweep.warnings.iter().map(|warning| {
        let first_words = warning.split(':').next().unwrap_or_default();
        format!("warning {first_words}")
    }));
    lines
}

/// The digests of a sweep's findings, in their order.
pub(super) fn broken(sweep: &Sweep) -> Vec<String> {
    let digest = |digest: &Digest| digest.to_string();
    sweep
        .findings
        .iter()
        .map(|finding| finding.digest.as_ref().map(digest).unwrap_or_default())
        .collect()
}

/// What the unverified reasons say, in one text.
pub(super) fn details(sweep: &Sweep) -> String {
    let details: Vec<_> = sweep
        .unverified
        .iter()
        .map(|group| &*group.why.detail)
        .collect();
    details.join("\n")
}
