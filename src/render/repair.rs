//! The repairs of a finding as a person types them: what is done, in words, and the commands.
//!
//! The commands rest on curl, skopeo, docker and a shell. Credentials are never in them: skopeo and
//! docker know their logins, and curl reads `~/.netrc`. What only a person knows is a variable with a
//! default that works for the stock image, or with an error that says what is missing.

use super::shell::{Command, quote};
use crate::oci::{Digest, Repository, Tag};
use crate::registry::{Access, Authentication};
use crate::report::{Finding, Reason, Repair, Sweep};

/// A repair in words and commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    /// What is done, without a period.
    pub(super) what: String,
    /// What to paste, in this order.
    pub(super) commands: Vec<Command>,
}

impl Steps {
    /// All commands, a line each.
    pub(super) fn script(&self) -> String {
        let lines: Vec<_> = self.commands.iter().map(Command::line).collect();
        lines.join("\n")
    }
}

/// Where distribution keeps its store (registry/storage/paths.go), on the host that it runs on.
const STORE: &str = "\"${REGISTRY_DATA:-/var/lib/registry}\"/docker/registry/v2/";

/// Where the image still is.
const SOURCE: &str = "\"${SOURCE:?where the image is: docker-daemon:IMAGE or docker://IMAGE}\"";

/// The repairs of a finding of `sweep`, each with its steps, the best first.
pub(super) fn repairs(finding: &Finding, sweep: &Sweep) -> Vec<(Repair, Steps)> {
    let writer = Writer {
        finding,
        access: &sweep.access,
    };
    let repairs = Repair::of(finding, sweep).into_iter();
    repairs
        .map(|repair| {
            let steps = writer.steps(&repair);
            (repair, steps)
        })
        .collect()
}

struct Writer<'a> {
    finding: &'a Finding,
    access: &'a Access,
}

