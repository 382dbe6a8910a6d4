//! Named images against what their owner expects of them: looked at until a push has settled, and
//! again some time after it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Policy;
use super::progress::WaitReason;
use super::waiting::{Waiting, wrong};
use crate::oci::{Digest, MediaKind};
use crate::registry::{Answer, Registry};
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{
    Expected, Image, Kind, Node, Platform, Reason, Record, SkipReason, State, Sweep, Unmet,
    UnverifiedObjects,
};

/// Between two looks at what a push has not brought yet.
const PAUSE: Duration = Duration::from_secs(2);

/// What is expected of the images that a policy names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    /// The manifest that each name has to lead to.
    pub digest: Option<Digest>,
    /// The platforms that each image has to be there for.
    pub platforms: Vec<Platform>,
    /// How long a push may take to settle: what is not there is looked for again until then.
    pub wait: Duration,
    /// When to look at what is intact once more: a clean-up may race with the push.
    pub recheck_after: Option<Duration>,
}

/// Sweeps the images that a policy names, from the top each time and as often as the expectations ask for
/// it. Gives the last of these sweeps with what was not as expected, and says how a wait ended.
pub async fn verify<R: Registry>(
    registry: &R,
    policy: &Policy,
    expectations: &Expectations,
    cancel: &CancellationToken,
) -> Sweep {
    let policy = Policy {
        is_repeated: !expectations.wait.is_zero(),
        ..policy.clone()
    };
    let verify = Verify {
        policy: &policy,
        expectations,
        cancel,
    };
    let start = Instant::now();
    let mut waiting = Waiting::default();
    let mut sweep = verify.look(registry).await;
    loop {
        let left = expectations.wait.saturating_sub(start.elapsed());
        if left.is_zero() || cancel.is_cancelled() || !may_settle(&sweep) {
            break;
        }
        if let Some(line) = waiting.say(wrong(&sweep), Instant::now(), left) {
            tracing::warn!("{line}");
        }
        verify.pause(WaitReason::Push, PAUSE.min(left)).await;
        sweep = verify.look(&registry.reconnected()).await;
    }
    if let Some(after) = expectations.recheck_after
        && is_whole(&sweep)
    {
        verify.pause(WaitReason::Recheck, after).await;
        sweep = verify.look(&registry.reconnected()).await;
    }
    if !expectations.wait.is_zero() && !is_whole(&sweep) && !cancel.is_cancelled() {
        let waited = humantime::format_duration(expectations.wait);
        let last = Duration::from_secs(start.elapsed().as_secs());
        let last = humantime::format_duration(last);
        sweep.warnings.push(if may_settle(&sweep) {
            format!("the {waited} of --wait were up: not whole after {last}")
        } else {
            let detail =
                "what is wrong is refused, damaged or too late, and does not change by waiting";
            format!("not waited for any longer after {last}: {detail}")
        });
    }
    sweep
}

/// Whether everything is as promised and as expected.
fn is_whole(sweep: &Sweep) -> bool {
    sweep.findings.is_empty() && sweep.unmet.is_empty() && sweep.is_complete()
}

/// What every look at the named images goes by.
struct Verify<'a> {
    policy: &'a Policy,
    expectations: &'a Expectations,
    cancel: &'a CancellationToken,
}

