//! The options of what repairs may rest on.

use clap::Args;

use super::CHECKS;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = CHECKS)]
pub(in crate::cli) struct RepairArgs {
    /// Ask this registry for what is found broken, by one HEAD an image, so that the repair can copy it from
    /// there; logins are those that docker and podman have stored for it; may be repeated
    #[arg(long, value_name = "HOST[/PREFIX]", value_delimiter = ',')]
    pub(in crate::cli) repair_from: Vec<String>,
}
