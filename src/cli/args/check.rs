//! The options of how closely to look.

use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::referrers::ReferrerArgs;
use super::{CHECKS, duration, positive_duration, size};
use crate::registry::Depth;
use crate::report::{Mode, PlatformMismatch};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CHECKS)]
pub(in crate::cli) struct CheckArgs {
    /// How closely to look at blobs
    #[arg(long, value_enum, default_value = "tail")]
    pub(in crate::cli) depth: Depth,

    /// What an image comes to whose config names another platform than its index, and which may run all the same
    #[arg(long, value_name = "AS", value_enum, default_value = "notice")]
    pub(in crate::cli) platform_mismatch: PlatformMismatch,

    /// Unpack layers of up to this many bytes; of longer ones, only the digest is checked
    #[arg(long, value_name = "BYTES", default_value = "50GB", value_parser = size)]
    pub(in crate::cli) unpack_max_bytes: u64,

    #[command(flatten)]
    pub(in crate::cli) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// The options of any walk, whatever it asks for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CHECKS)]
pub(in crate::cli) struct AskArgs {
    /// What kind of registry it is, which decides what an absence means [default: private, and the sweep
    /// stops where it answers as a pull-through cache does]
    #[arg(long, value_enum)]
    pub(in crate::cli) mode: Option<Mode>,

    /// End after this long, with a partial report [default: none]
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub(in crate::cli) deadline: Option<Duration>,

    /// Wait this long before what seems broken is looked at again
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(in crate::cli) confirm_after: Duration,
}

impl ValueEnum for Depth {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Head => "Ask whether each blob is there and how long it is",
            Self::Tail => "Also read its last byte: a stale cache cannot make that up",
            Self::Digest => "Also read all of it and compute its digest",
            Self::Unpack => "Also unpack each layer and compare it with the config",
        };
        Some(PossibleValue::new(self.word()).help(help))
    }
}

impl ValueEnum for PlatformMismatch {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Notice => "It is counted and told, and is no failure",
            Self::Fail => "It is broken",
        };
        Some(PossibleValue::new(self.word()).help(help))
    }
}

impl ValueEnum for Mode {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Private => "Pushed to: everything that is promised must be there",
            Self::Mirror => "A sparse copy: missing children of indexes are counted, not broken",
            Self::PullThrough => {
                "A cache: as mirror, and blobs are not asked for, since that would download them"
            }
        };
        Some(PossibleValue::new(self.word()).help(help))
    }
}
