//! The registry as it truly is, over time, and what is laid over that: faults that come and go.
//!
//! What is answered is a function of the question, the moment and the replica that is asked, so that
//! the oracle can tell what any other moment would have brought.

use std::collections::BTreeMap;

use registry_probe::oci::{Repository, Tag};
use registry_probe::registry::{Depth, UnverifiedReason};

use super::content::{Content, Nature, ObjectId};
use super::fault::{Fault, Window};

/// Milliseconds since the run began.
pub(crate) type Ms = u64;

/// A value that changes at known times: the first holds from the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Line<T>(pub(crate) Vec<(Ms, T)>);

impl<T: Copy + PartialEq> Line<T> {
    pub(crate) fn always(value: T) -> Self {
        Self(vec![(0, value)])
    }

    pub(crate) fn at(&self, time: Ms) -> T {
        let mut values = self.0.iter().rev();
        let now = values.find(|(since, _)| *since <= time);
        now.unwrap_or(&self.0[0]).1
    }

    /// Lets it be `value` from `time` until its next change after that.
    pub(crate) fn change(&mut self, time: Ms, value: T) {
        let position = self.0.partition_point(|(since, _)| *since <= time);
        self.0.insert(position, (time, value));
    }

    /// Lets it be `value` from `time` on for good.
    pub(crate) fn end(&mut self, time: Ms, value: T) {
        self.0.retain(|(since, _)| *since < time || *since == 0);
        self.change(time, value);
    }
}

/// How an object is that a repository links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    There,
    Gone,
    /// 5xx, whenever it is asked for.
    Failing,
    /// As many bytes, and others.
    Altered,
    /// Fewer bytes than promised, and its length says so.
    Shorter,
    /// As long as promised, and no byte of it comes.
    Hollow,
}

pub(crate) struct Repo {
    pub(crate) name: Repository,
    pub(crate) is_there: Line<bool>,
    /// Whether its list is 404 while it has no tags, and not empty.
    pub(crate) is_unknown_without_tags: bool,
    pub(crate) tags: Vec<(Tag, Line<Option<ObjectId>>)>,
    pub(crate) links: BTreeMap<ObjectId, Line<Health>>,
}

/// A question to the registry, as far as answers depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Question {
    Ping,
    Catalog,
    Tags(usize),
    Tag(usize, usize),
    Object(usize, ObjectId),
    /// A manifest that nobody ever pushed, in a repository or in none.
    NoManifest(Option<usize>),
    /// A blob that nobody ever pushed.
    NoBlob(Option<usize>),
}

impl Question {
    /// The repository that it is about.
    pub(crate) fn repo(self) -> Option<usize> {
        match self {
            Self::Ping | Self::Catalog => None,
            Self::Tags(repo) | Self::Tag(repo, _) | Self::Object(repo, _) => Some(repo),
            Self::NoManifest(repo) | Self::NoBlob(repo) => repo,
        }
    }
}

/// What a 404 looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    /// With the registry's own code in its body.
    Coded,
    /// Without one, as a proxy gives it that has no backend.
    Bare,
    /// With a web page.
    Page,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    /// As promised, as far as the look goes.
    Whole,
    /// A tag leads to this manifest.
    Led(ObjectId),
    /// The entries of a list as a set of positions, and whether these are all.
    List(u32, Option<UnverifiedReason>),
    Gone(Code),
    Failing,
    Altered,
    Shorter,
    Hollow,
    Unknown(UnverifiedReason),
}

impl Reply {
    /// Whether the registry answered, and in contradiction to a promise.
    pub(crate) fn is_contradiction(self) -> bool {
        matches!(
            self,
            Self::Gone(_) | Self::Failing | Self::Altered | Self::Shorter | Self::Hollow
        )
    }

    /// Whether an object or a tag kept its promise.
    pub(crate) fn is_kept(self) -> bool {
        matches!(self, Self::Whole | Self::Led(_))
    }
}

/// Which of several replicas answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    ByTurn,
    AtRandom,
    /// One for each connection, the next one for the next.
    ByConnection,
}

