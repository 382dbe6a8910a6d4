//! What registries hold, as sweeps saw it: what must be kept of one, what a clean-up would break, and how two
//! differ.

mod breakage;
mod compare;
mod confirm;
mod deletions;
mod difference;
mod keep;
mod mapping;
mod outcome;
mod proof;
mod side;

pub use breakage::{Breakage, breakage};
pub use compare::{Comparison, compare};
pub use confirm::Confirming;
pub use deletions::{Deletion, Malformed, read};
pub use difference::{Compared, Difference, DifferenceKind, Direction};
pub use keep::{Kept, Root, Target, kept};
pub use mapping::{Mapping, Pair, Rule};
pub use outcome::{Known, Likeness, Memory, Outcome, Remembered};
pub use proof::{Gap, gaps, lost, unknown};
pub use side::{Configs, Side, Stated, Unseen};

use std::collections::BTreeMap;

use crate::oci::Repository;
use crate::sweep::Contents;

/// The content of repositories, as a sweep noted it.
pub type Holdings = BTreeMap<Repository, Contents>;
