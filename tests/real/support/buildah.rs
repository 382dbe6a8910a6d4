//! A manifest list built from scratch and pushed by buildah, with a storage of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::{at_home, run, tool};
use super::registry::Registry;

/// The format that buildah pushes in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    /// An OCI index over OCI manifests.
    Oci,
    /// A Docker manifest list over Docker manifests.
    Docker,
}

/// Builds a list of two platforms and pushes it under `repository:tag`.
pub(crate) fn push_manifest_list(registry: &Registry, name: &str, format: Format) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let home = directory.path();
    let said = |command: &mut Command| {
        let output = run(command);
        String::from_utf8(output.stdout)
            .expect("buildah speaks UTF-8")
            .trim()
            .to_owned()
    };
    said(buildah(home).args(["manifest", "create", "list"]));
    for architecture in ["amd64", "arm64"] {
        let payload = home.join(format!("payload-{architecture}"));
        fs::write(&payload, name.repeat(20_000) + architecture).expect("a payload is written");
        let container = said(buildah(home).args(["from", "--arch", architecture, "scratch"]));
        said(
            buildah(home)
                .arg("copy")
                .arg(&container)
                .arg(&payload)
                .arg("/payload"),
        );
        said(buildah(home).args([
            "config",
            "--os",
            "linux",
            "--arch",
            architecture,
            &container,
        ]));
        said(buildah(home).args(["commit", "--quiet", "--manifest", "list", &container]));
    }
    let format = match format {
        Format::Oci => "oci",
        Format::Docker => "v2s2",
    };
    let target = format!("docker://{}/{name}", registry.host());
    said(
        buildah(home)
            .args([
                "manifest",
                "push",
                "--all",
                "--tls-verify=false",
                "--format",
                format,
                "list",
            ])
            .arg(target),
    );
}

/// A command that leaves nothing outside the directory.
pub(crate) fn buildah(home: &Path) -> Command {
    let mut command = tool("buildah");
    command
        .args(["--storage-driver", "vfs", "--root"])
        .arg(home.join("storage"))
        .arg("--runroot")
        .arg(home.join("run"));
    at_home(&mut command, home);
    command
}
