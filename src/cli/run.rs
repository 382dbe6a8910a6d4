//! The composition root: builds the parts from the settings, runs them, and prints what came of it.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::args::OutputArg;
use super::exit::Exit;
use super::settings::{Settings, Target};
use crate::crawl;
use crate::http::HttpRegistry;
use crate::report;

/// Sweeps every target side by side and prints one report of all.
pub(super) async fn run(settings: Settings, color: bool) -> Exit {
    let cancel = CancellationToken::new();
    let signals = match Signals::listen(&cancel) {
        Ok(signals) => signals,
        Err(error) => return super::usage_error(&format!("signals cannot be awaited: {error}")),
    };
    let mut registries = Vec::new();
    for Target { http, policy } in settings.targets {
        let name = policy.registry.clone();
        match HttpRegistry::new(http) {
            Ok(registry) => registries.push((registry, policy)),
            Err(error) => return super::usage_error(&format!("{name}: {error}")),
        }
    }
    let sweeps = registries
        .iter()
        .map(|(registry, policy)| crawl::sweep(registry, policy, &cancel));
    let sweeps = futures::future::join_all(sweeps).await;
    let text = match settings.output {
        OutputArg::Text => report::text::render(&sweeps, color),
        OutputArg::Json => report::json::render(&sweeps),
    };
    // Whoever closed the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    signals
        .exit()
        .unwrap_or_else(|| Exit::of(&sweeps, &settings.fail_on))
}

/// SIGINT and SIGTERM, which end a sweep early.
struct Signals {
    was_interrupted: Arc<AtomicBool>,
    was_terminated: Arc<AtomicBool>,
}

impl Signals {
    fn listen(cancel: &CancellationToken) -> std::io::Result<Self> {
        let signals = Self {
            was_interrupted: Arc::default(),
            was_terminated: Arc::default(),
        };
        for (kind, seen) in [
            (SignalKind::interrupt(), &signals.was_interrupted),
            (SignalKind::terminate(), &signals.was_terminated),
        ] {
            let (mut stream, seen, cancel) = (signal(kind)?, Arc::clone(seen), cancel.clone());
            tokio::spawn(async move {
                stream.recv().await;
                seen.store(true, Ordering::Relaxed);
                cancel.cancel();
            });
        }
        Ok(signals)
    }

    fn exit(&self) -> Option<Exit> {
        if self.was_interrupted.load(Ordering::Relaxed) {
            Some(Exit::Interrupted)
        } else if self.was_terminated.load(Ordering::Relaxed) {
            Some(Exit::Terminated)
        } else {
            None
        }
    }
}
