//! What could mend a finding, cheapest first, chosen from what the sweep saw, and as a person types it.
//! The probe itself writes nothing.
//!
//! The commands rest on curl, skopeo, docker and a shell. Credentials are never in them: skopeo and
//! docker know their logins, and curl reads `~/.netrc`. What only a person knows is a variable with a
//! default that works for the stock image, or with an error that says what is missing.

use serde::Serialize;

use super::cause::Cause;
use super::evidence::{LengthSource, Observed};
use super::finding::Finding;
use super::mode::Mode;
use super::outcome::Reason;
use super::shell::{Command, quote};
use super::sweep::Sweep;
use crate::oci::{Digest, Repository, Tag, printable};
use crate::registry::{Access, Authentication};
use crate::words::words;

words! {
    /// What a repair does, in the order of the harm that it can do. Texts show it in capitals, before what
    /// exactly is done. What restores or pushes gives the very bytes that were promised.
    Action {
        /// Brings the very object from where it was seen intact: mounts a blob, copies a manifest.
        Restore = "restore",
        /// Pushes the image again, with the same digests.
        Push = "push",
        /// Restarts what holds a stale cache, and pushes the image again; damaged files are removed before.
        Restart = "restart",
        /// Builds the image again and pushes it: the digests are others.
        Rebuild = "rebuild",
        /// Gives the tags an older version of the same image.
        RollBack = "rollback",
        /// Deletes the tags, or what is left of them in storage.
        Delete = "delete",
    }
}

impl Action {
    /// The word that stands before a repair in texts: `RESTORE`.
    #[must_use]
    pub fn label(self) -> String {
        self.word().to_uppercase()
    }
}

/// A repair of one finding, in words and commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Repair {
    /// What is done.
    pub action: Action,
    /// The same in words, without a period.
    pub what: String,
    /// What to paste, in this order.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub commands: Vec<Command>,
}

impl Repair {
    /// All commands, a line each.
    #[must_use]
    pub fn script(&self) -> String {
        let lines: Vec<_> = self.commands.iter().map(Command::to_string).collect();
        lines.join("\n")
    }

    /// The repairs of a finding of `sweep`, in the order of the harm that they can do; none where nothing
    /// that could be typed helps. What restores the very bytes comes before what gives a tag other ones,
    /// and what deletes comes last.
    pub(super) fn of<F>(finding: &Finding, sweep: &Sweep<F>) -> Vec<Self> {
        let cause = sweep.cause(finding);
        // Replicas have to agree first, and a cache is not pushed to.
        if cause == Cause::ReplicasDisagree || sweep.mode == Mode::PullThrough {
            return Vec::new();
        }
        let access = &sweep.access;
        let writer = Writer { finding, access };
        // What was never there is not to be removed.
        let was_there = (finding.defect.reason, cause) != (Reason::NotFound, Cause::Unknown);
        let given_up = if was_there { writer.given_up() } else { None };
        let repairs = [
            writer.elsewhere(),
            writer.restored(cause),
            writer.roll_back(),
            given_up,
        ];
        repairs.into_iter().flatten().collect()
    }
}

/// To move or delete more names than this on the word of a report is no repair.
const FEW_TAGS: usize = 8;

/// Where distribution keeps its store (registry/storage/paths.go), on the host that it runs on.
const STORE: &str = "\"${REGISTRY_DATA:-/var/lib/registry}\"/docker/registry/v2/";

/// Where the image still is. A docker daemon has no indexes, and would push another image.
const SOURCE: &str = "\"${SOURCE:?where the image is: docker://IMAGE or oci:FOLDER:TAG}\"";

fn repair(action: Action, what: &str, commands: Vec<Command>) -> Repair {
    Repair {
        action,
        what: printable(what),
        commands,
    }
}

struct Writer<'a> {
    finding: &'a Finding,
    access: &'a Access,
}

