//! Obstacles, counted by reason: thousands of objects are often kept from a verdict by one cause.

use crate::registry::Obstacle;

/// How many objects each reason keeps from a verdict, each with the obstacle first met, by reason. There
/// are few of them, and in an outage there is one of these lists for each repository.
#[derive(Default)]
pub(super) struct Obstacles(Vec<(Obstacle, u64)>);

impl Obstacles {
    /// Counts one object.
    pub(super) fn push(&mut self, obstacle: &Obstacle) {
        self.add(obstacle, 1);
    }

    /// Counts some objects.
    pub(super) fn add(&mut self, obstacle: &Obstacle, count: u64) {
        let known = self
            .0
            .binary_search_by_key(&obstacle.reason, |(known, _)| known.reason);
        match known {
            Ok(position) => self.0[position].1 += count,
            Err(position) => {
                self.0.reserve_exact(1);
                self.0.insert(position, (obstacle.clone(), count));
            }
        }
    }

    /// Takes up those of reasons that are not among these.
    pub(super) fn add_missing(&mut self, others: Self) {
        for (obstacle, count) in others.0 {
            if self
                .0
                .iter()
                .all(|(known, _)| known.reason != obstacle.reason)
            {
                self.add(&obstacle, count);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of them, if there is any.
    pub(super) fn first(&self) -> Option<&Obstacle> {
        self.0.first().map(|(obstacle, _)| obstacle)
    }

    /// The number of objects in all.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Obstacle, u64)> {
        self.0.into_iter()
    }
}
