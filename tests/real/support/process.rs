//! Programs of the machine: finding them, running them to their end, and servers that die with their test.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Where servers live on Debian, although the path of an ordinary user leaves it out.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The ports that the servers of the tests listen on: below the range that the kernel gives to clients.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Longer than a server takes to come up, to write a line, or to go, on a slow machine: only a test that has
/// failed waits for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A command for the program `name`; a missing program fails the test that needs it.
pub(crate) fn tool(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = SYSTEM_DIRECTORIES.map(PathBuf::from);
    let found = std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file());
    match found {
        Some(program) => Command::new(program),
        None => panic!("`{name}` is not installed: run tests/setup.sh"),
    }
}

/// Lets a program keep below this directory what it keeps for its user: settings, caches, what is temporary.
pub(crate) fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
        command.env_remove(name);
    }
    command
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("XDG_RUNTIME_DIR", home)
        // Root's skopeo and buildah would keep what they know of blobs for the whole machine.
        .env("_CONTAINERS_ROOTLESS_UID", "65534")
}

/// Runs a command to its end and fails the test, with all it said, when it does not succeed.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program can be started");
    assert!(
        output.status.success(),
        "`{}` failed with {}:\n{}{}",
        shown(command),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// The command line as one would type it.
fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}

/// A port of loopback that nobody listens on, and that no other test of this run was given.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Two runs at the same time begin far apart.
    let first = u16::try_from(std::process::id() % u32::from(span)).expect("it is below the span");
    (0..span)
        .map(|_| PORTS.start + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % span)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of ten thousand ports is free")
}

/// Asks again and again, for a bounded time, until `done` says so.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < PATIENCE,
            "after {PATIENCE:?} still not so: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal, by its name without SIG, to a child that was not reaped yet.
pub(crate) fn signal(child: u32, name: &str) {
    run(tool("kill").args(["-s", name, &child.to_string()]));
}

/// A child process that is killed, by its own id and nothing wider, when its owner goes.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts the server; it is not ready yet.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command.spawn().expect("the server can be started");
        Self { child }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it writes to standard error, if that was piped. To be taken once.
    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("it is piped")
    }

    /// How it ended, if it has.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Freezes it: connections are accepted by the kernel, and nothing is ever answered.
    pub(crate) fn freeze(&self) {
        signal(self.child.id(), "STOP");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have gone by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
