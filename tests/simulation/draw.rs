//! The truth, drawn: repositories with images, some broken for good, and what clients do to them.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::content::{Content, Nature, ObjectId};
use super::fault::Window;
use super::plan::{Named, Story, Times, pick};
use super::world::{Choice, Health, Line, Ms, Repo, World};

pub(crate) const PLATFORMS: &[&str] = &["linux/amd64", "linux/arm64", "linux/s390x"];

const NAMES: &[&str] = &["app", "data", "old", "team/base", "team/web", "tools"];

/// More tags than a repository ever gets.
const MOST_TAGS: usize = 14;

/// A world in the making.
pub(crate) struct Builder<'a> {
    pub(crate) random: &'a mut Rng,
    pub(crate) content: Content,
    pub(crate) repos: Vec<Repo>,
    pub(crate) choice: Choice,
    pub(crate) events: Vec<&'static str>,
    numbers: u64,
    shared: Vec<ObjectId>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(random: &'a mut Rng) -> Self {
        let mut content = Content::default();
        let shared = (0..3).map(|number| content.layer(number)).collect();
        Self {
            random,
            content,
            repos: Vec::new(),
            choice: Choice::ByTurn,
            events: Vec::new(),
            numbers: 10,
            shared,
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Repositories with their tags, some of them without, and some with something broken.
    pub(crate) fn shelves(&mut self, story: Story) {
        let is_big = story == Story::Away;
        let count = if is_big {
            self.random.usize(3..=5)
        } else {
            self.random.usize(1..=4)
        };
        for name in &NAMES[..count] {
            let has_tags = is_big || self.random.u8(..8) > 0;
            let images = if is_big { 3 } else { self.random.usize(1..=2) };
            let mut roots = Vec::new();
            if has_tags {
                for _ in 0..images {
                    roots.push(self.image_or_index());
                }
            }
            let is_unknown_without_tags = self.random.bool();
            let mut repo = Repo {
                name: name.parse().expect("a name"),
                is_there: Line::always(true),
                is_unknown_without_tags,
                tags: Vec::new(),
                links: BTreeMap::new(),
            };
            for (position, root) in roots.iter().enumerate() {
                let tag = format!("v{position}").parse().expect("a tag");
                repo.tags.push((tag, Line::always(Some(*root))));
                for id in self.content.below(*root) {
                    repo.links.insert(id, Line::always(Health::There));
                }
            }
            if has_tags && self.random.u8(..4) == 0 {
                let root = roots[self.random.usize(..roots.len())];
                let tag = "latest".parse().expect("a tag");
                repo.tags.push((tag, Line::always(Some(root))));
            }
            self.repos.push(repo);
            self.break_some(count);
        }
    }

    /// Breaks something of the last repository for good, now and then.
    fn break_some(&mut self, repos: usize) {
        let repo = self.repos.len() - 1;
        let odds = if repos == 1 { 3 } else { 2 };
        while self.random.u8(..5) < odds {
            let Some(id) = self.object(repo) else {
                return;
            };
            let health = match self.random.u8(..10) {
                0..6 => Health::Gone,
                6 => Health::Failing,
                7 => Health::Altered,
                8 => Health::Shorter,
                _ => Health::Hollow,
            };
            let health = self.of_its_kind(id, health);
            self.repos[repo].links.insert(id, Line::always(health));
            if self.random.bool() {
                return;
            }
        }
    }

    /// What repositories share is stored once: it may be lost to one of them, and not damaged for one.
    pub(crate) fn is_shared(&self, id: ObjectId) -> bool {
        self.shared.contains(&id)
    }

    fn of_its_kind(&self, id: ObjectId, health: Health) -> Health {
        if self.is_shared(id) {
            Health::Gone
        } else {
            health
        }
    }

    fn image_or_index(&mut self) -> ObjectId {
        if self.random.bool() {
            let platform = pick(self.random, PLATFORMS);
            return self.one_image(platform);
        }
        let count = self.random.usize(1..=3);
        let mut children = Vec::new();
        for platform in &PLATFORMS[..count] {
            children.push(self.one_image(platform));
        }
        let mut index = self.content.index(&children);
        if self.random.u8(..16) == 0 {
            index = self.content.index(&[index, children[0]]);
        }
        index
    }

    fn one_image(&mut self, platform: &'static str) -> ObjectId {
        let mut layers = Vec::new();
        if self.random.bool() {
            layers.push(pick(self.random, &self.shared));
        }
        let number = self.number();
        layers.push(self.content.layer(number));
        self.content.image(number, platform, &layers)
    }

    /// An object that some tag of a repository leads to, at some time.
    pub(crate) fn object(&mut self, repo: usize) -> Option<ObjectId> {
        let tags = &self.repos[repo].tags;
        let lines = tags.iter().flat_map(|(_, line)| &line.0);
        let roots: BTreeSet<_> = lines.filter_map(|(_, root)| *root).collect();
        let roots: Vec<_> = roots.into_iter().collect();
        if roots.is_empty() {
            return None;
        }
        let root = pick(self.random, &roots);
        let below = self.content.below(root);
        Some(pick(self.random, &below))
    }

    /// The requests of a sweep of everything that ever is, asked for once.
    pub(crate) fn requests(&self) -> u64 {
        let of = |repo: &Repo| 1 + repo.tags.len() + repo.links.len();
        2 + self.repos.iter().map(of).sum::<usize>() as u64
    }

    /// What clients do.
    pub(crate) fn events(&mut self, times: &Times) {
        for _ in 0..self.random.usize(1..=5) {
            let repo = self.random.usize(..self.repos.len());
            let at = times.moment(self.random).max(1);
            let event = match self.random.u8(..20) {
                0..4 => self.push(repo, at),
                4..7 => self.delete(repo, at, times),
                7..11 => self.move_tag(repo, at, times),
                11..14 => self.repair(repo, at),
                14..17 => self.damage(repo, at),
                17 => self.push_again(repo, at, times),
                _ => Some(self.remove(repo, at, times)),
            };
            self.events.extend(event);
        }
    }

    /// Links what an image consists of some time before its tag is there, blobs first, and leaves
    /// something out now and then.
    fn upload(&mut self, repo: usize, root: ObjectId, at: Ms) {
        let below = self.content.below(root);
        let left_out = (self.random.u8(..3) == 0 && below.len() > 1)
            .then(|| below[self.random.usize(1..below.len())]);
        let begun = at.saturating_sub(self.random.u64(1..500)).max(1);
        for id in below {
            let links = &mut self.repos[repo].links;
            let line = links
                .entry(id)
                .or_insert_with(|| Line::always(Health::Gone));
            let is_known = line.0.len() > 1 || line.0[0].1 != Health::Gone;
            if left_out != Some(id) && !is_known {
                let is_blob = !self.content.is_manifest(id);
                line.change(if is_blob { begun } else { at }, Health::There);
            }
        }
    }

    fn push(&mut self, repo: usize, at: Ms) -> Option<&'static str> {
        if self.repos[repo].tags.len() >= MOST_TAGS {
            return None;
        }
        let root = self.image_or_index();
        self.upload(repo, root, at);
        let number = self.number();
        let tag = format!("new-{number}").parse().expect("a tag");
        let mut line = Line::always(None);
        line.change(at, Some(root));
        self.repos[repo].tags.push((tag, line));
        Some("push of a tag")
    }

    fn any_tag(&mut self, repo: usize) -> Option<usize> {
        let tags = self.repos[repo].tags.len();
        (tags > 0).then(|| self.random.usize(..tags))
    }

    fn delete(&mut self, repo: usize, at: Ms, times: &Times) -> Option<&'static str> {
        let tag = self.any_tag(repo)?;
        self.repos[repo].tags[tag].1.end(at, None);
        self.clean_up(repo, at, times);
        Some("deletion of a tag")
    }

    fn move_tag(&mut self, repo: usize, at: Ms, times: &Times) -> Option<&'static str> {
        let tag = self.any_tag(repo)?;
        let roots = self.repos[repo].tags.iter();
        let roots: Vec<_> = roots.filter_map(|(_, line)| line.at(at)).collect();
        let root = if self.random.u8(..4) == 0 && !roots.is_empty() {
            pick(self.random, &roots)
        } else {
            let root = self.image_or_index();
            self.upload(repo, root, at);
            root
        };
        self.repos[repo].tags[tag].1.change(at, Some(root));
        self.clean_up(repo, at, times);
        Some("push of a tag that is there")
    }

    /// Takes away what no tag leads to any more, now and then.
    fn clean_up(&mut self, repo: usize, at: Ms, times: &Times) {
        if self.random.bool() {
            return;
        }
        let at = at + self.random.u64(1..times.confirm);
        let repo = &mut self.repos[repo];
        let mut needed = BTreeSet::new();
        for (_, line) in &repo.tags {
            let later = line.0.iter().filter(|(since, _)| *since >= at);
            let roots = later.filter_map(|(_, root)| *root).chain(line.at(at));
            for root in roots {
                needed.extend(self.content.below(root));
            }
        }
        for (id, line) in &mut repo.links {
            if !needed.contains(id) && line.at(at) != Health::Gone {
                line.end(at, Health::Gone);
            }
        }
    }

    fn push_again(&mut self, repo: usize, at: Ms, times: &Times) -> Option<&'static str> {
        let tag = self.any_tag(repo)?;
        let line = &mut self.repos[repo].tags[tag].1;
        let root = line.at(at)?;
        let again = at + 1 + times.length(self.random);
        let line = &mut self.repos[repo].tags[tag].1;
        line.end(at, None);
        line.change(again, Some(root));
        Some("deletion of a tag and a push of it")
    }

    fn repair(&mut self, repo: usize, at: Ms) -> Option<&'static str> {
        let links = self.repos[repo].links.iter();
        let broken = links.filter(|(_, line)| line.at(at) != Health::There);
        let broken: Vec<_> = broken.map(|(id, _)| *id).collect();
        if broken.is_empty() {
            return None;
        }
        let id = pick(self.random, &broken);
        let line = self.repos[repo].links.get_mut(&id)?;
        line.end(at, Health::There);
        Some("repair")
    }

    fn damage(&mut self, repo: usize, at: Ms) -> Option<&'static str> {
        let id = self.object(repo)?;
        let health = pick(
            self.random,
            &[Health::Gone, Health::Gone, Health::Failing, Health::Hollow],
        );
        let health = self.of_its_kind(id, health);
        let line = self.repos[repo].links.get_mut(&id)?;
        line.end(at, health);
        Some("damage")
    }

    fn remove(&mut self, repo: usize, at: Ms, times: &Times) -> &'static str {
        let back = at + 1 + times.length(self.random);
        let is_back = self.random.u8(..3) == 0;
        let line = &mut self.repos[repo].is_there;
        line.end(at, false);
        if is_back {
            line.change(back, true);
        }
        "removal of a repository"
    }

    /// An image to name.
    pub(crate) fn image(&mut self, at: Ms) -> Option<(usize, Named)> {
        let repo = self.random.usize(..self.repos.len());
        let tag = self.any_tag(repo)?;
        let root = self.repos[repo].tags[tag].1.at(at);
        match root {
            Some(root) if self.random.u8(..6) == 0 => Some((repo, Named::Digest(root))),
            _ => Some((repo, Named::Tag(tag))),
        }
    }

    /// The manifest that an image is expected to lead to: most likely the right one.
    pub(crate) fn expected(&mut self, image: (usize, Named), at: Ms) -> Option<ObjectId> {
        let (repo, named) = image;
        let right = match named {
            Named::Tag(tag) => self.repos[repo].tags[tag].1.at(at),
            Named::Digest(id) => Some(id),
        };
        if self.random.u8(..3) > 0 {
            return right;
        }
        let objects = self.content.objects.iter().enumerate();
        let images = objects.filter(|(_, object)| object.nature == Nature::Image);
        let images: Vec<_> = images.map(|(id, _)| id).collect();
        (!images.is_empty()).then(|| pick(self.random, &images))
    }

    /// What was made.
    pub(crate) fn world(
        self,
        seed: u64,
        times: &Times,
        lags: Vec<Ms>,
        windows: Vec<Window>,
    ) -> World {
        let mut world = World {
            seed,
            lags,
            choice: self.choice,
            windows,
            latency: times.latency,
            states_no_digest: self.random.u8(..10) == 0,
            is_page_its_404: self.random.u8(..16) == 0,
            changes: Vec::new(),
            content: self.content,
            repos: self.repos,
        };
        world.note_changes();
        world
    }
}
