//! The options of how closely to look.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{CHECKS, positive_duration};
use crate::registry::Depth;
use crate::report::Mode;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CHECKS)]
pub(in crate::cli) struct CheckArgs {
    /// How closely to look at blobs
    #[arg(long, value_enum, env = "PROBE_DEPTH", default_value = "tail")]
    pub(in crate::cli) depth: DepthArg,

    /// What kind of registry it is, which decides what an absence means [default: private, and the sweep
    /// stops where it answers as a pull-through cache does]
    #[arg(long, value_enum, env = "PROBE_MODE")]
    pub(in crate::cli) mode: Option<ModeArg>,

    /// End after this long, with a partial report [default: none]
    #[arg(long, value_name = "TIME", env = "PROBE_DEADLINE", value_parser = positive_duration)]
    pub(in crate::cli) deadline: Option<Duration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum DepthArg {
    /// Ask whether each blob is there and how long it is
    Head,
    /// Also read its last byte: a stale cache cannot make that up
    Tail,
    /// Also read all of it and compute its digest
    Digest,
}

impl From<DepthArg> for Depth {
    fn from(depth: DepthArg) -> Self {
        match depth {
            DepthArg::Head => Self::Head,
            DepthArg::Tail => Self::Tail,
            DepthArg::Digest => Self::Digest,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum ModeArg {
    /// Pushed to: everything that is promised must be there
    Private,
    /// A sparse copy: missing children of indexes are counted, not broken
    Mirror,
    /// A cache: as mirror, and blobs are not asked for, since that would download them
    PullThrough,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Private => Self::Private,
            ModeArg::Mirror => Self::Mirror,
            ModeArg::PullThrough => Self::PullThrough,
        }
    }
}
