//! The options of a look at images that are named.

use clap::Args;

use super::check::CheckArgs;
use super::config::ConfigArgs;
use super::connection::ConnectionArgs;

/// Somebody waits for it: what seems broken is looked at again at once.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("confirm_after", |argument| argument.default_value("0s")))]
pub(in crate::cli) struct LookArgs {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    #[command(flatten)]
    pub(in crate::cli) check: CheckArgs,
    #[command(flatten)]
    pub(in crate::cli) connection: ConnectionArgs,
}
