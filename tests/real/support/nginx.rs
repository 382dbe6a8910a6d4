//! nginx in front of a registry: TLS with a throwaway authority, or plain with rules of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::process::{Server, free_port, tool, wait_until};
use super::registry::Registry;

/// A running front.
#[derive(Debug)]
pub(crate) struct Nginx {
    // Goes first, so that nobody writes to the directory while it is removed.
    _server: Server,
    directory: TempDir,
    port: u16,
    certificates: Option<Certificates>,
}

impl Nginx {
    /// HTTPS (and HTTP/2) on loopback, everything passed on.
    pub(crate) fn tls(registry: &Registry) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let certificates = Certificates::make(directory.path());
        Self::start(registry, directory, Some(certificates), "")
    }

    /// HTTP on loopback with these `location` blocks before the rule that passes everything on.
    pub(crate) fn plain(registry: &Registry, locations: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::start(registry, directory, None, locations)
    }

    /// The name that images of this front begin with.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The same with its scheme: loopback is taken for plain HTTP otherwise.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.certificates.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.host())
    }

    /// The certificate that a client has to trust.
    pub(crate) fn authority(&self) -> PathBuf {
        let certificates = self.certificates.as_ref().expect("it speaks TLS");
        certificates.authority.clone()
    }

    fn start(
        registry: &Registry,
        directory: TempDir,
        certificates: Option<Certificates>,
        locations: &str,
    ) -> Self {
        let backend = registry.host();
        let (server, port) = serve(directory.path(), |port| {
            let listen = listen(port, certificates.as_ref());
            configuration(&backend, &listen, locations)
        });
        Self {
            _server: server,
            directory,
            port,
            certificates,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let errors = fs::read_to_string(self.directory.path().join("error.log"));
            let errors = errors.unwrap_or_default();
            // The test harness shows it together with the failure.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), errors.as_bytes());
        }
    }
}

/// Starts one below a folder, on a free port and by the configuration for it, and waits until it listens.
pub(super) fn serve(root: &Path, configuration: impl Fn(u16) -> String) -> (Server, u16) {
    for _ in 0..5 {
        let port = free_port();
        fs::write(root.join("nginx.conf"), configuration(port)).expect("configuration is written");
        if let Some(server) = launch(root, port) {
            return (server, port);
        }
    }
    let errors = fs::read_to_string(root.join("error.log")).unwrap_or_default();
    panic!("nginx does not start:\n{errors}");
}

/// Starts it, and waits until it listens; none if it went away.
fn launch(root: &Path, port: u16) -> Option<Server> {
    let mut server = Server::spawn(
        tool("nginx")
            .arg("-p")
            .arg(root)
            .args(["-e", "error.log", "-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    let mut ended = false;
    wait_until("nginx listens", || {
        ended = server.exited().is_some();
        ended || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    (!ended).then_some(server)
}

fn listen(port: u16, certificates: Option<&Certificates>) -> String {
    match certificates {
        None => format!("listen 127.0.0.1:{port};"),
        Some(Certificates { server, key, .. }) => format!(
            "listen 127.0.0.1:{port} ssl http2;
    ssl_certificate \"{}\";
    ssl_certificate_key \"{}\";",
            server.display(),
            key.display()
        ),
    }
}

/// What every configuration begins with, up to the first lines within `http`: one process, so that killing
/// the child leaves nobody behind, and every file below the prefix.
pub(super) const BEGINNING: &str = "daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
";

fn configuration(backend: &str, listen: &str, locations: &str) -> String {
    format!(
        "{BEGINNING}  client_max_body_size 0;
  limit_req_zone $server_port zone=thirty:64k rate=30r/s;
  server {{
    {listen}
    {locations}
    location / {{
      proxy_pass http://{backend};
      proxy_set_header Host $http_host;
    }}
  }}
}}
"
    )
}