/// A registry, its replicas and its faults.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) content: Content,
    pub(crate) repos: Vec<Repo>,
    /// How far each replica lags behind; one that does not is the registry itself.
    pub(crate) lags: Vec<Ms>,
    pub(crate) choice: Choice,
    pub(crate) windows: Vec<Window>,
    /// How long most answers take.
    pub(crate) latency: Ms,
    /// Whether a tag is answered with its manifest, because no digest is stated.
    pub(crate) states_no_digest: bool,
    /// Whether the registry's own 404 has a page.
    pub(crate) is_page_its_404: bool,
    /// All times at which an answer may change, in order.
    pub(crate) changes: Vec<Ms>,
}

impl World {
    /// Notes when answers may change; to be called once all is set.
    pub(crate) fn note_changes(&mut self) {
        let mut times = Vec::new();
        for repo in &self.repos {
            times.extend(repo.is_there.0.iter().map(|(time, _)| *time));
            for (_, line) in &repo.tags {
                times.extend(line.0.iter().map(|(time, _)| *time));
            }
            for line in repo.links.values() {
                times.extend(line.0.iter().map(|(time, _)| *time));
            }
        }
        let lags = self.lags.iter().filter(|lag| **lag > 0);
        let lagged = lags.flat_map(|lag| times.iter().map(move |time| time + lag));
        let lagged: Vec<_> = lagged.collect();
        times.extend(lagged);
        for window in &self.windows {
            times.extend([window.from, window.to]);
        }
        times.retain(|time| *time > 0);
        times.sort_unstable();
        times.dedup();
        self.changes = times;
    }

