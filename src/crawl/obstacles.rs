//! Obstacles, counted by reason: thousands of objects are often kept from a verdict by one cause.

use std::collections::BTreeMap;

use crate::model::{Obstacle, ObstacleReason};

/// How many objects each reason keeps from a verdict, each with the obstacle first met.
#[derive(Default)]
pub(super) struct Obstacles(BTreeMap<ObstacleReason, (Obstacle, u64)>);

impl Obstacles {
    /// Counts one object.
    pub(super) fn push(&mut self, obstacle: &Obstacle) {
        self.add(obstacle, 1);
    }

    /// Counts some objects.
    pub(super) fn add(&mut self, obstacle: &Obstacle, count: u64) {
        let first = || (obstacle.clone(), 0);
        self.0.entry(obstacle.reason).or_insert_with(first).1 += count;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of them, if there is any.
    pub(super) fn first(&self) -> Option<&Obstacle> {
        self.0.values().next().map(|(obstacle, _)| obstacle)
    }

    /// The number of objects in all.
    pub(super) fn count(&self) -> u64 {
        self.0.values().map(|(_, count)| count).sum()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Obstacle, u64)> {
        self.0.into_values()
    }
}
