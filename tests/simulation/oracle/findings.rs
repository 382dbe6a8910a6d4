//! Whether what is called broken may have been so.

use std::collections::BTreeSet;

use registry_probe::report::{Finding, Reason, Sweep};

use super::{Class, Lie, object_of, repo_of, tags_of};
use crate::view::View;
use crate::world::{Question, Reply};

/// Objects, and repositories that they are in, of which not one is there where the storage is away.
const AWAY_OBJECTS: usize = 8;
const AWAY_REPOSITORIES: usize = 3;

/// The lies among a sweep's findings. What is named must be there; what is listed may be deleted.
pub(crate) fn lies(view: &View<'_>, sweep: &Sweep, is_named: bool) -> Vec<Lie> {
    let findings = sweep.findings.iter();
    let lies = findings.filter_map(|finding| of(view, finding, is_named));
    let mut lies: Vec<_> = lies.collect();
    if !is_named && !sweep.findings.is_empty() && is_storage_away(view) {
        let count = sweep.findings.len();
        let text = format!("{count} findings, and not one object that was asked for was there");
        lies.push(Lie::new(Class::AwayCalledBroken, text, Vec::new()));
    }
    lies
}

fn of(view: &View<'_>, finding: &Finding, is_named: bool) -> Option<Lie> {
    let told = format!(
        "{} {} {:?} of {} {:?} is called {}",
        finding.kind,
        finding.digest.is_some(),
        finding.digest.as_ref().map(ToString::to_string),
        finding.repository,
        finding.tags,
        finding.defect.reason
    );
    let lie = |class, why: &str, about| Some(Lie::new(class, format!("{told}: {why}"), about));
    let Some(repo) = repo_of(view, &finding.repository) else {
        let why = "there is no such repository";
        return lie(Class::WholeCalledBroken, why, Vec::new());
    };
    let tags = tags_of(view, repo, finding);
    let question = match object_of(view, finding) {
        Some(id) => Question::Object(repo, id),
        None if finding.digest.is_none() && tags.len() == 1 => Question::Tag(repo, tags[0]),
        None => {
            let why = "nobody ever promised it";
            return lie(Class::WholeCalledBroken, why, Vec::new());
        }
    };
    let mut about: Vec<_> = tags.iter().map(|tag| Question::Tag(repo, *tag)).collect();
    about.push(question);
    about.push(Question::Tags(repo));
    // As deep as any look at it was.
    let depths = view.answers(question).iter().map(|asked| asked.depth);
    let depth = depths.fold(view.depth.max(finding.depth), Ord::max);
    if view.always_kept(question, depth) {
        let why = "it was whole at every moment";
        return lie(Class::WholeCalledBroken, why, about);
    }
    if let Some(tag) = tags
        .iter()
        .find(|tag| view.always_pulled(repo, **tag, depth))
    {
        let tag = &view.world.repos[repo].tags[*tag].0;
        let why = format!("{tag} could be pulled at every moment");
        return lie(Class::WholeCalledBroken, &why, about);
    }
    if let Some(tag) = tags
        .iter()
        .find(|tag| !is_named && view.was_deleted_whole(repo, **tag, depth))
    {
        let tag = &view.world.repos[repo].tags[*tag].0;
        let why = format!("{tag} was whole until it was deleted");
        return lie(Class::DeletedCalledBroken, &why, about);
    }
    if !was_seen_twice(view, question, finding.defect.reason) {
        let why = "no second look over another connection agreed";
        return lie(Class::BrokenOnOneLook, why, about);
    }
    None
}

/// Whether answers over two connections contradict the promise, or each other.
fn was_seen_twice(view: &View<'_>, question: Question, reason: Reason) -> bool {
    let answers = view.answers(question);
    let against = answers
        .iter()
        .filter(|asked| asked.reply.is_contradiction());
    let connections: BTreeSet<_> = against.map(|asked| asked.connection).collect();
    let is_kept = answers.iter().any(|asked| asked.reply.is_kept());
    connections.len() > 1 || (reason == Reason::Inconsistent && !connections.is_empty() && is_kept)
}

/// Whether enough was asked for, and nothing was there.
fn is_storage_away(view: &View<'_>) -> bool {
    let mut asked_for = BTreeSet::new();
    let mut repositories = BTreeSet::new();
    for asked in view.log {
        if let Question::Tag(repo, _) | Question::Object(repo, _) = asked.question {
            if !matches!(asked.reply, Reply::Gone(_)) {
                return false;
            }
            asked_for.insert(asked.question);
            repositories.insert(repo);
        }
    }
    asked_for.len() >= AWAY_OBJECTS && repositories.len() >= AWAY_REPOSITORIES
}