impl Verify<'_> {
    async fn pause(&self, why: WaitReason, time: Duration) {
        tokio::select! {
            () = self.policy.progress.sleep(why, time) => {}
            // A sweep that is cancelled before it begins says so.
            () = self.cancel.cancelled() => {}
        }
    }

    /// A sweep, and what was expected of it and not so. As nothing is called broken on one look, nothing is
    /// called unmet on one: it is looked at again, and two seconds later once more.
    async fn look<R: Registry>(&self, registry: &R) -> Sweep {
        // Large, and awaited in many places.
        let mut sweep = Box::pin(self.sweep(registry)).await;
        for wait in [self.policy.confirm_after, PAUSE] {
            if sweep.unmet.is_empty() {
                break;
            }
            // Where it is cancelled meanwhile, the next look says so, and there is no verdict on one.
            self.pause(WaitReason::SecondLook, wait).await;
            sweep = Box::pin(self.sweep(&registry.reconnected())).await;
        }
        sweep
    }

    async fn sweep<R: Registry>(&self, registry: &R) -> Sweep {
        let end = self.policy.deadline.map(|length| Instant::now() + length);
        let nothing = Record::new(self.policy.registry.clone());
        let mut sweep = super::sweep(registry, self.policy, &nothing, self.cancel).await;
        let deadline = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let cut_short = |reason| {
            let detail = "the platforms of the images were not all read";
            let mut told = sweep.unverified.iter();
            if told.any(|group| group.why.reason == reason) {
                return (Vec::new(), Vec::new());
            }
            let unverified = UnverifiedObjects {
                repository: None,
                why: Unverified::new(reason, detail),
                count: 1,
            };
            (Vec::new(), vec![unverified])
        };
        let (unmet, unverified) = tokio::select! {
            biased;
            () = self.cancel.cancelled() => cut_short(UnverifiedReason::Cancelled),
            compared = compare(registry, &sweep, self.expectations) => compared,
            () = deadline => cut_short(UnverifiedReason::Deadline),
        };
        sweep.unmet = unmet;
        sweep.unverified.extend(unverified);
        sweep
    }
}

/// Whether what is not as it should be may yet become so: everything but what a person has to change first, and
/// bytes that are wrong.
fn may_settle(sweep: &Sweep) -> bool {
    let is_lasting = |reason| {
        use UnverifiedReason as R;
        matches!(
            reason,
            R::Unauthorized
                | R::Forbidden
                | R::StorageRefused
                | R::UnknownRepository
                | R::Tls
                | R::Deadline
                | R::Cancelled
        )
    };
    let is_damaged = |reason| {
        use Reason as R;
        matches!(
            reason,
            R::DigestMismatch
                | R::SizeMismatch
                | R::InvalidManifest
                | R::Contradiction
                | R::UnpackFailed
        )
    };
    let mut reasons = sweep.unverified.iter().map(|group| group.why.reason);
    let mut damages = sweep.findings.iter().map(|found| found.defect.reason);
    !is_whole(sweep) && !reasons.any(is_lasting) && !damages.any(is_damaged)
}

/// Compares the images of a sweep with what is expected of them. Gives what is unmet and what could not be
/// found out. What is broken or unverified is neither met nor unmet: the sweep says so already.
async fn compare<R: Registry>(
    registry: &R,
    sweep: &Sweep,
    expectations: &Expectations,
) -> (Vec<Unmet>, Vec<UnverifiedObjects>) {
    let (mut unmet, mut unverified) = (Vec::new(), Vec::new());
    for image in &sweep.images {
        let mut miss = |expected, observed: &str| {
            unmet.push(Unmet {
                image: image.name().into(),
                expected,
                observed: observed.into(),
            });
        };
        if let (Some(expected), Some(digest)) = (&expectations.digest, &image.root.digest)
            && expected != digest
        {
            let observed = format!("it leads to {digest}");
            miss(Expected::Digest(expected.clone()), &observed);
        }
        match missing(registry, image, &expectations.platforms).await {
            Ok(Missing { platforms, there }) => {
                let observed = match there.as_slice() {
                    [] => "it states no platform".to_owned(),
                    there => format!("it is for {}", there.join(", ")),
                };
                for expected in platforms {
                    miss(Expected::Platform(expected.clone()), &observed);
                }
            }
            Err(why) => unverified.push(UnverifiedObjects {
                repository: Some(image.repository.clone()),
                why,
                count: 1,
            }),
        }
    }
    (unmet, unverified)
}

/// Platforms that an image is not there for, and those that it is there for.
#[derive(Default)]
struct Missing<'a> {
    platforms: Vec<&'a Platform>,
    there: Vec<String>,
}

