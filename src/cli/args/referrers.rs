//! The options of what is attached to images.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::CHECKS;
use crate::report::Reach;
use crate::sweep::{ReferrerPolicy, RequiredReferrer};

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = CHECKS)]
pub(in crate::cli) struct ReferrerArgs {
    /// Check what is attached to images, too (signatures, attestations, SBOMs): one request for each tag more
    #[arg(long, value_name = "OF", value_enum, default_value = "off")]
    pub(in crate::cli) referrers: Reach,

    /// Fail unless this is attached to each image: signature, attestation, sbom or a media type; in a sweep, of the
    /// images of some repositories that are there for some time, as TYPE;repo=GLOB;grace=TIME; may be repeated
    #[arg(long = "require-referrer", value_name = "TYPE", value_delimiter = ',')]
    pub(in crate::cli) required: Vec<RequiredReferrer>,
}

impl ReferrerArgs {
    /// What is asked. Since when images are there is remembered where `has_memory`.
    pub(in crate::cli) fn policy(&self, has_memory: bool) -> ReferrerPolicy {
        ReferrerPolicy {
            reach: self.referrers,
            required: self.required.clone(),
            has_memory,
        }
    }
}

impl ValueEnum for Reach {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Off => "Nothing is asked",
            Self::Tagged => "Of what a tag names",
            Self::All => "Of the children of indexes, too",
        };
        Some(PossibleValue::new(self.word()).help(help))
    }
}
