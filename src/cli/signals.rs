//! Signals: SIGINT and SIGTERM end what runs, SIGHUP asks for the configuration to be read again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;

/// How long after a signal another one is taken for its echo: `timeout` and terminals send theirs to a
/// process and to its group.
const ECHO: Duration = Duration::from_secs(1);

/// The signals that were received so far.
pub(super) struct Signals {
    cancel: CancellationToken,
    was_interrupted: Arc<AtomicBool>,
    was_terminated: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on, and cancels `cancel` with the first signal that is to end the process. One
    /// that comes later ends it at once.
    pub(super) fn listen(cancel: &CancellationToken) -> std::io::Result<Self> {
        let signals = Self {
            cancel: cancel.clone(),
            was_interrupted: Arc::default(),
            was_terminated: Arc::default(),
        };
        let first = Arc::<OnceLock<Instant>>::default();
        for (kind, exit, seen) in [
            (
                SignalKind::interrupt(),
                Exit::Interrupted,
                &signals.was_interrupted,
            ),
            (
                SignalKind::terminate(),
                Exit::Terminated,
                &signals.was_terminated,
            ),
        ] {
            let (mut stream, seen, cancel) = (signal(kind)?, Arc::clone(seen), cancel.clone());
            let first = Arc::clone(&first);
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    seen.store(true, Ordering::Relaxed);
                    cancel.cancel();
                    if first.get_or_init(Instant::now).elapsed() > ECHO {
                        std::process::exit(i32::from(exit.code()));
                    }
                }
            });
        }
        Ok(signals)
    }

    /// Waits until the process was told to end, and then this long.
    pub(super) async fn ended_for(&self, time: Duration) {
        self.cancel.cancelled().await;
        tokio::time::sleep(time).await;
    }

    /// What the process is to end with, if it was a signal that ended it.
    pub(super) fn exit(&self) -> Option<Exit> {
        if self.was_interrupted.load(Ordering::Relaxed) {
            Some(Exit::Interrupted)
        } else if self.was_terminated.load(Ordering::Relaxed) {
            Some(Exit::Terminated)
        } else {
            None
        }
    }
}

/// SIGHUP, from now on; until then it ends the process, as it does where nobody asks for it.
pub(super) fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}
