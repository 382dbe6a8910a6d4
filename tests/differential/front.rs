//! The registry of a trial as clients reach it: on a loopback port, its answers changed on the way, in
//! the open or over TLS.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};

use registry_double::{RawAnswer, RawEdit, Registry, Request};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::trial::Trial;

/// Of an answer to a range that is a whole object, what the probe reads unless it is to read all.
const HEAD_OF_ALL: usize = 64 * 1024;

/// Runs until it is dropped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    is_tls: bool,
    odd: Arc<Mutex<BTreeSet<String>>>,
    server: JoinHandle<()>,
}

impl Front {
    /// Starts it before a registry of this trial; `whole` is the same one without any damage.
    pub(crate) async fn start(registry: Registry, whole: Registry, trial: &Trial) -> Self {
        let odd = Arc::<Mutex<BTreeSet<_>>>::default();
        let noted = Arc::clone(&odd);
        let (edit, habitual) = (trial.edit(), trial.habitual());
        let edit: Arc<RawEdit> = Arc::new(move |request: &Request, answer: &mut RawAnswer| {
            edit(request, answer);
            habitual(request, answer);
            let mut usual = whole.raw_answer(request);
            habitual(request, &mut usual);
            if is_odd(request, answer, &usual) {
                let what = request.reference.clone().unwrap_or_default();
                noted.lock().expect("nobody panics with it").insert(what);
            }
        });
        let is_tls = trial.is_over_tls();
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let server = tokio::spawn(accept(listener, registry, edit, is_tls));
        Self {
            address,
            is_tls,
            odd,
            server,
        }
    }

    /// The tags and digests about which any answer to GET since the last time was odd.
    pub(crate) fn odd(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.odd.lock().expect("nobody panics with it"))
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.is_tls { "https" } else { "http" },
            self.address
        )
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Whether an answer to GET says anything of the object that the usual one does not, to whoever reads no
/// more than the beginning of what was not asked for.
fn is_odd(request: &Request, answer: &RawAnswer, usual: &RawAnswer) -> bool {
    if request.is_head() {
        return false;
    }
    let shown = |answer: &RawAnswer| {
        let is_asked_for = request.header("range").is_none() || answer.status != 200;
        let end = if is_asked_for {
            answer.body.len()
        } else {
            HEAD_OF_ALL.min(answer.body.len())
        };
        // A body without a length is as long as it is.
        let length = answer.header("Content-Length").map(str::to_owned);
        let length = length.unwrap_or_else(|| answer.body.len().to_string());
        let says = ["Content-Range", "Content-Encoding", "Transfer-Encoding"];
        let says = says.map(|name| answer.header(name).map(str::to_owned));
        (answer.status, answer.body[..end].to_vec(), length, says)
    };
    shown(answer) != shown(usual)
}

async fn accept(listener: TcpListener, registry: Registry, edit: Arc<RawEdit>, is_tls: bool) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                connections.spawn(converse(socket, registry.clone(), Arc::clone(&edit), is_tls));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(mut socket: TcpStream, registry: Registry, edit: Arc<RawEdit>, is_tls: bool) {
    _ = socket.set_nodelay(true);
    if !is_tls {
        _ = registry.converse(&mut socket, &*edit).await;
        return;
    }
    if let Ok(mut stream) = TLS.accept(socket).await {
        _ = registry.converse(&mut stream, &*edit).await;
        // The connection below ends, and TLS says nothing of it.
        _ = stream.get_mut().0.shutdown().await;
    }
}

static TLS: LazyLock<TlsAcceptor> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
    let made = made.expect("a certificate can be made");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has all versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))
        .expect("the certificate and its key are of one make");
    TlsAcceptor::from(Arc::new(config))
});
