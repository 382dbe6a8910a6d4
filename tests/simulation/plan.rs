//! What a run will be: the world, its faults and the steps of the probe, all drawn from one seed.

use fastrand::Rng;
use registry_probe::registry::Depth;

use super::content::ObjectId;
use super::draw::Builder;
use super::flaps;
use super::world::{Choice, Ms, World};

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// Nothing changes and nothing flaps.
    Calm,
    /// Faults come and go.
    Flaps,
    /// Clients push, delete, move and repair, beside some faults.
    Churn,
    /// Two or three replicas, of which one is not like the others.
    Replicas,
    /// The storage is away, be it from the start.
    Away,
}

/// One thing that the probe does.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: Ms,
    pub(crate) what: What,
    pub(crate) depth: Depth,
    pub(crate) confirm: Ms,
    pub(crate) deadline: Option<Ms>,
    pub(crate) cancel: Option<Cancel>,
    /// Whether what is known comes out of a file.
    pub(crate) is_new_process: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A sweep of everything.
    Sweep,
    /// A sweep by itself, with a filter that takes nothing.
    Nothing,
    /// Images by name, in a process of their own.
    Verify(Wish),
}

/// Images that are named, and what is expected of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) images: Vec<(usize, Named)>,
    pub(crate) digest: Option<ObjectId>,
    pub(crate) platform: Option<&'static str>,
    pub(crate) wait: Ms,
    pub(crate) recheck: Option<Ms>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Tag(usize),
    Digest(ObjectId),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Cancel {
    After(Ms),
    AtRequest(u64),
}

pub(crate) struct Plan {
    pub(crate) story: Story,
    pub(crate) world: World,
    pub(crate) steps: Vec<Step>,
    pub(crate) confirm: Ms,
    pub(crate) concurrency: usize,
    /// Whether the repositories are named to the probe, which asks for no catalog then.
    pub(crate) is_named: bool,
    /// Requests of one sweep, were everything there that ever will be.
    pub(crate) requests: u64,
    /// What changes in truth, by the name under which it is counted.
    pub(crate) events: Vec<&'static str>,
}

/// The times of a run, before anything is put there.
pub(crate) struct Times {
    pub(crate) confirm: Ms,
    pub(crate) latency: Ms,
    pub(crate) concurrency: usize,
    /// When the steps begin, if those before them are done.
    pub(crate) starts: Vec<Ms>,
    /// How long a walk takes, roughly.
    pub(crate) walk: Ms,
}

impl Times {
    fn draw(random: &mut Rng, requests: u64) -> Self {
        let confirm = pick(random, &[400, 1000, 2000, 5000, 10_000]);
        let latency = pick(random, &[2, 5, 10, 20, 50]);
        let concurrency = pick(random, &[1, 2, 4, 8]);
        let walk = 1 + requests * latency / concurrency as u64;
        let steps = random.usize(3..=12);
        let mut starts = vec![random.u64(1..1000)];
        while starts.len() < steps {
            let last = starts[starts.len() - 1];
            starts.push(last + walk + confirm / 10 + random.u64(0..4 * confirm));
        }
        Self {
            confirm,
            latency,
            concurrency,
            starts,
            walk,
        }
    }

    pub(crate) fn end(&self) -> Ms {
        self.starts[self.starts.len() - 1] + 4 * self.confirm + 2 * self.walk
    }

    /// A moment, most likely one at which it matters what is answered.
    pub(crate) fn moment(&self, random: &mut Rng) -> Ms {
        let start = self.starts[random.usize(..self.starts.len())];
        match random.u8(..10) {
            0..4 => start + random.u64(0..=self.walk),
            4..7 => start + self.walk + random.u64(0..=self.confirm + self.walk),
            7 => start.saturating_sub(random.u64(0..=self.confirm)),
            _ => random.u64(0..self.end()),
        }
    }

