//! The registry behind a server: its content, its manners, its rules and its log, and the order in
//! which they speak.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use crate::auth::{Auth, Gate};
use crate::locked;
use crate::log::{Log, Seen};
use crate::on::Matcher;
use crate::proxy::PullThrough;
use crate::quirks::Quirks;
use crate::reply::Reply;
use crate::request::Request;
use crate::rule::{Rule, When};
use crate::serve;
use crate::store::Store;

/// A registry: content, surgery on that content, rules that make it misbehave, and a log of what it
/// was asked.
///
/// Cheap to clone; a clone is the same registry. It answers for as long as its
/// [`Double`](crate::Double) lives.
#[derive(Clone)]
pub struct Registry {
    /// Shared with the doubles beside this one.
    common: Arc<Common>,
    site: Arc<Site>,
}

#[derive(Default)]
struct Common {
    store: Mutex<Store>,
    gate: Gate,
}

struct Site {
    address: String,
    quirks: Mutex<Arc<Quirks>>,
    rules: Mutex<Vec<Arc<Rule>>>,
    pull_through: Mutex<Option<PullThrough>>,
    log: Log,
}

impl Registry {
    pub(crate) fn new(address: String) -> Self {
        Self {
            common: Arc::default(),
            site: Arc::new(Site::new(address)),
        }
    }

    pub(crate) fn beside(&self, address: String) -> Self {
        Self {
            common: Arc::clone(&self.common),
            site: Arc::new(Site::new(address)),
        }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        &self.site.address
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.site.address)
    }

    /// Changes how it answers in general: `double.quirks(|quirks| quirks.tags.page = Some(2))`.
    pub fn quirks(&self, change: impl FnOnce(&mut Quirks)) {
        change(Arc::make_mut(&mut locked(&self.site.quirks)));
    }

    /// Asks for credentials from now on. Tokens issued so far are worth nothing any more.
    pub fn require(&self, auth: impl Into<Auth>) {
        self.common.gate.require(auth.into());
    }

    /// Lets everybody ping, see these repositories without a login, and list them in the catalog, which
    /// has the others for users only: zot with a policy for anonymous clients. After
    /// [`require`](Self::require). It shows no challenge with it; a rule may.
    pub fn open_to_everybody(&self, repositories: &[&str]) {
        self.common.gate.open_to_everybody(repositories);
    }

    /// Lets all tokens that were issued so far run out, so that no test has to wait for that.
    pub fn expire_tokens(&self) {
        self.common.gate.expire_tokens();
    }

    /// Makes it a pull-through cache of its own content: nothing is cached yet, everything is
    /// upstream.
    pub fn pull_through(&self, proxy: PullThrough) {
        *locked(&self.site.pull_through) = Some(proxy);
    }

    /// Changes the pull-through cache, to let its upstream fail for example.
    pub fn upstream(&self, change: impl FnOnce(&mut PullThrough)) {
        change(
            locked(&self.site.pull_through)
                .as_mut()
                .expect("it is a pull-through cache"),
        );
    }

    /// The digests that the pull-through cache downloaded from its upstream, in order.
    pub fn downloads(&self) -> Vec<String> {
        locked(&self.site.pull_through)
            .as_ref()
            .map(PullThrough::downloads)
            .unwrap_or_default()
    }

    /// Begins a rule: `double.when(on::blob().head()).error(404, "BLOB_UNKNOWN")`. Rules are asked
    /// in the order in which they were made; the first that answers outright speaks in place of the
    /// registry, and each that edits is applied in turn to the answer, whoever gave it.
    #[must_use = "a rule needs a behaviour"]
    pub fn when(&self, matcher: Matcher) -> When<'_> {
        When::new(self, matcher)
    }

    /// Forgets all rules: from now on it behaves.
    pub fn forget_rules(&self) {
        locked(&self.site.rules).clear();
    }

    /// The requests so far, in the order in which they were answered.
    pub fn requests(&self) -> Vec<Seen> {
        self.site.log.seen()
    }

    /// How many of the requests so far match; the matcher's counting (`first`, `after`, …) plays no
    /// part.
    pub fn count(&self, matcher: &Matcher) -> usize {
        self.seen(matcher).len()
    }

    /// The requests so far that match.
    pub fn seen(&self, matcher: &Matcher) -> Vec<Seen> {
        self.requests()
            .into_iter()
            .filter(|seen| matcher.selects(&seen.request))
            .collect()
    }

    /// The most requests that were being answered at the same time.
    pub fn peak_in_flight(&self) -> usize {
        self.site.log.peak()
    }

    /// Empties the log.
    pub fn forget_requests(&self) {
        self.site.log.forget();
    }

    /// The healthy answer, the rules', or the refusal, in the order in which a real registry and
    /// what stands before it speak: rules marked as before authentication, authentication, the
    /// other rules, the registry.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let at = Instant::now();
        let rules: Vec<_> = locked(&self.site.rules).clone();
        let applying = |before_auth: bool| {
            let rules = rules
                .iter()
                .filter(move |rule| rule.is_before_auth() == before_auth);
            rules
                .filter(|rule| rule.applies(request))
                .collect::<Vec<_>>()
        };
        let mut active = applying(true);
        let scripted =
            |active: &[&Arc<Rule>]| active.iter().find_map(|rule| rule.answer(self, request));
        let early = scripted(&active).or_else(|| self.common.gate.refusal(self, request));
        let reply = early.unwrap_or_else(|| {
            active.extend(applying(false));
            scripted(&active).unwrap_or_else(|| serve::healthy(self, request))
        });
        let reply = active
            .iter()
            .fold(reply, |reply, rule| rule.edit(request, reply));
        self.site.log.note(request, reply.status, at);
        for rule in active {
            rule.afterwards(self, request);
        }
        reply
    }

    pub(crate) fn add_rule(&self, rule: Rule) {
        locked(&self.site.rules).push(Arc::new(rule));
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        locked(&self.common.store)
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.common.gate
    }

    pub(crate) fn log(&self) -> &Log {
        &self.site.log
    }

    /// The quirks as they are now, so that no lock is held while answering.
    pub(crate) fn manners(&self) -> Arc<Quirks> {
        Arc::clone(&locked(&self.site.quirks))
    }

    pub(crate) fn cache(&self) -> MutexGuard<'_, Option<PullThrough>> {
        locked(&self.site.pull_through)
    }
}

impl Site {
    fn new(address: String) -> Self {
        Self {
            address,
            quirks: Mutex::default(),
            rules: Mutex::default(),
            pull_through: Mutex::default(),
            log: Log::default(),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("address", &self.site.address)
            .finish_non_exhaustive()
    }
}
