//! Signals: SIGINT and SIGTERM end what runs, SIGHUP asks for the configuration to be read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;

/// The signals that were received so far.
pub(super) struct Signals {
    cancel: CancellationToken,
    was_interrupted: Arc<AtomicBool>,
    was_terminated: Arc<AtomicBool>,
    hangups: Signal,
}

impl Signals {
    /// Listens from now on, and cancels `cancel` with the first signal that is to end the process.
    pub(super) fn listen(cancel: &CancellationToken) -> std::io::Result<Self> {
        let signals = Self {
            cancel: cancel.clone(),
            was_interrupted: Arc::default(),
            was_terminated: Arc::default(),
            hangups: signal(SignalKind::hangup())?,
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

    /// Waits for a SIGHUP.
    pub(super) async fn hung_up(&mut self) {
        self.hangups.recv().await;
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
