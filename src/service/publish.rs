//! Hands results on to where they are wanted besides the endpoints: a Pushgateway, a file.

use std::path::PathBuf;

use super::push::Gateway;
use super::{state, textfile};
use crate::model::Record;

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
    /// Pushes the record that has changed, if any has, and writes the files with all of them. Gives
    /// what went wrong, a message each, each of which is logged, too.
    pub async fn publish(&self, changed: &[Record], all: &[Record]) -> Vec<String> {
        let mut errors = Vec::new();
        if let Some(gateway) = &self.gateway {
            for record in changed {
                if let Err(error) = gateway.push(record).await {
                    errors.push(error.to_string());
                }
            }
        }
        if let Some(path) = self.textfile.clone() {
            let all = all.to_vec();
            let shown = path.display().to_string();
            // A disk may take its time, and others wait for this thread.
            let written = tokio::task::spawn_blocking(move || textfile::write(&path, &all)).await;
            let error = match written {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            errors.extend(error.map(|error| {
                format!("--textfile {shown} cannot be written, and stays as it was: {error}")
            }));
        }
        if let Some(path) = self.state.clone() {
            let all = all.to_vec();
            let shown = path.display().to_string();
            let written = tokio::task::spawn_blocking(move || state::write(&path, &all)).await;
            let error = written.unwrap_or_else(|error| Err(error.to_string())).err();
            errors.extend(error.map(|error| {
                format!("--state {shown} cannot be written, and stays as it was: {error}")
            }));
        }
        for error in &errors {
            tracing::error!("{error}");
        }
        errors
    }
}
