//! Where software keeps its files, and the commands that remove a damaged one on the registry's host: only
//! what was read there and does not hash to its name. For software on which they were tried.

use super::finding::Finding;
use super::outcome::Reason;
use super::shell::{Command, quote};
use crate::oci::{Digest, Tag};
use crate::registry::{Access, Identified, Software};

/// Where distribution keeps its store (registry/storage/paths.go), on the host that it runs on.
const STORE: &str = "\"${REGISTRY_DATA:-/var/lib/registry}\"/docker/registry/v2/";
/// Where zot does (`rootDirectory`), a folder for each repository with links to the same files in it.
const ZOT_STORE: &str = "\"${ZOT_ROOT:-/var/lib/registry}\"";
/// Where Gitea and Forgejo do, in their images (`[storage.packages]`, modules/packages/content_store.go).
const GITEA_STORE: &str = "\"${PACKAGES:-/data/gitea/packages}\"";

/// How the software keeps its files, of the software on which repairs were tried. None of it writes over a
/// file that it has, whatever that holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// It remembers what it saw, and has to be restarted.
    Distribution,
    Zot,
    Gitea,
    /// Not sure enough to remove anything.
    Unknown,
}

impl Store {
    pub(super) fn of(access: &Access) -> Self {
        let software = access.software.as_ref();
        match software.filter(|software| software.is_sure()) {
            Some(Identified { name, .. }) => match name {
                Software::Distribution2 | Software::Distribution3 => Self::Distribution,
                Software::Zot => Self::Zot,
                Software::Gitea => Self::Gitea,
                _ => Self::Unknown,
            },
            None => Self::Unknown,
        }
    }

    /// Removes the files that may be damaged, if they are. A 5xx may come from an empty link as well as from
    /// the data, and from permissions: what cannot be read stays.
    pub(super) fn removals(self, finding: &Finding) -> Vec<Command> {
        // The algorithm becomes the name of a program, and a digest of another one is not understood.
        let is_known = |digest: &Digest| digest.hasher().is_some();
        if !finding.digest.as_ref().is_none_or(is_known) {
            return Vec::new();
        }
        match (&finding.digest, self) {
            (Some(digest), Self::Distribution) => of_distribution(finding, digest),
            (Some(digest), _) => self.removal(digest).into_iter().collect(),
            (None, Self::Distribution) => {
                let tags = finding.tags.iter();
                tags.flat_map(|tag| remove_what_it_leads_to(finding, tag))
                    .collect()
            }
            (None, _) => Vec::new(),
        }
    }

    /// The same for software that keeps a file under the digest alone.
    fn removal(self, digest: &Digest) -> Option<Command> {
        let digest = digest.to_string();
        let (algorithm, hex) = digest.split_once(':')?;
        let (first, rest) = hex.split_at_checked(2)?;
        let second = rest.get(..2)?;
        match self {
            Store::Gitea => {
                let file = format!("{GITEA_STORE}/{first}/{second}/{hex}");
                Some(remove_if_damaged(GITEA_STORE, &file, algorithm, hex))
            }
            Store::Zot => Some(remove_if_damaged_anywhere(ZOT_STORE, algorithm, hex)),
            Store::Distribution | Store::Unknown => None,
        }
    }
}

fn of_distribution(finding: &Finding, digest: &Digest) -> Vec<Command> {
    let digest = digest.to_string();
    let (algorithm, hex) = digest.split_once(':').unwrap_or_default();
    let start = hex.get(..2).unwrap_or(hex);
    let data = in_store(&format!("blobs/{algorithm}/{start}/{hex}/data"));
    let links = if finding.kind.is_blob() {
        "_layers"
    } else {
        "_manifests/revisions"
    };
    let link = in_repository(finding, &format!("{links}/{algorithm}/{hex}/link"));
    let mut removals = vec![remove_if_damaged(STORE, &data, algorithm, hex)];
    if finding.defect.reason == Reason::Unreadable {
        removals.push(remove_if_empty(&link));
    }
    removals
}

/// A path of distribution's below the repository of a finding.
pub(super) fn in_repository(finding: &Finding, path: &str) -> String {
    in_store(&format!("repositories/{}/{path}", finding.repository))
}

/// What is said of a file that holds what it should, as after a restore by root: a push changes nothing there.
const KEEP: &str = "then echo \"whole: $file\";";

/// Removes a file of a folder if it was read and does not hash to its name. One that is not there needs no removal;
/// where it cannot be read, or the folder is not there, the list ends. POSIX shells and busybox read it the same way.
fn remove_if_damaged(folder: &str, file: &str, algorithm: &str, hex: &str) -> Command {
    let length = hex.len();
    Command::default()
        .verbatim(&format!("{{ file={file};"))
        .verbatim(&format!("[ -d {folder} ] &&"))
        .verbatim("[ ! -e \"$file\" ] || {")
        .verbatim(&format!(
            "have=$({algorithm}sum < \"$file\" | cut -c1-{length});"
        ))
        .verbatim(&format!("[ ${{#have}} -eq {length} ] &&"))
        .verbatim("if [ \"$have\" =")
        .verbatim(hex)
        .verbatim("];")
        .verbatim(KEEP)
        .verbatim("else rm -f \"$file\"; fi; }; } &&")
}

