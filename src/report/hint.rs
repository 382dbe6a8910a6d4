//! What to do about a broken object, by what it is and what is wrong with it.

use super::store::Store;
use super::{Finding, Kind, Reason};
use crate::registry::Access;

/// What a person can do about `finding`: a sentence of one or two lines, without a period.
///
/// The advice is for the software of the registry, if that is sure. Distribution never overwrites a file of
/// its store, whatever is in it, so that a push alone does not heal a damaged one; and its cache of
/// descriptors, on in the default configuration, outlives the file that it describes.
pub(crate) fn hint(finding: &Finding, access: &Access) -> &'static str {
    if finding.kind == Kind::Referrer {
        return referrer_hint(finding.defect.reason);
    }
    let store = Store::of(access);
    if store != Store::Distribution
        && let Some(hint) = hint_for_others(finding, store)
    {
        return hint;
    }
    match finding.kind {
        Kind::Tag | Kind::Child | Kind::Manifest | Kind::Referrer => {
            manifest_hint(finding.kind, finding.defect.reason)
        }
        Kind::Config | Kind::Layer => blob_hint(finding.defect.reason),
    }
}

/// What to do where distribution's cache and paths are no matter; `None` where the advice is the same.
fn hint_for_others(finding: &Finding, store: Store) -> Option<&'static str> {
    Some(match finding.defect.reason {
        Reason::NotFound => match finding.kind {
            Kind::Tag => "push the tag again; if nobody needs it, delete it",
            Kind::Child => {
                "copy the whole image here again (`skopeo copy --all`), or delete the dead tags"
            }
            Kind::Manifest | Kind::Referrer => {
                "push the image again from where it was built, or stop using this digest"
            }
            Kind::Config | Kind::Layer => return None,
        },
        Reason::ShortRead | Reason::SizeMismatch | Reason::DigestMismatch => match store {
            Store::Zot => {
                "delete its file in every repository that links to it, then push again; a push \
                 alone is skipped, and zot needs no restart"
            }
            Store::Gitea => {
                "delete its file among the packages in storage, then push again; a push alone is \
                 skipped, and no restart is needed"
            }
            _ => {
                "restore its file in storage, or delete it there and push again; a push alone is \
                 mostly skipped"
            }
        },
        Reason::Unreadable => {
            "see the registry's log; mostly its file cannot be read: restore it, or delete it and \
             push the image again"
        }
        Reason::InvalidManifest
        | Reason::MediaTypeMismatch
        | Reason::Contradiction
        | Reason::UnpackFailed
        | Reason::StorageMissing
        | Reason::Inconsistent
        | Reason::ReferrerMissing => return None,
    })
}

fn manifest_hint(kind: Kind, reason: Reason) -> &'static str {
    match reason {
        Reason::NotFound => missing_manifest_hint(kind),
        Reason::ShortRead => {
            "delete what is left of its file in storage, restart the registry (its cache is \
             stale), then push again; a push alone changes nothing"
        }
        Reason::DigestMismatch => {
            "its file was altered in storage: restore it from a backup, or delete it there, \
             restart the registry and push the image again"
        }
        Reason::Unreadable => {
            "see the registry's log; mostly the manifest's file or link is empty or cut: delete \
             that file in storage, restart, push again"
        }
        Reason::InvalidManifest => {
            "the registry keeps it as it was pushed: build the image again, push it with another \
             client, and delete this one"
        }
        Reason::MediaTypeMismatch => {
            "look at what stands before the registry if its header is wrong; else build the image \
             again, and push it with another client"
        }
        Reason::Contradiction | Reason::UnpackFailed => {
            "the registry keeps it as it was pushed: build the image again with another tool, push it, and delete this one"
        }
        Reason::SizeMismatch => {
            "its file was cut or replaced in storage: delete it there, restart the registry, then \
             push again; a push alone changes nothing"
        }
        Reason::ReferrerMissing => referrer_hint(reason),
        Reason::StorageMissing | Reason::Inconsistent => either_hint(reason),
    }
}

/// For what is attached to an image, which can be pulled all the same.
fn referrer_hint(reason: Reason) -> &'static str {
    if reason == Reason::ReferrerMissing {
        "sign the image, or attach again what is missing: the image itself can be pulled"
    } else {
        "attach it to the image again, as when it was made, and delete this one: the image itself can be pulled"
    }
}

fn missing_manifest_hint(kind: Kind) -> &'static str {
    match kind {
        Kind::Tag => {
            "push the tag again; if nobody needs it, remove what is left of it: its directory \
             under `_manifests/tags` in storage"
        }
        Kind::Child => {
            "copy the whole image here again (`skopeo copy --all`), or delete the dead tags; if \
             it stays missing, restart the registry first"
        }
        _ => {
            "push the image again from where it was built, or stop using this digest; if it \
             stays missing, restart the registry first"
        }
    }
}

fn blob_hint(reason: Reason) -> &'static str {
    match reason {
        Reason::NotFound => {
            "push the image again from a machine that has it; without one, build it again or \
             delete the dead tags"
        }
        Reason::ShortRead => {
            "delete what is left of its file, restart the registry (its cache is stale), push \
             again; a push alone is skipped: \"already exists\""
        }
        Reason::SizeMismatch => {
            "its file is cut short in storage: delete it there, restart the registry, push again; \
             a push alone is skipped: \"already exists\""
        }
        Reason::DigestMismatch => {
            "bit rot, or altered in storage: restore its file from a backup, or delete it there, \
             restart the registry and push again"
        }
        Reason::Unreadable => {
            "see the registry's log; mostly an empty link file or a failing disk: delete that \
             file in storage, then push the image again"
        }
        Reason::InvalidManifest
        | Reason::MediaTypeMismatch
        | Reason::Contradiction
        | Reason::UnpackFailed => {
            "the registry keeps it as it was pushed: build the image again and push it with \
             another client"
        }
        Reason::ReferrerMissing => referrer_hint(reason),
        Reason::StorageMissing | Reason::Inconsistent => either_hint(reason),
    }
}

/// For what is wrong below the registry, where manifests and blobs are alike.
fn either_hint(reason: Reason) -> &'static str {
    if reason == Reason::StorageMissing {
        "the registry knows it, its bucket does not: look at the bucket's lifecycle rules, \
         restore the object, or delete the image and push again"
    } else {
        "replicas or caches disagree: ask each replica by itself, and check that all of them \
         share one storage and one cache"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Software;
    use crate::render::{fixture, lines};

    #[test]
    fn every_defect_says_what_to_do_in_two_lines() {
        let mut sweep = fixture::rich();
        let mut finding = sweep.findings.swap_remove(0);
        for &name in Software::ALL {
            sweep.access.software = Some(crate::report::fixture::software(name));
            for &kind in Kind::ALL {
                for &reason in Reason::ALL {
                    (finding.kind, finding.defect.reason) = (kind, reason);
                    let said = hint(&finding, &sweep.access);
                    let rows = lines::wrap([said], lines::ROOM);
                    assert!(matches!(rows.len(), 1..=2), "{kind}/{reason}: {rows:#?}");
                    assert!(!rows[0].is_empty(), "{kind}/{reason}");
                }
            }
        }
    }
}