    /// A length between a tenth of a second and twice the time until the second look.
    pub(crate) fn length(&self, random: &mut Rng) -> Ms {
        let (least, most) = (100, 2 * self.confirm);
        if random.bool() {
            return random.u64(least..=most);
        }
        // As many short ones as long ones, by their order of magnitude.
        let mut most = most;
        while most > 2 * least && random.u8(..3) > 0 {
            most /= 2;
        }
        random.u64(least..=most)
    }
}

pub(crate) fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let story = match random.u8(..100) {
            0..8 => Story::Calm,
            8..55 => Story::Flaps,
            55..75 => Story::Churn,
            75..90 => Story::Replicas,
            _ => Story::Away,
        };
        let mut builder = Builder::new(&mut random);
        builder.shelves(story);
        let requests = builder.requests();
        let times = Times::draw(builder.random, requests);
        if story == Story::Churn || (story != Story::Calm && builder.random.u8(..4) == 0) {
            builder.events(&times);
        }
        let requests = builder.requests();
        let mut windows = Vec::new();
        let lags = flaps::replicas(&mut builder, &times, story, &mut windows);
        flaps::draw(&mut builder, &times, story, &mut windows);
        let steps = steps(&mut builder, &times);
        Self {
            story,
            steps,
            confirm: times.confirm,
            concurrency: times.concurrency,
            requests,
            is_named: builder.random.u8(..8) == 0,
            events: std::mem::take(&mut builder.events),
            world: builder.world(seed, &times, lags, windows),
        }
    }
}

fn steps(builder: &mut Builder, times: &Times) -> Vec<Step> {
    let usual = match builder.random.u8(..20) {
        0..13 => Some(Depth::Tail),
        13..16 => Some(Depth::Digest),
        _ => None,
    };
    let step = |start: &Ms| {
        let random = &mut *builder.random;
        let chosen = pick(random, Depth::ALL);
        let depth = usual.unwrap_or(chosen);
        let (deadline, cancel) = match random.u8(..100) {
            0..6 => (Some(random.u64(1..times.confirm + 3 * times.walk)), None),
            6..9 => {
                let after = random.u64(0..times.confirm + 3 * times.walk);
                (None, Some(Cancel::After(after)))
            }
            9..12 => (None, Some(Cancel::AtRequest(random.u64(0..60)))),
            _ => (None, None),
        };
        let is_new_process = random.u8(..8) == 0;
        let kind = random.u8(..100);
        let what = match kind {
            0..18 => wish(builder, times, *start).map_or(What::Sweep, What::Verify),
            18..20 => What::Nothing,
            _ => What::Sweep,
        };
        let is_verify = matches!(what, What::Verify(_));
        // `probe verify` looks again at once, unless it is told otherwise.
        let at_once = is_verify && builder.random.u8(..3) > 0;
        Step {
            at: *start,
            what,
            depth,
            confirm: if at_once { 0 } else { times.confirm },
            deadline,
            cancel,
            is_new_process,
        }
    };
    times.starts.iter().map(step).collect()
}

fn wish(builder: &mut Builder, times: &Times, at: Ms) -> Option<Wish> {
    let mut wish = Wish::default();
    let count = if builder.random.u8(..4) == 0 { 2 } else { 1 };
    for _ in 0..count {
        wish.images.extend(builder.image(at));
    }
    let random = &mut *builder.random;
    if random.bool() {
        wish.wait = random.u64(1..4 * times.confirm);
    }
    if random.u8(..4) == 0 {
        // Longer than any other pause, so that the log shows where it was.
        let longest = times.confirm.max(2000);
        wish.recheck = Some(2 * longest + random.u64(0..longest));
    }
    if random.u8(..3) == 0 {
        wish.platform = Some(pick(random, super::draw::PLATFORMS));
    }
    if wish.images.len() == 1 && random.u8(..5) < 2 {
        wish.digest = builder.expected(wish.images[0], at);
    }
    (!wish.images.is_empty()).then_some(wish)
}

/// How replicas are chosen, where there are several.
pub(crate) fn choice(random: &mut Rng) -> Choice {
    pick(
        random,
        &[Choice::ByTurn, Choice::AtRandom, Choice::ByConnection],
    )
}
