//! Whether a sweep sees what is there while nothing disturbs it: a probe that never says anything
//! tells no lies, either.

use std::collections::BTreeSet;

use registry_probe::registry::{Unverified, UnverifiedReason};
use registry_probe::report::{Finding, Listed, Sweep};

use super::{Case, Class, Lie, object_of, repo_of, tags_of};
use crate::content::ObjectId;
use crate::world::{Question, Reply};

/// Something broken: in a repository, a tag that leads nowhere or an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Broken {
    Tag(usize, usize),
    Object(usize, ObjectId),
}

impl Case<'_> {
    pub(super) fn calm(&self) -> Option<Lie> {
        if !self.view.is_calm() || !self.had_all_lists() || was_cut_short(self.sweep) {
            return None;
        }
        // What is known of a repository that is gone takes some sweeps to be forgotten.
        let listed = |name| {
            let repo = repo_of(&self.view, name)?;
            Some(self.view.world.repos[repo].is_there.at(self.view.to))
        };
        let mut known = self.before.repositories.keys();
        if !known.all(|name| listed(name) == Some(true)) {
            return None;
        }
        let was_seen_deeper = |finding: &Finding| finding.depth > self.view.depth;
        if self.before.findings().any(was_seen_deeper) {
            return None;
        }
        let truth = self.truth()?;
        // That there is nothing any more where something was known is for a person to say.
        let is_emptied = self.sweep.unverified.iter().all(|group| {
            let reason = group.why.reason;
            let empty = [
                UnverifiedReason::NothingListed,
                UnverifiedReason::StorageUnavailable,
            ];
            empty.contains(&reason)
        });
        if truth.is_empty() && is_emptied && self.sweep.counts.tags.listed == 0 {
            return None;
        }
        if !self.sweep.is_complete() {
            let text = format!("nothing disturbed it, and it is not complete: {truth:?}");
            return Some(Lie::new(Class::BlindInCalm, text, Vec::new()));
        }
        let found = self.sweep.findings.iter();
        let found: BTreeSet<_> = found.filter_map(|finding| self.found(finding)).collect();
        let text = format!("nothing disturbed it: {found:?} were found of {truth:?}");
        (found != truth).then(|| Lie::new(Class::BlindInCalm, text, Vec::new()))
    }

    fn found(&self, finding: &Finding) -> Option<Broken> {
        let repo = repo_of(&self.view, &finding.repository)?;
        if let Some(id) = object_of(&self.view, finding) {
            return Some(Broken::Object(repo, id));
        }
        let tags = tags_of(&self.view, repo, finding);
        Some(Broken::Tag(repo, *tags.first()?))
    }

    /// All that is broken; `None` if that is more than a sweep may tell apart: 5xx with nothing of the
    /// same kind beside it that answers, or nothing that is there at all.
    fn truth(&self) -> Option<BTreeSet<Broken>> {
        let view = &self.view;
        let (world, time) = (view.world, view.to);
        let reply = |question| world.reply(question, view.depth, 0, time, |_| true);
        let mut broken = BTreeSet::new();
        let (mut manifests, mut blobs, mut is_failing) = (0, 0, false);
        for (repo, in_repo) in world.repos.iter().enumerate() {
            for tag in 0..in_repo.tags.len() {
                if world.tag(repo, tag, time).is_none() {
                    continue;
                }
                let answer = reply(Question::Tag(repo, tag));
                let Reply::Led(root) = answer else {
                    is_failing |= answer == Reply::Failing;
                    broken.insert(Broken::Tag(repo, tag));
                    continue;
                };
                let mut below = vec![root];
                let mut next = 0;
                while let Some(&id) = below.get(next) {
                    next += 1;
                    let answer = reply(Question::Object(repo, id));
                    if answer != Reply::Whole {
                        is_failing |= answer == Reply::Failing;
                        broken.insert(Broken::Object(repo, id));
                        continue;
                    }
                    if world.content.is_manifest(id) {
                        manifests += 1;
                    } else {
                        blobs += 1;
                    }
                    for &promise in &world.content.objects[id].promises {
                        if !below.contains(&promise) {
                            below.push(promise);
                        }
                    }
                }
            }
        }
        let is_clear = broken.is_empty() || (manifests > 0 && blobs > 0);
        (is_clear && (!is_failing || manifests > 1)).then_some(broken)
    }
}

fn was_cut_short(sweep: &Sweep) -> bool {
    use UnverifiedReason::{Cancelled, Deadline};
    let is_end = |why: &Unverified| matches!(why.reason, Cancelled | Deadline);
    let mut groups = sweep.unverified.iter();
    groups.any(|group| is_end(&group.why))
        || matches!(&sweep.listed, Listed::Failed(why) if is_end(why))
}
