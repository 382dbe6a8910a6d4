//! Faults that come and go: what is hit, and what comes instead of the truth.

use registry_probe::registry::UnverifiedReason;

use super::content::{Content, Nature, ObjectId};
use super::world::{Code, Ms, Question, Reply};

/// What a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Object(usize, ObjectId),
    Tag(usize, usize),
    /// The list of a repository's tags.
    List(usize),
    /// Everything in a repository, its list included.
    Repo(usize),
    Catalog,
    Lists,
    AllTags,
    Manifests,
    Blobs,
    /// All that the storage holds: tags, manifests and blobs, but not the lists.
    Storage,
    Registry,
}

/// What comes instead of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No answer to go by.
    Unverified(UnverifiedReason),
    /// 5xx.
    Failing,
    /// 404.
    Gone(Code),
    /// A registry that has nothing: 404 for objects, lists without entries.
    Empty,
    /// A repository whose index cannot be read: its list is 404, its manifests are 5xx.
    CutIndex,
    /// These entries are left out of a list, which looks whole.
    Hide(u32),
    /// A list ends after so many entries, by an error.
    Cut(u32),
    Altered,
    Shorter,
    Hollow,
}

impl Fault {
    /// What it answers, if it does not leave the question alone.
    pub(crate) fn reply(self, question: Question, is_manifest: bool) -> Option<Reply> {
        let is_list = matches!(question, Question::Tags(_) | Question::Catalog);
        Some(match self {
            Self::Unverified(reason) if is_list => Reply::List(0, Some(reason)),
            Self::Unverified(reason) => Reply::Unknown(reason),
            Self::Failing if is_list => Reply::List(0, Some(UnverifiedReason::RegistryError)),
            Self::Failing if question == Question::Ping => {
                Reply::Unknown(UnverifiedReason::RegistryError)
            }
            Self::Failing => Reply::Failing,
            // Whoever has nothing is there all the same.
            _ if question == Question::Ping => return None,
            Self::Gone(code) => Reply::Gone(code),
            Self::Empty if is_list => Reply::List(0, None),
            Self::Empty => Reply::Gone(Code::Coded),
            Self::CutIndex if is_list => Reply::Gone(Code::Coded),
            Self::CutIndex if is_manifest => Reply::Failing,
            Self::Altered if !is_list => Reply::Altered,
            Self::Shorter if !is_list => Reply::Shorter,
            Self::Hollow if !is_list => Reply::Hollow,
            Self::CutIndex
            | Self::Altered
            | Self::Shorter
            | Self::Hollow
            | Self::Hide(_)
            | Self::Cut(_) => {
                return None;
            }
        })
    }
}

/// A fault for a time.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The name under which it is counted.
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
    pub(crate) target: Target,
    pub(crate) from: Ms,
    /// Its end, which is no part of it.
    pub(crate) to: Ms,
    /// The replica that has it; all of them, if it names none.
    pub(crate) replica: Option<usize>,
    /// How many of a hundred requests it hits.
    pub(crate) chance: u8,
    /// Whether its length was drawn, and not set by its story.
    pub(crate) is_drawn: bool,
}

impl Window {
    pub(crate) fn covers(
        &self,
        question: Question,
        content: &Content,
        replica: usize,
        time: Ms,
    ) -> bool {
        (self.from..self.to).contains(&time)
            && self.replica.is_none_or(|only| only == replica)
            && self.target.holds(question, content)
    }
}

impl Target {
    /// Whether it may hit anything of a repository.
    pub(crate) fn may_hit(self, repo: usize) -> bool {
        match self {
            Self::Object(of, _) | Self::Tag(of, _) | Self::List(of) | Self::Repo(of) => of == repo,
            _ => true,
        }
    }

    fn holds(self, question: Question, content: &Content) -> bool {
        use Question as Q;
        let is_manifest = match question {
            Q::Object(_, id) => content.is_manifest(id),
            Q::NoManifest(_) => true,
            _ => false,
        };
        let is_blob = match question {
            Q::Object(_, id) => {
                matches!(content.objects[id].nature, Nature::Config | Nature::Layer)
            }
            Q::NoBlob(_) => true,
            _ => false,
        };
        let is_tag = matches!(question, Q::Tag(..));
        match self {
            Self::Object(repo, id) => question == Q::Object(repo, id),
            Self::Tag(repo, tag) => question == Q::Tag(repo, tag),
            Self::List(repo) => question == Q::Tags(repo),
            Self::Repo(repo) => question.repo() == Some(repo),
            Self::Catalog => question == Q::Catalog,
            Self::Lists => matches!(question, Q::Tags(_)),
            Self::AllTags => is_tag,
            Self::Manifests => is_manifest,
            Self::Blobs => is_blob,
            Self::Storage => is_tag || is_manifest || is_blob,
            Self::Registry => true,
        }
    }
}
