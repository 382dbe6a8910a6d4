//! The oracle: what a sweep says, held against what a client would have met.
//!
//! Truth is the answer to any question at any moment, of any replica. What the probe was answered
//! is its evidence. A *lie* is one of these, and nothing else is:
//!
//! 1. **A finding** on what would have kept its promise at every moment of the sweep: on an object
//!    or tag that was whole, or that names a tag that was whole (`findings`). Nor may it rest on one
//!    look: two contradictions over different connections, or one beside a whole answer where the
//!    answers are called inconsistent. Nor may it be about a tag that was whole until it was deleted.
//!    Where at least 8 objects of at least 3 repositories were asked for and not one was there, the
//!    storage is away, and no single object is at fault.
//! 2. **Intact**, as a whole or of a repository without anything unverified (`claims`): on a tag or
//!    object of which each answer that the probe got was a failure, or which it never asked for and
//!    which would have failed at every moment. The same for a list that was never had. No lie: what
//!    a finding tells; a tag that leads to another whole image; a tag that a whole list leaves out
//!    and that is 404 itself; a list that is the registry's 404 where a manifest is 404, too, of a
//!    repository of which no tags were ever known; and what truly changed until the end.
//! 3. **A known failure that is cleared** (`memory`) though its tag still leads to it, without one
//!    whole answer, as deep as the look that found it, or a proof that the tag is deleted.
//! 4. **A repository that is forgotten** with a failure that still is one, unless it was left out of
//!    two whole catalogs in a row and its own list was the registry's 404, or refused three times.
//! 5. **A series of failures that falls to 0**, or ends, while a tag that was known to be broken could
//!    never be pulled.
//! 6. **Intact where nothing was checked**, while something was known or a filter was given.
//! 7. **`verify` with exit 0** (`named`) on an image of which not each object was seen whole, that
//!    leads elsewhere than expected, that is not for an expected platform, or that was not looked at
//!    again after the time that was asked for. Expectations that are called unmet while they were met
//!    at every moment.
//! 8. **A panic, a hang, or more requests** than four walks take.
//! 9. **Blindness in calm weather**: where nothing flapped or changed, there is one replica and all
//!    lists were there, the sweep is complete and its findings are exactly what is broken.

mod calm;
mod claims;
mod findings;
mod memory;
mod named;

pub(crate) use named::verify;

use std::collections::BTreeMap;

use registry_probe::oci::Repository;
use registry_probe::report::{Finding, Record, Sweep, Verdict};

use super::content::ObjectId;
use super::view::View;
use super::world::{Code, Question, Reply};

/// What a lie is about, by which lies are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    WholeCalledBroken,
    BrokenOnOneLook,
    DeletedCalledBroken,
    AwayCalledBroken,
    IntactTag,
    IntactObject,
    IntactList,
    Cleared,
    Forgotten,
    SeriesFell,
    NothingChecked,
    VerifyUnread,
    VerifyDigest,
    VerifyPlatform,
    VerifyNotAgain,
    MetCalledUnmet,
    Panicked,
    Hung,
    TooManyRequests,
    BlindInCalm,
}

/// A lie, and what to show of the log.
#[derive(Clone, Debug)]
pub(crate) struct Lie {
    pub(crate) class: Class,
    pub(crate) text: String,
    /// The questions that it is about; all, if it names none.
    pub(crate) about: Vec<Question>,
}

impl Lie {
    pub(crate) fn new(class: Class, text: String, about: Vec<Question>) -> Self {
        Self { class, text, about }
    }
}

/// What earlier sweeps through the same record were told of one repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// How many tags it had when it was last verified, since it was last forgotten.
    pub(crate) tags: u32,
    /// Whether the last whole catalog left it out.
    pub(crate) was_left_out: bool,
    /// Whether its list was the registry's 404 since it was last had.
    pub(crate) was_absent: bool,
    /// Sweeps in which its list was refused since it was last had.
    pub(crate) refusals: u32,
}

