//! A `docker-registry` whose configuration a test changes as it goes, and whose garbage can be collected.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use super::http::Client;
use super::process::{Server, free_port, run, tool, wait_until};
use super::store::Store;

/// A running registry and everything that belongs to it.
#[derive(Debug)]
pub(crate) struct Configured {
    // Goes first, so that nobody writes to the directory while it is removed.
    server: Option<Server>,
    directory: TempDir,
    port: u16,
}

impl Configured {
    /// An empty registry that lets everybody in and deletes what it is told to.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut registry = Self {
            server: None,
            directory,
            port: 0,
        };
        // Somebody else may take the port between the look and the listen.
        for _ in 0..5 {
            registry.port = free_port();
            registry.configure("");
            if registry.try_launch() {
                return registry;
            }
        }
        panic!("docker-registry does not start:\n{}", registry.errors());
    }

    /// The same storage on the same port in a new process, with these lines added to its configuration.
    pub(crate) fn restart_with(&mut self, lines: &str) {
        self.server = None;
        self.configure(lines);
        assert!(
            self.try_launch(),
            "docker-registry does not come back:\n{}",
            self.errors()
        );
    }

    /// The name that images of this registry begin with.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A place for files that it needs.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What lies on its disk.
    pub(crate) fn store(&self) -> Store {
        Store::new(&self.storage())
    }

    /// `docker-registry garbage-collect`, beside the running server. Nobody may push meanwhile: what is
    /// uploaded and not yet named by a manifest counts as garbage.
    pub(crate) fn collect_garbage(&self) {
        run(tool("docker-registry")
            .arg("garbage-collect")
            .arg(self.configuration())
            .env_clear());
    }

    fn try_launch(&mut self) -> bool {
        let mut server = Server::spawn(
            tool("docker-registry")
                .arg("serve")
                .arg(self.configuration())
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(self.append("errors.log")),
        );
        let client = Client::new(&format!("http://{}", self.host()), None);
        let mut ended = false;
        wait_until("docker-registry answers", || {
            ended = server.exited().is_some();
            ended || client.answers("/v2/")
        });
        self.server = (!ended).then_some(server);
        !ended
    }

    fn append(&self, name: &str) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory().join(name))
            .expect("a log can be opened")
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.directory().join("errors.log")).unwrap_or_default()
    }

    fn configuration(&self) -> PathBuf {
        self.directory().join("config.yml")
    }

    fn storage(&self) -> PathBuf {
        self.directory().join("storage")
    }

    /// The storage section is the one of the stock image: the blob descriptor cache is on.
    fn configure(&self, lines: &str) {
        let text = format!(
            "version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {storage}
  delete:
    enabled: true
http:
  addr: {host}
  secret: only-for-tests
{lines}",
            storage = self.storage().display(),
            host = self.host(),
        );
        fs::write(self.configuration(), text).expect("configuration is written");
    }
}
