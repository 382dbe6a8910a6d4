//! The walk over a registry: from its catalog to every layer, and from every negative to a second
//! look.
//!
//! One task, `owner`, owns everything that changes: the repositories being walked, the set of
//! running visits, and the ledger of what was found. A visit is one question to the registry and the
//! judgement of its answer; it knows nothing of the others.

mod contradiction;
mod control;
mod counts;
mod coverage;
mod ending;
mod form;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks/sweep.rs"]
pub(crate) mod fuzzing;
mod in_use;
mod inventory;
mod judge;
mod known_manifests;
mod ledger;
mod likeness;
mod looking;
mod manifests_file;
mod memory_limits;
mod nearby;
mod notices;
mod owner;
mod policy;
mod progress;
mod reading;
mod recall;
mod recheck;
mod referrers;
mod refusals;
mod repeats;
mod resolve;
mod schedule;
mod scope;
mod seed;
mod seen;
mod verify;
mod visit;
mod waiting;
mod walk;

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use in_use::{Judgement, Sights, UsedImage};
pub use inventory::{Contents, Inventory, with_control};
pub use known_manifests::KnownManifests;
pub use policy::{Empty, Objects, Policy};
pub use progress::{Progress, Wait, WaitReason};
pub use recall::ManifestPolicy;
pub use referrers::{ReferrerPolicy, RequiredReferrer};
pub use schedule::{Owed, Schedule, Schedules, Turn};
pub use scope::{Filter, Scope, Source};
pub use verify::{Expectations, platform, verify};

use crate::registry::Registry;
use crate::registry::{Unverified, UnverifiedReason};
use crate::report::{Record, Sweep};
use owner::Crawl;

/// Sweeps a registry of which this much is `known` from before. Always gives a [`Sweep`]: one that is cancelled, or runs into its deadline, an
/// outage or a fault of this program, is partial and says so.
pub async fn sweep<R: Registry>(
    registry: &R,
    policy: &Policy,
    known: &Record,
    cancel: &CancellationToken,
) -> Sweep {
    let mut crawl = Crawl::new(registry.clone(), policy, known);
    let deadline = policy.deadline.map(|deadline| Instant::now() + deadline);
    let timer = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let cut_short = tokio::select! {
        biased;
        () = cancel.cancelled() => {
            Some(Unverified::new(UnverifiedReason::Cancelled, "it was told to stop"))
        }
        () = timer => {
            let length = policy.deadline.unwrap_or_default();
            let detail = format!("the sweep's {} were up", humantime::format_duration(length));
            Some(Unverified::new(UnverifiedReason::Deadline, detail))
        }
        ran = AssertUnwindSafe(Box::pin(crawl.run(deadline))).catch_unwind() => ran.unwrap_or_else(|_| {
            let detail = "the sweep broke off by a fault of this program; standard error says which";
            crawl.is_in_doubt = true;
            Some(Unverified::new(UnverifiedReason::Protocol, detail))
        }),
    };
    crawl.finish(cut_short)
}