/// A sweep of everything and what became of it.
pub(crate) struct Case<'a> {
    pub(crate) view: View<'a>,
    pub(crate) sweep: &'a Sweep,
    pub(crate) before: &'a Record,
    pub(crate) after: &'a Record,
    /// The series of failures, by repository.
    pub(crate) series_before: &'a BTreeMap<Repository, u64>,
    pub(crate) series_after: &'a BTreeMap<Repository, u64>,
    pub(crate) past: &'a [Past],
}

impl Case<'_> {
    /// All lies of a sweep.
    pub(crate) fn lies(&self) -> Vec<Lie> {
        let mut lies = findings::lies(&self.view, self.sweep, false);
        lies.extend(self.claims());
        lies.extend(self.memory());
        lies.extend(self.calm());
        lies
    }

    /// Whether nobody would learn of anything broken: what is remembered is told, too.
    fn is_called_intact(&self) -> bool {
        let remembers = |record: &Record| {
            let last = record.last.as_ref();
            last.is_some_and(|sweep| !sweep.remembered.is_empty())
        };
        self.sweep.verdict() == Verdict::Intact && !remembers(self.after)
    }

    /// What the next sweep needs to know of this one.
    pub(crate) fn becomes_past(&self) -> Vec<Past> {
        let world = self.view.world;
        let has_catalog = self.whole_catalogs().count() > 0;
        let next = |(repo, past): (usize, &Past)| {
            let name = &world.repos[repo].name;
            let was_left_out = if has_catalog {
                self.is_left_out(repo)
            } else {
                past.was_left_out
            };
            if !self.after.repositories.contains_key(name) {
                return Past {
                    was_left_out,
                    ..Past::default()
                };
            }
            let replies = || self.list_replies(repo);
            let is_had = replies().any(|reply| matches!(reply, Reply::List(_, None)));
            let mut results = self.sweep.repositories.iter();
            let is_verified = results.any(|result| result.name == *name && result.unverified == 0);
            let tags = if is_verified && is_had {
                self.view.seen_tags(repo).count_ones()
            } else {
                past.tags
            };
            let is_refused = replies().any(is_refusal);
            Past {
                tags,
                was_left_out,
                was_absent: !is_had && (past.was_absent || replies().any(is_unknown_name)),
                refusals: if is_had {
                    0
                } else {
                    past.refusals + u32::from(is_refused)
                },
            }
        };
        self.past.iter().enumerate().map(next).collect()
    }

    fn whole_catalogs(&self) -> impl Iterator<Item = u32> + '_ {
        let answers = self.view.answers(Question::Catalog).iter();
        answers.filter_map(|asked| match asked.reply {
            Reply::List(entries, None) => Some(entries),
            _ => None,
        })
    }

    /// Whether a whole catalog was had, and none with the repository in it.
    fn is_left_out(&self, repo: usize) -> bool {
        let mut catalogs = self.whole_catalogs();
        self.whole_catalogs().count() > 0 && catalogs.all(|entries| entries & (1 << repo) == 0)
    }

    fn list_replies(&self, repo: usize) -> impl Iterator<Item = Reply> + '_ {
        let answers = self.view.answers(Question::Tags(repo)).iter();
        answers.map(|asked| asked.reply)
    }
}

/// Whether a list's 404 says that there is no such repository.
fn is_unknown_name(reply: Reply) -> bool {
    reply == Reply::Gone(Code::Coded)
}

fn is_refusal(reply: Reply) -> bool {
    use registry_probe::registry::UnverifiedReason::{Forbidden, Unauthorized};
    matches!(reply, Reply::List(_, Some(Forbidden | Unauthorized)))
}

/// The position of a repository by its name.
pub(crate) fn repo_of(view: &View<'_>, name: &Repository) -> Option<usize> {
    let mut repos = view.world.repos.iter();
    repos.position(|repo| repo.name == *name)
}

/// The object that a finding is about; `None` for a tag that leads nowhere.
fn object_of(view: &View<'_>, finding: &Finding) -> Option<ObjectId> {
    let digest = finding.digest.as_ref()?;
    view.world.content.find(digest)
}

/// The tags that a finding names.
fn tags_of(view: &View<'_>, repo: usize, finding: &Finding) -> Vec<usize> {
    let tags = &view.world.repos[repo].tags;
    let position = |name| tags.iter().position(|(tag, _)| tag == name);
    finding.tags.iter().filter_map(position).collect()
}
