//! The options of `probe explain`.

use clap::Args;

use super::look::LookArgs;
use super::report::PageArgs;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// The image: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) image: String,

    #[command(flatten)]
    pub(in crate::cli) look: LookArgs,
    #[command(flatten)]
    pub(in crate::cli) page: PageArgs,
}
