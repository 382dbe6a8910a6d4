//! Faults, drawn: what flaps, for how long, and which replica is not like the others.

use registry_probe::registry::UnverifiedReason as Why;

use super::draw::Builder;
use super::fault::{Fault, Target, Window};
use super::plan::{Story, Times, choice, pick};
use super::world::{Code, Ms};

/// Puts the faults of a story into the list of windows.
pub(crate) fn draw(builder: &mut Builder, times: &Times, story: Story, windows: &mut Vec<Window>) {
    if story == Story::Away {
        away(builder, times, windows);
    }
    let count = match story {
        Story::Calm => 0,
        Story::Flaps => match builder.random.u8(..4) {
            0 => 1,
            1 | 2 => builder.random.usize(1..=4),
            _ => builder.random.usize(3..=9),
        },
        Story::Churn | Story::Replicas | Story::Away => builder.random.usize(0..=2),
    };
    if story != Story::Calm && builder.random.u8(..6) == 0 {
        windows.extend(lasting(builder, times));
    }
    for _ in 0..count {
        let Some((name, fault, target)) = kind(builder) else {
            continue;
        };
        let random = &mut *builder.random;
        let length = times.length(random);
        let moment = times.moment(random);
        let from = if random.bool() {
            moment
        } else {
            moment.saturating_sub(random.u64(0..length))
        };
        let chance = if random.u8(..8) == 0 {
            random.u8(20..80)
        } else {
            100
        };
        windows.push(Window {
            name,
            fault,
            target,
            from,
            to: from + length,
            replica: None,
            chance,
            is_drawn: true,
        });
    }
}

/// A fault that is there from the start, or comes to stay.
fn lasting(builder: &mut Builder, times: &Times) -> Option<Window> {
    let (name, fault, target) = kind(builder)?;
    let random = &mut *builder.random;
    Some(Window {
        name,
        fault,
        target,
        from: if random.bool() {
            0
        } else {
            times.moment(random)
        },
        to: Ms::MAX,
        replica: None,
        chance: 100,
        is_drawn: false,
    })
}

/// The storage is away: from the start or from some sweep on, until another or for good.
fn away(builder: &mut Builder, times: &Times, windows: &mut Vec<Window>) {
    let random = &mut *builder.random;
    let (name, fault, target) = pick(
        random,
        &[
            (
                "storage away, lists there",
                Fault::Gone(Code::Coded),
                Target::Storage,
            ),
            (
                "storage away, lists there",
                Fault::Gone(Code::Coded),
                Target::Storage,
            ),
            ("storage away, all empty", Fault::Empty, Target::Registry),
            ("storage away, lists empty", Fault::Empty, Target::Lists),
        ],
    );
    let from = if random.bool() {
        0
    } else {
        times.moment(random)
    };
    let to = if random.bool() {
        Ms::MAX
    } else {
        from + random.u64(1..=times.end())
    };
    let window = |target| Window {
        name,
        fault,
        target,
        from,
        to,
        replica: None,
        chance: 100,
        is_drawn: false,
    };
    windows.push(window(target));
    if target == Target::Lists {
        windows.push(window(Target::Storage));
    }
}

/// The lag of each replica, and what the last of them lacks.
pub(crate) fn replicas(
    builder: &mut Builder,
    times: &Times,
    story: Story,
    windows: &mut Vec<Window>,
) -> Vec<Ms> {
    if story != Story::Replicas {
        return vec![0];
    }
    builder.choice = choice(builder.random);
    let mut lags = vec![0; builder.random.usize(2..=3)];
    let last = lags.len() - 1;
    let repo = builder.random.usize(..builder.repos.len());
    let object = builder.object(repo);
    let is_shared = object.is_some_and(|id| builder.is_shared(id));
    let tags = builder.repos[repo].tags.len();
    let random = &mut *builder.random;
    let (from, to) = if random.bool() {
        (0, Ms::MAX)
    } else {
        let from = times.moment(random);
        (from, from + times.length(random))
    };
    let mut add = |name, fault, target| {
        windows.push(Window {
            name,
            fault,
            target,
            from,
            to,
            replica: Some(last),
            chance: 100,
            is_drawn: false,
        });
    };
    match random.u8(..10) {
        0..2 => lags[last] = times.length(random) * 2,
        2..5 => {
            let name = "a replica lacks a repository";
            add(name, Fault::Gone(Code::Coded), Target::Repo(repo));
            if random.bool() {
                add(name, Fault::Hide(1 << repo), Target::Catalog);
            }
        }
        5..7 if object.is_some() => {
            let gone = Fault::Gone(Code::Coded);
            let fault = pick(random, &[gone, Fault::Failing, Fault::Altered]);
            let fault = if is_shared { gone } else { fault };
            let object = object.unwrap_or_default();
            add(
                "a replica lacks an object",
                fault,
                Target::Object(repo, object),
            );
        }
        7..9 if tags > 0 => {
            let tag = random.usize(..tags);
            let name = "a replica lacks a tag";
            add(name, Fault::Gone(Code::Coded), Target::Tag(repo, tag));
            if random.bool() {
                add(name, Fault::Hide(1 << tag), Target::List(repo));
            }
        }
        _ => add("a replica is empty", Fault::Empty, Target::Registry),
    }
    lags
}

