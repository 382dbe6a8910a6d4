//! What a failing seed prints: the world, the faults, and what the lying sweep asked.

use std::fmt::Write as _;

use registry_probe::report::Sweep;

use super::content::ObjectId;
use super::oracle::Lie;
use super::plan::{Plan, Step};
use super::registry::Asked;
use super::world::{Health, Ms, Question, Reply, World};

/// Requests of which no more are printed for one lie.
const MOST_REQUESTS: usize = 40;

/// The world and everything that is to happen in it.
pub(crate) fn plan(plan: &Plan) -> String {
    let world = &plan.world;
    let mut text = format!(
        "seed {}: {:?}, second look after {} ms, {} at a time, latency {} ms, lags {:?} {:?}{}{}{}\n",
        world.seed,
        plan.story,
        plan.confirm,
        plan.concurrency,
        world.latency,
        world.lags,
        world.choice,
        if plan.is_named {
            ", repositories named"
        } else {
            ""
        },
        if world.states_no_digest {
            ", states no digest"
        } else {
            ""
        },
        if world.is_page_its_404 {
            ", its 404 is a page"
        } else {
            ""
        },
    );
    for repo in &world.repos {
        _ = writeln!(text, "  {}", repo.name);
        if repo.is_there.0 != [(0, true)] {
            _ = writeln!(text, "    is there: {:?}", repo.is_there.0);
        }
        for (tag, line) in &repo.tags {
            let leads = line.0.iter().map(|(since, root)| match root {
                Some(root) => format!("{since} {}", tree(world, *root)),
                None => format!("{since} -"),
            });
            _ = writeln!(text, "    {tag}: {}", leads.collect::<Vec<_>>().join(", "));
        }
        for (id, line) in &repo.links {
            if line.0 != [(0, Health::There)] {
                _ = writeln!(text, "    {}: {:?}", object(world, *id), line.0);
            }
        }
    }
    for window in &world.windows {
        let to = if window.to == Ms::MAX {
            "the end".to_owned()
        } else {
            format!("{} ({} ms)", window.to, window.to - window.from)
        };
        _ = writeln!(
            text,
            "  fault from {} to {to}: {}, {:?} {:?}, replica {:?}, {} %",
            window.from, window.name, window.fault, window.target, window.replica, window.chance
        );
    }
    for (number, step) in plan.steps.iter().enumerate() {
        _ = writeln!(text, "  step {number} {step:?}");
    }
    text
}

/// The lies of one step.
pub(crate) fn lies(
    world: &World,
    number: usize,
    step: &Step,
    sweep: Option<&Sweep>,
    log: &[Asked],
    lies: &[Lie],
) -> String {
    let mut text = format!("step {number}: {step:?}\n");
    if let Some(sweep) = sweep {
        _ = writeln!(
            text,
            "  said: {}, complete: {}",
            sweep.verdict(),
            sweep.is_complete()
        );
        for result in &sweep.repositories {
            let (name, broken, unverified) = (&result.name, result.broken, result.unverified);
            _ = writeln!(text, "  {name}: {broken} broken, {unverified} unverified");
        }
        for finding in &sweep.findings {
            let id = finding.digest.as_ref();
            let id = id.and_then(|digest| world.content.find(digest));
            let id = id.map(|id| object(world, id)).unwrap_or_default();
            let (kind, reason) = (finding.kind, finding.defect.reason);
            let (repository, tags) = (&finding.repository, &finding.tags);
            _ = writeln!(
                text,
                "  finding: {repository} {kind} {id} {reason} {tags:?}"
            );
        }
        for group in &sweep.unverified {
            let place = group.repository.as_ref().map(ToString::to_string);
            _ = writeln!(
                text,
                "  unverified: {place:?} {} {}",
                group.count, group.why
            );
        }
    }
    for lie in lies {
        _ = writeln!(text, "  LIE {:?}: {}", lie.class, lie.text);
        let about = |asked: &&Asked| lie.about.is_empty() || lie.about.contains(&asked.question);
        for asked in log.iter().filter(about).take(MOST_REQUESTS) {
            _ = writeln!(
                text,
                "    {:>6}..{:<6} connection {} replica {}: {} ({}) -> {}",
                asked.sent,
                asked.at,
                asked.connection,
                asked.replica,
                question(world, asked.question),
                asked.depth,
                reply(world, asked.question, asked.reply)
            );
        }
    }
    text
}

fn object(world: &World, id: ObjectId) -> String {
    let object = &world.content.objects[id];
    let digest = object.digest.to_string();
    format!("{:?}#{id} {}", object.nature, &digest[..15])
}

fn tree(world: &World, root: ObjectId) -> String {
    let object = &world.content.objects[root];
    let below = object.promises.iter();
    let below: Vec<_> = below.map(|id| tree(world, *id)).collect();
    let name = format!("{:?}#{root}", object.nature);
    if below.is_empty() {
        name
    } else {
        format!("{name}({})", below.join(" "))
    }
}

fn question(world: &World, question: Question) -> String {
    let name = |repo: usize| &world.repos[repo].name;
    match question {
        Question::Ping | Question::Catalog => format!("{question:?}"),
        Question::Tags(repo) => format!("tags of {}", name(repo)),
        Question::Tag(repo, tag) => format!("{}:{}", name(repo), world.repos[repo].tags[tag].0),
        Question::Object(repo, id) => format!("{}@{}", name(repo), object(world, id)),
        Question::NoManifest(repo) => format!("unknown manifest in {:?}", repo.map(name)),
        Question::NoBlob(repo) => format!("unknown blob in {:?}", repo.map(name)),
    }
}

fn reply(world: &World, question: Question, reply: Reply) -> String {
    match reply {
        Reply::Led(id) => object(world, id),
        Reply::List(entries, end) => {
            let names = world.names(question, entries);
            end.map_or(format!("[{names}]"), |why| format!("[{names} … {why}"))
        }
        reply => format!("{reply:?}"),
    }
}
