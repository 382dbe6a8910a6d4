//! Worlds made by hand and swept, so that what the sweep said can be told otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use registry_probe::oci::Repository;
use registry_probe::registry::Depth;
use registry_probe::render::metrics;
use registry_probe::report::{Record, Sweep, Verdict};

use super::content::{Content, ObjectId};
use super::oracle::{Case, Class, Past, verify};
use super::plan::Wish;
use super::registry::{Asked, Shared};
use super::run::{REGISTRY, failures, sweep_once};
use super::view::View;
use super::world::{Choice, Health, Line, Ms, Question, Reply, Repo, World};

const NAMES: [&str; 3] = ["app", "data", "old"];

/// Three repositories, each with an image `v0` for amd64 and an index `v1` for two platforms.
pub(crate) fn shelf() -> World {
    let mut content = Content::default();
    let mut repos = Vec::new();
    for (number, name) in (0..).zip(NAMES) {
        let mut image = |part: u64, platform| {
            let layer = content.layer(10 * number + part);
            content.image(10 * number + part, platform, &[layer])
        };
        let alone = image(0, "linux/amd64");
        let children = [image(1, "linux/amd64"), image(2, "linux/arm64")];
        let index = content.index(&children);
        let mut links = BTreeMap::new();
        for id in content.below(alone).into_iter().chain(content.below(index)) {
            links.insert(id, Line::always(Health::There));
        }
        let tag = |name: &str, root| (name.parse().expect("a tag"), Line::always(Some(root)));
        repos.push(Repo {
            name: name.parse().expect("a name"),
            is_there: Line::always(true),
            is_unknown_without_tags: false,
            tags: vec![tag("v0", alone), tag("v1", index)],
            links,
        });
    }
    World {
        seed: 1,
        content,
        repos,
        lags: vec![0],
        choice: Choice::ByTurn,
        windows: Vec::new(),
        latency: 4,
        states_no_digest: false,
        is_page_its_404: false,
        changes: Vec::new(),
    }
}

/// The second of two sweeps of a world, which may be told otherwise than it was.
pub(crate) struct Scene {
    pub(crate) shared: Arc<Shared>,
    pub(crate) before: Record,
    pub(crate) after: Record,
    pub(crate) sweep: Sweep,
    pub(crate) log: Vec<Asked>,
    pub(crate) from: Ms,
    pub(crate) to: Ms,
    pub(crate) past: Vec<Past>,
}

impl Scene {
    pub(crate) fn of(change: impl FnOnce(&mut World)) -> Self {
        let mut world = shelf();
        change(&mut world);
        world.note_changes();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.expect("a runtime").block_on(async {
            let shared = Shared::new(world);
            let mut before = Record::new(REGISTRY);
            before.absorb(sweep_once(&shared, &before).await);
            shared.take_log();
            tokio::time::sleep(Duration::from_secs(1)).await;
            let from = shared.now();
            let sweep = sweep_once(&shared, &before).await;
            let past = Past {
                tags: 2,
                ..Past::default()
            };
            let mut scene = Self {
                log: shared.take_log(),
                to: shared.now(),
                from,
                past: vec![past; NAMES.len()],
                after: before.clone(),
                before,
                sweep,
                shared,
            };
            scene.absorb();
            scene
        })
    }

    /// One with a layer of `app:v0` that is gone.
    pub(crate) fn broken() -> (Self, ObjectId) {
        let mut layer = 0;
        let scene = Self::of(|world| layer = break_layer(world));
        assert_eq!(scene.sweep.findings.len(), 1);
        (scene, layer)
    }

    pub(crate) fn intact() -> Self {
        let scene = Self::of(|_| {});
        assert_eq!(scene.sweep.verdict(), Verdict::Intact);
        scene
    }

    pub(crate) fn absorb(&mut self) {
        self.after = self.before.clone();
        self.after.absorb(self.sweep.clone());
    }

    pub(crate) fn view(&self) -> View<'_> {
        let world = &self.shared.world;
        View::new(world, &self.log, self.from, self.to, Depth::Tail)
    }

    pub(crate) fn classes(&self) -> BTreeSet<Class> {
        let series = |record| failures(&metrics::render(&[record]));
        self.classes_with(&series(&self.before), &series(&self.after))
    }

    pub(crate) fn classes_with(
        &self,
        series_before: &BTreeMap<Repository, u64>,
        series_after: &BTreeMap<Repository, u64>,
    ) -> BTreeSet<Class> {
        let case = Case {
            view: self.view(),
            sweep: &self.sweep,
            before: &self.before,
            after: &self.after,
            series_before,
            series_after,
            past: &self.past,
        };
        let lies = case.lies().into_iter();
        lies.map(|lie| lie.class).collect()
    }

    pub(crate) fn verify(&self, wish: &Wish) -> BTreeSet<Class> {
        let lies = verify(&self.view(), &self.sweep, wish).into_iter();
        lies.map(|lie| lie.class).collect()
    }

    /// Lets a question have been answered otherwise, whenever it was asked.
    pub(crate) fn answer(&mut self, is_it: impl Fn(Question) -> bool, reply: Reply) {
        let log = self.log.iter_mut();
        for asked in log.filter(|asked| is_it(asked.question)) {
            asked.reply = reply;
        }
    }

    pub(crate) fn clear_findings(&mut self) {
        self.sweep.findings.clear();
        let results = self.sweep.repositories.iter_mut();
        results.for_each(|result| result.broken = 0);
        self.absorb();
    }
}

/// Takes a layer of `app:v0` away.
pub(crate) fn break_layer(world: &mut World) -> ObjectId {
    let root = world.tag(0, 0, 0).expect("it is there");
    let layer = world.content.objects[root].promises[1];
    world.repos[0]
        .links
        .insert(layer, Line::always(Health::Gone));
    layer
}
