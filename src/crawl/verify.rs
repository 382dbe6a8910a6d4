//! Named images against what their owner expects of them: looked at until a push has settled, and
//! again some time after it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Policy;
use super::progress::WaitReason;
use crate::model::{
    Digest, Expected, Image, Kind, MediaKind, Node, Obstacle, Platform, Reason, Record, State,
    Sweep, Unmet, Unverified, printable,
};
use crate::registry::{Answer, Registry};

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

/// Sweeps the images that a policy names, as often as the expectations ask for it, and gives the last
/// of these sweeps with what was not as expected.
pub async fn verify<R: Registry>(
    registry: &R,
    policy: &Policy,
    known: &Record,
    expectations: &Expectations,
    cancel: &CancellationToken,
) -> Sweep {
    let start = Instant::now();
    let sweep = loop {
        let sweep = look(registry, policy, known, expectations, cancel).await;
        let left = expectations.wait.saturating_sub(start.elapsed());
        if left.is_zero() || cancel.is_cancelled() || !may_settle(&sweep) {
            break sweep;
        }
        pause(policy, WaitReason::Push, PAUSE.min(left), cancel).await;
    };
    let is_intact = sweep.is_complete() && sweep.findings.is_empty() && sweep.unmet.is_empty();
    match expectations.recheck_after {
        Some(after) if is_intact => {
            pause(policy, WaitReason::Recheck, after, cancel).await;
            look(&registry.reconnected(), policy, known, expectations, cancel).await
        }
        _ => sweep,
    }
}

async fn pause(policy: &Policy, why: WaitReason, time: Duration, cancel: &CancellationToken) {
    tokio::select! {
        () = policy.progress.sleep(why, time) => {}
        // A sweep that is cancelled before it begins says so.
        () = cancel.cancelled() => {}
    }
}

/// One sweep, and what was expected of it and not so. As nothing is called broken on one look, nothing
/// is called unmet on one.
async fn look<R: Registry>(
    registry: &R,
    policy: &Policy,
    known: &Record,
    expectations: &Expectations,
    cancel: &CancellationToken,
) -> Sweep {
    let mut sweep = super::sweep(registry, policy, known, cancel).await;
    unmet(registry, &mut sweep, expectations).await;
    if sweep.unmet.is_empty() {
        return sweep;
    }
    // Where it is cancelled meanwhile, that look says so, and there is no verdict on one.
    let fresh = registry.reconnected();
    let wait = policy.confirm_after;
    pause(policy, WaitReason::SecondLook, wait, cancel).await;
    let mut second = super::sweep(&fresh, policy, known, cancel).await;
    unmet(&fresh, &mut second, expectations).await;
    second
}

/// Whether what a sweep missed may still come: all of it is absence, another image, or an obstacle
/// that passes.
fn may_settle(sweep: &Sweep) -> bool {
    let is_absence = |reason| matches!(reason, Reason::NotFound | Reason::StorageMissing);
    let all_absent = sweep
        .findings
        .iter()
        .all(|finding| is_absence(finding.defect.reason));
    let all_pass = sweep
        .unverified
        .iter()
        .all(|group| group.obstacle.is_transient());
    let is_intact = sweep.findings.is_empty() && sweep.unmet.is_empty() && sweep.is_complete();
    !is_intact && all_absent && all_pass
}

/// Holds the images of a sweep against what is expected of them. What could not be seen is neither met
/// nor unmet: the sweep says already that it is broken or unverified.
async fn unmet<R: Registry>(registry: &R, sweep: &mut Sweep, expectations: &Expectations) {
    let mut unmet = Vec::new();
    for image in &sweep.images {
        let mut miss = |expected, observed| {
            unmet.push(Unmet {
                image: image.name(),
                expected,
                observed,
            });
        };
        if let (Some(expected), Some(digest)) = (&expectations.digest, &image.root.digest)
            && expected != digest
        {
            let observed = format!("it leads to {digest}");
            miss(Expected::Digest(expected.clone()), observed);
        }
        if expectations.platforms.is_empty() {
            continue;
        }
        match platforms(registry, image).await {
            Ok(Some(there)) => {
                for expected in &expectations.platforms {
                    if !there.iter().any(|text| is_for(text, expected)) {
                        let observed = match there.as_slice() {
                            [] => "it states no platform".to_owned(),
                            there => format!("it is for {}", there.join(", ")),
                        };
                        miss(Expected::Platform(expected.clone()), observed);
                    }
                }
            }
            Ok(None) => {}
            Err(obstacle) => sweep.unverified.push(Unverified {
                repository: Some(image.repository.clone()),
                obstacle,
                count: 1,
            }),
        }
    }
    sweep.unmet = unmet;
}

fn is_for(stated: &str, expected: &Platform) -> bool {
    stated
        .parse::<Platform>()
        .is_ok_and(|stated| stated == *expected)
}

/// The platforms that an image is there for; `None` if it could not be read that far.
async fn platforms<R: Registry>(
    registry: &R,
    image: &Image,
) -> Result<Option<Vec<String>>, Obstacle> {
    let root = &image.root;
    match root.document {
        Some(MediaKind::Index) => {
            let (mut there, mut untold) = (Vec::new(), Vec::new());
            stated(&root.children, &mut there, &mut untold);
            for child in untold {
                let platform = of_config(registry, image, child).await?;
                there.extend(platform.filter(|platform| !there.contains(platform)));
            }
            Ok(Some(there))
        }
        Some(_) => {
            let platform = platform(registry, image).await?;
            Ok(Some(platform.into_iter().collect()))
        }
        None => Ok(None),
    }
}

/// The platforms of the children that are there, and of theirs; and the images among them for which
/// none is stated.
fn stated<'a>(children: &'a [Node], there: &mut Vec<String>, untold: &mut Vec<&'a Node>) {
    for child in children.iter().filter(|child| child.kind == Kind::Child) {
        let platform = child.platform.as_deref().map(printable);
        if platform.is_none() && child.document == Some(MediaKind::Manifest) {
            untold.push(child);
        }
        if child.state != State::Absent
            && let Some(platform) = platform.filter(|platform| !there.contains(platform))
        {
            there.push(platform);
        }
        stated(&child.children, there, untold);
    }
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
) -> Result<Option<String>, Obstacle> {
    of_config(registry, image, &image.root).await
}

/// The platform that the config of an image states, or of one of its children.
async fn of_config<R: Registry>(
    registry: &R,
    image: &Image,
    node: &Node,
) -> Result<Option<String>, Obstacle> {
    let config = node.children.iter();
    let mut config =
        config.filter(|child| child.kind == Kind::Config && child.state == State::Intact);
    let Some(digest) = config.next().and_then(|config| config.digest.as_ref()) else {
        return Ok(None);
    };
    match registry.config(&image.repository, digest).await {
        Answer::Found(body) => Ok(Platform::of_config(&body.bytes).map(|p| p.to_string())),
        Answer::Unknown(obstacle) => Err(obstacle),
        // It was there a moment ago: the next sweep says what became of it.
        Answer::Absent(_) | Answer::Failing(_) => Ok(None),
    }
}
