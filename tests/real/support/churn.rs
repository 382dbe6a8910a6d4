//! Clients at work on a registry: they push, re-tag and delete, and now and then its garbage is collected.
//!
//! Two habits keep them from doing damage themselves, which the probe would be right to report:
//!
//! - Each repository has one writer. A deletion takes the revision away first and looks for its tags then,
//!   and gives up where one of them is being written at that moment; what is left is a tag to nowhere.
//! - No blob and no manifest is pushed again once it may have been collected. The registry remembers that it
//!   has it, and does not store it a second time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::configured::Configured;
use super::hand::Hand;
use super::images::{Content, Image, Layer};

/// How many writers are at work, each with its own repositories.
const WRITERS: usize = 3;
/// The repositories of a writer.
const REPOSITORIES: [&str; 2] = ["app", "tools"];
/// The tags that it moves about in each of them.
const TAGS: [&str; 6] = ["latest", "stable", "v1", "v2", "v3", "v4"];
/// A collection of garbage is due after so many deletions.
const DELETIONS_PER_COLLECTION: usize = 15;
/// How long a writer thinks between two actions.
const PACE: Duration = Duration::from_millis(10);
/// More than any run needs.
const MOST_STEPS: usize = 1_000_000;

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    pub(crate) pushes: AtomicUsize,
    pub(crate) retags: AtomicUsize,
    pub(crate) deletions: AtomicUsize,
    pub(crate) collections: AtomicUsize,
    /// Of the longest action, in milliseconds.
    longest: AtomicU64,
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        write!(
            f,
            "{} pushes, {} re-tags, {} deletions, {} garbage collections",
            count(&self.pushes),
            count(&self.retags),
            count(&self.deletions),
            count(&self.collections)
        )
    }
}

/// Writers and collector, at work until this is dropped.
#[derive(Debug)]
pub(crate) struct Churn {
    site: Arc<Site>,
    threads: Vec<JoinHandle<()>>,
}

/// What they share.
#[derive(Debug)]
struct Site {
    registry: Arc<Configured>,
    /// Writers hold it for an action; who holds it alone has the registry to himself.
    gate: RwLock<()>,
    is_over: AtomicBool,
    deeds: Deeds,
}

impl Churn {
    /// The repository that the first writer works on, tags that it does not know left alone.
    pub(crate) const BUSY_REPOSITORY: &str = "team-0/app";

    /// Lets everybody begin.
    pub(crate) fn start(registry: &Arc<Configured>) -> Self {
        let site = Arc::new(Site {
            registry: Arc::clone(registry),
            gate: RwLock::default(),
            is_over: AtomicBool::new(false),
            deeds: Deeds::default(),
        });
        let mut threads = Vec::new();
        for number in 0..WRITERS {
            let mut writer = Writer::new(&site, number);
            threads.push(thread::spawn(move || writer.work()));
        }
        let at_site = Arc::clone(&site);
        threads.push(thread::spawn(move || at_site.collect()));
        Self { site, threads }
    }

    /// Does something while no writer and no collection is at work.
    pub(crate) fn paused<T>(&self, action: impl FnOnce() -> T) -> T {
        let _alone = self
            .site
            .gate
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        action()
    }

    /// How long the longest action took so far, those that are under way included.
    pub(crate) fn longest_action(&self) -> Duration {
        let longest = &self.site.deeds.longest;
        Duration::from_millis(self.paused(|| longest.load(Ordering::Relaxed)))
    }

    /// What was done so far.
    pub(crate) fn deeds(&self) -> &Deeds {
        &self.site.deeds
    }

    /// Ends it. A writer that failed fails the test.
    pub(crate) fn stop(mut self) {
        self.site.is_over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.join().expect("writers and collector do their work");
        }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.site.is_over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // The test has failed already.
            let _ = thread.join();
        }
    }
}

