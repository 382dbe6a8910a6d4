//! What a report says to paste, pasted: a shell, with what a person on call has around it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::images::Content;
use super::probe::Outcome;
use super::process::at_home;
use super::registry::{Login, Registry};

/// No pasted command takes longer.
const LIMIT: Duration = Duration::from_secs(600);

/// Stands in for docker, which would restart the registry's container: the test restarts its process.
const DOCKER: &str = r#"#!/bin/sh
[ "$1 $2" = "restart registry" ] || exit 64
: >"$DESK/wanted"
tries=0
while [ ! -e "$DESK/done" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 20000 ] || exit 1
    sleep 0.03
done
rm "$DESK/done"
"#;

/// A person's shell on the host of a registry.
pub(crate) struct Shell {
    desk: TempDir,
    source: Option<PathBuf>,
}

impl Shell {
    /// A shell of somebody who has no image and no login at hand.
    pub(crate) fn new() -> Self {
        let desk = tempfile::tempdir().expect("a temporary directory");
        Self { desk, source: None }.with_program("docker", DOCKER)
    }

    /// The image is still there, outside the registry.
    pub(crate) fn with_source(mut self, content: &Content) -> Self {
        let layout = self.desk.path().join("layout");
        content.write_layout(&layout);
        self.source = Some(layout);
        self
    }

    /// With these programs of busybox, as on a host that runs little else.
    pub(crate) fn with_applets(self, applets: &[&str]) -> Self {
        for applet in applets {
            let link = self.desk.path().join(applet);
            std::os::unix::fs::symlink("/bin/busybox", link).expect("a link is made");
        }
        self
    }

    /// Logins where curl looks for them.
    pub(crate) fn with_netrc(self, login: &Login) -> Self {
        let line = format!(
            "machine 127.0.0.1 login {} password \"{}\"\n",
            login.user, login.password
        );
        fs::write(self.desk.path().join(".netrc"), line).expect("a login is written");
        self
    }

    /// A login where skopeo and docker look for those of a registry.
    #[allow(dead_code, reason = "tests/registries uses it")]
    pub(crate) fn with_docker_login(self, host: &str, login: &Login) -> Self {
        let folder = self.on_desk(".docker");
        fs::create_dir(&folder).expect("a folder is made");
        let words = STANDARD.encode(format!("{}:{}", login.user, login.password));
        let logins = json!({"auths": {host: {"auth": words}}}).to_string();
        fs::write(folder.join("config.json"), logins).expect("a login is written");
        self
    }

    /// One more program of this name, which plays another.
    pub(crate) fn with_program(self, name: &str, script: &str) -> Self {
        let program = self.desk.path().join(name);
        fs::write(&program, script).expect("a program is written");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&program, mode).expect("a program can be run");
        self
    }

    /// Pastes some text on the host of a registry: it has to succeed, and gives what it prints.
    pub(crate) fn paste(&self, registry: &mut Registry, text: &str) -> String {
        let data = registry.data();
        self.run_well(text, &data, || registry.restart())
    }

    /// Pastes some text that has to fail, and gives what it says of that.
    pub(crate) fn refuse(&self, registry: &Registry, text: &str) -> String {
        let restart = || panic!("nothing is restarted: {text}");
        let output = self.run(text, &registry.data(), restart);
        assert!(!output.status.success(), "{text}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Pastes some text where there is no registry.
    pub(crate) fn paste_elsewhere(&self, text: &str) -> String {
        self.run_well(text, self.desk.path(), || panic!("no registry is here"))
    }

    fn run_well(&self, text: &str, data: &Path, restart: impl FnMut()) -> String {
        let output = self.run(text, data, restart);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{said}{error}");
        said
    }

    fn run(&self, text: &str, data: &Path, mut restart: impl FnMut()) -> Output {
        let (wanted, done) = (self.on_desk("wanted"), self.on_desk("done"));
        let own = self.on_desk("sh");
        let program = if own.exists() { own } else { "sh".into() };
        let mut command = Command::new(program);
        command
            .args(["-e", "-u", "-c", text])
            .env_clear()
            .env("PATH", self.path())
            .env("DESK", self.desk.path())
            .env("REGISTRY_DATA", data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        at_home(&mut command, self.desk.path());
        if let Some(layout) = &self.source {
            command.env("SOURCE", format!("oci:{}:latest", layout.display()));
        }
        let mut child = command.spawn().expect("there is a shell");
        let start = Instant::now();
        while child.try_wait().expect("a child can be asked").is_none() {
            if wanted.exists() {
                fs::remove_file(&wanted).expect("a file can be removed");
                restart();
                fs::write(&done, "").expect("a file is written");
            }
            if start.elapsed() > LIMIT {
                let _ = child.kill();
            }
            thread::sleep(Duration::from_millis(5));
        }
        child.wait_with_output().expect("a child ends")
    }

    fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", self.desk.path().display())
    }

    fn on_desk(&self, name: &str) -> PathBuf {
        Path::new(self.desk.path()).join(name)
    }
}

/// The commands of one action of a finding in a JSON report.
pub(crate) fn commands(finding: &Value, action: &str) -> String {
    let repairs = finding["repairs"].as_array().expect("a list of repairs");
    let repair = repairs.iter().find(|repair| repair["action"] == action);
    let repair = repair.unwrap_or_else(|| panic!("no {action} in {repairs:#?}"));
    let commands = repair["commands"].as_array().expect("commands");
    let commands = commands
        .iter()
        .map(|command| command.as_str().expect("text"));
    commands.collect::<Vec<_>>().join("\n")
}

/// The actions that are offered for a finding, the best first.
pub(crate) fn actions(finding: &Value) -> Vec<&str> {
    let repairs = finding["repairs"].as_array().expect("a list of repairs");
    repairs
        .iter()
        .map(|repair| repair["action"].as_str().expect("an action"))
        .collect()
}

/// The commands of the first repair in a text report, as they stand there.
pub(crate) fn first_repair(outcome: &Outcome) -> String {
    let lines = outcome.stdout.lines();
    let mut lines = lines.skip_while(|line| !line.starts_with("  repair "));
    // The words end with a colon, and commands go on to where a column to their left is filled.
    let _ = lines.by_ref().find(|line| line.ends_with(':'));
    let rows = lines.take_while(|line| line.starts_with("         "));
    rows.collect::<Vec<_>>().join("\n")
}
