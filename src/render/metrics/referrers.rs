//! What is attached to images: whether the registry told it, and what is gone.

use super::{Value, count, seconds};

/// What has one value for each registry that was asked.
pub(super) const VALUES: &[Value] = &[
    (
        "referrers_up",
        "Whether the registry told in the last sweep what is attached to every image.",
        |_, sweep| {
            let is_answered = sweep.referrers.as_ref()?.unanswered == 0;
            // Of what a sweep did not reach, nobody told.
            count(u64::from(is_answered && sweep.is_complete()))
        },
    ),
    (
        "referrers_timestamp_seconds",
        "When the registry last told what is attached to every image.",
        |_, sweep| seconds(sweep.referrers.as_ref()?.answered_at?),
    ),
    (
        "referrers_attached",
        "What is attached to the images that were asked about.",
        |_, sweep| count(sweep.referrers.as_ref()?.attached),
    ),
    (
        "referrers_lost",
        "Types of which something was attached to an image, and nothing is since two sweeps.",
        |_, sweep| count(sweep.referrers.as_ref()?.lost.len() as u64),
    ),
    (
        "referrers_dangling",
        "Signatures and the like whose image is gone.",
        |_, sweep| count(sweep.referrers.as_ref()?.dangling),
    ),
];