impl Site {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Collects garbage whenever it is due.
    fn collect(&self) {
        for due in 1..MOST_STEPS {
            while self.deeds.deletions.load(Ordering::Relaxed) < due * DELETIONS_PER_COLLECTION {
                if self.is_over() {
                    return;
                }
                thread::sleep(PACE);
            }
            let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            self.registry.collect_garbage();
            self.deeds.collections.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One client and what it knows to be there.
struct Writer {
    site: Arc<Site>,
    hand: Hand,
    name: String,
    random: fastrand::Rng,
    /// Numbers the contents, of which no two are the same.
    pushed: usize,
    live: BTreeMap<(&'static str, &'static str), Content>,
}

impl Writer {
    fn new(site: &Arc<Site>, number: usize) -> Self {
        Self {
            site: Arc::clone(site),
            hand: Hand::new(&site.registry.host()),
            name: format!("team-{number}"),
            random: fastrand::Rng::with_seed(u64::try_from(number).expect("a small number")),
            pushed: 0,
            live: BTreeMap::new(),
        }
    }

    fn work(&mut self) {
        let site = Arc::clone(&self.site);
        for _ in 0..MOST_STEPS {
            if site.is_over() {
                return;
            }
            let gate = site.gate.read().unwrap_or_else(PoisonError::into_inner);
            let began = Instant::now();
            self.act();
            let took = u64::try_from(began.elapsed().as_millis()).expect("no action is endless");
            site.deeds.longest.fetch_max(took, Ordering::Relaxed);
            drop(gate);
            thread::sleep(PACE);
        }
    }

    /// One action, whole: between two of them nothing that is tagged lacks anything.
    fn act(&mut self) {
        let repository = REPOSITORIES[self.random.usize(..REPOSITORIES.len())];
        let tag = TAGS[self.random.usize(..TAGS.len())];
        let Some(content) = self.live.get(&(repository, tag)).cloned() else {
            return self.push(repository, tag);
        };
        match self.random.u8(..6) {
            0 => self.push(repository, tag),
            1 => {
                self.push(repository, tag);
                self.clean_up(repository, &content);
            }
            2 => self.copy(repository, &content),
            3 => self.delete(repository, &content),
            4 => {
                self.delete(repository, &content);
                self.push(repository, tag);
            }
            _ => self.put_back(repository, &content),
        }
    }

    /// Something new under the tag.
    fn push(&mut self, repository: &'static str, tag: &'static str) {
        self.pushed += 1;
        let seed = format!("{} {}", self.name, self.pushed);
        let image = |seed: &str, architecture| {
            let layers = [Layer::gzip(seed)];
            Image::of(seed, architecture, &layers)
        };
        let content = if self.random.bool() {
            Content::from(image(&seed, "amd64"))
        } else {
            let child = |architecture| image(&format!("{seed} {architecture}"), architecture);
            Content::index_of(&seed, vec![child("amd64"), child("arm64")])
        };
        self.hand.push(&self.path(repository), tag, &content);
        self.live.insert((repository, tag), content);
        count(&self.site.deeds.pushes);
    }

    /// The content under one more tag.
    fn copy(&mut self, repository: &'static str, content: &Content) {
        let tag = TAGS[self.random.usize(..TAGS.len())];
        let path = self.path(repository);
        self.hand.put(&path, tag, content.manifest());
        self.live.insert((repository, tag), content.clone());
        count(&self.site.deeds.retags);
    }

    /// Deletes what lost its last tag.
    fn clean_up(&mut self, repository: &'static str, content: &Content) {
        if self.tags_of(repository, content).is_empty() {
            self.delete(repository, content);
        }
    }

    /// Deletes it with its tags, and then, mostly, its children.
    fn delete(&mut self, repository: &'static str, content: &Content) {
        let path = self.path(repository);
        self.hand.delete(&path, &content.manifest().digest);
        for tag in self.tags_of(repository, content) {
            self.live.remove(&(repository, tag));
        }
        if matches!(content, Content::Index { .. }) && self.random.u8(..3) > 0 {
            for child in content.images() {
                self.hand.delete(&path, &child.manifest.digest);
            }
        }
        count(&self.site.deeds.deletions);
    }

    /// Deletes it by mistake and puts it back at once, before anything of it can be collected.
    fn put_back(&mut self, repository: &'static str, content: &Content) {
        let path = self.path(repository);
        let manifest = content.manifest();
        self.hand.delete(&path, &manifest.digest);
        for tag in self.tags_of(repository, content) {
            self.hand.put(&path, tag, manifest);
        }
        count(&self.site.deeds.deletions);
    }

    fn tags_of(&self, repository: &str, content: &Content) -> Vec<&'static str> {
        let digest = &content.manifest().digest;
        let mut tags = Vec::new();
        for ((place, tag), there) in &self.live {
            if *place == repository && there.manifest().digest == *digest {
                tags.push(*tag);
            }
        }
        tags
    }

    fn path(&self, repository: &str) -> String {
        format!("{}/{repository}", self.name)
    }
}

fn count(deed: &AtomicUsize) {
    deed.fetch_add(1, Ordering::Relaxed);
}
