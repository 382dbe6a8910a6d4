//! One span of time as the oracle looks at it: what the probe was answered, and what it would have
//! been answered at any moment.

use std::collections::BTreeMap;

use registry_probe::registry::Depth;

use super::content::ObjectId;
use super::registry::Asked;
use super::world::{Code, Ms, Question, Reply, World};

/// The answers of one sweep, and the world behind them.
pub(crate) struct View<'a> {
    pub(crate) world: &'a World,
    pub(crate) log: &'a [Asked],
    /// From the first look...
    pub(crate) from: Ms,
    /// ...to the last.
    pub(crate) to: Ms,
    pub(crate) depth: Depth,
    answers: BTreeMap<Question, Vec<&'a Asked>>,
}

/// What was answered for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// It was not asked for, or not answered before the end.
    Nothing,
    /// It kept its promise in some answer.
    Kept,
    /// In no answer.
    Failures,
}

impl<'a> View<'a> {
    pub(crate) fn new(world: &'a World, log: &'a [Asked], from: Ms, to: Ms, depth: Depth) -> Self {
        let mut answers = BTreeMap::<_, Vec<_>>::new();
        for asked in log {
            answers.entry(asked.question).or_default().push(asked);
        }
        Self {
            world,
            log,
            from,
            to,
            depth,
            answers,
        }
    }

    pub(crate) fn answers(&self, question: Question) -> &[&'a Asked] {
        self.answers.get(&question).map_or(&[], Vec::as_slice)
    }

    /// What was answered, by looks that were at least this deep. Bytes that several repositories share
    /// are read once for all of them, and each is asked whether it has them.
    pub(crate) fn got(&self, question: Question, depth: Depth) -> Got {
        let answers = self.answers(question);
        let depth = match question {
            Question::Object(_, id) if self.world.content.is_manifest(id) => Depth::Head,
            Question::Object(_, id) if self.was_read(id, depth) => Depth::Head,
            Question::Object(..) => depth,
            _ => Depth::Head,
        };
        let is_kept = |asked: &&Asked| asked.reply.is_kept() && asked.depth >= depth;
        if answers.iter().copied().any(|asked| is_kept(&asked)) {
            Got::Kept
        } else if answers.is_empty() {
            Got::Nothing
        } else {
            Got::Failures
        }
    }

    /// Whether its bytes were read so closely in any repository, and found whole.
    fn was_read(&self, id: ObjectId, depth: Depth) -> bool {
        let is_read = |repo| {
            let answers = self.answers(Question::Object(repo, id)).iter();
            answers
                .filter(|asked| asked.depth >= depth)
                .any(|asked| asked.reply.is_kept())
        };
        (0..self.world.repos.len()).any(is_read)
    }