impl Writer<'_> {
    fn elsewhere(&self) -> Option<Repair> {
        let (from, digest) = (
            self.finding.nearby.copy.as_ref()?,
            self.finding.digest.as_ref()?,
        );
        if self.finding.kind.is_blob() {
            let what = format!("mount it from {from}, where it is intact (201 is success)");
            return Some(repair(Action::Restore, &what, self.mount(from, digest)));
        }
        let what = format!("copy it from {from}, where it is intact");
        let ends = [from, &self.finding.repository].map(|at| self.by_digest(at, digest));
        let copy = self.copy(Command::default()).args(ends);
        Some(repair(Action::Restore, &what, vec![copy]))
    }

    /// What brings the promised bytes back from where they were made.
    fn restored(&self, cause: Cause) -> Option<Repair> {
        // Without a tag there is no name to push under. Any of them restores what all of them miss.
        let tag = self.finding.tags.last()?;
        let observed = &self.finding.defect.evidence.observed;
        let is_promise_wrong = matches!(
            observed,
            Some(Observed::OtherLength {
                source: LengthSource::Verified,
                ..
            })
        );
        Some(match (self.finding.defect.reason, cause) {
            (Reason::NotFound, _) => {
                let enough = self.is_enough();
                let what = format!("push {tag} again, with the same digests{enough}");
                repair(Action::Push, &what, vec![self.push(tag, false)])
            }
            (Reason::StorageMissing, _) => self.refresh(tag, false),
            (Reason::InvalidManifest, Cause::Unknown) | (Reason::MediaTypeMismatch, _) => {
                self.rebuild(tag)
            }
            _ if is_promise_wrong => self.rebuild(tag),
            // An earlier version saw it, and what it saw is not known: nothing is deleted on that.
            _ if observed.is_none() => self.refresh(tag, false),
            _ => self.refresh(tag, true),
        })
    }

    /// An older version in place of the broken one, for as long as nobody can push that again.
    fn roll_back(&self) -> Option<Repair> {
        let (older, digest) = self.finding.nearby.sibling.as_ref()?;
        let from = self.by_digest(&self.finding.repository, digest);
        let (few, tags) = self.few_tags()?;
        let command = for_each_tag(few, |command, tag| {
            let to = self.image(&self.finding.repository, ":");
            self.copy(command)
                .arg(&from)
                .raw(&format!("{}{tag}", quote(&to)))
        });
        let what = format!("roll back: {tags} will contain {older}");
        Some(repair(Action::RollBack, &what, vec![command]))
    }

    /// What ends the false promise when nobody needs it.
    fn given_up(&self) -> Option<Repair> {
        let (few, tags) = self.few_tags()?;
        let pointed_to = &self.finding.nearby.pointed_to;
        // A manifest that cannot be read cannot be deleted by its digest either.
        let is_readable = |digest: &Digest| Some(digest) != self.finding.digest.as_ref();
        if !pointed_to.is_empty() && pointed_to.iter().all(is_readable) {
            let what =
                format!("if nobody needs {tags}: delete by digest, where deleting is enabled");
            let commands = pointed_to.iter().map(|digest| self.untag(digest)).collect();
            return Some(repair(Action::Delete, &what, commands));
        }
        let what = format!("if nobody needs {tags}: remove what is left, on the registry's host");
        let remove = for_each_tag(few, |command, tag| {
            let tags = self.in_repository("_manifests/tags/");
            command.raw(&format!("rm -r {tags}{tag}"))
        });
        Some(repair(Action::Delete, &what, vec![remove]))
    }

    /// The tags, and the same in words, if there are few.
    fn few_tags(&self) -> Option<(&[Tag], String)> {
        let tags = &self.finding.tags;
        let words = match tags.as_slice() {
            few @ ([_] | [_, _] | [_, _, _]) => {
                few.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ")
            }
            more => format!("these {} tags", more.len()),
        };
        (1..=FEW_TAGS)
            .contains(&tags.len())
            .then_some((tags, words))
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

    fn by_digest(&self, repository: &Repository, digest: &Digest) -> String {
        self.image(repository, &format!("@{digest}"))
    }

    /// Flags for a registry whose certificate is not verified.
    fn unless_verified(&self, command: Command, flags: &str) -> Command {
        if self.access.is_verified {
            command
        } else {
            command.raw(flags)
        }
    }

    /// skopeo with both ends in this registry.
    fn copy(&self, command: Command) -> Command {
        let command = command.raw("skopeo copy --all --preserve-digests");
        self.unless_verified(command, "--src-tls-verify=false --dest-tls-verify=false")
    }

    fn push(&self, tag: &Tag, after_a_restart: bool) -> Command {
        let mut command = Command::new("skopeo copy --all --preserve-digests");
        if after_a_restart {
            // It takes a moment until the registry listens again.
            command = command.raw("--retry-times 5");
        }
        let to = self.image(&self.finding.repository, &format!(":{tag}"));
        self.unless_verified(command, "--dest-tls-verify=false")
            .verbatim(SOURCE)
            .arg(&to)
    }

    fn rebuild(&self, tag: &Tag) -> Repair {
        let image = format!("{}/{}:{tag}", self.access.host, self.finding.repository);
        let build = Command::new("docker build --tag").arg(&image).raw(".");
        let push = Command::new("docker push").arg(&image);
        let what = format!("build {tag} again, and push it");
        repair(Action::Rebuild, &what, vec![build, push])
    }

    fn untag(&self, digest: &Digest) -> Command {
        self.unless_verified(Command::new("skopeo delete"), "--tls-verify=false")
            .arg(&self.by_digest(&self.finding.repository, digest))
    }

    /// Distribution never overwrites a file of its store, so that a damaged one has to be deleted first. The
    /// commands are one list: without a source, none of them runs.
    fn refresh(&self, tag: &Tag, delete: bool) -> Repair {
        let mut commands = vec![Command::new(":").verbatim(SOURCE).end_with(" &&")];
        let file = if delete {
            commands.extend(self.removals());
            "delete its file on the registry's host if that holds other bytes, restart the registry"
        } else {
            "restart the registry, which forgets what it knew"
        };
        commands.push(Command::new(
            "docker restart \"${REGISTRY_CONTAINER:-registry}\" &&",
        ));
        commands.push(self.push(tag, true));
        let enough = self.is_enough();
        let what = format!(
            "{file}, push {tag} again{enough}; a push alone is skipped: \"already exists\""
        );
        repair(Action::Restart, &what, commands)
    }

    /// Removes the files that may be damaged, if they are. A 5xx may come from an empty link as well as from
    /// the data, and from permissions: what cannot be read stays.
    fn removals(&self) -> Vec<Command> {
        let finding = self.finding;
        let Some(digest) = &finding.digest else {
            let link =
                |tag: &Tag| self.in_repository(&format!("_manifests/tags/{tag}/current/link"));
            return finding
                .tags
                .iter()
                .map(|tag| unless_full(&link(tag)))
                .collect();
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
        let mut removals = vec![unless_named(&data, algorithm, hex)];
        if finding.defect.reason == Reason::Unreadable {
            removals.push(unless_full(&link));
        }
        removals
    }

    fn in_repository(&self, path: &str) -> String {
        in_store(&format!("repositories/{}/{path}", self.finding.repository))
    }

    /// Cross-repository mounting (distribution-spec, "Mounting a blob from another repository").
    fn mount(&self, from: &Repository, digest: &Digest) -> Vec<Command> {
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

/// Asks a token service (distribution, spec/auth/token.md) for a token with some scopes.
pub(crate) fn token(
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

/// Removes a file if it was read and does not hash to its name. POSIX shells and busybox read it the same way.
fn unless_named(file: &str, algorithm: &str, hex: &str) -> Command {
    let length = hex.len();
    Command::default()
        .verbatim(&format!("{{ file={file};"))
        .verbatim(&format!(
            "have=$({algorithm}sum < \"$file\" | cut -c1-{length});"
        ))
        .verbatim(&format!("[ ${{#have}} -ne {length} ] ||"))
        .verbatim("[ \"$have\" =")
        .verbatim(hex)
        .verbatim("] ||")
        .verbatim("rm -f \"$file\"; } &&")
}

/// Removes a file if it is there and empty.
fn unless_full(file: &str) -> Command {
    Command::default()
        .verbatim(&format!("{{ file={file};"))
        .verbatim("[ ! -f \"$file\" ] || [ -s \"$file\" ] ||")
        .verbatim("rm -f \"$file\"; } &&")
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
    use crate::report::Nearby;
    use crate::report::fixture;
    use crate::report::{Kind, Listed};

    fn actions(finding: &Finding, sweep: &Sweep) -> Vec<&'static str> {
        let repairs = Repair::of(finding, sweep);
        repairs.iter().map(|repair| repair.action.word()).collect()
    }

    /// A finding that has everything near it.
    fn finding(kind: Kind, reason: Reason) -> Finding {
        let mut finding = fixture::finding(kind, reason);
        finding.tags = vec!["v1.1".parse().expect("a tag")];
        finding.nearby = Nearby {
            pointed_to: vec![Digest::sha256(b"index")],
            sibling: Some(("v1.0".parse().expect("a tag"), Digest::sha256(b"v1.0"))),
            copy: None,
        };
        finding
    }

    #[test]
    fn the_best_repair_comes_first() {
        use Kind as K;
        use Reason as R;
        for (kind, reason, observed, expected) in [
            (K::Child, R::NotFound, None, "push rollback delete"),
            (K::Layer, R::NotFound, None, "push rollback delete"),
            (
                K::Layer,
                R::ShortRead,
                Some(fixture::observed(R::ShortRead, 206)),
                "restart rollback delete",
            ),
            (
                K::Layer,
                R::SizeMismatch,
                Some(fixture::observed(R::SizeMismatch, 200)),
                "restart rollback delete",
            ),
            (
                K::Layer,
                R::SizeMismatch,
                Some(Observed::OtherLength {
                    length: 7,
                    source: LengthSource::Verified,
                }),
                "rebuild rollback delete",
            ),
            (
                K::Layer,
                R::DigestMismatch,
                Some(fixture::observed(R::DigestMismatch, 200)),
                "restart rollback delete",
            ),
            (K::Child, R::Unreadable, None, "restart rollback delete"),
            (
                K::Child,
                R::InvalidManifest,
                None,
                "rebuild rollback delete",
            ),
            (
                K::Child,
                R::MediaTypeMismatch,
                None,
                "rebuild rollback delete",
            ),
            (K::Layer, R::StorageMissing, None, "restart rollback delete"),
            (K::Layer, R::Inconsistent, None, ""),
        ] {
            let mut finding = finding(kind, reason);
            finding.defect.evidence.observed = observed;
            let sweep = fixture::sweep();
            let actions = actions(&finding, &sweep).join(" ");
            assert_eq!(actions, expected, "{kind}/{reason}");
        }
    }

    #[test]
    fn what_another_repository_holds_is_taken_from_there() {
        let sweep = fixture::sweep();
        for (kind, first) in [
            (Kind::Layer, "restore"),
            (Kind::Config, "restore"),
            (Kind::Child, "restore"),
        ] {
            let mut finding = finding(kind, Reason::NotFound);
            finding.nearby.copy = Some("base".parse().expect("a name"));
            assert_eq!(actions(&finding, &sweep)[0], first);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_deleted_by_its_digest() {
        let sweep = fixture::sweep();
        let mut own = finding(Kind::Tag, Reason::DigestMismatch);
        own.nearby.pointed_to = own.digest.clone().into_iter().collect();
        assert_eq!(actions(&own, &sweep).last(), Some(&"delete"));
        let mut dangling = finding(Kind::Tag, Reason::NotFound);
        (dangling.digest, dangling.nearby.pointed_to) = (None, Vec::new());
        assert_eq!(actions(&dangling, &sweep), ["push", "rollback", "delete"]);
    }

    #[test]
    fn a_name_that_was_mistyped_is_not_removed() {
        let mut sweep = fixture::sweep();
        sweep.listed = Listed::Images(Vec::new());
        let mut named = fixture::finding(Kind::Tag, Reason::NotFound);
        named.digest = None;
        assert_eq!(actions(&named, &sweep), ["push"]);
    }

    #[test]
    fn many_tags_are_neither_moved_nor_deleted() {
        let sweep = fixture::sweep();
        let mut many = finding(Kind::Layer, Reason::NotFound);
        many.tags = (0..=FEW_TAGS)
            .map(|n| n.to_string().parse().expect("a tag"))
            .collect();
        assert_eq!(actions(&many, &sweep), ["push"]);
        many.tags.clear();
        assert!(actions(&many, &sweep).is_empty());
    }

    #[test]
    fn nothing_is_pushed_to_a_cache() {
        let mut sweep = fixture::sweep();
        (sweep.mode, sweep.listed) = (Mode::PullThrough, Listed::Images(Vec::new()));
        let finding = finding(Kind::Child, Reason::DigestMismatch);
        assert!(actions(&finding, &sweep).is_empty());
    }

    /// All commands for the findings of a sweep.
    fn commands(sweep: &Sweep) -> Vec<String> {
        let findings = sweep.findings.iter();
        let repairs = findings.flat_map(|finding| Repair::of(finding, sweep));
        let commands = repairs.flat_map(|repair| repair.commands);
        commands.map(|command| command.to_string()).collect()
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
    fn every_script_is_one_that_a_shell_can_read() {
        let sweep = crate::render::fixture::rich();
        let of_one = |finding| Repair::of(finding, &sweep);
        for repair in sweep.findings.iter().flat_map(of_one) {
            let script = repair.script();
            let read = std::process::Command::new("sh")
                .args(["-n", "-c", &script])
                .status();
            assert!(read.expect("there is a shell").success(), "{script}");
        }
    }

    #[test]
    fn no_shell_deletes_bytes_that_hash_to_their_name() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("data");
        let name = Digest::sha256(b"intact").to_string();
        let hex = name.strip_prefix("sha256:").expect("its algorithm");
        let remove = unless_named(&quote(&file.display().to_string()), "sha256", hex);
        let script = format!("{remove} echo done");
        let run = |path: &str| {
            let mut shell = std::process::Command::new("/bin/sh");
            let output = shell.args(["-c", &script]).env("PATH", path).output();
            output.expect("there is a shell").stdout
        };
        let path = std::env::var("PATH").unwrap_or_default();
        // There is nothing to delete, and the next command runs.
        assert_eq!(run(&path), b"done\n");
        for (bytes, stays) in [(&b"intact"[..], true), (b"others", false), (b"", false)] {
            std::fs::write(&file, bytes).expect("written");
            assert_eq!(run(&path), b"done\n");
            assert_eq!(file.exists(), stays, "{bytes:?}");
        }
        // Without the program that hashes, or the right to read, it cannot tell.
        std::fs::write(&file, b"others").expect("written");
        run(&folder.path().display().to_string());
        assert!(file.exists());
        let hidden = std::fs::Permissions::from_mode(0o0);
        std::fs::set_permissions(&file, hidden).expect("hidden");
        let is_root = std::fs::read(&file).is_ok();
        run(&path);
        assert_eq!(file.exists(), !is_root);
    }

    #[test]
    fn a_registry_cannot_put_words_into_a_command() {
        let mut sweep = crate::render::fixture::rich();
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
        let mut sweep = crate::render::fixture::rich();
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
