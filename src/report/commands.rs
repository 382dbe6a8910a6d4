//! The commands of which repairs are made: curl, skopeo and docker for one finding.

use super::finding::{Elsewhere, Finding};
use super::shell::{Command, token};
use super::store::Store;
use crate::oci::{Digest, Repository};
use crate::registry::{Access, Authentication};

/// Where the image still is. A docker daemon has no indexes, and would push another image.
pub(super) const SOURCE: &str =
    "\"${SOURCE:?where the image is: docker://IMAGE or oci:FOLDER:TAG}\"";

/// Writes the commands for one finding.
pub(super) struct Writer<'a> {
    pub(super) finding: &'a Finding,
    pub(super) access: &'a Access,
    pub(super) store: Store,
}

impl Writer<'_> {
    pub(super) fn image(&self, repository: &Repository, reference: &str) -> String {
        format!("docker://{}/{repository}{reference}", self.access.host)
    }

    pub(super) fn by_digest(&self, repository: &Repository, digest: &Digest) -> String {
        self.image(repository, &format!("@{digest}"))
    }

    /// Flags for a registry whose certificate is not verified.
    pub(super) fn unless_verified(&self, command: Command, flags: &str) -> Command {
        if self.access.is_verified {
            command
        } else {
            command.raw(flags)
        }
    }

    /// skopeo with both ends in this registry.
    pub(super) fn copy(&self, command: Command) -> Command {
        let command = command.raw("skopeo copy --all --preserve-digests");
        self.unless_verified(command, "--src-tls-verify=false --dest-tls-verify=false")
    }

    /// skopeo with a registry's end that is pushed to.
    pub(super) fn push_command(&self, after_a_restart: bool) -> Command {
        let mut command = Command::new("skopeo copy --all --preserve-digests");
        if after_a_restart {
            // It takes a moment until the registry listens again.
            command = command.raw("--retry-times 5");
        }
        self.unless_verified(command, "--dest-tls-verify=false")
    }

    pub(super) fn copied(&self, elsewhere: &Elsewhere, after_a_restart: bool) -> Option<Command> {
        let Elsewhere { image, is_verified } = elsewhere;
        let (_, digest) = image.split_once('@')?;
        let to = self.image(&self.finding.repository, &format!("@{digest}"));
        let mut command = self.push_command(after_a_restart);
        if !is_verified {
            command = command.raw("--src-tls-verify=false");
        }
        Some(command.arg(&format!("docker://{image}")).arg(&to))
    }

    pub(super) fn push(&self, after_a_restart: bool) -> Option<Command> {
        let tag = self.finding.tags.last()?;
        let to = self.image(&self.finding.repository, &format!(":{tag}"));
        // A list that begins with a condition has said what is missing.
        let is_checked = after_a_restart || self.precondition().is_some();
        let source = if is_checked { "\"$SOURCE\"" } else { SOURCE };
        let command = self.push_command(after_a_restart);
        Some(command.verbatim(source).arg(&to))
    }

    /// Ends the list without a source, and where it is known what the tag has to be, with another image.
    pub(super) fn precondition(&self) -> Option<Command> {
        let [digest] = self.finding.nearby.pointed_to.as_slice() else {
            return None;
        };
        let digest = digest.to_string();
        let hex = digest.strip_prefix("sha256:")?;
        let read = Command::new("{ [ \"$(skopeo inspect --raw").verbatim(SOURCE);
        let read = read.raw("| sha256sum | cut -c1-64)\" =").verbatim(hex);
        Some(read.raw("] || { echo 'SOURCE is another image' >&2; false; }; } &&"))
    }

    pub(super) fn untag(&self, digest: &Digest) -> Command {
        self.unless_verified(Command::new("skopeo delete"), "--tls-verify=false")
            .arg(&self.by_digest(&self.finding.repository, digest))
    }

    /// Cross-repository mounting (distribution-spec, "Mounting a blob from another repository").
    pub(super) fn mount(&self, from: &Repository, digest: &Digest) -> Vec<Command> {
        let repository = &self.finding.repository;
        let [from, to] = [from, repository].map(|at| self.access.path(at));
        let mut commands = Vec::new();
        let mut curl = Command::new("curl -sS -d '' -o /dev/null -w '%{http_code}\\n'");
        if self.access.is_encrypted && !self.access.is_verified {
            curl = curl.raw("-k");
        }
        match &self.access.login {
            Authentication::Open => {}
            Authentication::Password => curl = curl.raw("--netrc"),
            Authentication::Token { realm, service } => {
                let scopes = [
                    format!("scope=repository:{from}:pull"),
                    format!("scope=repository:{to}:pull,push"),
                ];
                commands.push(token(realm, service.as_deref(), scopes));
                curl = curl.raw("-H").verbatim("\"Authorization: Bearer $TOKEN\"");
            }
        }
        let url = format!(
            "{}{repository}/blobs/uploads/?mount={digest}&from={from}",
            self.access.api
        );
        commands.push(curl.arg(&url));
        commands
    }
}
