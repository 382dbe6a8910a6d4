//! Hands results on to where they are wanted besides the endpoints: a Pushgateway, a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::push::Gateway;
use super::{files, state, textfile};
use crate::oci::Repository;
use crate::report::Record;
use crate::sweep::KnownManifests;

/// Whose turn it is to write plain files: what was known later must not be written earlier.
static WRITING: Mutex<()> = Mutex::new(());

/// Where results go besides the endpoints.
#[derive(Clone, Default)]
pub struct Publish {
    /// A Pushgateway.
    pub gateway: Option<Gateway>,
    /// A file for the node exporter's textfile collector.
    pub textfile: Option<PathBuf>,
    /// A file that keeps what is known of registries from one process to the next.
    pub state: Option<PathBuf>,
}

impl Publish {
    /// Writes the files with all records, as they are when it is this call's turn to write, and then
    /// pushes those that have changed: a gateway may take its time to fail. Gives what went wrong, a
    /// message each, each of which is logged, too.
    pub async fn publish(
        &self,
        changed: &[Arc<Record>],
        all: impl FnOnce() -> Vec<Arc<Record>> + Send + 'static,
    ) -> Vec<String> {
        let mut errors = Vec::new();
        let (textfile, state) = (self.textfile.clone(), self.state.clone());
        if textfile.is_some() || state.is_some() {
            // A disk may take its time, and others wait for this thread.
            let write = move || write(textfile.as_deref(), state.as_deref(), all);
            let written = tokio::task::spawn_blocking(write).await;
            errors.extend(written.unwrap_or_else(|fault| vec![fault.to_string()]));
        }
        if let Some(gateway) = &self.gateway {
            for record in changed {
                if let Err(error) = gateway.push(record).await {
                    errors.push(error.to_string());
                }
            }
        }
        for error in &errors {
            tracing::error!("{error}");
        }
        errors
    }
}

/// How long a gateway may take to say what it holds.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

impl Publish {
    /// The repositories of a registry in which an earlier run found something broken, as the gateway and the
    /// textfile hold it; `None` if they cannot be asked, which is logged.
    pub async fn failing(&self, registry: &str) -> Option<BTreeSet<Repository>> {
        let mut failing = BTreeSet::new();
        let unknown =
            "what was broken before is not known, and the last bytes of all blobs are read";
        if let Some(path) = &self.textfile {
            match textfile::failing(path, registry) {
                Ok(names) => failing.extend(names),
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(registry, "--textfile {path}: {error}; {unknown}");
                    return None;
                }
            }
        }
        if let Some(gateway) = &self.gateway {
            let asked = tokio::time::timeout(LONGEST_ANSWER, gateway.failing(registry));
            let why = match asked.await {
                Ok(Ok(names)) => {
                    failing.extend(names);
                    return Some(failing);
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("{gateway} does not say in time what it holds"),
            };
            tracing::warn!(registry, "{why}; {unknown}");
            return None;
        }
        Some(failing)
    }

    /// Writes the manifests of registries that were read to files beside the state, where one is kept. Gives
    /// whether that worked; what did not is logged.
    pub async fn keep(&self, manifests: Vec<(String, Arc<KnownManifests>)>) -> bool {
        let Some(path) = self.state.clone() else {
            return true;
        };
        let write = move || {
            let written = manifests.iter().map(|(registry, known)| {
                let error = state::write_manifests(&path, registry, known).err()?;
                Some(format!("the manifests of {registry} are not kept: {error}"))
            });
            written.flatten().collect::<Vec<_>>()
        };
        let errors = tokio::task::spawn_blocking(write).await;
        let errors = errors.unwrap_or_else(|fault| vec![fault.to_string()]);
        for error in &errors {
            tracing::error!("{error}");
        }
        errors.is_empty()
    }
}

fn write(
    textfile: Option<&Path>,
    state: Option<&Path>,
    all: impl FnOnce() -> Vec<Arc<Record>>,
) -> Vec<String> {
    let turn = WRITING.lock();
    let all = all();
    let failure = |option: &str, path: &Path, why: &str| {
        format!("{option} {} cannot be written: {why}", path.display())
    };
    // What is known comes before what is shown.
    let state = state.and_then(|path| {
        let why = state::write(path, &all).err()?;
        Some(failure("--state", path, &why))
    });
    let textfile = textfile.and_then(|path| {
        let written = textfile::render(path, &all).and_then(|text| {
            // Who reads a pipe may stop, and keeps nobody else from writing.
            let _turn = (!files::is_stream(path)).then_some(turn);
            files::write_soon(path, text.as_bytes())
        });
        let why = files::Unwritten(&written.err()?).to_string();
        Some(failure("--textfile", path, &why))
    });
    textfile.into_iter().chain(state).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_pipe_that_nobody_reads_keeps_no_other_from_being_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let [fifo, state] = ["fifo", "state"].map(|name| folder.path().join(name));
        let made = Command::new("mkfifo").arg(&fifo).status();
        assert!(made.expect("mkfifo runs").success());
        let path = fifo.clone();
        let waiting = tokio::task::spawn_blocking(move || write(Some(&path), None, Vec::new));
        while !files::is_pouring(&fifo) {
            tokio::task::yield_now().await;
        }
        let other = state.clone();
        let other = tokio::task::spawn_blocking(move || write(None, Some(&other), Vec::new));
        assert_eq!(other.await.expect("written"), [""; 0]);
        assert!(!waiting.is_finished(), "the state had to wait for it");
        assert!(state.exists());
        let mut both = OpenOptions::new();
        let _both = both.read(true).write(true).open(&fifo).expect("open");
        assert_eq!(waiting.await.expect("written"), [""; 0]);
    }
}
