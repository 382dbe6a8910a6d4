//! The image: built from `deploy/Dockerfile` without pulling, small, run as nobody with a root that cannot be
//! written to, and itself an image that can be verified.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::support::assertions::assert_intact;
use crate::support::buildah::buildah;
use crate::support::files::{at, image_parts};
use crate::support::images::Content;
use crate::support::nginx::Nginx;
use crate::support::probe::Probe;
use crate::support::process::{run, tool};
use crate::support::registry::Registry;
use crate::support::skopeo;

const MOST_BYTES: u64 = 15_000_000;

/// Runs a program of a directory as a container runtime runs it: a mount namespace of its own, the root
/// read-only but for what is mounted, no privileges to gain, and the user of the image.
const CONTAINED: &str = r#"
set -e
root=$1 mounted=$2
shift 2
mount --bind "$root" "$root"
mount --bind "$mounted" "$root/mounted"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$root" "$@"
"#;

/// The image in a storage of its own.
struct Image {
    home: TempDir,
}

impl Image {
    fn build() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let context = home.path().join("context");
        fs::create_dir(&context).expect("it is made");
        run(buildah(home.path())
            .args(["build", "--quiet", "--file"])
            .arg(at("deploy/Dockerfile"))
            .arg("--build-context")
            .arg(format!("build={}", image_parts().display()))
            .args(["--tag", "registry-probe"])
            .arg(&context));
        Self { home }
    }

    /// What `buildah` prints, without the end of the line.
    fn buildah(&self, args: &[&str]) -> String {
        let said = run(buildah(self.home.path()).args(args)).stdout;
        String::from_utf8(said)
            .expect("it is text")
            .trim()
            .to_owned()
    }

    /// The root of a new container, with a directory to mount something at, and a name server.
    fn root(&self, name_server: &NameServer) -> PathBuf {
        let container = self.buildah(&["from", "--pull-never", "localhost/registry-probe"]);
        let root = PathBuf::from(self.buildah(&["mount", &container]));
        fs::create_dir(root.join("mounted")).expect("it is made");
        let resolver = format!("nameserver {}\n", name_server.address);
        fs::write(root.join("etc/resolv.conf"), resolver).expect("it is written");
        root
    }
}

/// Runs the probe of that root with something mounted.
fn contained(root: &Path, mounted: &Path, args: &[&str]) -> Output {
    tool("unshare")
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ])
        .args(["sh", "-c", CONTAINED, "sh"])
        .args([root, mounted])
        .args(["/probe", "--confirm-after", "0s"])
        .args(args)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .expect("it can be started")
}

/// Answers every question for an IPv4 address with loopback, and knows what it was asked.
struct NameServer {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// On an address of loopback that is this process' own, for the port is always the same.
    fn start() -> Self {
        let own = std::process::id();
        let address = format!("127.53.{}.{}", own / 250 % 250 + 1, own % 250 + 1);
        let socket = UdpSocket::bind(format!("{address}:53")).expect("port 53 is free there");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let names = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut packet) {
                let (name, answer) = answer(&packet[..length]);
                names.lock().expect("nobody panics with it").push(name);
                let _ = socket.send_to(&answer, peer);
            }
        });
        Self { address, asked }
    }
}

/// The name of a question (RFC 1035, section 4.1), and an answer to it.
fn answer(question: &[u8]) -> (String, Vec<u8>) {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    let is_ipv4 = question[at + 1..at + 3] == [0, 1];
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
    answer.extend(&question[12..at + 5]);
    if is_ipv4 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    (labels.join("."), answer)
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).expect("it is text")
}

#[test]
fn the_image_is_small_runs_as_nobody_and_takes_a_private_ca() {
    let image = Image::build();
    let config = image.buildah(&["inspect", "--type", "image", "localhost/registry-probe"]);
    let config: serde_json::Value = serde_json::from_str(&config).expect("it is JSON");
    let config = &config["OCIv1"]["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/probe"]));

    let name_server = NameServer::start();
    let root = image.root(&name_server);
    let binary = fs::metadata(root.join("probe")).expect("it is there").len();
    let roots = root.join("etc/ssl/certs/ca-certificates.crt");
    let size = binary + fs::metadata(&roots).expect("it is there").len();
    assert!(size < MOST_BYTES, "{size} bytes");
    let bundle = fs::read_to_string(&roots).expect("it is text");
    assert!(
        bundle.matches("BEGIN CERTIFICATE").count() > 50,
        "roots of public authorities"
    );

    let registry = Registry::start();
    skopeo::push(&registry, &Content::index("inside"), "team/app:1.4");
    let front = Nginx::tls(&registry);
    let mounted = tempfile::tempdir().expect("a temporary directory");
    // Anybody may write there, so that whoever did can be seen.
    run(tool("chmod").arg("0777").arg(mounted.path()));
    fs::copy(front.authority(), mounted.path().join("ca.crt")).expect("it is copied");
    let port = front
        .host()
        .rsplit_once(':')
        .expect("it has a port")
        .1
        .to_owned();
    let url = format!("https://localhost:{port}");
    let once = |more: &[&str]| {
        let args: Vec<_> = ["--once", url.as_str()]
            .iter()
            .chain(more)
            .copied()
            .collect();
        contained(&root, mounted.path(), &args)
    };

    let trusted = [
        "--ca-file",
        "/mounted/ca.crt",
        "--textfile",
        "/mounted/probe.prom",
    ];
    let output = once(&trusted);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let asked = name_server
        .asked
        .lock()
        .expect("nobody panics with it")
        .clone();
    assert!(
        asked.contains(&"localhost".to_owned()),
        "no name was resolved: {asked:?}"
    );
    let owner = run(tool("stat")
        .args(["--format=%u:%g"])
        .arg(mounted.path().join("probe.prom")));
    assert_eq!(said(&owner).trim(), "65532:65532");

    // The root cannot be written to, whoever owns what is there.
    run(tool("chmod").arg("0777").arg(&root));
    let output = once(&["--ca-file", "/mounted/ca.crt", "--textfile", "/probe.prom"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        said(&output).contains("Read-only file system"),
        "{}",
        said(&output)
    );

    // An authority that is not known is not trusted; and known are those of the image's own file.
    let output = once(&[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    fs::copy(front.authority(), &roots).expect("it is copied");
    let output = once(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn the_image_is_pushed_and_verified_by_the_probe() {
    let image = Image::build();
    let registry = Registry::start();
    let name = format!("{}/registry-probe:0.1.0", registry.host());
    image.buildah(&[
        "push",
        "--quiet",
        "--tls-verify=false",
        "localhost/registry-probe",
        &format!("docker://{name}"),
    ]);
    let report = assert_intact(&Probe::verify().depth("digest").arg(&name).run());
    assert_eq!(report.count("manifests"), 1);
}
