//! The options of `probe verify`.

use clap::Args;

use super::documents::DocumentArgs;
use super::expect::ExpectArgs;
use super::look::LookArgs;
use super::repair::RepairArgs;
use super::report::ReportArgs;

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// Images to check: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) images: Vec<String>,

    #[command(flatten)]
    pub(in crate::cli) documents: DocumentArgs,

    #[command(flatten)]
    pub(in crate::cli) expect: ExpectArgs,
    #[command(flatten)]
    pub(in crate::cli) look: LookArgs,
    #[command(flatten)]
    pub(in crate::cli) repair: RepairArgs,
    #[command(flatten)]
    pub(in crate::cli) report: ReportArgs,
}
