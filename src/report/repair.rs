//! What could mend a finding, cheapest first, chosen from what the sweep saw, and as a person types it.
//! The probe itself writes nothing.
//!
//! The commands need curl, skopeo, docker and a shell, and hold no credentials. What only a person knows is
//! a variable with a default for the stock image, or with an error that says what is missing.

use serde::Serialize;

use super::cause::Cause;
use super::commands::{SOURCE, Writer};
use super::evidence::{LengthSource, Observed};
use super::finding::Finding;
use super::mode::Mode;
use super::outcome::Reason;
use super::shell::{Command, for_each_tag, quote};
use super::store::{Store, in_repository};
use super::sweep::Sweep;
use crate::oci::{Tag, printable};
use crate::registry::{Identified, Software};
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
        // Only who has the key can sign, and the image is whole.
        if finding.is_of_referrers() {
            return Vec::new();
        }
        let writer = Writer {
            finding,
            access: &sweep.access,
            store: Store::of(&sweep.access),
        };
        // What was never there is not to be removed.
        let was_there = (finding.defect.reason, cause) != (Reason::NotFound, Cause::Unknown);
        let given_up = if was_there { writer.given_up() } else { None };
        // A registry that has the image's manifest may yet lack a part of it.
        let pushed = finding
            .nearby
            .elsewhere
            .as_ref()
            .and_then(|_| writer.pushed());
        let repairs = [
            writer.nearby(),
            writer.restored(cause),
            pushed.filter(|_| finding.defect.reason == Reason::NotFound),
            writer.roll_back(),
            given_up,
        ];
        repairs.into_iter().flatten().collect()
    }
}

/// To move or delete more names than this on the word of a report is no repair.
const FEW_TAGS: usize = 8;

fn repair(action: Action, what: &str, commands: Vec<Command>) -> Repair {
    Repair {
        action,
        what: printable(what),
        commands,
    }
}

