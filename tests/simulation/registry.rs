//! The world behind the probe's one seam, with a log of all that was asked and answered.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use registry_probe::oci::{Descriptor, Digest, Reference, Repository, Tag};
use registry_probe::registry::{Access, Depth, Unverified, UnverifiedReason};
use registry_probe::registry::{
    Answer, BlobLook, ListEnd, Listing, ManifestBody, Registry, Resolved, Traffic, Unpack,
    Unpacked, Way,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Place, negative, refusal, why};
use super::content::Object;
use super::world::{Choice, Code, Ms, Question, Reply, World};

/// A request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) depth: Depth,
    pub(crate) sent: Ms,
    pub(crate) at: Ms,
    pub(crate) connection: u32,
    pub(crate) replica: usize,
    pub(crate) reply: Reply,
}

/// What all connections to the simulated registry share.
pub(crate) struct Shared {
    pub(crate) world: World,
    begun: Instant,
    log: Mutex<Vec<Asked>>,
    asked: AtomicU64,
    connections: AtomicU32,
    /// Requests after which nothing is answered any more.
    most: AtomicU64,
    /// The request at which a sweep is cancelled.
    cancel: Mutex<Option<(u64, CancellationToken)>>,
}

/// The registry as the probe sees it, over one connection.
#[derive(Clone)]
pub(crate) struct Simulated {
    shared: Arc<Shared>,
    connection: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that looks like chance and is the same for the same parts.
pub(crate) fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, part| {
        let mixed = (hash ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 32)
    })
}

