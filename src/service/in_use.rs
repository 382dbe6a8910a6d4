//! Images in use beside a sweep: which of them are this registry's is learnt before it, so that it notes what it sees
//! of them, and what is not listed is asked for after it. Whatever the source does, the sweep is as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Target;
use super::image_names::{Names, NoName};
use crate::oci::Printable;
use crate::registry::client::QueryApi;
use crate::registry::{Registry, Traffic};
use crate::report::{InUseResult, InUseUnknown, Mode, Record, Sweep, Wrong};
use crate::sources::kube_state_metrics::{self, Reading};
use crate::sources::{InUse, pods};
use crate::sweep::{
    self, Inventory, Judgement, ManifestPolicy, Policy, Scope, Sights, Source, UsedImage,
};

/// For how long a source that tells of less than half of what it told last counts as away: after that the cluster is
/// smaller.
const LONGEST_DOUBT: Duration = Duration::from_secs(24 * 3600);

/// How long a sweep waits for what is in use.
const LONGEST_READ: Duration = Duration::from_secs(45);

/// Where to learn which images are in use.
#[derive(Clone, Debug)]
pub struct InUseSource {
    /// What it is called in reports.
    pub name: Printable,
    /// Whether there may be pods in other clusters that it does not tell of.
    pub is_part: bool,
    /// Where it is.
    pub place: InUsePlace,
}

/// Where the images in use are told.
#[derive(Clone, Debug)]
pub enum InUsePlace {
    /// By a Prometheus that scrapes kube-state-metrics.
    Prometheus {
        /// How it is asked.
        api: Box<QueryApi>,
        /// Which of its series are taken.
        matcher: Option<String>,
    },
    /// In a file that kubectl wrote.
    File {
        /// Its path.
        path: PathBuf,
        /// When it was written at the earliest.
        max_age: Duration,
    },
}

impl InUseSource {
    /// The images in use that are of a target's registry and in its scope.
    ///
    /// # Errors
    ///
    /// Why it tells nothing that could be relied on.
    pub async fn images(&self, target: &Target) -> Result<Vec<UsedImage>, String> {
        let read = tokio::time::timeout(LONGEST_READ, self.read()).await;
        let mut in_use = read.unwrap_or_else(|_| Err("it does not tell it in time".to_owned()))?;
        // What is never pulled is on nodes, and lost with them: it is kept, too.
        for (image, workloads) in std::mem::take(&mut in_use.never_pulled) {
            in_use.images.entry(image).or_default().extend(workloads);
        }
        let names = Names::of(&target.http);
        let (mut result, all) = (InUseResult::default(), in_use.images.len() as u64);
        let images = own(in_use, &names, &target.policy, &mut result);
        if result.images_of_others + result.invalid.len() as u64 == all {
            // Who feeds deletions by this would delete all that is in use.
            let why = "nothing in it is of this registry; is --public-name what pods call it?";
            return Err(why.to_owned());
        }
        Ok(images)
    }

    /// The images in use.
    ///
    /// # Errors
    ///
    /// Why it tells nothing that could be relied on.
    pub async fn read(&self) -> Result<InUse, String> {
        let in_use = match &self.place {
            InUsePlace::Prometheus { api, matcher } => {
                let mut reading = Reading::default();
                let queries = kube_state_metrics::queries(matcher.as_deref());
                api.ask(&queries, |number, answer| reading.take(number, answer))
                    .await?;
                reading.finish()?
            }
            InUsePlace::File { path, max_age } => {
                let (path, max_age) = (path.clone(), *max_age);
                let read = tokio::task::spawn_blocking(move || read_file(&path, max_age));
                read.await.unwrap_or_else(|fault| Err(fault.to_string()))?
            }
        };
        if in_use.containers == 0 {
            return Err("it tells of no containers".to_owned());
        }
        Ok(in_use)
    }
}

fn read_file(path: &Path, max_age: Duration) -> Result<InUse, String> {
    let failed =
        |error: std::io::Error| format!("it cannot be read: {}", crate::words::plain(&error));
    let metadata = std::fs::metadata(path).map_err(failed)?;
    // To open a pipe would wait for somebody who writes into it.
    if !metadata.is_file() {
        return Err("it is no plain file".to_owned());
    }
    let written = metadata.modified().map_err(failed)?;
    let age = SystemTime::now()
        .duration_since(written)
        .unwrap_or_default();
    if age > max_age {
        let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
        let max_age = humantime::format_duration(max_age);
        return Err(format!(
            "it was written {age} ago, and --in-use-max-age is {max_age}"
        ));
    }
    pods::read(std::fs::File::open(path).map_err(failed)?)
}

