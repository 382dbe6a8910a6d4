//! Which reports of shards are of one run: what tells them from those of others.

use std::time::{Duration, SystemTime};

use super::mode::Mode;
use super::read::Part;
use super::shard::Shard;
use crate::oci::Printable;
use crate::registry::Depth;

/// What the reports of one run have in common.
pub(super) struct Run {
    id: Option<Printable>,
    /// How many shards there are; `None` where one sweep looked at everything.
    pub(super) count: Option<u32>,
    depth: Depth,
    mode: Mode,
    interval: Duration,
    /// When its last sweep began.
    started_at: SystemTime,
}

impl Run {
    /// The newest run of some reports in the order of their starts, and in it what most of its shards agree on.
    pub(super) fn of(parts: &[Part], interval: Duration) -> Self {
        let is_shard = |part: &&Part| part.sweep.shard.is_some();
        let sharded = parts.iter().any(|part| is_shard(&part));
        let candidates = || parts.iter().filter(|part| is_shard(part) == sharded);
        let runs = candidates().rev().map(|part| Self::as_of(part, interval));
        let mut runs = runs.peekable();
        let newest = runs.peek().map(|run| (run.id.clone(), run.started_at));
        let is_newest = |run: &Self| match &newest {
            Some((Some(id), _)) => run.id.as_ref() == Some(id),
            Some((None, began)) => {
                let before = began.duration_since(run.started_at).unwrap_or_default();
                run.id.is_none() && before <= run.interval
            }
            None => false,
        };
        let size = |run: &Self| {
            let of_run = candidates().filter(|part| run.differs(part).is_none());
            let mut indexes: Vec<_> = of_run.filter_map(|part| part.sweep.shard).collect();
            indexes.sort_unstable_by_key(|shard| shard.index());
            indexes.dedup();
            indexes.len()
        };
        let mut best: Option<(usize, Self)> = None;
        for mut run in runs {
            if !is_newest(&run) {
                continue;
            }
            run.started_at = newest.as_ref().map_or(run.started_at, |(_, began)| *began);
            let is_known = |(_, best): &(usize, Self)| best.is_alike(&run);
            if best.as_ref().is_some_and(is_known) {
                continue;
            }
            let size = size(&run);
            if best.as_ref().is_none_or(|(most, _)| size > *most) {
                best = Some((size, run));
            }
        }
        best.map_or_else(|| Self::as_of(&parts[0], interval), |(_, run)| run)
    }

    fn as_of(part: &Part, interval: Duration) -> Self {
        let sweep = &part.sweep;
        Self {
            id: sweep.run_id.clone(),
            count: sweep.shard.map(Shard::count),
            depth: sweep.depth,
            mode: sweep.mode,
            interval: part.sweep.interval.unwrap_or_default().max(interval),
            started_at: sweep.started_at,
        }
    }

    fn is_alike(&self, other: &Self) -> bool {
        (self.count, self.depth, self.mode) == (other.count, other.depth, other.mode)
    }

    /// What makes a report one of another run, or of another sweep altogether.
    pub(super) fn differs(&self, part: &Part) -> Option<String> {
        let sweep = &part.sweep;
        if sweep.run_id != self.id {
            let name = |id: &Option<Printable>| match id {
                Some(id) => format!("of the run {id}"),
                None => "of a run without a name (--run-id)".to_owned(),
            };
            let (own, other) = (name(&self.id), name(&sweep.run_id));
            return Some(format!("it is {other}, and the newest one is {own}"));
        }
        let before = self.started_at.duration_since(sweep.started_at);
        let before = before.unwrap_or_default();
        if self.id.is_none() && before > self.interval {
            let before = humantime::format_duration(Duration::from_secs(before.as_secs()));
            return Some(format!(
                "it began {before} before the newest one, more than --interval, so it is of another run; \
                 --run-id names runs"
            ));
        }
        let count = sweep.shard.map(Shard::count);
        if count != self.count {
            let parts = |count| match count {
                Some(count) => format!("of {count} shards"),
                None => "not of a shard".to_owned(),
            };
            let (own, other) = (parts(self.count), parts(count));
            return Some(format!("it is {other}, and others are {own}"));
        }
        let (depth, mode) = (sweep.depth, sweep.mode);
        if (depth, mode) == (self.depth, self.mode) {
            return None;
        }
        let (own_depth, own_mode) = (self.depth, self.mode);
        Some(format!(
            "it looked at depth {depth} in mode {mode}, and others at depth {own_depth} in mode {own_mode}"
        ))
    }
}
