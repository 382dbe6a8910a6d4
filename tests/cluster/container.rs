//! A container as a runtime runs it: namespaces for mounts and processes, a root of its own, and no user but the one it is given.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use crate::support::process::{Server, run, signal, tool, wait_until};

/// Mounts what is mounted, and becomes the program. What it is given: the root, whether that is read-only, user and groups,
/// then source, place and mode of each mount, and the words after `--`. Capabilities go with the user, who is not root.
const CONTAINED: &str = r#"
set -e
own=$PATH PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
setpriv=$(command -v setpriv) chroot=$(command -v chroot)
root=$1 root_is=$2 user=$3 groups=$4
shift 4
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
    mount --bind "$1" "$root$2"
    mount -o "remount,bind,$3" "$root$2"
    shift 3
done
shift
mount -t proc proc "$root/proc"
mount -o "remount,bind,$root_is" "$root"
PATH=$own
exec "$setpriv" --no-new-privs "$chroot" --userspec="$user" --groups="$groups" "$root" "$@"
"#;

/// The PATH that a runtime gives where neither the image nor the pod has one.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is mounted, and where.
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) target: String,
    pub(crate) is_read_only: bool,
}

/// A container in the making.
pub(crate) struct Making<'a> {
    /// What the image has.
    pub(crate) image: &'a Path,
    /// A folder of the container's own.
    pub(crate) own: &'a Path,
    pub(crate) is_read_only: bool,
    pub(crate) user: (u64, u64),
    /// `fsGroup` of the pod.
    pub(crate) group: Option<u32>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) words: Vec<String>,
}

/// A container that runs, or has run.
#[derive(Debug)]
pub(crate) struct Container {
    server: Server,
    log: PathBuf,
}

impl Making<'_> {
    /// Starts it, and waits until its first process is there.
    pub(crate) fn start(self) -> Container {
        // A pod whose first containers have run may have had to wait.
        let _ = fs::remove_dir_all(self.own);
        fs::create_dir_all(self.own).expect("it is made");
        let root = self.own.join("root");
        run(tool("cp").arg("-a").arg(self.image).arg(&root));
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("its mode is set");
        // As a kubelet writes it.
        fs::create_dir_all(root.join("etc")).expect("it is made");
        fs::write(root.join("etc/hosts"), "127.0.0.1\tlocalhost\n").expect("it is written");
        let targets = self.mounts.iter().map(|mount| mount.target.as_str());
        for target in targets.chain(["/proc"]) {
            fs::create_dir_all(root.join(target.trim_start_matches('/'))).expect("it is made");
        }
        let log = self.own.join("log");
        let file = File::create(&log).expect("a log is opened");
        let (user, group) = self.user;
        let mode = |is_read_only| if is_read_only { "ro" } else { "rw" };
        let mut command = tool("unshare");
        command
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
            ])
            .args(["/bin/sh", "-c", CONTAINED, "sh"])
            .arg(&root)
            .arg(mode(self.is_read_only))
            .arg(format!("{user}:{group}"))
            .arg(
                self.group
                    .map_or_else(String::new, |group| group.to_string()),
            );
        for mount in &self.mounts {
            command
                .arg(&mount.source)
                .arg(&mount.target)
                .arg(mode(mount.is_read_only));
        }
        command
            .arg("--")
            .args(&self.words)
            .env_clear()
            .env("PATH", PATH)
            .envs(self.variables)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file has two handles"))
            .stderr(file);
        let mut container = Container {
            server: Server::spawn(&mut command),
            log,
        };
        wait_until("a container's first process is there", || {
            container.first().is_some() || container.ended().is_some()
        });
        container
    }
}

impl Container {
    /// The number of its first process.
    fn first(&self) -> Option<u32> {
        let id = self.server.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Sends a signal to its first process, if that is still there.
    pub(crate) fn signal(&self, name: &str) {
        if let Some(first) = self.first() {
            signal(first, name);
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.server.exited()
    }

    /// What it has written so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("its log can be read")
    }
}

impl Drop for Container {
    /// The kernel forgets to end it with `unshare`, since it has become another user.
    fn drop(&mut self) {
        if let Some(first) = self.first() {
            // It may go by itself meanwhile.
            let _ = tool("kill")
                .args(["-s", "KILL", &first.to_string()])
                .output();
        }
    }
}
