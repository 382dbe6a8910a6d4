//! Whether what a sweep asks for counts as pulls, and what follows where clean-up goes by the last pull.

use serde_json::json;

use super::Check;
use super::Outcome::{Fine, Info, Warn};
use crate::registry::Software;

/// Which requests for a manifest count as a pull of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// None: it keeps no such number or time.
    None,
    /// GET, and not HEAD.
    Get,
    /// Both.
    Both,
    /// That is not known.
    Unknown,
}

/// What its source says of a software, or its documentation. Blobs count nowhere.
fn counted(software: Option<Software>) -> Counted {
    match software {
        Some(Software::Distribution2 | Software::Distribution3) => Counted::None,
        Some(Software::Zot | Software::Harbor | Software::DockerHub | Software::Gitea) => {
            Counted::Get
        }
        Some(Software::Quay) => Counted::Both,
        _ => Counted::Unknown,
    }
}

/// Whether a sweep's requests count as pulls, by the software as far as it is known.
pub(super) fn pulls(software: Option<Software>) -> Check {
    let counted = counted(software);
    let (get, head) = match counted {
        Counted::None => (Some(false), Some(false)),
        Counted::Get => (Some(true), Some(false)),
        Counted::Both => (Some(true), Some(true)),
        Counted::Unknown => (None, None),
    };
    let (outcome, words) = match counted {
        Counted::None => (
            Fine,
            "a sweep does not count as pulls, for none are counted",
        ),
        Counted::Get => (Info, "GET of a manifest counts as a pull, HEAD does not"),
        Counted::Both => (Warn, "GET and HEAD of a manifest count as pulls"),
        Counted::Unknown => (Info, "not known whether a sweep counts as pulls"),
    };
    let check = Check::new("pulls", outcome, words, json!({ "get": get, "head": head }));
    let by_head = "Manifests that were read before are requested by HEAD, by the service and with --state, and by \
         GET once in --read-every.";
    match (counted, software) {
        (Counted::None, _) | (_, None) => check,
        (Counted::Get, Some(Software::Gitea)) => check.will(
            "Manifests are requested by GET, since HEAD is answered from a database: download counts rise with each \
             sweep.",
        ),
        (Counted::Get, Some(Software::DockerHub)) => check.will(format!(
            "{by_head} So only a first sweep, and these GETs, take from the limit of pulls."
        )),
        (Counted::Get, _) => check.will(format!(
            "{by_head} Where a rule keeps what was pulled within some time, set --read-every to more than twice that \
             time, or nothing ever expires."
        )),
        (Counted::Both, _) => check.care(
            "Each sweep is in the usage logs as a pull of everything. Give the probe a robot account of its own, by \
             which its entries are told from others.",
        ),
        (Counted::Unknown, _) => check.will(
            "If clean-up goes by the last pull or download, a sweep may keep everything. Let it ignore the probe's user \
             or go by age, try --manifests head, or sweep less often.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pulls_is_asked_by_head_unless_head_shows_nothing() {
        for software in Software::ALL {
            let counted = counted(Some(*software));
            let is_by_head = software.is_asked_by_head();
            let is_told = match counted {
                Counted::None => is_by_head,
                Counted::Get => is_by_head || *software == Software::Gitea,
                Counted::Both | Counted::Unknown => !is_by_head,
            };
            assert!(is_told, "{software}");
            let check = pulls(Some(*software));
            assert_eq!(check.advice.is_empty(), counted == Counted::None);
        }
        let unknown = pulls(None);
        assert_eq!(unknown.data, json!({ "get": null, "head": null }));
        assert!(unknown.advice.is_empty(), "it would stand on every page");
    }
}
