//! Signals: SIGINT and SIGTERM end what runs, SIGHUP asks for the configuration to be read again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::exit::Exit;

/// How long after a signal another one is taken for its echo: `timeout` and terminals send theirs to a
/// process and to its group.
const ECHO: Duration = Duration::from_secs(1);

/// Whether signals are listened to by whoever can end what runs.
static LISTENING: AtomicBool = AtomicBool::new(false);

/// Ends the process with a signal that comes before anybody listens: the first process of a container, which
/// the kernel keeps from signals that nobody listens to, may wait for its standard input or a slow disk.
pub(super) fn end_early() {
    if std::process::id() != 1 {
        return;
    }
    std::thread::spawn(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let Ok(runtime) = builder.enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
            let [Ok(mut interrupt), Ok(mut terminate)] = signals else {
                return;
            };
            let exit = tokio::select! {
                _ = interrupt.recv() => Exit::Interrupted,
                _ = terminate.recv() => Exit::Terminated,
            };
            if !LISTENING.load(Ordering::Relaxed) {
                std::process::exit(i32::from(exit.code()));
            }
        });
    });
}

/// The signals that were received so far.
pub(super) struct Signals {
    cancel: CancellationToken,
    /// When the first one came, and what the process is to end with for it.
    first: Arc<OnceLock<(Instant, Exit)>>,
}

impl Signals {
    /// Listens from now on, and cancels `cancel` with the first signal that is to end the process. One
    /// that comes later ends it at once.
    pub(super) fn listen(cancel: &CancellationToken) -> Result<Self, Error> {
        LISTENING.store(true, Ordering::Relaxed);
        let first = Arc::<OnceLock<(Instant, Exit)>>::default();
        for (kind, exit) in [
            (SignalKind::interrupt(), Exit::Interrupted),
            (SignalKind::terminate(), Exit::Terminated),
        ] {
            let mut stream = signal(kind).map_err(unheard)?;
            let (first, cancel) = (Arc::clone(&first), cancel.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    let (since, _) = *first.get_or_init(|| (Instant::now(), exit));
                    cancel.cancel();
                    if since.elapsed() > ECHO {
                        std::process::exit(i32::from(exit.code()));
                    }
                }
            });
        }
        let cancel = cancel.clone();
        Ok(Self { cancel, first })
    }

    /// Waits until the process was told to end, and then this long.
    pub(super) async fn ended_for(&self, time: Duration) {
        self.cancel.cancelled().await;
        tokio::time::sleep(time).await;
    }

    /// What the process is to end with, if it was a signal that ended it.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.first.get().map(|(_, exit)| *exit)
    }
}

/// SIGHUP, from now on; until then it ends the process, as it does where nobody asks for it.
pub(super) fn hangups() -> Result<Signal, Error> {
    signal(SignalKind::hangup()).map_err(unheard)
}

fn unheard(error: io::Error) -> Error {
    Error::System("signals cannot be awaited", error)
}