/// Which of the platforms an image is not there for.
async fn missing<'a, R: Registry>(
    registry: &R,
    image: &Image,
    expected: &'a [Platform],
) -> Result<Missing<'a>, Unverified> {
    let root = &image.root;
    let (mut there, mut untold) = (Vec::new(), Vec::new());
    match root.document {
        // The sweep says why it was not read.
        None => return Ok(Missing::default()),
        Some(MediaKind::Index) => stated(&root.children, &mut there, &mut untold),
        Some(_) => untold.push(root),
    }
    let lacks = |there: &[String]| {
        let is_missing = |platform: &&Platform| !there.iter().any(|text| is_for(text, platform));
        expected.iter().filter(is_missing).collect::<Vec<_>>()
    };
    let mut is_all_read = true;
    for image_node in untold {
        if lacks(&there).is_empty() {
            break;
        }
        match of_config(registry, image, image_node).await? {
            Config::States(platform) if !there.contains(&platform) => there.push(platform),
            Config::States(_) | Config::StatesNone => {}
            Config::Unread => is_all_read = false,
        }
    }
    let platforms = if is_all_read {
        lacks(&there)
    } else {
        Vec::new()
    };
    Ok(Missing { platforms, there })
}

fn is_for(stated: &str, expected: &Platform) -> bool {
    stated
        .parse::<Platform>()
        .is_ok_and(|stated| stated == *expected)
}

/// The platforms of the children that are there, and of theirs; and those among them for which none is
/// stated.
fn stated<'a>(children: &'a [Node], there: &mut Vec<String>, untold: &mut Vec<&'a Node>) {
    for child in children.iter().filter(|child| child.kind == Kind::Child) {
        let platform = child.platform.as_ref().map(ToString::to_string);
        let is_there = child.state != State::Absent;
        if platform.is_none() && is_there && child.document != Some(MediaKind::Index) {
            untold.push(child);
        }
        if is_there && let Some(platform) = platform.filter(|platform| !there.contains(platform)) {
            there.push(platform);
        }
        stated(&child.children, there, untold);
    }
}

/// What the config of an image says of its platform.
enum Config {
    States(String),
    /// It states none, or the image has no config.
    StatesNone,
    /// It is broken or unverified, which the sweep says.
    Unread,
}

/// The platform of an image that is no index, as its config states it; `None` if it states none, or is
/// an index, or was not there to be read.
///
/// # Errors
///
/// If the registry gives no answer to go by.
pub async fn platform<R: Registry>(
    registry: &R,
    image: &Image,
) -> Result<Option<String>, Unverified> {
    let mut children = image.root.children.iter();
    if !children.any(|child| child.kind == Kind::Config && child.state == State::Intact) {
        return Ok(None);
    }
    match of_config(registry, image, &image.root).await? {
        Config::States(platform) => Ok(Some(platform)),
        Config::StatesNone | Config::Unread => Ok(None),
    }
}

/// Reads the config of an image, or of one of its children.
async fn of_config<R: Registry>(
    registry: &R,
    image: &Image,
    node: &Node,
) -> Result<Config, Unverified> {
    if node.document.is_none() {
        return Ok(Config::Unread);
    }
    let mut children = node.children.iter();
    let config = children.find(|child| child.kind == Kind::Config);
    let Some((config, digest)) = config.and_then(|it| Some((it, it.digest.as_ref()?))) else {
        return Ok(Config::StatesNone);
    };
    match &config.state {
        State::Broken(_) | State::Unverified(_) | State::Changed => return Ok(Config::Unread),
        State::Skipped(SkipReason::InlineData) => return Ok(Config::StatesNone),
        // Whoever names a platform wants to know.
        State::Intact | State::Skipped(_) | State::Absent => {}
    }
    let unread = |what: String| {
        let detail = format!("its platform is not known: {what}");
        Unverified::new(UnverifiedReason::RegistryError, detail)
    };
    match registry.config(&image.repository, digest).await {
        Answer::Found(body) => Ok(Platform::of_config(&body.bytes)
            .map_or(Config::StatesNone, |found| {
                Config::States(found.to_string())
            })),
        Answer::Unverified(why) => Err(why),
        Answer::Absent(refusal) | Answer::Failing(refusal) => Err(unread(format!(
            "{} answers {}",
            refusal.request, refusal.status
        ))),
    }
}
