//! What a sweep came to, as data: findings, causes, repairs, coverage, and what is known across sweeps.

mod cause;
mod commands;
mod evidence;
mod finding;
mod finished;
#[cfg(test)]
pub(crate) mod fixture;
mod hint;
mod image;
mod kept;
mod merge;
mod mode;
mod outcome;
mod read;
mod reads;
mod record;
mod repair;
mod run;
mod shard;
pub(crate) mod shell;
pub mod state;
mod store;
mod story;
mod sweep;
mod time;

pub use cause::Cause;
pub use evidence::{Evidence, LengthSource, Observed, Promised, Start};
pub use finding::{Bracket, Elsewhere, Finding, Nearby};
pub use finished::{Found, Object, Report};
pub(crate) use hint::hint;
pub use image::{Expected, Image, NoPlatform, Node, Platform, State, Unmet};
pub use merge::Merging;
pub use mode::Mode;
pub use outcome::{Defect, Kind, Outcome, Reason, SkipReason};
pub use read::Part;
pub(crate) use read::SCHEMA_VERSION;
pub use reads::{Reads, Slots};
pub(crate) use record::is_same;
pub use record::{Glance, Known, Record};
pub use repair::{Action, Repair};
pub use shard::Shard;
pub use shell::Command;
pub(crate) use shell::token;
pub(crate) use story::{Plot, told_together};
pub use sweep::{
    Counts, Coverage, Exposed, Listed, Presence, RepositoryResult, Sweep, UnverifiedObjects,
    Verdict,
};