/// The images in use of one registry, from before its sweep to after it.
pub struct InUseWatch {
    result: InUseResult,
    images: Vec<UsedImage>,
    /// Images that were known to lack the platform of a node.
    lacking: BTreeSet<Printable>,
    inventory: Arc<Inventory>,
}

impl InUseWatch {
    /// Reads a source, if there is one, and has the sweep of `policy` note what it sees of the images in use.
    pub async fn begin(
        target: &mut Target,
        known: &Record,
        cancel: &CancellationToken,
    ) -> Option<Self> {
        let source = target.in_use.as_ref()?;
        let (http, policy) = (&target.http, &mut target.policy);
        let read = tokio::select! {
            biased;
            () = cancel.cancelled() => Err("it was told to stop".to_owned()),
            read = tokio::time::timeout(LONGEST_READ, source.read()) => {
                read.unwrap_or_else(|_| Err("it does not tell it in time".to_owned()))
            }
        };
        let read = read.and_then(|in_use| {
            let known = known
                .in_use
                .as_ref()
                .filter(|known| known.source == source.name);
            check_size(&in_use, known).map(|()| in_use)
        });
        let mut result = match &read {
            Ok(in_use) => InUseResult {
                source: source.name.clone(),
                read_at: Some(SystemTime::now()),
                containers: in_use.containers,
                ..InUseResult::default()
            },
            Err(why) => {
                tracing::warn!(
                    registry = policy.registry,
                    "--in-use {}: {why}",
                    source.name
                );
                InUseResult::away(source.name.clone(), why)
            }
        };
        result.is_part = source.is_part;
        let names = Names::of(http);
        let images = own(read.unwrap_or_default(), &names, policy, &mut result);
        result.images = images.len() as u64;
        let wanted = images
            .iter()
            .map(|image| (image.repository.clone(), image.reference.clone()));
        let inventory = Arc::new(Inventory::of(wanted.collect()));
        policy.inventory = Some(Arc::clone(&inventory));
        Some(Self {
            result,
            images,
            lacking: known.in_use.as_ref().map(lacking).unwrap_or_default(),
            inventory,
        })
    }

    /// If there is a watch, judges the images by what the sweep saw, asks for those that it did not see, and adds what comes of it.
    pub async fn end<R: Registry>(
        watch: Option<Self>,
        registry: &R,
        policy: &Policy,
        swept: &mut Sweep,
        cancel: &CancellationToken,
    ) {
        let Some(mut this) = watch else {
            return;
        };
        let seen = this.inventory.take();
        let images = std::mem::take(&mut this.images);
        let is_mirror = policy.mode == Mode::Mirror;
        let sights = Sights::new(swept, &seen, true);
        let unseen = this.judge(images, &sights);
        // Of a registry that shows nothing, images would be missed for no fault of theirs.
        let is_blind = !swept.is_complete() && swept.counts.tags.checked == 0;
        let is_in_doubt = is_blind || swept.is_storage_unavailable() || cancel.is_cancelled();
        let unseen = if is_in_doubt {
            unseen
        } else {
            this.withhold(unseen, registry, cancel).await
        };
        if !unseen.is_empty() && !is_in_doubt {
            let took = swept.finished_at.duration_since(swept.started_at);
            let left = |length: Duration| length.saturating_sub(took.unwrap_or_default());
            let inventory = Arc::new(Inventory::of_all());
            let named = unseen
                .iter()
                .map(|image| (image.repository.clone(), image.reference.clone()));
            let policy = Policy {
                scope: Scope::new(Source::Images(sweep::with_control(named.collect(), &seen))),
                inventory: Some(Arc::clone(&inventory)),
                // What is remembered is of whole sweeps.
                manifests: ManifestPolicy {
                    known: None,
                    ..policy.manifests.clone()
                },
                deadline: policy.deadline.map(left),
                // What a mirror leaves out is told by whether a node needs it.
                mode: if is_mirror {
                    Mode::Private
                } else {
                    policy.mode
                },
                ..policy.clone()
            };
            let nothing = Record::new(policy.registry.clone());
            let asked = Box::pin(sweep::sweep(registry, &policy, &nothing, cancel)).await;
            let seen = inventory.take();
            let sights = Sights::new(&asked, &seen, false).of_mirror(is_mirror);
            let rest = this.judge(unseen, &sights);
            this.give_up(rest);
            let Traffic { requests, bytes } = registry.traffic();
            (swept.counts.requests, swept.counts.bytes) = (requests, bytes);
        } else {
            this.give_up(unseen);
        }
        swept.in_use = Some(this.result);
    }

