//! The loop of one registry: sweep, publish, wait.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::publish::Publish;
use super::status::StatusBoard;
use super::{Target, schedule};
use crate::registry::client::HttpRegistry;
use crate::report::{Record, Sweep, Verdict};
use crate::sweep;

/// How long a whole result may take to be handed on once the loop was told to end.
const LAST_PUSH: Duration = Duration::from_secs(3);

/// Sweeps a registry at once and then every `interval`, until it is cancelled. A sweep that is
/// cancelled is told to nobody: it is not a result, and what was known stays.
pub(super) async fn watch(
    target: Target,
    interval: Duration,
    publish: Publish,
    board: Arc<StatusBoard>,
    cancel: CancellationToken,
) {
    let name = target.policy.registry.clone();
    let first = Instant::now();
    // The last slot of the scrub that was read.
    let mut scrubbed = None;
    let mut target = target;
    target.policy.turn = fastrand::u64(..);
    loop {
        board.begin(&name);
        let now = SystemTime::now();
        let known = board.record(&name);
        target.policy.turn = target.policy.turn.wrapping_add(1);
        let scrub = target.scrub.as_ref();
        target.policy.scrub = scrub.map(|scrub| scrub.turn(now, scrubbed));
        // A crash in one sweep, which would be a bug, ends neither the loop nor those of the others.
        let sweep = AssertUnwindSafe(sweep(target.clone(), &known, &cancel))
            .catch_unwind()
            .await;
        // What was whole before it was cancelled is a result.
        let is_whole = matches!(&sweep, Ok(Ok(sweep)) if sweep.is_complete());
        if cancel.is_cancelled() && !is_whole {
            board.process_metrics.sweep(&name, "cancelled");
            return;
        }
        match sweep {
            Ok(Ok(sweep)) => {
                log(&sweep);
                // What it could not reach comes again with its slot in the next period; to wait for a
                // complete sweep would leave out the slots that go by while others run.
                scrubbed = target.scrub.as_ref().map(|scrub| scrub.slot(now));
                if let Some(record) = board.end(&name, sweep) {
                    let (changed, known) = ([record], Arc::clone(&board));
                    let publishing = publish.publish(&changed, move || known.records());
                    tokio::select! {
                        errors = publishing => errors.iter().for_each(|_| board.process_metrics.push_failed()),
                        () = cancelled_for(&cancel, LAST_PUSH) => return,
                    }
                }
            }
            Ok(Err(error)) => tracing::error!(registry = %name, "there was no sweep: {error}"),
            Err(_) => {
                tracing::error!(registry = %name, "the sweep crashed, which is a bug; the next one is not affected");
            }
        }
        let due = schedule::next(first, interval, Instant::now(), fastrand::f64());
        board.wait(&name, due);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = cancel.cancelled() => return,
        }
    }
}

/// Waits until it is cancelled, and then this long.
pub(super) async fn cancelled_for(cancel: &CancellationToken, time: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(time).await;
}

/// With a new client each time: credentials, certificates and addresses may have changed.
async fn sweep(
    target: Target,
    known: &Record,
    cancel: &CancellationToken,
) -> Result<Sweep, crate::registry::client::ClientError> {
    let registry = HttpRegistry::new(target.http)?;
    Ok(sweep::sweep(&registry, &target.policy, known, cancel).await)
}

fn log(sweep: &Sweep) {
    let (registry, verdict) = (&sweep.registry, sweep.verdict().word());
    let (broken, unverified) = (sweep.findings.len(), sweep.unverified_objects());
    let tags = sweep.counts.tags.checked;
    if sweep.verdict() == Verdict::Intact {
        tracing::info!(registry, verdict, tags, "swept");
    } else {
        tracing::warn!(registry, verdict, broken, unverified, tags, "swept");
    }
}
