//! Whether what is called intact may have been so.

use std::collections::BTreeSet;

use super::{Case, Class, Lie, is_unknown_name, object_of, repo_of, tags_of};
use crate::content::ObjectId;
use crate::view::Got;
use crate::world::{Question, Reply};

/// What a sweep tells of one repository.
struct Told {
    objects: BTreeSet<ObjectId>,
    /// The tags that a finding names.
    tags: BTreeSet<usize>,
    /// Those that are said to lead nowhere.
    leading_nowhere: BTreeSet<usize>,
}

impl Case<'_> {
    pub(super) fn claims(&self) -> Vec<Lie> {
        let mut lies = Vec::new();
        if self.is_called_intact() && self.was_nothing_checked() {
            let text = "intact, and nothing was checked".to_owned();
            lies.push(Lie::new(Class::NothingChecked, text, Vec::new()));
        }
        for repo in self.claimed() {
            let told = self.told(repo);
            lies.extend(self.list(repo));
            for tag in self.tags_in_question(repo) {
                lies.extend(self.tag(repo, tag, &told));
            }
        }
        lies
    }

    /// The repositories of which the sweep says that it knows all.
    fn claimed(&self) -> BTreeSet<usize> {
        let results = self.sweep.repositories.iter();
        let verified = results.filter(|result| result.unverified == 0);
        let mut claimed: BTreeSet<_> = verified
            .filter_map(|result| repo_of(&self.view, &result.name))
            .collect();
        if self.is_called_intact() {
            for asked in self.view.answers(Question::Catalog) {
                if let Reply::List(entries, _) = asked.reply {
                    claimed.extend((0..32).filter(|repo| entries & (1 << repo) != 0));
                }
            }
        }
        claimed
    }

    fn told(&self, repo: usize) -> Told {
        let name = &self.view.world.repos[repo].name;
        let findings = self.sweep.findings.iter();
        let mut told = Told {
            objects: BTreeSet::new(),
            tags: BTreeSet::new(),
            leading_nowhere: BTreeSet::new(),
        };
        for finding in findings.filter(|finding| finding.repository == *name) {
            told.objects.extend(object_of(&self.view, finding));
            let tags = tags_of(&self.view, repo, finding);
            if finding.digest.is_none() {
                told.leading_nowhere.extend(tags.clone());
            }
            told.tags.extend(tags);
        }
        told
    }

    /// Whether no object was ever asked for, though some are there and the probe had reason to expect
    /// that.
    fn was_nothing_checked(&self) -> bool {
        let is_object = |question| matches!(question, Question::Tag(..) | Question::Object(..));
        let mut log = self.view.log.iter();
        let was_checked = log.any(|asked| is_object(asked.question));
        let repos = || 0..self.view.world.repos.len();
        let is_known = repos().any(|repo| self.past[repo].tags > 0);
        let is_there = repos().any(|repo| {
            let mut tags = 0..self.view.world.repos[repo].tags.len();
            tags.any(|tag| self.view.was_there_throughout(repo, tag))
        });
        !was_checked && is_known && is_there
    }

    /// A list that was never had is no list without tags.
    fn list(&self, repo: usize) -> Option<Lie> {
        let replies: Vec<_> = self.list_replies(repo).collect();
        let is_had = replies
            .iter()
            .any(|reply| matches!(reply, Reply::List(_, None)));
        let has_tags = (0..self.view.world.repos[repo].tags.len())
            .any(|tag| self.view.was_there_throughout(repo, tag));
        // Nobody named it: it was forgotten when catalogs had left it out often enough.
        let name = &self.view.world.repos[repo].name;
        let is_named = !self.is_left_out(repo) || self.before.repositories.contains_key(name);
        if is_had || !has_tags || !is_named {
            return None;
        }
        let is_settled = self.past[repo].tags == 0
            && replies.iter().copied().any(is_unknown_name)
            && self.view.got_no_manifest(repo);
        let text = format!(
            "{} is called intact, and its list was never had",
            self.view.world.repos[repo].name
        );
        let about = vec![Question::Tags(repo), Question::NoManifest(Some(repo))];
        (!is_settled).then(|| Lie::new(Class::IntactList, text, about))
    }

    /// The tags that a list had, and those that are known to be broken. What comes with a later list is
    /// a push, and the next sweep's, where a whole one before had as many tags as were known.
    fn tags_in_question(&self, repo: usize) -> BTreeSet<usize> {
        let mut seen = 0;
        for reply in self.list_replies(repo) {
            if let Reply::List(entries, end) = reply {
                seen |= entries;
                if end.is_none() && entries.count_ones() >= self.past[repo].tags {
                    break;
                }
            }
        }
        let seen = (0..32).filter(|tag| seen & (1 << tag) != 0);
        let name = &self.view.world.repos[repo].name;
        let known = self.before.repositories.get(name).into_iter();
        let findings = known.flat_map(|known| &known.findings);
        let known = findings.flat_map(|finding| tags_of(&self.view, repo, finding));
        seen.chain(known).collect()
    }

    fn tag(&self, repo: usize, tag: usize, told: &Told) -> Option<Lie> {
        let view = &self.view;
        let question = Question::Tag(repo, tag);
        let name = &view.world.repos[repo];
        let tag_name = &name.tags[tag].0;
        let roots = view.led_to(repo, tag);
        if roots.is_empty() {
            let is_lie = view.was_there_throughout(repo, tag)
                && !told.tags.contains(&tag)
                && match view.got(question, view.depth) {
                    Got::Kept => false,
                    Got::Failures => !view.is_proven_deleted(repo, tag),
                    Got::Nothing => view.never_pulled(repo, tag),
                };
            let text = format!(
                "{}:{tag_name} is called intact, and was never seen to lead anywhere",
                name.name
            );
            let about = vec![question, Question::Tags(repo)];
            return is_lie.then(|| Lie::new(Class::IntactTag, text, about));
        }
        // What it truly leads to has changed: the next sweep's.
        let leads = view.world.tag(repo, tag, view.to);
        let has_changed = roots.iter().all(|root| leads != Some(*root));
        let is_told = told.leading_nowhere.contains(&tag);
        if has_changed || is_told || view.is_proven_deleted(repo, tag) {
            return None;
        }
        let failures = roots.iter().map(|root| self.unproven(repo, *root, told));
        let failures: Option<Vec<_>> = failures.collect();
        let object = *failures?.first()?;
        let text = format!(
            "{}:{tag_name} is called intact, and {} was never seen whole",
            name.name, view.world.content.objects[object].digest
        );
        let about = vec![question, Question::Object(repo, object)];
        Some(Lie::new(Class::IntactObject, text, about))
    }

    /// An object below a manifest that failed in each answer, or would have, and is not told.
    fn unproven(&self, repo: usize, root: ObjectId, told: &Told) -> Option<ObjectId> {
        let content = &self.view.world.content;
        let mut below = vec![root];
        let mut next = 0;
        while let Some(&id) = below.get(next) {
            next += 1;
            if told.objects.contains(&id) {
                continue;
            }
            let question = Question::Object(repo, id);
            let is_unproven = match self.view.got(question, self.view.depth) {
                Got::Kept => false,
                Got::Failures => true,
                Got::Nothing => self.view.never_kept(question, self.view.depth),
            };
            if is_unproven {
                return Some(id);
            }
            for &promise in &content.objects[id].promises {
                if !below.contains(&promise) {
                    below.push(promise);
                }
            }
        }
        None
    }
}