    /// Notes what a sweep says of images. Gives those of which it says nothing.
    fn judge(&mut self, images: Vec<UsedImage>, sights: &Sights<'_>) -> Vec<UsedImage> {
        let mut unseen = Vec::new();
        for image in images {
            match sights.judge(&image) {
                Judgement::NotSeen => unseen.push(image),
                Judgement::Unknown => {
                    self.unknown(image, "something in its repository could not be verified");
                }
                Judgement::Judged(findings) if findings.is_empty() && self.may_lack(&image) => {
                    self.unknown(image, "the platforms of its nodes are not known any more");
                }
                Judgement::Judged(findings) => {
                    for finding in &findings {
                        self.result.found(finding);
                    }
                    let workloads = sights.left_out(&image);
                    if !workloads.is_empty() {
                        unseen.push(UsedImage { workloads, ..image });
                    }
                }
            }
        }
        unseen
    }

    /// Whether an image was known to lack the platform of a node, and a node of it has none now: the source leaves
    /// platforms out for a while, or a pod has no node yet.
    fn may_lack(&self, image: &UsedImage) -> bool {
        let mut users = image.workloads.iter();
        self.lacking.contains(&Printable::from(&image.written))
            && users.any(|user| user.platform.is_none())
    }

    /// Gives those that are asked for, and says why of the others.
    async fn withhold<R: Registry>(
        &mut self,
        images: Vec<UsedImage>,
        registry: &R,
        cancel: &CancellationToken,
    ) -> Vec<UsedImage> {
        let name = |image: &UsedImage| (image.repository.clone(), image.reference.clone());
        let named: Vec<_> = images.iter().map(name).collect();
        let withheld = tokio::select! {
            withheld = registry.withheld(&named) => withheld,
            // A sweep that is cancelled asks for nothing.
            () = cancel.cancelled() => Vec::new(),
        };
        let withheld: BTreeMap<_, _> = withheld.into_iter().collect();
        let mut asked = Vec::new();
        for image in images {
            match withheld.get(&name(&image)) {
                Some(why) => {
                    let advice = why.advice.as_deref().map(|advice| format!(": {advice}"));
                    let detail = format!("{}{}", why.detail, advice.unwrap_or_default());
                    self.unknown(image, &detail);
                }
                None => asked.push(image),
            }
        }
        asked
    }

    fn give_up(&mut self, images: Vec<UsedImage>) {
        for image in images {
            self.unknown(image, "it could not be asked for");
        }
    }

    fn unknown(&mut self, image: UsedImage, detail: &str) {
        self.result.unverified.push(InUseUnknown {
            image: image.written.into(),
            detail: detail.into(),
            workloads: image.workloads,
        });
    }
}

/// The images that are of the registry of these names and in scope. Those of others are counted, and names that are
/// none are told.
fn own(in_use: InUse, names: &Names, policy: &Policy, result: &mut InUseResult) -> Vec<UsedImage> {
    let mut images = Vec::new();
    for (written, workloads) in in_use.images {
        match names.read(&written) {
            Ok(Some((repository, reference))) if policy.scope.takes(&repository) => {
                images.push(UsedImage {
                    written,
                    repository,
                    reference,
                    workloads,
                });
            }
            Ok(Some(_)) => {}
            Ok(None) => result.images_of_others += 1,
            Err(NoName) => result.invalid.push(InUseUnknown {
                image: written.into(),
                detail: "no runtime takes it for the name of an image".into(),
                workloads,
            }),
        }
    }
    let judged: BTreeSet<_> = images.iter().map(|image| &image.written).collect();
    let never = in_use.never_pulled.keys();
    let never = never.filter(|written| !judged.contains(written));
    let is_own = |written: &&String| match names.read(written) {
        Ok(Some((repository, _))) => policy.scope.takes(&repository),
        Ok(None) | Err(NoName) => false,
    };
    result.never_pulled = never.filter(is_own).count() as u64;
    images
}

/// The images that lack the platform of a node.
fn lacking(known: &InUseResult) -> BTreeSet<Printable> {
    let lacking = known.findings.iter();
    let lacking = lacking.filter(|found| found.reason == Wrong::PlatformMissing);
    lacking.map(|found| found.image.clone()).collect()
}

