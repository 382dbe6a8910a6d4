//! Whether `verify` may have said what it says of the images that were named.

use registry_probe::registry::Depth;
use registry_probe::report::{Expected, Sweep, Verdict};

use super::{Class, Lie, findings};
use crate::content::ObjectId;
use crate::plan::{Named, Wish};
use crate::view::{Got, View};
use crate::world::{Ms, Question};

/// All lies of a look at named images.
pub(crate) fn verify(view: &View<'_>, sweep: &Sweep, wish: &Wish) -> Vec<Lie> {
    let mut lies = findings::lies(view, sweep, true);
    lies.extend(unmet(view, sweep, wish));
    if sweep.verdict() != Verdict::Intact {
        return lies;
    }
    let again = wish.recheck.map(|after| after_pause(view, after));
    let last = match &again {
        Some(None) => {
            let text = "exit 0 without the look that was asked for after some time".to_owned();
            lies.push(Lie::new(Class::VerifyNotAgain, text, Vec::new()));
            return lies;
        }
        Some(Some(last)) => last,
        None => view,
    };
    for (repo, named) in &wish.images {
        lies.extend(image(last, *repo, *named, wish));
    }
    lies
}

/// What was asked after the last pause that was so long.
fn after_pause<'a>(view: &View<'a>, pause: Ms) -> Option<View<'a>> {
    let mut last = None;
    let mut idle_since = view.from;
    for (position, asked) in view.log.iter().enumerate() {
        if asked.sent >= idle_since + pause && position > 0 {
            last = Some(position);
        }
        idle_since = idle_since.max(asked.at);
    }
    let log = &view.log[last?..];
    Some(View::new(
        view.world,
        log,
        log.first()?.sent,
        view.to,
        view.depth,
    ))
}

/// Whether an image that led to `exit 0` may have.
fn image(view: &View<'_>, repo: usize, named: Named, wish: &Wish) -> Option<Lie> {
    let (roots, mut about) = match named {
        Named::Tag(tag) => (view.led_to(repo, tag), vec![Question::Tag(repo, tag)]),
        Named::Digest(id) => (vec![id], Vec::new()),
    };
    let name = &view.world.repos[repo].name;
    let missing = |root: &ObjectId| {
        let below = view.world.content.below(*root).into_iter();
        let mut questions = below.map(|id| Question::Object(repo, id));
        questions.find(|question| view.got(*question, view.depth) != Got::Kept)
    };
    let proven: Vec<_> = roots
        .iter()
        .filter(|root| missing(root).is_none())
        .collect();
    if proven.is_empty() {
        about.extend(roots.iter().filter_map(missing));
        let text = format!("exit 0, and not all of {name} {named:?} was seen whole");
        return Some(Lie::new(Class::VerifyUnread, text, about));
    }
    if let Some(digest) = wish.digest
        && !proven.contains(&&digest)
    {
        let text = format!("exit 0, and {name} {named:?} leads elsewhere");
        return Some(Lie::new(Class::VerifyDigest, text, about));
    }
    if let Some(platform) = wish.platform
        && !proven
            .iter()
            .any(|root| view.world.content.platforms(**root).contains(&platform))
    {
        let text = format!("exit 0, and {name} {named:?} is not for {platform}");
        return Some(Lie::new(Class::VerifyPlatform, text, about));
    }
    None
}

/// Expectations that were met whenever somebody might have looked.
fn unmet(view: &View<'_>, sweep: &Sweep, wish: &Wish) -> Vec<Lie> {
    let mut lies = Vec::new();
    for unmet in &sweep.unmet {
        for (repo, named) in &wish.images {
            let Named::Tag(tag) = *named else {
                continue;
            };
            let in_repo = &view.world.repos[*repo];
            let is_it = *unmet.image == *format!("{}:{}", in_repo.name, in_repo.tags[tag].0);
            if !is_it || !view.always_pulled(*repo, tag, Depth::Digest) {
                continue;
            }
            let content = &view.world.content;
            let is_met = |root: ObjectId| match &unmet.expected {
                Expected::Digest(digest) => content.objects[root].digest == *digest,
                Expected::Platform(platform) => {
                    let there = content.platforms(root).into_iter();
                    there
                        .filter_map(|text| text.parse().ok())
                        .any(|there| *platform == there)
                }
            };
            let question = Question::Tag(*repo, tag);
            if view
                .moments()
                .all(|time| view.may_lead(*repo, tag, time).into_iter().all(is_met))
            {
                let text = format!("{} {} was met all the time", unmet.image, unmet.expected);
                lies.push(Lie::new(Class::MetCalledUnmet, text, vec![question]));
            }
        }
    }
    lies
}
