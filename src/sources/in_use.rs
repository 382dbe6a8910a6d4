//! Which images unfinished pods run, gathered container by container: for each image as it is written, by whom.

use std::collections::{BTreeMap, HashMap};

use crate::oci::{Printable, shorten};
use crate::report::{Origin, Platform, Workload, windows_build};

/// Pods of an owner that are named.
const NAMED: usize = 3;
/// Images and their users that are kept. Whoever has more than that asks for a part of them (`--in-use-matcher`).
const MOST: usize = 400_000;
/// The longest name of an image: docker's is 255 bytes, and a tag and a digest may follow.
const LONGEST: usize = 500;

/// The images that are in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// By whom, for each image as the pods write it.
    pub images: BTreeMap<String, Vec<Workload>>,
    /// The same of containers for which no image is ever pulled: their nodes have it, or they do not start.
    pub never_pulled: BTreeMap<String, Vec<Workload>>,
    /// How many containers of unfinished pods there are.
    pub containers: u64,
}

/// A container of a pod, or a volume of one that is an image.
pub(super) struct Container<'a> {
    /// The image, as the pod writes it.
    pub(super) image: &'a str,
    /// Whose pod it is in, and how it is called there.
    pub(super) origin: Origin,
    pub(super) pod: &'a str,
    /// Empty where the pod has none yet.
    pub(super) node: &'a str,
    pub(super) has_run: bool,
    /// Whether its start may pull the image.
    pub(super) may_pull: bool,
}

/// Whose pods use an image, whether the container has run, and on which node.
type User = (Origin, bool, Box<str>);

/// The users of images, by the images.
type Users = HashMap<Box<str>, HashMap<User, Pods>>;

/// What is known so far.
#[derive(Default)]
pub(super) struct Gathering {
    images: Users,
    never_pulled: Users,
    /// `None` where nodes of one name have several: they are of several clusters.
    platforms: HashMap<String, Option<Platform>>,
    /// The builds of Windows, likewise.
    builds: HashMap<String, Option<Printable>>,
    users: usize,
    containers: u64,
}

#[derive(Default)]
struct Pods {
    count: u64,
    names: Vec<Printable>,
}

impl Gathering {
    /// Notes a container of a pod that has not finished.
    ///
    /// # Errors
    ///
    /// If there are more than are kept.
    pub(super) fn add(&mut self, container: Container<'_>) -> Result<(), String> {
        // One that is too long to be a name is none in its short form, either.
        let image = match container.image.trim() {
            "" => return Ok(()),
            long if long.len() > LONGEST => &shorten(long, 100),
            image => image,
        };
        self.containers += u64::from(container.origin.container.is_some());
        let images = if container.may_pull {
            &mut self.images
        } else {
            &mut self.never_pulled
        };
        if !images.contains_key(image) {
            images.insert(image.into(), HashMap::new());
        }
        let users = images.entry(image.into()).or_default();
        let key = (container.origin, container.has_run, container.node.into());
        let pods = users.entry(key).or_insert_with(|| {
            self.users += 1;
            Pods::default()
        });
        pods.count += 1;
        let name = Printable::from(container.pod);
        if pods.names.len() < NAMED && !pods.names.contains(&name) {
            pods.names.push(name);
        }
        if self.users > MOST {
            return Err(format!("it tells of more than {MOST} users of images"));
        }
        Ok(())
    }

    /// Notes the platform of a node.
    pub(super) fn node(&mut self, name: &str, os: &str, architecture: &str) {
        if let Ok(platform) = format!("{os}/{architecture}").parse() {
            note(&mut self.platforms, name, platform);
        }
    }

    /// Notes the version of a node's kernel, which says of Windows what it runs.
    pub(super) fn kernel(&mut self, name: &str, version: &str) {
        if let Some(build) = windows_build(version).filter(|_| version.starts_with("10.")) {
            note(&mut self.builds, name, build.into());
        }
    }

    /// What all of it comes to: nodes of one platform are alike.
    pub(super) fn finish(self) -> InUse {
        let (platforms, builds) = (self.platforms, self.builds);
        let told = |(image, users): (Box<str>, HashMap<User, Pods>)| {
            let mut users: Vec<_> = users.into_iter().collect();
            users.sort_by(|(one, _), (other, _)| one.cmp(other));
            let mut workloads = Vec::<Workload>::new();
            for ((origin, has_run, node), pods) in users {
                let platform = platforms.get(&*node).and_then(Option::as_ref);
                let is_windows = platform.is_some_and(|it| it.to_string().starts_with("windows/"));
                let build = builds
                    .get(&*node)
                    .and_then(Option::as_ref)
                    .filter(|_| is_windows);
                let is_alike = |known: &&mut Workload| {
                    known.origin == origin
                        && known.has_run == has_run
                        && known.platform.as_ref() == platform
                        && known.os_version.as_ref() == build
                };
                // Those of one origin stand together.
                if let Some(known) = workloads.iter_mut().rev().take(8).find(is_alike) {
                    known.pods += pods.count;
                    known.names.extend(pods.names);
                    known.names.truncate(NAMED);
                } else {
                    workloads.push(Workload {
                        origin,
                        pods: pods.count,
                        names: pods.names,
                        platform: platform.cloned(),
                        os_version: build.cloned(),
                        has_run,
                    });
                }
            }
            (image.into(), workloads)
        };
        InUse {
            images: self.images.into_iter().map(told).collect(),
            never_pulled: self.never_pulled.into_iter().map(told).collect(),
            containers: self.containers,
        }
    }
}

/// Notes what nodes of a name have; two that differ are of two clusters.
fn note<T: PartialEq>(nodes: &mut HashMap<String, Option<T>>, name: &str, value: T) {
    let value = Some(value);
    match nodes.get_mut(name) {
        Some(known) if *known != value => *known = None,
        Some(_) => {}
        None => _ = nodes.insert(name.to_owned(), value),
    }
}