type Kind = (&'static str, Fault, Target);

/// A fault that comes and goes. `None` where the world has nothing that it could hit.
fn kind(builder: &mut Builder) -> Option<Kind> {
    let repo = builder.random.usize(..builder.repos.len());
    let tags = builder.repos[repo].tags.len();
    match builder.random.u8(..100) {
        0..26 => {
            let id = builder.object(repo)?;
            let kind = one_object(builder, Target::Object(repo, id));
            let is_damage = matches!(kind.1, Fault::Altered | Fault::Shorter | Fault::Hollow);
            (!is_damage || !builder.is_shared(id)).then_some(kind)
        }
        26..46 => {
            let tag = (tags > 0).then(|| builder.random.usize(..tags))?;
            Some(one_tag(builder, Target::Tag(repo, tag)))
        }
        46..68 => Some(one_list(builder, repo, tags)),
        68..76 => Some(catalog(builder, repo)),
        76..86 => Some(one_repository(builder, Target::Repo(repo))),
        _ => Some(everywhere(builder)),
    }
}

fn passing(builder: &mut Builder) -> Fault {
    Fault::Unverified(pick(
        builder.random,
        &[
            Why::Timeout,
            Why::Connect,
            Why::RegistryError,
            Why::Protocol,
        ],
    ))
}

fn one_object(builder: &mut Builder, target: Target) -> Kind {
    match builder.random.u8(..20) {
        0..8 => ("404 of an object", Fault::Gone(Code::Coded), target),
        8 => ("404 of an object, bare", Fault::Gone(Code::Bare), target),
        9 => ("404 of an object, a page", Fault::Gone(Code::Page), target),
        10..14 => ("5xx of an object", Fault::Failing, target),
        14..17 => ("no answer for an object", passing(builder), target),
        17 => ("other bytes of an object", Fault::Altered, target),
        18 => ("fewer bytes of an object", Fault::Shorter, target),
        _ => ("no bytes of an object", Fault::Hollow, target),
    }
}

fn one_tag(builder: &mut Builder, target: Target) -> Kind {
    match builder.random.u8(..10) {
        0..5 => ("404 of a tag", Fault::Gone(Code::Coded), target),
        5 => ("404 of a tag, a page", Fault::Gone(Code::Page), target),
        6..8 => ("5xx of a tag", Fault::Failing, target),
        _ => ("no answer for a tag", passing(builder), target),
    }
}

fn one_list(builder: &mut Builder, repo: usize, tags: usize) -> Kind {
    let target = Target::List(repo);
    let random = &mut *builder.random;
    match random.u8(..22) {
        0..6 => ("404 of a list", Fault::Gone(Code::Coded), target),
        6..9 => ("404 of a list, bare", Fault::Gone(Code::Bare), target),
        9 => ("404 of a list, a page", Fault::Gone(Code::Page), target),
        10..12 => {
            let why = pick(random, &[Why::Unauthorized, Why::Forbidden]);
            ("a list is refused", Fault::Unverified(why), target)
        }
        12..15 => {
            let most = u32::try_from(tags).unwrap_or_default();
            ("a list is cut", Fault::Cut(random.u32(0..=most)), target)
        }
        15..18 => (
            "a list is shorter",
            Fault::Hide(random.u32(1..1 << 4)),
            target,
        ),
        18..20 => ("a list is empty", Fault::Hide(u32::MAX), target),
        _ => ("no answer for a list", passing(builder), target),
    }
}

fn catalog(builder: &mut Builder, repo: usize) -> Kind {
    let target = Target::Catalog;
    match builder.random.u8(..8) {
        0..3 => (
            "a catalog lacks a repository",
            Fault::Hide(1 << repo),
            target,
        ),
        3..5 => ("a catalog is empty", Fault::Hide(u32::MAX), target),
        5 => {
            let most = u32::try_from(builder.repos.len()).unwrap_or_default();
            let cut = Fault::Cut(builder.random.u32(0..=most));
            ("a catalog is cut", cut, target)
        }
        6 => ("404 of a catalog", Fault::Gone(Code::Bare), target),
        _ => ("no answer for a catalog", passing(builder), target),
    }
}

fn one_repository(builder: &mut Builder, target: Target) -> Kind {
    match builder.random.u8(..10) {
        0..4 => ("404 of a repository", Fault::Gone(Code::Coded), target),
        4 => ("404 of a repository, bare", Fault::Gone(Code::Bare), target),
        5 => (
            "a repository is refused",
            Fault::Unverified(Why::Forbidden),
            target,
        ),
        6 => ("5xx of a repository", Fault::Failing, target),
        7 => ("no answer for a repository", passing(builder), target),
        _ => ("a repository's index is cut", Fault::CutIndex, target),
    }
}

fn everywhere(builder: &mut Builder) -> Kind {
    let passing = passing(builder);
    let gone = Fault::Gone(Code::Coded);
    pick(
        builder.random,
        &[
            ("404 of all manifests", gone, Target::Manifests),
            ("5xx of all manifests", Fault::Failing, Target::Manifests),
            ("404 of all blobs", gone, Target::Blobs),
            ("5xx of all blobs", Fault::Failing, Target::Blobs),
            ("404 of all tags", gone, Target::AllTags),
            (
                "404 of all lists, bare",
                Fault::Gone(Code::Bare),
                Target::Lists,
            ),
            ("404 of all lists", gone, Target::Lists),
            ("no answer for any list", passing, Target::Lists),
            ("no answer at all", passing, Target::Registry),
            ("no answer at all", passing, Target::Registry),
            ("5xx for everything", Fault::Failing, Target::Registry),
            (
                "pages for everything",
                Fault::Gone(Code::Page),
                Target::Registry,
            ),
            ("an empty fail-over", Fault::Empty, Target::Registry),
            ("an empty fail-over", Fault::Empty, Target::Registry),
            ("404 of all objects", gone, Target::Storage),
        ],
    )
}
