//! Signals: SIGINT and SIGTERM end what runs, SIGHUP asks for the configuration to be read again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::exit::Exit;

/// How long after a signal another one is taken for its echo: `timeout` and terminals send theirs to a
/// process and to its group.
const ECHO: Duration = Duration::from_secs(1);

/// Whom the thread of the first process tells of signals, once somebody can end what runs.
static TOLD: Mutex<Option<Told>> = Mutex::new(None);

/// Whether that thread listens.
static IS_FIRST: AtomicBool = AtomicBool::new(false);

/// Listens to signals for the first process of a container, which the kernel keeps from those that nobody listens
/// to: from the time when this returns, none is lost. One that comes before anybody can end what runs ends the
/// process at once: it may wait for its standard input or a slow disk.
pub(super) fn end_early() {
    if std::process::id() != 1 {
        return;
    }
    let (listens, is_heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let Ok(runtime) = builder.enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
            let [Ok(mut interrupt), Ok(mut terminate)] = signals else {
                return;
            };
            IS_FIRST.store(true, Ordering::Release);
            let _ = listens.send(());
            loop {
                let exit = tokio::select! {
                    Some(()) = interrupt.recv() => Exit::Interrupted,
                    Some(()) = terminate.recv() => Exit::Terminated,
                    else => return,
                };
                match &*TOLD.lock() {
                    Some(told) => told.receive(exit),
                    None => std::process::exit(i32::from(exit.code())),
                }
            }
        });
    });
    // Where there can be no such thread, it goes on as other processes do.
    let _ = is_heard.recv();
}

/// What a signal is told to.
#[derive(Clone)]
struct Told {
    cancel: CancellationToken,
    first: Arc<OnceLock<(Instant, Exit)>>,
}

impl Told {
    fn receive(&self, exit: Exit) {
        let (since, _) = *self.first.get_or_init(|| (Instant::now(), exit));
        self.cancel.cancel();
        if since.elapsed() > ECHO {
            std::process::exit(i32::from(exit.code()));
        }
    }
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
        let told = Told {
            cancel: cancel.clone(),
            first: Arc::default(),
        };
        if IS_FIRST.load(Ordering::Acquire) {
            *TOLD.lock() = Some(told.clone());
        } else {
            for (kind, exit) in [
                (SignalKind::interrupt(), Exit::Interrupted),
                (SignalKind::terminate(), Exit::Terminated),
            ] {
                let mut stream = signal(kind).map_err(unheard)?;
                let told = told.clone();
                tokio::spawn(async move {
                    while stream.recv().await.is_some() {
                        told.receive(exit);
                    }
                });
            }
        }
        let Told { cancel, first } = told;
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
