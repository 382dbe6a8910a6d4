//! A registry of the product under test: own port, own folder, gone with the test.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use crate::product::Product;
use crate::support::http::Client;
use crate::support::process::{Server, free_port, wait_until};

/// A user of a registry.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// What a product is configured from.
pub(crate) struct Place<'a> {
    pub(crate) binary: &'a Path,
    /// All that it writes goes below this.
    pub(crate) directory: &'a Path,
    pub(crate) port: u16,
    /// Settings of one test, in the product's own form.
    pub(crate) settings: &'a str,
}

impl Place<'_> {
    /// Where the store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.directory.join("store")
    }
}

/// A running (or stopped) registry.
pub(crate) struct Registry {
    // Goes first, so that nobody writes to the directory while it is removed.
    server: Option<Server>,
    pub(crate) product: &'static Product,
    binary: PathBuf,
    directory: TempDir,
    port: u16,
    settings: String,
    login: Option<Login>,
}

impl Registry {
    /// An empty registry.
    pub(crate) fn start(product: &'static Product, binary: &Path) -> Self {
        Self::start_with(product, binary, "")
    }

    /// An empty registry with settings of its own.
    pub(crate) fn start_with(product: &'static Product, binary: &Path, settings: &str) -> Self {
        let mut registry = Self {
            server: None,
            product,
            binary: binary.into(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            port: free_port(),
            settings: settings.to_owned(),
            login: None,
        };
        registry.restart();
        registry.login = (product.prepare)(&registry.place());
        registry
    }

    fn place(&self) -> Place<'_> {
        Place {
            binary: &self.binary,
            directory: self.directory.path(),
            port: self.port,
            settings: &self.settings,
        }
    }

    /// The program that is under test.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The name that images of it begin with.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The login that it asks for, if it asks.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// A client that is let in.
    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.host()), self.login.as_ref())
    }

    /// The folder of all that it keeps and is configured by.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The folder of its store.
    pub(crate) fn data(&self) -> PathBuf {
        self.place().store()
    }

    /// The file of an object.
    pub(crate) fn file(&self, repository: &str, digest: &str) -> PathBuf {
        self.data().join((self.product.file)(repository, digest))
    }

    /// Kills it where it stands.
    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// The same store on the same port in a new process.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let mut command = (self.product.serve)(&self.place());
        let mut server = Server::spawn(
            command
                .stdin(Stdio::null())
                .stdout(self.log())
                .stderr(self.log()),
        );
        let client = self.client();
        wait_until("the registry answers", || {
            assert!(server.exited().is_none(), "it ended:\n{}", self.said());
            client.answers("/v2/")
        });
        self.server = Some(server);
    }

    /// The same with other settings.
    pub(crate) fn restart_with(&mut self, settings: &str) {
        settings.clone_into(&mut self.settings);
        self.restart();
    }

    /// All that it has said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn log(&self) -> File {
        let path = self.directory.path().join("log");
        let log = OpenOptions::new().create(true).append(true).open(path);
        log.expect("a log can be opened")
    }
}