/// A source that suddenly tells of much less than it told last saw a part.
fn check_size(in_use: &InUse, known: Option<&InUseResult>) -> Result<(), String> {
    let Some((known, read_at)) = known.and_then(|known| Some((known.containers, known.read_at?)))
    else {
        return Ok(());
    };
    let age = SystemTime::now()
        .duration_since(read_at)
        .unwrap_or_default();
    if in_use.containers.saturating_mul(2) >= known || age > LONGEST_DOUBT {
        return Ok(());
    }
    let now = in_use.containers;
    Err(format!(
        "it tells of {now} containers, and of {known} before: that may be a part of them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Digest, Document, Reference};
    use crate::report::{Origin, Workload, fixture};
    use crate::sweep::Contents;

    /// A source that leaves out the platforms of nodes for a while mends nothing.
    #[test]
    fn a_platform_that_was_missed_stays_while_nodes_have_none() {
        let on = |platform: &str| Workload {
            origin: Origin::default(),
            pods: 1,
            names: Vec::new(),
            platform: platform.parse().ok(),
            os_version: None,
            has_run: true,
        };
        let image = |platform: &str| UsedImage {
            written: "r.example/app:1".into(),
            repository: "app".parse().expect("a name"),
            reference: Reference::Tag("1".parse().expect("a tag")),
            workloads: vec![on(platform)],
        };
        let root = Digest::sha256(b"root");
        let index = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{{\
             \"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"{root}\",\"size\":2,\
             \"platform\":{{\"os\":\"linux\",\"architecture\":\"amd64\"}}}}]}}"
        );
        let index = Document::parse(index.as_bytes(), None).expect("an index");
        let contents = Contents {
            tags: [("1".parse().expect("a tag"), root.clone())].into(),
            manifests: [(root, index)].into(),
            ..Contents::default()
        };
        let seen = [("app".parse().expect("a name"), contents)].into();
        let sweep = fixture::sweep();
        let judged = |known: &InUseResult, platform: &str| {
            let mut watch = InUseWatch {
                result: InUseResult::default(),
                images: Vec::new(),
                lacking: lacking(known),
                inventory: Arc::new(Inventory::of_all()),
            };
            let unseen = watch.judge(vec![image(platform)], &Sights::new(&sweep, &seen, true));
            assert!(unseen.is_empty());
            watch.result
        };
        let known = judged(&InUseResult::default(), "linux/arm64");
        assert_eq!(known.findings.len(), 1);
        let is_unverified = |known, platform| !judged(known, platform).unverified.is_empty();
        assert!(is_unverified(&known, ""));
        assert!(!is_unverified(&known, "linux/amd64"));
        assert!(!is_unverified(&InUseResult::default(), ""));
    }

    #[test]
    fn much_less_than_before_is_doubted_for_a_day() {
        let of = |containers| InUse {
            containers,
            ..InUse::default()
        };
        let known = |hours: u64| InUseResult {
            containers: 100,
            read_at: Some(SystemTime::now() - Duration::from_secs(hours * 3600)),
            ..InUseResult::default()
        };
        let check =
            |containers, known: &InUseResult| check_size(&of(containers), Some(known)).is_ok();
        assert!(check(50, &known(1)) && !check(49, &known(1)) && check(1, &known(25)));
        let three = InUseResult {
            containers: 3,
            ..known(1)
        };
        assert!(check(2, &three) && !check(1, &three));
        assert!(check_size(&of(1), None).is_ok());
        assert!(
            check(1, &InUseResult::away("s", "why")),
            "nothing was ever told"
        );
    }

    #[tokio::test]
    async fn a_file_tells_something_if_it_is_whole_and_new() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pods.json");
        let read = async |path: &Path, max_age: Duration| {
            let place = InUsePlace::File {
                path: path.to_owned(),
                max_age,
            };
            let name = "pods.json".into();
            InUseSource {
                name,
                is_part: false,
                place,
            }
            .read()
            .await
        };
        let hour = Duration::from_secs(3600);
        let write = |text: &str| std::fs::write(&path, text).expect("written");
        let pod = r#"{"spec":{"containers":[{"image":"a"}]}}"#;
        let error = async |path: &Path, age| read(path, age).await.expect_err("nothing");
        assert!(error(&path, hour).await.contains("it is not there"));
        assert!(error(folder.path(), hour).await.contains("no plain file"));
        write(r#"{"items":[]}"#);
        assert!(error(&path, hour).await.contains("no containers"));
        write(&format!("{{\"items\":[{pod}]}}"));
        assert_eq!(read(&path, hour).await.expect("it is new").containers, 1);
        let long_ago = SystemTime::now() - 2 * hour;
        let file = std::fs::File::options().write(true).open(&path);
        file.and_then(|file| file.set_modified(long_ago))
            .expect("set");
        assert!(
            error(&path, hour)
                .await
                .contains("ago, and --in-use-max-age is 1h")
        );
        assert!(read(&path, 3 * hour).await.is_ok());
    }
}