/// The same for every file of this name below a folder.
fn remove_if_damaged_anywhere(folder: &str, algorithm: &str, hex: &str) -> Command {
    let length = hex.len();
    let find = format!("find -H {folder} -type f -path '*/blobs/{algorithm}/{hex}' -exec sh -c");
    let remove = format!(
        "'for file; do have=$({algorithm}sum < \"$file\" | cut -c1-{length}); \
         [ ${{#have}} -eq {length} ] || exit 1; if [ \"$have\" = {hex} ]; {KEEP} else rm -f \"$file\"; fi; done'"
    );
    Command::default()
        .raw(&find)
        .verbatim(&remove)
        .raw("sh '{}' + &&")
}

/// The same for a tag of which no digest is known: what its link leads to, if it says anything, and the link.
fn remove_what_it_leads_to(finding: &Finding, tag: &Tag) -> Vec<Command> {
    let link = in_repository(finding, &format!("_manifests/tags/{tag}/current/link"));
    let revisions = in_repository(finding, "_manifests/revisions/sha256");
    let blobs = in_store("blobs/sha256");
    let hex = Command::default()
        .verbatim("{ hex=$(sed -n 's/^sha256:\\([0-9a-f]\\{64\\}\\)$/\\1/p' <")
        .verbatim(&link)
        .verbatim("); :; } &&");
    let data = Command::default()
        .verbatim(&format!(
            "{{ file={blobs}/$(echo \"$hex\" | cut -c1-2)/$hex/data;"
        ))
        .verbatim("[ ! -f \"$file\" ] || {")
        .verbatim("have=$(sha256sum < \"$file\" | cut -c1-64);")
        .verbatim("[ ${#have} -eq 64 ] && if [ \"$have\" = \"$hex\" ];")
        .verbatim(KEEP)
        .verbatim("else rm -f \"$file\"; fi; }; } &&");
    vec![
        hex,
        remove_if_empty(&format!("{revisions}/$hex/link")),
        data,
        remove_if_empty(&link),
    ]
}

/// Removes a file if it is there and empty.
fn remove_if_empty(file: &str) -> Command {
    Command::default()
        .verbatim(&format!("{{ file={file};"))
        .verbatim("[ ! -f \"$file\" ] || [ -s \"$file\" ] ||")
        .verbatim("rm -f \"$file\"; } &&")
}

fn in_store(path: &str) -> String {
    format!("{STORE}{}", quote(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/usr/bin:/bin";

    /// What a script says that goes on after a removal.
    fn run(removal: &Command, path: &str) -> Vec<u8> {
        let script = format!("{removal} echo done");
        let mut shell = std::process::Command::new("/bin/sh");
        let output = shell.args(["-c", &script]).env("PATH", path).output();
        output.expect("there is a shell").stdout
    }

    #[test]
    fn no_shell_deletes_bytes_that_hash_to_their_name() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let name = Digest::sha256(b"intact").to_string();
        let hex = name.strip_prefix("sha256:").expect("its algorithm");
        let blobs = folder.path().join("team/app/blobs/sha256");
        std::fs::create_dir_all(&blobs).expect("made");
        let file = blobs.join(hex);
        let quoted = |path: &std::path::Path| quote(&path.display().to_string());
        for removal in [
            remove_if_damaged(&quoted(folder.path()), &quoted(&file), "sha256", hex),
            remove_if_damaged_anywhere(&quoted(folder.path()), "sha256", hex),
        ] {
            // There is nothing to delete, and the next command runs.
            assert_eq!(run(&removal, PATH), b"done\n");
            for (bytes, stays) in [(&b"intact"[..], true), (b"others", false), (b"", false)] {
                std::fs::write(&file, bytes).expect("written");
                let said = run(&removal, PATH);
                assert!(said.ends_with(b"done\n"));
                assert_eq!(said.starts_with(b"whole"), stays, "{bytes:?}");
                assert_eq!(file.exists(), stays, "{bytes:?}");
            }
            // Without the program that hashes, or the right to read, it cannot tell: nothing more is done.
            std::fs::write(&file, b"others").expect("written");
            let blind = folder.path().join("bin");
            std::fs::create_dir_all(&blind).expect("made");
            let program = blind.join("sha256sum");
            std::fs::write(&program, "#!/bin/sh\nexit 1\n").expect("written");
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&program, executable).expect("set");
            for path in [
                folder.path().display().to_string(),
                format!("{}:{PATH}", blind.display()),
            ] {
                assert_eq!(run(&removal, &path), b"");
                assert!(file.exists());
            }
            std::fs::remove_file(&file).expect("removed");
        }
    }

    #[test]
    fn a_store_that_is_not_there_ends_the_list() {
        let folder = "/nonexistent";
        for removal in [
            remove_if_damaged(folder, "/nonexistent/00", "sha256", "00"),
            remove_if_damaged_anywhere(folder, "sha256", "00"),
        ] {
            assert_eq!(run(&removal, PATH), b"");
        }
    }
}
