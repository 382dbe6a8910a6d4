//! The long-running process: sweeps on a schedule, the HTTP endpoints that show what they came to, and
//! handing results on to a Pushgateway or a file.

mod endpoints;
mod files;
mod guard;
mod image_names;
mod in_use;
mod listener;
mod process_metrics;
mod protection;
mod publish;
mod push;
mod repair_source;
pub mod state;
mod status;
mod textfile;
mod tls;
mod watch;
mod web_config;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

pub use files::{Unwritten, append, know_outputs, write};
pub use image_names::own_image;
pub use in_use::{InUsePlace, InUseSource, InUseWatch};
pub use listener::{Limits, Listener};
pub use protection::WebProtection;
pub use publish::Publish;
pub use push::{Gateway, GatewayTls, PushError};
pub use repair_source::{RepairSource, look_elsewhere};

use crate::registry::Depth;
use crate::registry::client::Config;
use crate::report::Record;
use crate::sweep::{KnownManifests, Owed, Policy, Schedules};
use status::StatusBoard;

/// How often the page is rendered between sweeps: it tells ages.
const PAGE_EVERY: Duration = Duration::from_secs(5);

/// One registry to sweep.
#[derive(Clone, Debug)]
pub struct Target {
    /// How to speak to it.
    pub http: Config,
    /// How to sweep it.
    pub policy: Policy,
    /// How reads of its blobs are spread over time.
    pub schedules: Schedules,
    /// Registries that may hold what is broken in it.
    pub repair_from: Vec<RepairSource>,
    /// Where to learn which of its images are in use.
    pub in_use: Option<InUseSource>,
}

impl Target {
    /// Says what a sweep owes that begins now, of a registry of which this much is `known`.
    pub fn begin(&mut self, known: &Record) {
        let (depth, now) = (self.policy.depth, SystemTime::now());
        self.policy.owed = self.schedules.owed(depth, &known.reads, now);
    }

    /// Says what a sweep owes that begins now, and is to read because an earlier process found something broken.
    async fn prepare(&mut self, publish: &Publish, known: &Record) {
        self.begin(known);
        self.policy.suspects.clear();
        self.recall_failures(publish, known).await;
    }

    /// Looks up what an earlier process found broken, where nothing is known of it here.
    pub async fn recall_failures(&mut self, publish: &Publish, known: &Record) {
        let reads_all = self.policy.owed == Owed::default() && self.policy.depth != Depth::Head;
        if reads_all || !known.repositories.is_empty() {
            return;
        }
        match publish.failing(&self.policy.registry).await {
            Some(failing) => self.policy.suspects = failing,
            None => self.policy.owed.tail = None,
        }
    }

    /// Reads files again that may have been rotated since.
    fn read_files_again(&mut self) {
        self.http.read_again();
        for source in &mut self.repair_from {
            source.http.read_again();
        }
    }
}

/// What the service does; replaced as a whole when the configuration is read again.
#[derive(Clone)]
pub struct Plan {
    /// The registries, each with a name of its own.
    pub targets: Vec<Target>,
    /// From the beginning of one sweep to that of the next.
    pub interval: Duration,
    /// Where others find the status page, if that is known.
    pub external_url: Option<String>,
    /// Where results go besides the endpoints.
    pub publish: Publish,
    /// What is known of registries from before.
    pub known: Vec<Record>,
}

/// Serves the endpoints and sweeps by the newest of `plans` until it is cancelled. When that changes, the
/// sweeps begin anew; what is known of registries that are still in it stays.
///
/// # Errors
///
/// If the endpoints cannot be served any more.
pub async fn serve(
    listener: Listener,
    mut plans: tokio::sync::watch::Receiver<Plan>,
    cancel: CancellationToken,
) -> io::Result<()> {
    let board = Arc::new(StatusBoard::new());
    let mut plan = plans.borrow_and_update().clone();
    board.watch(&plan.names(), &plan.known);
    let endpoints = endpoints::router(Arc::clone(&board));
    let mut server = tokio::spawn(listener.serve(endpoints, cancel.clone()));
    // They outlive the plans.
    let mut manifests = BTreeMap::new();
    loop {
        plan.know_manifests(&mut manifests);
        let round = cancel.child_token();
        board.process_metrics.page_at(plan.external_url.as_deref());
        board.watch(&plan.names(), &plan.known);
        let mut loops = begin(&plan, &board, &round);
        let mut page = tokio::time::interval(PAGE_EVERY);
        loop {
            tokio::select! {
                // First, for the server ends then, too, and the sweeps are still to be ended.
                biased;
                () = cancel.cancelled() => break,
                Ok(()) = plans.changed() => break,
                ended = &mut server => return ended.map_err(io::Error::other),
                _ = page.tick() => board.publish_page(),
                Some(()) = loops.next() => {}
            }
        }
        round.cancel();
        while loops.next().await.is_some() {}
        if cancel.is_cancelled() {
            break;
        }
        // The newest one: more may have come while the sweeps ended.
        plan = plans.borrow_and_update().clone();
    }
    server.await.map_err(io::Error::other)
}

/// The loops of all registries. They run side by side in one task, and what they ask in many.
fn begin(
    plan: &Plan,
    board: &Arc<StatusBoard>,
    round: &CancellationToken,
) -> FuturesUnordered<impl Future<Output = ()> + use<>> {
    let begin = |target: &Target| {
        let mut target = target.clone();
        let (name, shard) = (&target.policy.registry, target.policy.scope.shard);
        target.http.meter = board.process_metrics.meter(name, shard);
        let (publish, board) = (plan.publish.clone(), Arc::clone(board));
        watch::watch(target, plan.interval, publish, board, round.clone())
    };
    plan.targets.iter().map(begin).collect()
}

impl Plan {
    /// Gives each target the manifests that are known of its registry: those that were read by this process, or
    /// as they were kept beside the state.
    fn know_manifests(&mut self, all: &mut BTreeMap<String, Arc<KnownManifests>>) {
        for target in &mut self.targets {
            let registry = &target.policy.registry;
            let kept = || match &self.publish.state {
                Some(path) => state::read_manifests(path, registry),
                None => KnownManifests::default(),
            };
            let known = all
                .entry(registry.clone())
                .or_insert_with(|| Arc::new(kept()));
            target.policy.manifests.known = Some(Arc::clone(known));
        }
    }

    fn names(&self) -> Vec<String> {
        let targets = self.targets.iter();
        targets
            .map(|target| target.policy.registry.clone())
            .collect()
    }
}
