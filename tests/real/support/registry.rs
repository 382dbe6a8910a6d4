//! Debian's `docker-registry`, or the distribution that `PROBE_TEST_REGISTRY` names, one for each test: own
//! port, own storage, own access log, gone with the test.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::access_log::{self, Entry};
use super::http::Client;
use super::process::{Server, free_port, run, tool, wait_until};
use super::store::{self, Store};

/// A user of the registry.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Login {
    /// The one user that the tests know.
    pub(crate) fn of_the_tests() -> Self {
        Self {
            user: "sweeper".into(),
            password: "correct horse battery staple".into(),
        }
    }
}

/// The program under test: Debian's, unless the environment names another, by its path.
pub(crate) fn program() -> Command {
    match std::env::var_os("PROBE_TEST_REGISTRY") {
        Some(path) => Command::new(path),
        None => tool("docker-registry"),
    }
}

/// A running (or stopped) registry and everything that belongs to it.
#[derive(Debug)]
pub(crate) struct Registry {
    // Goes first, so that nobody writes to the directory while it is removed.
    server: Option<Server>,
    directory: TempDir,
    port: u16,
    login: Option<Login>,
    /// Where it fetches what it does not have: then it is a pull-through cache.
    upstream: Option<String>,
}

impl Registry {
    /// An empty registry that lets everybody in.
    pub(crate) fn start() -> Self {
        Self::with(None, None)
    }

    /// An empty registry that asks for a name and a password (htpasswd).
    pub(crate) fn start_with_login(login: Login) -> Self {
        Self::with(Some(login), None)
    }

    /// A pull-through cache of another registry, with nothing in it.
    pub(crate) fn start_as_cache_of(upstream: &Self) -> Self {
        Self::with(None, Some(format!("http://{}", upstream.host())))
    }

    fn with(login: Option<Login>, upstream: Option<String>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut registry = Self {
            server: None,
            directory,
            port: 0,
            login,
            upstream,
        };
        registry.write_users();
        // Somebody else may take the port between the look and the listen.
        for _ in 0..5 {
            registry.port = free_port();
            registry.write_configuration();
            if registry.try_launch() {
                return registry;
            }
        }
        panic!("docker-registry does not start:\n{}", registry.errors());
    }

    /// The name that images of this registry begin with.
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

    /// What lies on its disk.
    pub(crate) fn store(&self) -> Store {
        Store::new(&self.storage())
    }

    /// The directory of its storage.
    pub(crate) fn data(&self) -> PathBuf {
        self.storage()
    }

    /// `garbage-collect --delete-untagged`, while it is not running, and then it runs again.
    pub(crate) fn collect_untagged(&mut self) {
        self.stop();
        let configuration = self.directory.path().join("config.yml");
        run(program()
            .args(["garbage-collect", "--delete-untagged"])
            .arg(configuration)
            .env_clear());
        self.restart();
    }

    /// What `garbage-collect --delete-untagged --dry-run` says that it would do.
    pub(crate) fn would_collect(&self) -> String {
        let configuration = self.directory.path().join("config.yml");
        let output = run(program()
            .args(["garbage-collect", "--delete-untagged", "--dry-run"])
            .arg(configuration)
            .env_clear());
        [output.stdout, output.stderr]
            .map(|said| String::from_utf8_lossy(&said).into_owned())
            .concat()
    }

    /// Whether it is distribution 3, which follows indexes when it collects garbage.
    pub(crate) fn follows_indexes() -> bool {
        let version = run(program().arg("--version").env_clear()).stdout;
        let version = String::from_utf8_lossy(&version);
        let words = version.split_whitespace().last().unwrap_or_default();
        words.trim_start_matches('v').starts_with('3')
    }

    /// Every file and directory that it has written, with the digests of the files.
    pub(crate) fn disk(&self) -> BTreeMap<PathBuf, String> {
        store::listing(&self.storage())
    }

    /// What one file of its storage says, nothing while it is not there.
    pub(crate) fn on_disk(&self, name: &str) -> String {
        fs::read_to_string(self.storage().join(name)).unwrap_or_default()
    }

    /// Kills it where it stands, in the middle of whatever it does.
    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// Freezes it: it keeps its port and answers nothing.
    pub(crate) fn freeze(&self) {
        self.server.as_ref().expect("it runs").freeze();
    }

    /// The same storage on the same port in a new process: nothing is remembered of any blob.
    pub(crate) fn restart(&mut self) {
        self.stop();
        assert!(
            self.try_launch(),
            "docker-registry does not come back:\n{}",
            self.errors()
        );
    }

    /// How many requests it has logged; a mark for [`Registry::requests_since`].
    pub(crate) fn mark(&self) -> usize {
        self.settle();
        access_log::read(&self.access_log()).len()
    }

    /// What it was asked since the mark, by others than the harness, every line written.
    pub(crate) fn requests_since(&self, mark: usize) -> Vec<Entry> {
        self.settle();
        self.requests_so_far(mark)
    }

    /// What it has logged since the mark, while it may still be at work.
    pub(crate) fn requests_so_far(&self, mark: usize) -> Vec<Entry> {
        let mut entries = access_log::read(&self.access_log());
        entries.drain(..mark.min(entries.len()));
        entries.retain(|entry| !entry.is_of_the_harness());
        entries
    }

    /// A line is written after its answer is sent: asks for something of its own and waits for that line.
    fn settle(&self) {
        let flag = format!("settle={}", free_port());
        self.client().get(&format!("/v2/?{flag}"));
        wait_until("the access log is written", || {
            access_log::read(&self.access_log())
                .iter()
                .any(|entry| entry.query == flag)
        });
    }

    fn try_launch(&mut self) -> bool {
        let mut server = Server::spawn(
            program()
                .arg("serve")
                .arg(self.directory.path().join("config.yml"))
                .env_clear()
                .stdin(std::process::Stdio::null())
                .stdout(self.append("access.log"))
                .stderr(self.append("errors.log")),
        );
        let client = self.client();
        let mut ended = false;
        wait_until("docker-registry answers", || {
            ended = server.exited().is_some();
            ended || client.answers("/v2/")
        });
        if ended {
            return false;
        }
        self.server = Some(server);
        true
    }

    fn append(&self, name: &str) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.path().join(name))
            .expect("a log can be opened")
    }

    /// The file that it is configured by.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.path().join("config.yml")
    }

    fn access_log(&self) -> PathBuf {
        self.directory.path().join("access.log")
    }

    /// Where it keeps everything.
    pub(crate) fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.directory.path().join("errors.log")).unwrap_or_default()
    }

    fn write_users(&self) {
        if let Some(Login { user, password }) = &self.login {
            let line = run(tool("htpasswd").args(["-B", "-b", "-n", "-C", "4", user, password]));
            fs::write(self.directory.path().join("users"), line.stdout).expect("users are written");
        }
    }

    /// The storage section is the one of the stock image: the blob descriptor cache is on.
    fn write_configuration(&self) {
        let directory = self.directory.path().display();
        let storage = self.storage();
        let auth = self.login.as_ref().map_or_else(String::new, |_| {
            format!("auth:\n  htpasswd:\n    realm: tests\n    path: {directory}/users\n")
        });
        let proxy = self.upstream.as_ref().map_or_else(String::new, |upstream| {
            format!("proxy:\n  remoteurl: {upstream}\n")
        });
        let text = format!(
            "version: 0.1
log:
  level: warn
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
{auth}{proxy}",
            storage = storage.display(),
            host = self.host(),
        );
        fs::write(self.directory.path().join("config.yml"), text)
            .expect("configuration is written");
    }
}
