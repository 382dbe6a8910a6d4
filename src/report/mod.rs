//! What a sweep came to, as data: findings, causes, repairs, coverage, and what is known across sweeps.

mod blast;
mod cause;
mod evidence;
#[cfg(test)]
pub(crate) mod fixture;
mod image;
mod outcome;
mod record;
mod repair;
mod shard;
mod sweep;

pub use blast::Root;
pub use cause::Cause;
pub use evidence::{Evidence, LengthSource, Observed, Promised, Start};
pub use image::{Expected, Image, NoPlatform, Node, Platform, State, Unmet};
pub use outcome::{Defect, Kind, Outcome, Reason, SkipReason};
pub use record::{Glance, Known, Record};
pub use repair::{Action, Repair};
pub use shard::Shard;
pub use sweep::{
    Bracket, Counts, Coverage, Exposed, Finding, Listed, Mode, Nearby, Presence, RepositoryResult,
    Sweep, UnverifiedObjects, Verdict,
};
