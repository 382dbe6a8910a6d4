//! The long-running process: sweeps on a schedule, the HTTP endpoints that show what they came to, and
//! handing results on to a Pushgateway or a file.

mod board;
mod endpoints;
mod publish;
mod push;
mod schedule;
mod textfile;
mod vitals;
mod watch;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use publish::Publish;
pub use push::{Gateway, PushError};

use crate::crawl::Policy;
use crate::http::Config;
use board::Board;

/// How often the page is rendered between sweeps: it tells ages.
const PAGE_EVERY: Duration = Duration::from_secs(5);
/// How long answers that are under way may take when the process ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// One registry to sweep.
#[derive(Clone, Debug)]
pub struct Target {
    /// How to speak to it.
    pub http: Config,
    /// How to sweep it.
    pub policy: Policy,
}

/// What the service does; replaced as a whole when the configuration is read again.
#[derive(Clone)]
pub struct Plan {
    /// The registries, each with a name of its own.
    pub targets: Vec<Target>,
    /// From the beginning of one sweep to that of the next.
    pub interval: Duration,
    /// Where results go besides the endpoints.
    pub publish: Publish,
}

/// Serves the endpoints and sweeps by `plan` until it is cancelled. With each item of `reloads`, the
/// sweeps begin anew by that plan; what is known of registries that are still in it stays.
///
/// # Errors
///
/// If the endpoints cannot be served any more.
pub async fn serve(
    listener: TcpListener,
    plan: Plan,
    mut reloads: tokio::sync::mpsc::Receiver<Plan>,
    cancel: CancellationToken,
) -> io::Result<()> {
    let board = Arc::new(Board::new());
    board.watch(&plan.names());
    let endpoints = axum::serve(listener, endpoints::router(Arc::clone(&board)))
        .with_graceful_shutdown(cancel.clone().cancelled_owned());
    let mut server = tokio::spawn(async { endpoints.await });
    let mut plan = plan;
    loop {
        let round = cancel.child_token();
        board.watch(&plan.names());
        let mut loops = begin(&plan, &board, &round);
        let mut page = tokio::time::interval(PAGE_EVERY);
        let next = loop {
            tokio::select! {
                () = cancel.cancelled() => break None,
                Some(plan) = reloads.recv() => break Some(plan),
                ended = &mut server => return ended.unwrap_or_else(|error| Err(io::Error::other(error))),
                _ = page.tick() => board.publish_page(),
                Some(()) = loops.next() => {}
            }
        };
        round.cancel();
        while loops.next().await.is_some() {}
        match next {
            Some(next) => plan = next,
            None => break,
        }
    }
    // Whoever reads slowly does not keep the process from ending.
    let _ = tokio::time::timeout(LAST_ANSWERS, server).await;
    Ok(())
}

/// The loops of all registries. They run side by side in one task, and what they ask in many.
fn begin(
    plan: &Plan,
    board: &Arc<Board>,
    round: &CancellationToken,
) -> FuturesUnordered<impl Future<Output = ()> + use<>> {
    let begin = |target: &Target| {
        let mut target = target.clone();
        target.http.meter = board.vitals.meter(&target.policy.registry);
        let (publish, board) = (plan.publish.clone(), Arc::clone(board));
        watch::watch(target, plan.interval, publish, board, round.clone())
    };
    plan.targets.iter().map(begin).collect()
}

impl Plan {
    fn names(&self) -> Vec<String> {
        let targets = self.targets.iter();
        targets
            .map(|target| target.policy.registry.clone())
            .collect()
    }
}