impl Writer<'_> {
    fn steps(&self, repair: &Repair) -> Steps {
        let (finding, tags) = (self.finding, self.tags());
        let (what, commands) = match repair {
            Repair::Mount(from) => (
                format!("mount it from {from}, where it is intact (201 is success)"),
                self.mount(from),
            ),
            Repair::Copy(from) => (
                format!("copy it from {from}, where it is intact"),
                self.copy_manifest(from),
            ),
            Repair::Repoint(tag, digest) => (
                format!("point {tags} at the manifest of {tag}, the nearest intact tag here"),
                vec![self.repoint(digest)],
            ),
            Repair::Push => (
                format!(
                    "push {} again, with the same digests{}",
                    self.one_tag(),
                    self.is_enough()
                ),
                vec![self.push(false)],
            ),
            Repair::Refresh { delete } => (self.refresh_in_words(*delete), self.refresh(*delete)),
            Repair::Rebuild => (
                format!("build {} again, and push it", self.one_tag()),
                self.rebuild(),
            ),
            Repair::Delete(digests) => (
                format!("if nobody needs {tags}: delete by digest, where deleting is enabled"),
                digests.iter().map(|digest| self.untag(digest)).collect(),
            ),
            Repair::Remove => (
                format!("if nobody needs {tags}: remove what is left, on the registry's host"),
                vec![for_each_tag(&finding.tags, |command, tag| {
                    let tags = self.in_repository("_manifests/tags/");
                    command.raw(&format!("rm -r {tags}{tag}"))
                })],
            ),
        };
        Steps { what, commands }
    }

    /// The tags in words.
    fn tags(&self) -> String {
        match self.finding.tags.as_slice() {
            few @ ([_] | [_, _] | [_, _, _]) => {
                few.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ")
            }
            more => format!("these {} tags", more.len()),
        }
    }

    /// The tag to push: any of them restores what all of them miss.
    fn tag(&self) -> Option<&Tag> {
        self.finding.tags.last()
    }

    fn one_tag(&self) -> &str {
        self.tag().map(Tag::as_str).unwrap_or_default()
    }

    fn is_enough(&self) -> &'static str {
        if self.finding.tags.len() > 1 {
            " (one of the tags is enough)"
        } else {
            ""
        }
    }

    fn image(&self, repository: &Repository, reference: &str) -> String {
        format!("docker://{}/{repository}{reference}", self.access.host)
    }

    /// An image of this finding's repository, as skopeo names it.
    fn by_tag(&self, tag: &Tag) -> String {
        self.image(&self.finding.repository, &format!(":{tag}"))
    }

    fn by_digest(&self, repository: &Repository, digest: &Digest) -> String {
        self.image(repository, &format!("@{digest}"))
    }

    /// skopeo's flags for both ends in this registry.
    fn copy(&self, command: Command) -> Command {
        let command = command.raw("skopeo copy --all --preserve-digests");
        if self.access.is_verified {
            command
        } else {
            command.raw("--src-tls-verify=false --dest-tls-verify=false")
        }
    }

    fn copy_manifest(&self, from: &Repository) -> Vec<Command> {
        let Some(digest) = &self.finding.digest else {
            return Vec::new();
        };
        let ends = [from, &self.finding.repository].map(|at| self.by_digest(at, digest));
        vec![self.copy(Command::default()).args(ends)]
    }

    fn repoint(&self, digest: &Digest) -> Command {
        let from = self.by_digest(&self.finding.repository, digest);
        for_each_tag(&self.finding.tags, |command, tag| {
            let to = self.image(&self.finding.repository, ":");
            self.copy(command)
                .arg(&from)
                .raw(&format!("{}{tag}", quote(&to)))
        })
    }

    fn push(&self, after_a_restart: bool) -> Command {
        let mut command = Command::new("skopeo copy --all");
        if after_a_restart {
            // It takes a moment until the registry listens again.
            command = command.raw("--retry-times 5");
        }
        if !self.access.is_verified {
            command = command.raw("--dest-tls-verify=false");
        }
        command = command.verbatim(SOURCE);
        match self.tag() {
            Some(tag) => command.arg(&self.by_tag(tag)),
            None => command,
        }
    }

    fn rebuild(&self) -> Vec<Command> {
        let Some(tag) = self.tag() else {
            return Vec::new();
        };
        let image = format!("{}/{}:{tag}", self.access.host, self.finding.repository);
        let build = Command::new("docker build --tag").arg(&image).raw(".");
        vec![build, Command::new("docker push").arg(&image)]
    }

    fn untag(&self, digest: &Digest) -> Command {
        let mut command = Command::new("skopeo delete");
        if !self.access.is_verified {
            command = command.raw("--tls-verify=false");
        }
        command.arg(&self.by_digest(&self.finding.repository, digest))
    }

    fn refresh_in_words(&self, delete: bool) -> String {
        let file = if delete {
            "delete its file on the registry's host, restart the registry"
        } else {
            "restart the registry, which forgets what it knew"
        };
        let (tag, enough) = (self.one_tag(), self.is_enough());
        format!("{file}, push {tag} again{enough}; a push alone is skipped: \"already exists\"")
    }

    fn refresh(&self, delete: bool) -> Vec<Command> {
        let mut commands = Vec::new();
        if delete {
            let rm = Command::new("rm -f");
            commands.push(self.files().iter().fold(rm, |rm, file| rm.raw(file)));
        }
        commands.push(Command::new(
            "docker restart \"${REGISTRY_CONTAINER:-registry}\"",
        ));
        commands.push(self.push(true));
        commands
    }

    /// The files that may be damaged. A 5xx may come from an empty link as well as from the data.
    fn files(&self) -> Vec<String> {
        let finding = self.finding;
        let Some(digest) = &finding.digest else {
            let tag =
                |tag: &Tag| self.in_repository(&format!("_manifests/tags/{tag}/current/link"));
            return finding.tags.iter().map(tag).collect();
        };
        let digest = digest.to_string();
        let (algorithm, hex) = digest.split_once(':').unwrap_or_default();
        let start = hex.get(..2).unwrap_or(hex);
        let data = in_store(&format!("blobs/{algorithm}/{start}/{hex}/data"));
        let links = if finding.kind.is_blob() {
            "_layers"
        } else {
            "_manifests/revisions"
        };
        let link = self.in_repository(&format!("{links}/{algorithm}/{hex}/link"));
        match finding.defect.reason {
            Reason::Unreadable => vec![data, link],
            _ => vec![data],
        }
    }

    fn in_repository(&self, path: &str) -> String {
        in_store(&format!("repositories/{}/{path}", self.finding.repository))
    }

    /// Cross-repository mounting (distribution-spec, "Mounting a blob from another repository").
    fn mount(&self, from: &Repository) -> Vec<Command> {
        let (repository, Some(digest)) = (&self.finding.repository, &self.finding.digest) else {
            return Vec::new();
        };
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
                    format!("scope=repository:{repository}:pull,push"),
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

/// Asks a token service (distribution, spec/auth/token.md) for a token with some scopes.
pub(super) fn token(
    realm: &str,
    service: Option<&str>,
    scopes: impl IntoIterator<Item = String>,
) -> Command {
    let mut command = Command::new("TOKEN=$(curl -fsSG --netrc");
    let service = service.map(|service| format!("service={service}"));
    for parameter in service.into_iter().chain(scopes) {
        command = command.raw("--data-urlencode").arg(&parameter);
    }
    let field = r#"'s/.*"\(access_token\|token\)" *: *"\([^"]*\)".*/\2/')"#;
    command.arg(realm).raw("| sed").verbatim(field)
}

fn in_store(path: &str) -> String {
    format!("{STORE}{}", quote(path))
}

/// A command for one tag, or the same for several in a loop.
fn for_each_tag(tags: &[Tag], command: impl Fn(Command, &str) -> Command) -> Command {
    match tags {
        [tag] => command(Command::default(), tag.as_str()),
        tags => {
            let tags = tags.iter().map(Tag::as_str);
            let looped = Command::new("for tag in")
                .args(tags)
                .end_with(";")
                .raw("do");
            command(looped, "\"$tag\"").end_with(";").raw("done")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    /// All commands for the findings of a sweep.
    fn commands(sweep: &Sweep) -> Vec<String> {
        let findings = sweep.findings.iter();
        let repairs = findings.flat_map(|finding| repairs(finding, sweep));
        let commands = repairs.flat_map(|(_, steps)| steps.commands);
        commands.map(|command| command.line()).collect()
    }

    fn words_of(script: &str) -> Vec<String> {
        let script = format!("set -- {script}; for word; do printf '%s\\n' \"$word\"; done");
        let said = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        let said = said.expect("there is a shell").stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        said.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_command_is_one_that_a_shell_can_read() {
        for command in commands(&fixture::rich()) {
            let read = std::process::Command::new("sh")
                .args(["-n", "-c", &command])
                .status();
            assert!(read.expect("there is a shell").success(), "{command}");
        }
    }

    #[test]
    fn a_registry_cannot_put_words_into_a_command() {
        let mut sweep = fixture::rich();
        let hostile = "x$(touch owned)`id`';&|\"";
        sweep.access.host = hostile.into();
        sweep.access.api = format!("https://{hostile}/v2/");
        sweep.access.login = Authentication::Token {
            realm: format!("https://{hostile}/token"),
            service: Some(hostile.into()),
        };
        sweep.findings[0].kind = crate::report::Kind::Layer;
        sweep.findings[0].nearby.copy = Some("base".parse().expect("a name"));
        let all = commands(&sweep);
        let mount = all
            .iter()
            .find(|command| command.contains("mount="))
            .expect("a mount");
        let url = words_of(mount).pop().expect("words");
        assert!(url.starts_with(&sweep.access.api), "{url}");
        let token = all
            .iter()
            .find_map(|command| command.strip_prefix("TOKEN=$("));
        let token = token.expect("a token is asked for");
        let request = token.split(" | sed").next().expect("a request");
        let words = words_of(request);
        assert!(words.contains(&format!("service={hostile}")), "{words:#?}");
        assert!(
            words.contains(&format!("https://{hostile}/token")),
            "{words:#?}"
        );
        for command in all
            .iter()
            .filter(|command| command.starts_with("skopeo delete"))
        {
            let image = words_of(command).pop().expect("words");
            assert!(
                image.starts_with(&format!("docker://{hostile}/")),
                "{image}"
            );
        }
    }

    #[test]
    fn certificates_are_verified_unless_the_caller_takes_any() {
        let mut sweep = fixture::rich();
        assert!(
            !commands(&sweep)
                .iter()
                .any(|command| command.contains("tls-verify"))
        );
        sweep.access.is_verified = false;
        let unverified = commands(&sweep);
        let skopeo = unverified
            .iter()
            .filter(|command| command.contains("skopeo"));
        assert!(skopeo.clone().count() > 0);
        assert!(
            skopeo
                .clone()
                .all(|command| command.contains("tls-verify=false"))
        );
    }
}
