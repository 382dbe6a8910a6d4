//! TLS connections that end without saying that they do, as those of many servers end: a body that
//! has no length and ends with the connection is whole if its digest says so.

use std::sync::Arc;

use registry_double::{Double, Registry};
use registry_probe::registry::Depth;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::probe::{Probe, told};

/// Serves what a registry has over TLS, without any length, and ends each connection by falling silent.
/// Of each blob, so many bytes are left out at the end.
async fn serve(registry: Registry, left_out: usize) -> String {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
    let certified = certified.expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket, acceptor.clone(), registry.clone(), left_out));
        }
    });
    format!("https://{address}")
}

async fn answer(socket: TcpStream, acceptor: TlsAcceptor, registry: Registry, left_out: usize) {
    let Ok(stream) = acceptor.accept(socket).await else {
        return;
    };
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(length) if length > 2 => lines.push(line),
            _ => break,
        }
    }
    let request: Vec<_> = lines
        .first()
        .map_or(Vec::new(), |line| line.split(' ').collect());
    let [method, path, _] = request.as_slice() else {
        return;
    };
    let (head, body) = said(&registry, path, left_out);
    let _ = stream.write_all(head.as_bytes()).await;
    if *method != "HEAD" {
        let _ = stream.write_all(&body).await;
    }
    let _ = stream.flush().await;
    // Not a word of TLS: the socket under it is closed.
    drop(stream.into_inner().into_inner().0);
}

fn said(registry: &Registry, path: &str, left_out: usize) -> (String, Vec<u8>) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let head = |headers: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n");
    let json = "Content-Type: application/json\r\n";
    let stored = |digest: &str| registry.bytes(digest).map(|bytes| bytes.to_vec());
    match path {
        "/v2/" => (head(json), b"{}".to_vec()),
        "/v2/_catalog" | "/v2/_catalog?n=1000" => {
            (head(json), br#"{"repositories":["app"]}"#.to_vec())
        }
        path if path.contains("/tags/list") => (head(json), br#"{"tags":["v1"]}"#.to_vec()),
        path if path.contains("/manifests/") => {
            let digest = registry
                .digest_of("app", name)
                .unwrap_or_else(|| name.to_owned());
            let media_type = "application/vnd.oci.image.manifest.v1+json";
            let headers =
                format!("Content-Type: {media_type}\r\nDocker-Content-Digest: {digest}\r\n");
            (head(&headers), stored(&digest).unwrap_or_default())
        }
        _ => {
            let mut bytes = stored(name).unwrap_or_default();
            bytes.truncate(bytes.len() - left_out);
            (head(""), bytes)
        }
    }
}

#[tokio::test]
async fn a_body_on_an_unclean_connection_is_what_its_digest_says() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer", &vec![7; 100_000]]);
    for depth in [Depth::Tail, Depth::Digest] {
        let address = serve((*double).clone(), 0).await;
        let probe = Probe::of(&double).through(&address).any_certificate();
        let told_of = told(&probe.depth(depth).sweep().await);
        let skipped: &[&str] = match depth {
            Depth::Digest | Depth::Unpack => &["intact"],
            _ => &["intact", "skipped range_unsupported 1"],
        };
        assert_eq!(told_of, skipped, "{depth}");

        let address = serve((*double).clone(), 1).await;
        let probe = Probe::of(&double).through(&address).any_certificate();
        let told_of = told(&probe.depth(depth).sweep().await);
        assert_eq!(told_of[0], "broken", "{depth}");
        assert!(
            told_of[1..]
                .iter()
                .all(|line| line.contains("size_mismatch") || line.starts_with("skipped"))
        );
    }
}