    /// The moments from `from` to `to` that stand for all of them: between two of them no answer
    /// changes.
    pub(crate) fn moments(&self, from: Ms, to: Ms) -> impl Iterator<Item = Ms> + '_ {
        let changes = self.changes.iter().copied();
        let inside = changes.filter(move |time| (from + 1..=to).contains(time));
        std::iter::once(from).chain(inside)
    }

    /// Where a tag truly leads.
    pub(crate) fn tag(&self, repo: usize, tag: usize, time: Ms) -> Option<ObjectId> {
        let repo = &self.repos[repo];
        let leads = repo.tags[tag].1.at(time);
        leads.filter(|_| repo.is_there.at(time))
    }

    /// The answer of a replica; `fires` says whether a fault that comes by chance comes now.
    pub(crate) fn reply(
        &self,
        question: Question,
        depth: Depth,
        replica: usize,
        time: Ms,
        fires: impl Fn(usize) -> bool,
    ) -> Reply {
        let lag = self.lags[replica];
        let mut hidden = 0;
        for (number, window) in self.windows.iter().enumerate() {
            if !window.covers(question, &self.content, replica, time)
                || (window.chance < 100 && !fires(number))
            {
                continue;
            }
            match (window.fault, question) {
                (Fault::Hide(entries), _) => hidden |= entries,
                (Fault::Cut(entries), Question::Catalog | Question::Tags(_)) => {
                    let all = self.truth(question, depth, time.saturating_sub(lag));
                    if let Reply::List(listed, None) = all {
                        return Reply::List(
                            first(listed, entries),
                            Some(UnverifiedReason::Connect),
                        );
                    }
                }
                (fault, _) => {
                    let reply = fault.reply(question, self.is_manifest(question));
                    if let Some(reply) = reply.filter(|reply| self.shows(question, *reply, depth)) {
                        return reply;
                    }
                }
            }
        }
        match self.truth(question, depth, time.saturating_sub(lag)) {
            Reply::List(listed, end) => Reply::List(listed & !hidden, end),
            reply => reply,
        }
    }

    fn is_manifest(&self, question: Question) -> bool {
        match question {
            Question::Object(_, id) => self.content.is_manifest(id),
            Question::Tag(..) | Question::NoManifest(_) => true,
            _ => false,
        }
    }

    fn is_config(&self, question: Question) -> bool {
        matches!(question, Question::Object(_, id) if self.content.objects[id].nature == Nature::Config)
    }

    /// Whether a look of this depth shows what is wrong. Manifests are always read whole, and configs where any byte
    /// of a blob is read.
    fn shows(&self, question: Question, reply: Reply, depth: Depth) -> bool {
        let needed = match reply {
            Reply::Altered if self.is_config(question) => Depth::Tail,
            Reply::Altered => Depth::Digest,
            Reply::Hollow => Depth::Tail,
            _ => Depth::Head,
        };
        depth >= needed || self.is_manifest(question)
    }

    /// The answer of the registry itself, without any fault that comes and goes.
    fn truth(&self, question: Question, depth: Depth, time: Ms) -> Reply {
        let gone = Reply::Gone(if self.is_page_its_404 {
            Code::Page
        } else {
            Code::Coded
        });
        match question {
            Question::Ping => Reply::Whole,
            Question::Catalog => {
                let repos = self.repos.iter().enumerate();
                let there = repos.filter(|(_, repo)| repo.is_there.at(time));
                Reply::List(there.fold(0, |all, (id, _)| all | 1 << id), None)
            }
            Question::Tags(id) => {
                let repo = &self.repos[id];
                let tags = (0..repo.tags.len()).filter(|tag| self.tag(id, *tag, time).is_some());
                let listed = tags.fold(0, |all, tag| all | 1 << tag);
                let is_known =
                    repo.is_there.at(time) && (listed != 0 || !repo.is_unknown_without_tags);
                if is_known {
                    Reply::List(listed, None)
                } else {
                    Reply::Gone(Code::Coded)
                }
            }
            Question::Tag(repo, tag) => match self.tag(repo, tag, time) {
                None => gone,
                Some(manifest) => match self.health(repo, manifest, time) {
                    Health::Gone => gone,
                    Health::Failing => Reply::Failing,
                    _ => Reply::Led(manifest),
                },
            },
            Question::Object(repo, id) => {
                let reply = match self.health(repo, id, time) {
                    Health::There => Reply::Whole,
                    Health::Gone => gone,
                    Health::Failing => Reply::Failing,
                    Health::Altered => Reply::Altered,
                    Health::Shorter => Reply::Shorter,
                    Health::Hollow => Reply::Hollow,
                };
                if self.shows(question, reply, depth) {
                    reply
                } else {
                    Reply::Whole
                }
            }
            Question::NoManifest(_) | Question::NoBlob(_) => gone,
        }
    }

    fn health(&self, repo: usize, id: ObjectId, time: Ms) -> Health {
        let repo = &self.repos[repo];
        let link = repo.links.get(&id).filter(|_| repo.is_there.at(time));
        link.map_or(Health::Gone, |line| line.at(time))
    }

    /// All answers that could have come at a moment.
    pub(crate) fn possible(&self, question: Question, depth: Depth, time: Ms) -> Vec<Reply> {
        let mut replies = Vec::new();
        let mut add = |reply| {
            if !replies.contains(&reply) {
                replies.push(reply);
            }
        };
        for replica in 0..self.lags.len() {
            add(self.reply(question, depth, replica, time, |_| false));
            for (number, window) in self.windows.iter().enumerate() {
                if window.chance < 100 && (window.from..window.to).contains(&time) {
                    add(self.reply(question, depth, replica, time, |fires| fires == number));
                    add(self.reply(question, depth, replica, time, |_| true));
                }
            }
        }
        replies
    }

    /// The tags or repositories of a set, for reports.
    pub(crate) fn names(&self, question: Question, set: u32) -> String {
        let inside = (0..32).filter(|position| set & (1 << position) != 0);
        let name = |position: usize| match question {
            Question::Tags(repo) => {
                let tags = &self.repos[repo].tags;
                tags.get(position).map(|(tag, _)| tag.to_string())
            }
            _ => self.repos.get(position).map(|repo| repo.name.to_string()),
        };
        let names: Vec<_> = inside.filter_map(name).collect();
        names.join(" ")
    }
}

/// The first `count` entries of a set.
fn first(set: u32, count: u32) -> u32 {
    let mut left = set;
    for _ in 0..count {
        left &= left.wrapping_sub(1);
    }
    set & !left
}
