//! The option of where the others are configured.

use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ConfigArgs {
    /// Take registries and options from this YAML file; flags and the environment win over it
    #[arg(long, value_name = "FILE", help_heading = None::<&str>)]
    pub(in crate::cli) config: Option<PathBuf>,
}