    pub(crate) fn moments(&self) -> impl Iterator<Item = Ms> + '_ {
        self.world.moments(self.from, self.to)
    }

    /// Whether it would have kept its promise whenever and of whichever replica it was asked for.
    pub(crate) fn always_kept(&self, question: Question, depth: Depth) -> bool {
        self.moments().all(|time| {
            let possible = self.world.possible(question, depth, time);
            possible.into_iter().all(Reply::is_kept)
        })
    }

    /// Whether it would have kept it never.
    pub(crate) fn never_kept(&self, question: Question, depth: Depth) -> bool {
        !self.moments().any(|time| {
            let possible = self.world.possible(question, depth, time);
            possible.into_iter().any(Reply::is_kept)
        })
    }

    /// The manifests that a tag may lead to at a moment, and whether it may lead to none.
    fn leads(&self, repo: usize, tag: usize, time: Ms) -> (Vec<ObjectId>, bool) {
        let possible = self
            .world
            .possible(Question::Tag(repo, tag), Depth::Head, time);
        let mut roots = Vec::new();
        let mut may_fail = false;
        for reply in possible {
            match reply {
                Reply::Led(root) => roots.push(root),
                _ => may_fail = true,
            }
        }
        (roots, may_fail)
    }

    /// The manifests that a tag may lead to at a moment.
    pub(crate) fn may_lead(&self, repo: usize, tag: usize, time: Ms) -> Vec<ObjectId> {
        self.leads(repo, tag, time).0
    }

    /// Whether a client may have succeeded in pulling a tag at a moment.
    fn may_pull(&self, repo: usize, tag: usize, time: Ms) -> bool {
        let is_whole = |id| {
            let possible = self
                .world
                .possible(Question::Object(repo, id), self.depth, time);
            possible.into_iter().any(Reply::is_kept)
        };
        let (roots, _) = self.leads(repo, tag, time);
        let mut roots = roots.into_iter();
        roots.any(|root| self.world.content.below(root).into_iter().all(is_whole))
    }

    /// Whether every client would have succeeded in pulling a tag at a moment.
    fn must_pull(&self, repo: usize, tag: usize, depth: Depth, time: Ms) -> bool {
        let is_whole = |id| {
            let possible = self.world.possible(Question::Object(repo, id), depth, time);
            possible.into_iter().all(Reply::is_kept)
        };
        let (roots, may_fail) = self.leads(repo, tag, time);
        let mut roots = roots.into_iter();
        !may_fail && roots.all(|root| self.world.content.below(root).into_iter().all(is_whole))
    }

    /// Whether no client could have pulled a tag at any moment.
    pub(crate) fn never_pulled(&self, repo: usize, tag: usize) -> bool {
        !self.moments().any(|time| self.may_pull(repo, tag, time))
    }

    /// Whether every client could have pulled a tag at every moment.
    pub(crate) fn always_pulled(&self, repo: usize, tag: usize, depth: Depth) -> bool {
        self.moments()
            .all(|time| self.must_pull(repo, tag, depth, time))
    }

    /// Whether a tag was whole until it was deleted for good, by a registry that answers as one.
    pub(crate) fn was_deleted_whole(&self, repo: usize, tag: usize, depth: Depth) -> bool {
        let is_calm = self.world.windows.iter().all(|window| {
            window.to <= self.from || window.from > self.to || !window.target.may_hit(repo)
        });
        let is_one = self.world.lags.len() == 1;
        let is_listed = |time| (time, self.world.tag(repo, tag, time).is_some());
        let listed: Vec<_> = self.moments().map(is_listed).collect();
        let until = listed.iter().take_while(|(_, is_listed)| *is_listed);
        let until: Vec<_> = until.map(|(time, _)| *time).collect();
        let is_gone_for_good = listed[until.len()..]
            .iter()
            .all(|(_, is_listed)| !is_listed);
        let was_deleted = !until.is_empty() && until.len() < listed.len() && is_gone_for_good;
        let is_whole = |time: &Ms| self.must_pull(repo, tag, depth, *time);
        is_calm && is_one && was_deleted && until.iter().all(is_whole)
    }

    /// Whether a tag truly was there at every moment.
    pub(crate) fn was_there_throughout(&self, repo: usize, tag: usize) -> bool {
        let mut moments = self.moments();
        moments.all(|time| self.world.tag(repo, tag, time).is_some())
    }

    /// The manifests that the probe was led to by a tag.
    pub(crate) fn led_to(&self, repo: usize, tag: usize) -> Vec<ObjectId> {
        let answers = self.answers(Question::Tag(repo, tag)).iter();
        let mut roots = Vec::new();
        for asked in answers {
            if let Reply::Led(root) = asked.reply
                && !roots.contains(&root)
            {
                roots.push(root);
            }
        }
        roots
    }

    /// The tags that any list of a repository had.
    pub(crate) fn seen_tags(&self, repo: usize) -> u32 {
        let answers = self.answers(Question::Tags(repo)).iter();
        answers.fold(0, |seen, asked| match asked.reply {
            Reply::List(entries, _) => seen | entries,
            _ => seen,
        })
    }

    /// Whether the probe was shown that a tag is deleted: a whole list without it, and a 404.
    pub(crate) fn is_proven_deleted(&self, repo: usize, tag: usize) -> bool {
        let lists = self.answers(Question::Tags(repo)).iter();
        let mut lists = lists.map(|asked| asked.reply);
        let is_left_out = lists
            .any(|reply| matches!(reply, Reply::List(entries, None) if entries & (1 << tag) == 0));
        let answers = self.answers(Question::Tag(repo, tag)).iter();
        let mut answers = answers.map(|asked| asked.reply);
        is_left_out && answers.any(|reply| self.is_absence(reply))
    }

    /// Whether a reply is a 404 that counts as one: not the page of something in between.
    pub(crate) fn is_absence(&self, reply: Reply) -> bool {
        match reply {
            Reply::Gone(Code::Page) => self.world.is_page_its_404,
            Reply::Gone(_) => true,
            _ => false,
        }
    }

    /// Whether a 404 came for any manifest of a repository.
    pub(crate) fn got_no_manifest(&self, repo: usize) -> bool {
        self.log.iter().any(|asked| {
            let is_manifest = match asked.question {
                Question::Tag(of, _) => of == repo,
                Question::Object(of, id) => of == repo && self.world.content.is_manifest(id),
                Question::NoManifest(of) => of == Some(repo),
                _ => false,
            };
            is_manifest && self.is_absence(asked.reply)
        })
    }

    /// Whether no fault was there, nothing changed, and there is one registry.
    pub(crate) fn is_calm(&self) -> bool {
        let windows = &self.world.windows;
        self.world.lags.len() == 1
            && self.moments().count() == 1
            && windows
                .iter()
                .all(|window| window.to <= self.from || window.from > self.to)
    }
}