impl Shared {
    pub(crate) fn new(world: World) -> Arc<Self> {
        Arc::new(Self {
            world,
            begun: Instant::now(),
            log: Mutex::default(),
            asked: AtomicU64::new(0),
            connections: AtomicU32::new(1),
            most: AtomicU64::new(u64::MAX),
            cancel: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> Ms {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(Ms::MAX)
    }

    /// A registry whose connections are new, for one sweep that may send `most` requests and is
    /// cancelled at one of them.
    pub(crate) fn connect(
        self: &Arc<Self>,
        most: u64,
        cancel: Option<(u64, CancellationToken)>,
    ) -> Simulated {
        let asked = self.asked.load(Ordering::Relaxed);
        self.most
            .store(asked.saturating_add(most), Ordering::Relaxed);
        *lock(&self.cancel) = cancel.map(|(number, token)| (asked + number, token));
        Simulated {
            shared: Arc::clone(self),
            connection: self.connections.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Takes out what was asked since the last time.
    pub(crate) fn take_log(&self) -> Vec<Asked> {
        std::mem::take(&mut *lock(&self.log))
    }

    fn replica(&self, connection: u32, number: u64) -> usize {
        let count = self.world.lags.len() as u64;
        let choice = match self.world.choice {
            Choice::ByTurn => number,
            Choice::AtRandom => hash(&[self.world.seed, number, 1]),
            Choice::ByConnection => u64::from(connection),
        };
        usize::try_from(choice % count).unwrap_or_default()
    }

    /// Most answers take about as long; some take much longer.
    fn latency(&self, number: u64) -> Duration {
        let chance = hash(&[self.world.seed, number, 2]);
        let usual = self.world.latency;
        let slow = if chance.is_multiple_of(61) { 8 } else { 1 };
        Duration::from_millis(1 + slow * (usual / 2 + (chance >> 8) % usual))
    }
}

impl Simulated {
    async fn ask(&self, question: Question, depth: Depth) -> Reply {
        let shared = &self.shared;
        let number = shared.asked.fetch_add(1, Ordering::Relaxed);
        if number >= shared.most.load(Ordering::Relaxed) {
            // What goes on and on ends by the limit of time, and is told by that.
            return std::future::pending().await;
        }
        let sent = shared.now();
        if let Some((at, token)) = &*lock(&shared.cancel)
            && number >= *at
        {
            token.cancel();
        }
        tokio::time::sleep(shared.latency(number)).await;
        let at = shared.now();
        let replica = shared.replica(self.connection, number);
        let world = &shared.world;
        let fires = |window: usize| {
            let dice = hash(&[world.seed, number, 3, window as u64]);
            dice % 100 < u64::from(world.windows[window].chance)
        };
        let reply = world.reply(question, depth, replica, at, fires);
        lock(&shared.log).push(Asked {
            question,
            depth,
            sent,
            at,
            connection: self.connection,
            replica,
            reply,
        });
        reply
    }

    /// The manifest that comes along with the answer for a tag, which was the last one. Bytes from which
    /// its digest is to be computed come only if they are whole.
    fn comes_along(&self, manifest: Question, request: String) -> Option<ManifestBody> {
        let world = &self.shared.world;
        let mut log = lock(&self.shared.log);
        let last = log.last().copied()?;
        let reply = world.reply(manifest, last.depth, last.replica, last.at, |_| true);
        if world.states_no_digest && reply != Reply::Whole {
            return None;
        }
        let Answer::Found(body) = self.body(manifest, reply, request) else {
            return None;
        };
        log.push(Asked {
            question: manifest,
            reply,
            ..last
        });
        Some(body)
    }

    async fn resolved(
        &self,
        repository: &Repository,
        tag: &Tag,
        request: String,
        is_get: bool,
    ) -> Answer<Resolved> {
        let question = self.tag_question(repository, tag);
        let reply = self.ask(question, Depth::Head).await;
        let (Reply::Led(id), Question::Tag(repo, _)) = (reply, question) else {
            return negative(reply, request, Place::Manifest);
        };
        let world = &self.shared.world;
        let brings_it = is_get || world.states_no_digest;
        let manifest = Question::Object(repo, id);
        let body = brings_it.then(|| self.comes_along(manifest, request));
        let body = body.flatten();
        let digest = &world.content.objects[id].digest;
        let is_stated = !world.states_no_digest || body.is_none();
        Answer::Found(Resolved {
            stated: is_stated.then(|| digest.clone()),
            body,
            by_head: None,
        })
    }

    fn repo(&self, repository: &Repository) -> Option<usize> {
        let mut repos = self.shared.world.repos.iter();
        repos.position(|repo| repo.name == *repository)
    }

    fn tag(&self, repo: usize, tag: &Tag) -> Option<usize> {
        let mut tags = self.shared.world.repos[repo].tags.iter();
        tags.position(|(name, _)| name == tag)
    }

    fn object(&self, repository: &Repository, digest: &Digest, is_manifest: bool) -> Question {
        let repo = self.repo(repository);
        let content = &self.shared.world.content;
        let found = content.find(digest);
        let found = found.filter(|id| content.is_manifest(*id) == is_manifest);
        match (repo, found) {
            (Some(repo), Some(id)) => Question::Object(repo, id),
            _ if is_manifest => Question::NoManifest(repo),
            _ => Question::NoBlob(repo),
        }
    }

    fn tag_question(&self, repository: &Repository, tag: &Tag) -> Question {
        let repo = self.repo(repository);
        let known = repo.and_then(|repo| Some(Question::Tag(repo, self.tag(repo, tag)?)));
        known.unwrap_or(Question::NoManifest(repo))
    }

    fn content_of(&self, question: Question) -> Option<&Object> {
        match question {
            Question::Object(_, id) => Some(&self.shared.world.content.objects[id]),
            _ => None,
        }
    }

    fn body(&self, question: Question, reply: Reply, request: String) -> Answer<ManifestBody> {
        answer::body(self.content_of(question), reply, request)
    }

    fn listing<T: Clone>(
        &self,
        question: Question,
        reply: Reply,
        name: impl Fn(usize) -> Option<T>,
    ) -> Listing<T> {
        let request = match question {
            Question::Tags(repo) => {
                format!("GET /v2/{}/tags/list", self.shared.world.repos[repo].name)
            }
            _ => "GET /v2/_catalog".to_owned(),
        };
        let (set, end) = match reply {
            Reply::List(set, None) => (set, ListEnd::Whole),
            Reply::List(set, Some(reason)) => (set, ListEnd::Failed(why(reason, &request))),
            // Any other 404 is an error of the way there.
            Reply::Gone(Code::Coded) => (
                0,
                ListEnd::Absent(refusal(404, Code::Coded, request, Place::List)),
            ),
            _ => {
                let reason = UnverifiedReason::Protocol;
                (0, ListEnd::Failed(why(reason, &request)))
            }
        };
        let inside = (0..32).filter(|position| set & (1 << position) != 0);
        Listing::new(inside.filter_map(name).collect(), end)
    }
}

impl Registry for Simulated {
    async fn ping(&self) -> Result<(), Unverified> {
        match self.ask(Question::Ping, Depth::Head).await {
            Reply::Unknown(reason) => Err(why(reason, "GET /v2/")),
            _ => Ok(()),
        }
    }

    async fn repositories(&self) -> Listing<Repository> {
        let reply = self.ask(Question::Catalog, Depth::Head).await;
        let repos = &self.shared.world.repos;
        let name = |position: usize| repos.get(position).map(|repo| repo.name.clone());
        self.listing(Question::Catalog, reply, name)
    }

    async fn tags(&self, repository: &Repository) -> Listing<Tag> {
        let Some(repo) = self.repo(repository) else {
            let reply = self.ask(Question::NoManifest(None), Depth::Head).await;
            return self.listing(Question::Catalog, reply, |_| None);
        };
        let question = Question::Tags(repo);
        let reply = self.ask(question, Depth::Head).await;
        let tags = &self.shared.world.repos[repo].tags;
        let name = |position: usize| tags.get(position).map(|(tag, _)| tag.clone());
        self.listing(question, reply, name)
    }

    async fn resolve(&self, repository: &Repository, tag: &Tag, way: Way) -> Answer<Resolved> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let head = self.resolved(repository, tag, format!("HEAD {path}"), false);
        let head = match head.await {
            Answer::Found(Resolved {
                stated: Some(head),
                body: None,
                ..
            }) if way == Way::Both => head,
            answer => return answer,
        };
        let get = self.resolved(repository, tag, format!("GET {path}"), true);
        let mut answer = get.await;
        if let Answer::Found(resolved) = &mut answer {
            resolved.by_head = Some(head).filter(|head| resolved.digest().as_ref() != Some(head));
        }
        answer
    }

    async fn manifest(&self, of: &Repository, reference: &Reference) -> Answer<ManifestBody> {
        let request = format!("GET /v2/{of}/manifests/{reference}");
        match reference {
            Reference::Digest(digest) => {
                let question = self.object(of, digest, true);
                let reply = self.ask(question, Depth::Head).await;
                self.body(question, reply, request)
            }
            Reference::Tag(tag) => {
                let question = self.tag_question(of, tag);
                let reply = self.ask(question, Depth::Head).await;
                let (Reply::Led(id), Question::Tag(repo, _)) = (reply, question) else {
                    return negative(reply, request, Place::Manifest);
                };
                let manifest = Question::Object(repo, id);
                let reply = self.ask(manifest, Depth::Head).await;
                self.body(manifest, reply, request)
            }
        }
    }

    /// What is attached is never told, in many ways.
    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Unverified> {
        use UnverifiedReason as R;
        let reasons = [
            R::Timeout,
            R::RegistryError,
            R::Forbidden,
            R::Protocol,
            R::RateLimited,
        ];
        let choice = hash(&[self.shared.world.seed, digest.spread(), self.shared.now()]);
        let reason = reasons[usize::try_from(choice % 5).unwrap_or_default()];
        Err(why(
            reason,
            &format!("GET /v2/{repository}/referrers/{digest}"),
        ))
    }

    /// By headers that are those of what is there: whoever altered it did not know what to write there.
    async fn still_has(
        &self,
        of: &Repository,
        digest: &Digest,
        body: &ManifestBody,
    ) -> Option<bool> {
        let question = self.object(of, digest, true);
        let reply = self.ask(question, Depth::Head).await;
        let request = format!("HEAD /v2/{of}/manifests/{digest}");
        match self.body(question, reply, request) {
            Answer::Found(there) => {
                Some(there.bytes == body.bytes && there.media_type == body.media_type)
            }
            Answer::Absent(_) => Some(false),
            Answer::Failing(_) | Answer::Unverified(_) => None,
        }
    }

    async fn config(&self, repository: &Repository, digest: &Digest) -> Answer<ManifestBody> {
        let question = self.object(repository, digest, false);
        let reply = self.ask(question, Depth::Digest).await;
        let request = format!("GET /v2/{repository}/blobs/{digest}");
        self.body(question, reply, request)
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        _: Option<u64>,
        depth: Depth,
    ) -> Answer<BlobLook> {
        let question = self.object(repository, digest, false);
        let reply = self.ask(question, depth).await;
        let request = format!("GET /v2/{repository}/blobs/{digest}");
        let object = self.content_of(question);
        answer::blob(object, reply, depth, request)
    }

    /// Each layer is served as it is, and its config says so.
    async fn layer(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: Option<u64>,
        _: Unpack,
    ) -> Answer<BlobLook> {
        let mut answer = self.blob(repository, digest, size, Depth::Unpack).await;
        if let Answer::Found(look) = &mut answer {
            look.unpacked = Some(Unpacked::Whole(digest.clone()));
        }
        answer
    }

    fn reconnected(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            connection: self.shared.connections.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    fn certificate_end(&self) -> Option<SystemTime> {
        None
    }

    fn access(&self) -> Access {
        Access::default()
    }

    fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.shared.asked.load(Ordering::Relaxed),
            bytes: 0,
        }
    }
}
