//! The real clients: skopeo and containerd take the image out, each in a folder of its own and without
//! anything that this machine has configured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::front::Front;
use crate::image::{Kind, Part, REPOSITORY, TAG};
use crate::kept::{self, Kept};
use crate::trial::Trial;

/// Far longer than any copy takes that gets on at all.
const LONG: Duration = Duration::from_secs(60);

/// The arguments of `mount` for a file system in memory.
const MEMORY: [&str; 5] = ["-t", "tmpfs", "-o", "size=4g", "tmpfs"];

/// What a client made of an image.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) taken: Taken,
    /// Its last words.
    pub(crate) said: String,
}

/// Whether a client took the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All of it, and every byte is right.
    Whole,
    /// It was content with less than the documents name.
    Partly,
    /// It failed, or what it has is not right.
    Not,
}

/// What containerd made of an image that it had fetched whole, when it unpacked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// For each of its platforms.
    Whole,
    /// It failed, by what the documents say.
    NotByDocuments,
    /// It failed, by what a layer holds.
    NotByLayers,
    /// It was not asked to.
    NotAsked,
}

fn isolated(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("XDG_DATA_HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs it to its end; nothing where it has none.
async fn run(mut command: Command) -> Option<Output> {
    let output = tokio::time::timeout(LONG, command.output()).await.ok()?;
    Some(output.expect("the program starts"))
}

fn report(output: Option<Output>, kept: impl FnOnce() -> Kept) -> Report {
    let Some(output) = output else {
        return Report {
            taken: Taken::Not,
            said: "it does not end".to_owned(),
        };
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let said = last_words(&said);
    if !output.status.success() {
        return Report {
            taken: Taken::Not,
            said,
        };
    }
    match kept() {
        Kept::Whole => Report {
            taken: Taken::Whole,
            said,
        },
        Kept::Partly(what) => Report {
            taken: Taken::Partly,
            said: what,
        },
        Kept::Wrong(what) => Report {
            taken: Taken::Not,
            said: format!("it succeeds, but {what}"),
        },
    }
}

/// The end of what was said, where the reason stands. Documents are quoted at length before it.
fn last_words(said: &str) -> String {
    let last = said.lines().last().unwrap_or_default();
    let length = last.chars().count();
    last.chars().skip(length.saturating_sub(250)).collect()
}

/// `skopeo copy --all` into a folder, where everything lies as it came.
pub(crate) async fn skopeo(front: &Front, trial: &Trial) -> Report {
    let home = tempfile::tempdir().expect("a temporary folder");
    let registries = home.path().join("registries.conf");
    fs::write(&registries, "").expect("a file is written");
    let target = home.path().join("out");
    let mut command = isolated(Path::new("skopeo"), home.path());
    command
        // Keeps what it remembers of blobs in its own folder, as for anybody but root.
        .env("_CONTAINERS_ROOTLESS_UID", "1000")
        .env("CONTAINERS_REGISTRIES_CONF", &registries)
        .args(["--insecure-policy", "--registries.d"])
        .arg(home.path())
        .args([
            "copy",
            "--all",
            "--quiet",
            "--src-tls-verify=false",
            "--src-no-creds",
        ])
        .arg(format!("docker://{}/{REPOSITORY}:{TAG}", front.address))
        .arg(format!("dir:{}", target.display()));
    let output = run(command).await;
    report(output, || {
        kept::in_folder(&target, |bytes| trial.is_root(bytes))
    })
}

/// A containerd of its own, until it is dropped.
pub(crate) struct Containerd {
    programs: PathBuf,
    home: tempfile::TempDir,
    daemon: Child,
}

impl Containerd {
    /// Starts the one whose programs are in this folder.
    pub(crate) async fn start(programs: &Path) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        // It waits for the disk after each blob. Where memory cannot be mounted, this takes longer.
        _ = std::process::Command::new("mount")
            .args(MEMORY)
            .arg(home.path())
            .output();
        let configuration = home.path().join("config.toml");
        fs::write(&configuration, Self::configuration(home.path())).expect("a file is written");
        let mut command = isolated(&programs.join("containerd"), home.path());
        command.arg("--config").arg(&configuration);
        let log = fs::File::create(home.path().join("log")).expect("a file is made");
        command.stdout(Stdio::null()).stderr(log);
        let daemon = command.spawn().expect("containerd starts");
        let started = Self {
            programs: programs.to_owned(),
            home,
            daemon,
        };
        for _ in 0..600 {
            let version = run(started.ctr(&["version"])).await;
            if version.is_some_and(|output| output.status.success()) {
                return started;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = fs::read_to_string(started.home.path().join("log")).unwrap_or_default();
        panic!("containerd does not answer: {log}");
    }

    /// Content, and files as they are; what one namespace has is not there for another; and nothing is collected
    /// that is still to be looked at.
    fn configuration(home: &Path) -> String {
        let home = home.display();
        format!(
            "version = 2\nroot = '{home}/root'\nstate = '{home}/state'\n\
             disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt', \
             'io.containerd.internal.v1.restart', 'io.containerd.snapshotter.v1.aufs', \
             'io.containerd.snapshotter.v1.btrfs', 'io.containerd.snapshotter.v1.devmapper', \
             'io.containerd.snapshotter.v1.zfs']\n\
             [grpc]\naddress = '{home}/socket'\n\
             [plugins.'io.containerd.metadata.v1.bolt']\ncontent_sharing_policy = 'isolated'\n\
             [plugins.'io.containerd.gc.v1.scheduler']\nmutation_threshold = 0\n"
        )
    }

    fn ctr(&self, arguments: &[&str]) -> Command {
        let mut command = isolated(&self.programs.join("ctr"), self.home.path());
        command
            .arg("--address")
            .arg(self.home.path().join("socket"))
            .args(arguments);
        command
    }

    /// Who is asked.
    pub(crate) async fn versions(&self) -> String {
        let mut versions = Vec::new();
        for program in [Path::new("skopeo"), &self.programs.join("containerd")] {
            let mut command = isolated(program, self.home.path());
            command.arg("--version");
            let output = run(command).await.expect("it says its version");
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            versions.push(said);
        }
        versions.join(", ")
    }

    /// Says how the registry is to be reached: what is on loopback is never taken to speak TLS.
    fn name(url: &str, hosts: &Path) {
        let (_, address) = url.split_once("://").expect("it is an address");
        let host = hosts.join(address);
        fs::create_dir_all(&host).expect("a folder is made");
        let text = format!(
            "server = '{url}'\n[host.'{url}']\ncapabilities = ['pull', 'resolve']\nskip_verify = true\n"
        );
        fs::write(host.join("hosts.toml"), text).expect("a file is written");
    }

    /// `ctr content fetch` for all platforms.
    pub(crate) async fn fetch(&self, front: &Front, trial: &Trial) -> Report {
        let space = front.address.to_string().replace([':', '.'], "-");
        let image = format!("{}/{REPOSITORY}:{TAG}", front.address);
        let hosts = self.home.path().join("hosts").join(&space);
        Self::name(&front.url(), &hosts);
        let mut fetch = self.ctr(&["--namespace", &space, "content", "fetch", "--all-platforms"]);
        fetch.arg("--hosts-dir").arg(hosts).arg(&image);
        let output = run(fetch).await;
        let mut root = None;
        if output
            .as_ref()
            .is_some_and(|output| output.status.success())
        {
            let list = self.ctr(&["--namespace", &space, "images", "list"]);
            let listed = run(list).await.expect("a list comes");
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            root = listed
                .split_whitespace()
                .find(|word| word.starts_with("sha256:"))
                .map(str::to_owned);
        }
        let blobs = self
            .home
            .path()
            .join("root/io.containerd.content.v1.content/blobs/sha256");
        report(output, || {
            let root = root.as_deref().unwrap_or_default();
            // It makes a manifest of its own of schema 1, and of some of Docker's old ones.
            let is_made = trial.shape.kind == Kind::SignedSchema1 || trial.is_of_documents();
            kept::in_store(&blobs, root, |bytes| is_made || trial.is_root(bytes))
        })
    }

    /// `ctr images pull` of what is fetched already, which asks for the tag again and then unpacks.
    pub(crate) async fn unpack(&self, front: &Front) -> (Unpacked, String) {
        let space = front.address.to_string().replace([':', '.'], "-");
        let hosts = self.home.path().join("hosts").join(&space);
        let mut pull = self.ctr(&["--namespace", &space, "images", "pull", "--all-platforms"]);
        pull.args(["--snapshotter", "native", "--hosts-dir"])
            .arg(hosts)
            .arg(format!("{}/{REPOSITORY}:{TAG}", front.address));
        let output = run(pull).await.expect("it ends");
        let said = last_words(&String::from_utf8_lossy(&output.stderr));
        let of_layers = ["wrong diff id", "failed to extract layer", "apply layer"];
        let unpacked = if output.status.success() {
            Unpacked::Whole
        } else if of_layers.iter().any(|words| said.contains(words)) {
            Unpacked::NotByLayers
        } else {
            Unpacked::NotByDocuments
        };
        (unpacked, said)
    }

    /// Frees the room of layers that may be large. What is small may be another image's, too.
    pub(crate) fn forget(&self, trial: &Trial) {
        let content = "root/io.containerd.content.v1.content/blobs/sha256";
        let blobs = self.home.path().join(content);
        let stored = trial.stored.iter();
        for large in stored.filter(|stored| stored.part == Part::Large) {
            _ = fs::remove_file(blobs.join(&large.digest["sha256:".len()..]));
        }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        _ = self.daemon.start_kill();
        // It is busy until the daemon has ended, which is soon.
        _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(self.home.path())
            .output();
    }
}