impl Writer<'_> {
    /// From another repository of the same registry.
    fn nearby(&self) -> Option<Repair> {
        let (from, digest) = (
            self.finding.nearby.copy.as_ref()?,
            self.finding.digest.as_ref()?,
        );
        if self.finding.kind.is_blob() {
            // zot answers 202, mounts nothing and keeps the upload.
            let mounts = !self.is_any_of(&[Software::Zot]);
            let what = format!("mount it from {from}, where it is intact (201 is success)");
            return mounts.then(|| repair(Action::Restore, &what, self.mount(from, digest)));
        }
        let what = format!("copy it from {from}, where it is intact");
        let ends = [from, &self.finding.repository].map(|at| self.by_digest(at, digest));
        let copy = self.copy(Command::default()).args(ends);
        Some(repair(Action::Restore, &what, vec![copy]))
    }

    /// What brings the promised bytes back: from another registry that has the image, or from where it was made.
    fn restored(&self, cause: Cause) -> Option<Repair> {
        let observed = &self.finding.defect.evidence.observed;
        let is_promise_wrong = matches!(
            observed,
            Some(Observed::OtherLength {
                source: LengthSource::Verified,
                ..
            })
        );
        let is_other_layer = matches!(observed, Some(Observed::UnpacksTo { .. }));
        // What distribution 3 remembers of a manifest outlives its file, and a push is skipped for it; measured.
        let is_remembered =
            self.is_any_of(&[Software::Distribution3]) && !self.finding.kind.is_blob();
        // Gitea serves what whoever pushed a manifest said of its type, so a push says that anew; measured.
        let is_told_wrong =
            self.store == Store::Gitea && observed.as_ref().is_some_and(Observed::is_called_wrong);
        match (self.finding.defect.reason, cause) {
            (Reason::MediaTypeMismatch, _) if is_told_wrong => self.pushed(),
            (Reason::NotFound, _) if is_remembered => self.replaced(false),
            (Reason::NotFound, _) => match &self.finding.nearby.elsewhere {
                Some(elsewhere) => {
                    let what = format!("copy the image from {}", elsewhere.image);
                    Some(repair(
                        Action::Restore,
                        &what,
                        vec![self.copied(elsewhere, false)?],
                    ))
                }
                None => self.pushed(),
            },
            (Reason::InvalidManifest, Cause::Unknown)
            | (Reason::MediaTypeMismatch | Reason::Contradiction | Reason::UnpackFailed, _) => {
                self.rebuild()
            }
            (Reason::DigestMismatch, _) if is_other_layer => self.rebuild(),
            _ if is_promise_wrong => self.rebuild(),
            // A file that is not there is not to be deleted, and neither is one that only an earlier version
            // saw, which did not keep what it saw.
            (Reason::StorageMissing, _) => self.replaced(false),
            _ => self.replaced(observed.is_some()),
        }
    }

    /// An older version in place of the broken one, for as long as nobody can push that again.
    fn roll_back(&self) -> Option<Repair> {
        // zot and Gitea answer 400 to a push under a tag whose own manifest is lost.
        if self.is_any_of(&[Software::Zot, Software::Gitea]) && self.finding.is_root_lost() {
            return None;
        }
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
        if !self.finding.is_root_lost() {
            let what =
                format!("if nobody needs {tags}: delete by digest, where deleting is enabled");
            let pointed_to = self.finding.nearby.pointed_to.iter();
            let commands = pointed_to.map(|digest| self.untag(digest)).collect();
            return Some(repair(Action::Delete, &what, commands));
        }
        if self.store != Store::Distribution {
            return None;
        }
        let what = format!("if nobody needs {tags}: remove what is left, on the registry's host");
        let remove = for_each_tag(few, |command, tag| {
            let tags = in_repository(self.finding, "_manifests/tags/");
            command.raw(&format!("rm -r {tags}{tag}"))
        });
        Some(repair(Action::Delete, &what, vec![remove]))
    }

    /// Whether it runs one of these, as far as anything shows it.
    fn is_any_of(&self, software: &[Software]) -> bool {
        let own = self.access.software.as_ref();
        own.is_some_and(|own| software.contains(&own.name))
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

    /// What is pushed again, in words. Without a tag there is no name to push under; any of them restores what
    /// all of them miss.
    fn again(&self) -> Option<String> {
        match &self.finding.nearby.elsewhere {
            Some(elsewhere) => Some(format!("copy it again from {}", elsewhere.image)),
            None => Some(format!("push {} again", self.finding.tags.last()?)),
        }
    }

    fn pushed(&self) -> Option<Repair> {
        let tag = self.finding.tags.last()?;
        let what = format!(
            "push {tag} again, with the same digests{}",
            self.is_enough()
        );
        let commands = self.precondition().into_iter().chain([self.push(false)?]);
        Some(repair(Action::Push, &what, commands.collect()))
    }

    fn rebuild(&self) -> Option<Repair> {
        let tag = self.finding.tags.last()?;
        let image = format!("{}/{}:{tag}", self.access.host, self.finding.repository);
        let is_plain = |text: &&str| {
            let mut chars = text.chars();
            chars.all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        };
        let platforms = self.finding.platforms.iter().map(|one| &**one);
        let mut platforms: Vec<_> = platforms.filter(is_plain).collect();
        platforms.sort_unstable();
        if !platforms.is_empty() {
            // It is an index, which a plain build does not make.
            let build = Command::new("docker buildx build --push --platform");
            let build = build
                .arg(&platforms.join(","))
                .raw("--tag")
                .arg(&image)
                .raw(".");
            let what = format!("build {tag} again, for all platforms that it had, and push it");
            return Some(repair(Action::Rebuild, &what, vec![build]));
        }
        let build = Command::new("docker build --tag").arg(&image).raw(".");
        let push = Command::new("docker push").arg(&image);
        let what = format!("build {tag} again, and push it");
        Some(repair(Action::Rebuild, &what, vec![build, push]))
    }

    /// Pushes again what the registry has, in its own eyes: the damaged file goes first, and what is remembered
    /// of it. The commands are one list: without a source, none of them runs.
    fn replaced(&self, delete: bool) -> Option<Repair> {
        let mut commands = Vec::new();
        if self.finding.nearby.elsewhere.is_none() {
            let source = || Command::new(":").verbatim(SOURCE).end_with(" &&");
            commands.push(self.precondition().unwrap_or_else(source));
        }
        if delete {
            commands.extend(self.store.removals(self.finding));
        }
        let is_distribution = self.store == Store::Distribution;
        if is_distribution {
            commands.push(Command::new(
                "docker restart \"${REGISTRY_CONTAINER:-registry}\" &&",
            ));
        }
        match &self.finding.nearby.elsewhere {
            Some(elsewhere) => commands.push(self.copied(elsewhere, is_distribution)?),
            None => commands.push(self.push(is_distribution)?),
        }
        let again = format!("{}{}", self.again()?, self.is_enough());
        let skipped = "a push alone is skipped: \"already exists\"";
        let file = "delete its file on the registry's host if that holds other bytes";
        let (action, what) = match (self.store, delete) {
            (Store::Distribution, true) => (
                Action::Restart,
                format!("{file}, restart the registry, {again}; {skipped}"),
            ),
            (Store::Distribution, false) => (
                Action::Restart,
                format!("restart the registry, which forgets what it knew, and {again}; {skipped}"),
            ),
            (Store::Zot | Store::Gitea, true) => {
                (Action::Push, format!("{file}, {again}; {skipped}"))
            }
            (Store::Zot | Store::Gitea, false) => (Action::Push, again),
            // Whether the push alone does it is not known, so it is not called that.
            (Store::Unknown, _) => {
                let is_sure = self
                    .access
                    .software
                    .as_ref()
                    .is_some_and(Identified::is_sure);
                let option =
                    "; with --software NAME, commands do that on distribution, zot and Gitea";
                let option = if is_sure { "" } else { option };
                let first = "restore the file in its storage, or delete it there, and restart what remembers it";
                (Action::Restart, format!("{first}; then {again}{option}"))
            }
        };
        Some(repair(action, &what, commands))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Digest, MediaKind};
    use crate::registry::Authentication;
    use crate::report::fixture;
    use crate::report::{Elsewhere, Nearby};
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
            ..Nearby::default()
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
    fn a_wrong_header_of_gitea_goes_with_a_push() {
        let index = "application/vnd.oci.image.index.v1+json";
        for (name, own_type, served_as, first) in [
            (Software::Gitea, index, Some("text/plain"), "push"),
            (Software::Gitea, "", Some("text/plain"), "push"),
            // Its own words are wrong, or those of an index that names it.
            (Software::Gitea, "x/y", Some("text/plain"), "rebuild"),
            (Software::Gitea, index, None, "rebuild"),
            (Software::Zot, index, Some("text/plain"), "rebuild"),
        ] {
            let mut sweep = fixture::sweep();
            sweep.access.software = Some(fixture::software(name));
            let mut finding = finding(Kind::Tag, Reason::MediaTypeMismatch);
            finding.defect.evidence.observed = Some(Observed::OtherKind {
                kind: MediaKind::Index,
                own_type: own_type.into(),
                served_as: served_as.map(Into::into),
            });
            let actions = actions(&finding, &sweep);
            assert_eq!(actions[0], first, "{name} {own_type} {served_as:?}");
        }
    }

    #[test]
    fn repairs_are_those_of_the_software() {
        let mut sweep = fixture::sweep();
        let mut damaged = finding(Kind::Layer, Reason::DigestMismatch);
        damaged.defect.evidence.observed = Some(fixture::observed(Reason::DigestMismatch, 200));
        let lost = finding(Kind::Tag, Reason::NotFound);
        let script = |sweep: &Sweep| Repair::of(&damaged, sweep)[0].script();
        for (name, of_damaged, of_lost, path) in [
            (
                Software::Zot,
                "push rollback delete",
                "push",
                "find -H \"${ZOT_ROOT:-/var/lib/registry}\"",
            ),
            (
                Software::Gitea,
                "push rollback delete",
                "push",
                "\"${PACKAGES:-/data/gitea/packages}\"/",
            ),
            (
                Software::Harbor,
                "restart rollback delete",
                "push rollback",
                "",
            ),
        ] {
            sweep.access.software = Some(fixture::software(name));
            let mut lost = lost.clone();
            lost.nearby.pointed_to = lost.digest.clone().into_iter().collect();
            assert_eq!(actions(&damaged, &sweep).join(" "), of_damaged, "{name}");
            assert_eq!(actions(&lost, &sweep).join(" "), of_lost, "{name}");
            let script = script(&sweep);
            assert!(script.contains(path), "{script}");
            assert!(!script.contains("docker restart"), "{script}");
            assert_eq!(script.contains("rm "), !path.is_empty(), "{script}");
        }
        // What one sign shows is not sure enough to name a path.
        let mut unsure = fixture::software(Software::Distribution2);
        unsure.signs = vec!["a header".into()];
        for software in [None, Some(unsure)] {
            sweep.access.software = software;
            assert_eq!(actions(&damaged, &sweep)[0], "restart");
            assert!(!script(&sweep).contains("rm "));
        }
    }

    #[test]
    fn distribution_3_forgets_a_lost_manifest_before_a_push() {
        let mut sweep = fixture::sweep();
        for (kind, name, expected) in [
            (Kind::Tag, Software::Distribution2, "push"),
            (Kind::Tag, Software::Distribution3, "restart"),
            (Kind::Child, Software::Distribution3, "restart"),
            (Kind::Layer, Software::Distribution3, "push"),
        ] {
            sweep.access.software = Some(fixture::software(name));
            let found = actions(&finding(kind, Reason::NotFound), &sweep);
            assert_eq!(found[0], expected, "{name} {kind}");
        }
    }

    #[test]
    fn nothing_is_mounted_on_zot() {
        let mut sweep = fixture::sweep();
        sweep.access.software = Some(fixture::software(Software::Zot));
        let mut finding = finding(Kind::Layer, Reason::NotFound);
        finding.nearby.copy = Some("base".parse().expect("a name"));
        assert_eq!(actions(&finding, &sweep)[0], "push");
    }

    #[test]
    fn what_another_registry_has_is_copied_without_a_source() {
        let sweep = fixture::sweep();
        let index = Digest::sha256(b"index");
        let image = format!("backup.example/mirror/app@{index}");
        for (reason, first) in [
            (Reason::NotFound, "restore"),
            (Reason::ShortRead, "restart"),
        ] {
            let mut finding = finding(Kind::Layer, reason);
            finding.defect.evidence.observed = Some(fixture::observed(reason, 200));
            finding.nearby.elsewhere = Some(Elsewhere {
                image: image.clone(),
                is_verified: true,
            });
            // Whatever its tags are.
            finding.tags.clear();
            let repairs = Repair::of(&finding, &sweep);
            assert_eq!(repairs[0].action.word(), first);
            let script = repairs[0].script();
            assert!(!script.contains("SOURCE"), "{script}");
            assert!(
                script.contains(&format!("docker://{image} docker:///")),
                "{script}"
            );
            assert!(script.ends_with(&format!("@{index}")), "{script}");
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
        // Whoever names the source knows its certificate.
        let skopeo = unverified
            .iter()
            .filter(|command| command.contains("skopeo") && !command.contains("inspect"));
        assert!(skopeo.clone().count() > 0);
        assert!(
            skopeo
                .clone()
                .all(|command| command.contains("tls-verify=false"))
        );
    }
}
