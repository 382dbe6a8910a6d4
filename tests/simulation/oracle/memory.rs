//! Whether what was known may have been cleared or forgotten.

use std::collections::BTreeSet;

use registry_probe::registry::Depth;
use registry_probe::report::{Finding, Kind, Known};

use super::{Case, Class, Lie, is_refusal, is_unknown_name, object_of, tags_of};
use crate::view::Got;
use crate::world::{Question, Reply};

impl Case<'_> {
    pub(super) fn memory(&self) -> Vec<Lie> {
        let mut lies = Vec::new();
        for (repo, world) in self.view.world.repos.iter().enumerate() {
            let Some(before) = self.before.repositories.get(&world.name) else {
                continue;
            };
            let lie = match self.after.repositories.get(&world.name) {
                None => self.forgotten(repo, before),
                Some(after) => self
                    .cleared(repo, before, after)
                    .or_else(|| self.fallen(repo, before)),
            };
            lies.extend(lie);
        }
        lies
    }

    /// The tags that a known failure breaks, and still does as far as truth goes.
    fn alive(&self, repo: usize, finding: &Finding) -> Vec<usize> {
        let view = &self.view;
        let object = object_of(view, finding);
        let leads_to_it = |tag: usize| {
            view.moments().all(|time| {
                let root = view.world.tag(repo, tag, time);
                root.is_some_and(|root| {
                    object.is_none_or(|id| view.world.content.below(root).contains(&id))
                })
            })
        };
        let mut tags = tags_of(view, repo, finding);
        tags.retain(|tag| leads_to_it(*tag));
        tags
    }

    fn forgotten(&self, repo: usize, before: &Known) -> Option<Lie> {
        let past = &self.past[repo];
        let is_left_out_twice = past.was_left_out && self.is_left_out(repo);
        let is_absent = past.was_absent || self.list_replies(repo).any(is_unknown_name);
        let is_refused = self.list_replies(repo).any(is_refusal) && past.refusals >= 2;
        if is_left_out_twice && (is_absent || is_refused) {
            return None;
        }
        let is_still_broken = |finding: &&Finding| {
            let tags = self.alive(repo, finding);
            tags.iter().any(|tag| self.view.never_pulled(repo, *tag))
        };
        let finding = before.findings.iter().find(is_still_broken)?;
        let text = format!(
            "{} is forgotten, and {:?} still cannot be pulled",
            finding.repository, finding.tags
        );
        let about = vec![Question::Catalog, Question::Tags(repo)];
        Some(Lie::new(Class::Forgotten, text, about))
    }

    fn cleared(&self, repo: usize, before: &Known, after: &Known) -> Option<Lie> {
        let still = after.findings.iter();
        let told: BTreeSet<_> = still
            .clone()
            .flat_map(|finding| tags_of(&self.view, repo, finding))
            .collect();
        let is_told = |finding: &Finding| {
            let mut still = still.clone();
            finding.digest.is_some() && still.any(|known| known.digest == finding.digest)
        };
        let gone = before.findings.iter().filter(|finding| !is_told(finding));
        for finding in gone {
            let mut tags = self.alive(repo, finding).into_iter();
            let wrongly =
                tags.find(|tag| !told.contains(tag) && !self.is_proven_mended(repo, *tag, finding));
            if let Some(tag) = wrongly {
                let text = format!(
                    "the {} {:?} of {}:{} is cleared without having been seen whole",
                    finding.kind,
                    finding.digest,
                    finding.repository,
                    self.view.world.repos[repo].tags[tag].0
                );
                let mut about = vec![Question::Tag(repo, tag), Question::Tags(repo)];
                let object = object_of(&self.view, finding);
                about.extend(object.map(|id| Question::Object(repo, id)));
                return Some(Lie::new(Class::Cleared, text, about));
            }
        }
        None
    }

    /// Whether the probe was shown that a tag no longer suffers from a known failure.
    fn is_proven_mended(&self, repo: usize, tag: usize, finding: &Finding) -> bool {
        let view = &self.view;
        if view.is_proven_deleted(repo, tag) {
            return true;
        }
        let Some(id) = object_of(view, finding) else {
            let question = Question::Tag(repo, tag);
            return match view.got(question, view.depth) {
                Got::Kept => true,
                Got::Failures => false,
                Got::Nothing => !view.never_kept(question, view.depth),
            };
        };
        // A replica that lags may lead to another image.
        let leads_elsewhere = |root: &usize| !view.world.content.below(*root).contains(&id);
        if view.led_to(repo, tag).iter().any(leads_elsewhere) {
            return true;
        }
        let question = Question::Object(repo, id);
        // Only layers are unpacked: all else is seen as closely as can be when it is read whole.
        let depth = match finding.kind {
            Kind::Layer => finding.depth,
            _ => finding.depth.min(Depth::Digest),
        };
        match view.got(question, depth) {
            Got::Kept => true,
            Got::Failures => false,
            Got::Nothing => !view.never_kept(question, depth),
        }
    }

    fn fallen(&self, repo: usize, before: &Known) -> Option<Lie> {
        let name = &self.view.world.repos[repo].name;
        let was = self.series_before.get(name).copied().unwrap_or_default();
        let is = self.series_after.get(name).copied().unwrap_or_default();
        if was == 0 || is > 0 {
            return None;
        }
        let is_lie = |finding: &&Finding| {
            let tags = self.alive(repo, finding);
            let mut tags = tags.iter();
            tags.any(|tag| {
                self.view.never_pulled(repo, *tag) && !self.view.is_proven_deleted(repo, *tag)
            })
        };
        let finding = before.findings.iter().find(is_lie)?;
        let text = format!(
            "failures of {name} fall from {was} to {is}, and {:?} could never be pulled",
            finding.tags
        );
        let tags = tags_of(&self.view, repo, finding).into_iter();
        let mut about: Vec<_> = tags.map(|tag| Question::Tag(repo, tag)).collect();
        about.push(Question::Tags(repo));
        Some(Lie::new(Class::SeriesFell, text, about))
    }

    /// Whether every list that the probe was given in this sweep was whole.
    pub(super) fn had_all_lists(&self) -> bool {
        let mut log = self.view.log.iter();
        log.all(|asked| match asked.question {
            Question::Tags(_) | Question::Catalog => matches!(asked.reply, Reply::List(_, None)),
            _ => true,
        })
    }
}
