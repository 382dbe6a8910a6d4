//! Which images unfinished pods run, gathered container by container: for each image as it is written, by whom.

use std::collections::{BTreeMap, HashMap};

use crate::oci::Printable;
use crate::report::{Origin, Platform, Workload};

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
}

/// Whose pods use an image, whether the container has run, and on which node.
type User = (Origin, bool, Box<str>);

/// What is known so far.
#[derive(Default)]
pub(super) struct Gathering {
    images: HashMap<Box<str>, HashMap<User, Pods>>,
    /// `None` where nodes of one name have several: they are of several clusters.
    platforms: HashMap<String, Option<Platform>>,
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
        let image = container.image.trim();
        if image.is_empty() || image.len() > LONGEST {
            return Ok(());
        }
        self.containers += u64::from(container.origin.container.is_some());
        if !self.images.contains_key(image) {
            self.images.insert(image.into(), HashMap::new());
        }
        let users = self.images.entry(image.into()).or_default();
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
            let platform = Some(platform);
            let known = self.platforms.entry(name.to_owned());
            let known = known.or_insert_with(|| platform.clone());
            if *known != platform {
                *known = None;
            }
        }
    }

    /// What all of it comes to: nodes of one platform are alike.
    pub(super) fn finish(self) -> InUse {
        let platforms = self.platforms;
        let images = self.images.into_iter().map(|(image, users)| {
            let mut users: Vec<_> = users.into_iter().collect();
            users.sort_by(|(one, _), (other, _)| one.cmp(other));
            let mut workloads = Vec::<Workload>::new();
            for ((origin, has_run, node), pods) in users {
                let platform = platforms.get(&*node).and_then(Option::as_ref);
                let is_alike = |known: &&mut Workload| {
                    known.origin == origin
                        && known.has_run == has_run
                        && known.platform.as_ref() == platform
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
                        has_run,
                    });
                }
            }
            (image.into(), workloads)
        });
        InUse {
            images: images.collect(),
            containers: self.containers,
        }
    }
}
