//! Hands results on to where they are wanted besides the endpoints: a Pushgateway, a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::push::Gateway;
use super::{state, textfile};
use crate::report::Record;
use crate::sweep::KnownManifests;

/// Whose turn it is to write files: what was known later must not be written earlier.
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
        changed: &[Record],
        all: impl FnOnce() -> Vec<Record> + Send + 'static,
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

impl Publish {
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
    all: impl FnOnce() -> Vec<Record>,
) -> Vec<String> {
    let _turn = WRITING.lock();
    let all = all();
    let failure = |option: &str, path: &Path, written: Result<(), String>| {
        let (path, why) = (path.display(), written.err()?);
        Some(format!(
            "{option} {path} cannot be written, and stays as it was: {why}"
        ))
    };
    // What is known comes before what is shown: the textfile may be a pipe that nobody reads.
    let state = state.and_then(|path| failure("--state", path, state::write(path, &all)));
    let textfile =
        textfile.and_then(|path| failure("--textfile", path, textfile::write(path, &all)));
    textfile.into_iter().chain(state).collect()
}
