//! The running server: starting it, stopping it, and running it away from the caller's own runtime.

use std::ops::Deref;
use std::sync::mpsc;
use std::thread;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::registry::Registry;
use crate::server;

/// A registry that listens on a loopback port of its own, until it is dropped. Everything that can
/// be done to it is on [`Registry`], to which it dereferences.
#[derive(Debug)]
pub struct Double {
    registry: Registry,
    server: JoinHandle<()>,
    companions: Vec<Double>,
}

impl Double {
    /// Starts an empty, healthy registry on a free port.
    pub async fn start() -> Self {
        Self::listen(Registry::new).await
    }

    /// Starts a second server in front of the content and the tokens of this registry, on a port of
    /// its own and with a log and rules of its own: the object store behind a registry, a token
    /// service under another name, a replica.
    pub async fn beside(registry: &Registry) -> Self {
        Self::listen(|address| registry.beside(address)).await
    }

    /// Keeps another double alive for as long as this one lives: the object store behind it, its
    /// token service.
    pub fn accompanied_by(mut self, companion: Self) -> Self {
        self.companions.push(companion);
        self
    }

    /// The first double that keeps this one company; presets with an object store have it here.
    pub fn companion(&self) -> &Registry {
        self.companions.first().expect("it has a companion")
    }

    async fn listen(registry: impl FnOnce(String) -> Registry) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a loopback port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address")
            .to_string();
        let registry = registry(address);
        let server = tokio::spawn(server::serve(listener, registry.clone()));
        Self {
            registry,
            server,
            companions: Vec::new(),
        }
    }
}

impl Deref for Double {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Something that lives on a runtime and a thread of its own; see [`in_background`].
#[derive(Debug)]
pub struct Background<T> {
    value: Option<T>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Starts doubles on a thread of their own, for callers that block: tests that wait for a child
/// process, benchmarks.
///
/// ```
/// use registry_double::{Double, in_background};
///
/// let double = in_background(Double::start());
/// assert!(double.url().starts_with("http://127.0.0.1:"));
/// ```
pub fn in_background<T: Send + 'static>(
    start: impl Future<Output = T> + Send + 'static,
) -> Background<T> {
    let (ready, started) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be built");
        runtime.block_on(async {
            let _ = ready.send(start.await);
            let _ = stopped.await;
        });
    });
    let value = started.recv().expect("the double starts");
    Background {
        value: Some(value),
        stop: Some(stop),
        thread: Some(thread),
    }
}

impl<T> Deref for Background<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
            .as_ref()
            .expect("the value is there until the drop")
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        drop(self.value.take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
