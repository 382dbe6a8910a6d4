//! The options of what is expected of images.

use std::time::Duration;

use clap::Args;

use super::{EXPECTATIONS, duration, positive_duration};
use crate::oci::Digest;
use crate::report::Platform;
use crate::sweep::Expectations;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = EXPECTATIONS)]
pub(in crate::cli) struct ExpectArgs {
    /// Fail unless the image leads to this manifest, such as the one that a push printed
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub(in crate::cli) expect_digest: Option<Digest>,

    /// Fail unless each image is there for this platform, such as linux/arm64; may be repeated
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub(in crate::cli) platforms: Vec<Platform>,

    /// Look again for what is not there, for this long: a push may still be settling
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(in crate::cli) wait: Duration,

    /// Look at what is intact once more after this time: a clean-up may be about to take it
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub(in crate::cli) recheck_after: Option<Duration>,
}

impl From<ExpectArgs> for Expectations {
    fn from(args: ExpectArgs) -> Self {
        Self {
            digest: args.expect_digest,
            platforms: args.platforms,
            wait: args.wait,
            recheck_after: args.recheck_after,
        }
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    text.parse()
        .map_err(|_| "expected a digest such as sha256:…".to_owned())
}
