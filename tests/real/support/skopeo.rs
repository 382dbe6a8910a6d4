//! Pushing with skopeo, the way a pipeline does.

use super::images::Content;
use super::process::{at_home, run, tool};
use super::registry::Registry;

/// Pushes the content under `repository:tag`, every digest as it is.
pub(crate) fn push(registry: &Registry, content: &Content, name: &str) {
    copy(registry, content, name, &["--preserve-digests"]);
}

/// Pushes the content converted to Docker's schema 2 (and its manifest list), with digests of their own.
pub(crate) fn push_as_docker(registry: &Registry, content: &Content, name: &str) {
    copy(registry, content, name, &["--format", "v2s2"]);
}

/// Copies all tags of a repository with all their platforms, under the same name.
pub(crate) fn sync(from: &Registry, to: &Registry, repository: &str) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let above = repository.rsplit_once('/').map_or("", |(above, _)| above);
    let mut command = tool("skopeo");
    command.args([
        "--insecure-policy",
        "sync",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--src-no-creds",
        "--dest-no-creds",
        "--src=docker",
        "--dest=docker",
    ]);
    at_home(&mut command, home.path());
    command
        .arg(format!("{}/{repository}", from.host()))
        .arg(format!("{}/{above}", to.host()));
    run(&mut command);
}

fn copy(registry: &Registry, content: &Content, name: &str, options: &[&str]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let layout = directory.path().join("layout");
    content.write_layout(&layout);
    let mut command = tool("skopeo");
    command
        .args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--all",
            "--dest-tls-verify=false",
        ])
        .args(options);
    at_home(&mut command, directory.path());
    match registry.login() {
        Some(login) => {
            command.arg(format!("--dest-creds={}:{}", login.user, login.password));
        }
        None => {
            command.arg("--dest-no-creds");
        }
    }
    command
        .arg(format!("oci:{}:latest", layout.display()))
        .arg(format!("docker://{}/{name}", registry.host()));
    run(&mut command);
}
