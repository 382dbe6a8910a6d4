//! The judge: a promise and an observation go in, an outcome comes out. Pure, so that every rule of
//! integrity is a test of two lines.

use crate::model::{
    Defect, Digest, Document, Evidence, Exemption, MediaKind, Obstacle, ObstacleReason, Outcome,
    Reason, Sign,
};
use crate::registry::{Answer, BlobLook, BlobRead, ManifestBody, Refusal, Resolved};

/// What a look at one object comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    /// The object's real length, if it became known.
    pub(super) length: Option<u64>,
    /// What about it was not looked at, though the rest is as promised.
    pub(super) exemption: Option<Exemption>,
}

impl Judged {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            length: None,
            exemption: None,
        }
    }
}

/// Judges the answer for a tag. `Ok` is where it points to.
pub(super) fn tag(answer: Answer<Resolved>) -> Result<Resolved, Outcome> {
    match answer {
        Answer::Found(resolved) => Ok(resolved),
        Answer::Absent(refusal) => Err(absent(&refusal, "a manifest")),
        Answer::Failing(refusal) => Err(failing(&refusal, "a manifest")),
        Answer::Unknown(obstacle) => Err(Outcome::Unverified(obstacle)),
    }
}

/// Judges a manifest of which `digest` was promised (`None` if a tag alone led to it), and reads it.
pub(super) fn manifest(
    digest: Option<&Digest>,
    answer: Answer<ManifestBody>,
) -> (Judged, Option<Document>) {
    let promised = match digest {
        Some(digest) => format!("a manifest with digest {digest}"),
        None => "a manifest".to_owned(),
    };
    let body = match answer {
        Answer::Found(body) => body,
        Answer::Absent(refusal) => return (Judged::of(absent(&refusal, &promised)), None),
        Answer::Failing(refusal) => return (Judged::of(failing(&refusal, &promised)), None),
        Answer::Unknown(obstacle) => return (Judged::of(Outcome::Unverified(obstacle)), None),
    };
    let (contradiction, document) = read_manifest(digest, &body);
    let outcome = match contradiction {
        None => Outcome::Intact,
        Some((reason, observed)) => {
            let evidence = Evidence {
                sign: sign_of_manifest(reason, &body.bytes),
                ..evidence(&promised, observed, &body.request, 200)
            };
            Outcome::Broken(Defect { reason, evidence })
        }
    };
    let exemption = document
        .as_ref()
        .filter(|_| outcome == Outcome::Intact)
        .and_then(|document| exemption(document, digest));
    let length = Some(body.bytes.len() as u64);
    (
        Judged {
            outcome,
            length,
            exemption,
        },
        document,
    )
}

/// In which way a manifest's bytes contradict what was promised, if they do, and what they say.
fn read_manifest(
    digest: Option<&Digest>,
    body: &ManifestBody,
) -> (Option<(Reason, String)>, Option<Document>) {
    let length = body.bytes.len();
    if let Some(announced) = body.cut_from {
        let observed =
            format!("{length} of {announced} announced bytes, then the connection ended");
        return (Some((Reason::ShortRead, observed)), None);
    }
    let parsed = Document::parse(&body.bytes, body.media_type.as_deref());
    let is_schema1 = matches!(&parsed, Ok(document) if document.kind == MediaKind::Schema1);
    let computed = digest.and_then(|digest| digest.of_same_algorithm(&body.bytes));
    if let Some(computed) = computed.filter(|computed| Some(computed) != digest && !is_schema1) {
        let observed = format!("{length} bytes that hash to {computed}");
        return (Some((Reason::DigestMismatch, observed)), None);
    }
    match parsed {
        Err(error) => {
            let observed = format!("bytes that are no manifest: {error}");
            (Some((Reason::InvalidManifest, observed)), None)
        }
        Ok(document) => {
            let problem = document.problems.first().map(|problem| {
                (
                    Reason::InvalidManifest,
                    format!("a manifest in which {problem}"),
                )
            });
            (problem, Some(document))
        }
    }
}

/// What the bytes of a manifest show that are not what they should be.
fn sign_of_manifest(reason: Reason, bytes: &[u8]) -> Option<Sign> {
    let is_cut = reason == Reason::ShortRead;
    match bytes.trim_ascii_start().first() {
        None if is_cut => Some(Sign::NothingCame),
        None => Some(Sign::Empty),
        Some(_) if is_cut => Some(Sign::CutShort),
        // No manifest begins so, and every page does.
        Some(b'<') => Some(Sign::WebPage),
        Some(_) if reason == Reason::DigestMismatch => Some(Sign::OtherBytes),
        Some(_) => None,
    }
}

fn exemption(document: &Document, digest: Option<&Digest>) -> Option<Exemption> {
    match document.kind {
        MediaKind::Schema1 => Some(Exemption::Schema1),
        MediaKind::Unknown => Some(Exemption::UnknownMediaType),
        _ if digest.is_some_and(|digest| digest.hasher().is_none()) => {
            Some(Exemption::UnknownAlgorithm)
        }
        _ => None,
    }
}

/// Judges a blob of which `digest` and `size` were promised.
pub(super) fn blob(digest: &Digest, size: Option<u64>, answer: Answer<BlobLook>) -> Judged {
    let promised = match size {
        Some(size) => format!("{size} bytes with digest {digest}"),
        None => format!("a blob with digest {digest}"),
    };
    let look = match answer {
        Answer::Found(look) => look,
        Answer::Absent(refusal) => return Judged::of(absent(&refusal, &promised)),
        Answer::Failing(refusal) => return Judged::of(failing(&refusal, &promised)),
        Answer::Unknown(obstacle) => return Judged::of(Outcome::Unverified(obstacle)),
    };
    let outcome = match contradiction(digest, size, &look) {
        // Something in the way answers with a page of its own.
        Some(_) if look.is_html => Outcome::Unverified(Obstacle::new(
            ObstacleReason::Protocol,
            format!(
                "{} answers with a web page instead of the blob",
                look.request
            ),
        )),
        Some((reason, observed)) => {
            let evidence = Evidence {
                sign: sign_of_blob(reason, size, &look),
                ..evidence(&promised, observed, &look.request, look.status)
            };
            Outcome::Broken(Defect { reason, evidence })
        }
        None => Outcome::Intact,
    };
    let exemption = match outcome {
        Outcome::Intact if look.range_ignored => Some(Exemption::RangeUnsupported),
        Outcome::Intact if digest.hasher().is_none() => Some(Exemption::UnknownAlgorithm),
        _ => None,
    };
    Judged {
        outcome,
        length: look.length,
        exemption,
    }
}

/// In which way a look contradicts what was promised, if it does, and what was seen instead.
fn contradiction(digest: &Digest, size: Option<u64>, look: &BlobLook) -> Option<(Reason, String)> {
    if let (Some(length), Some(size)) = (look.length, size)
        && length != size
    {
        return Some((
            Reason::SizeMismatch,
            format!("the registry has {length} bytes of it"),
        ));
    }
    if look.status == 416 {
        let observed = "the registry has fewer bytes of it than that".to_owned();
        return Some((Reason::SizeMismatch, observed));
    }
    let BlobRead {
        wanted,
        received,
        digest: computed,
    } = look.read.as_ref()?;
    if received < wanted {
        let observed = match size {
            Some(size) if *wanted == 1 && size > 1 => {
                format!("nothing came where the last of {size} announced bytes should be")
            }
            _ => format!("{received} of {wanted} announced bytes, then the connection ended"),
        };
        return Some((Reason::ShortRead, observed));
    }
    if let Some(size) = size.filter(|size| computed.is_some() && received != size) {
        let than = if *received < size { "fewer" } else { "more" };
        return Some((Reason::SizeMismatch, format!("{than} bytes than that")));
    }
    match computed {
        Some(computed) if computed != digest => Some((
            Reason::DigestMismatch,
            format!("bytes that hash to {computed}"),
        )),
        _ => None,
    }
}

/// What a look at a blob shows that contradicts what was promised for this `reason`.
fn sign_of_blob(reason: Reason, size: Option<u64>, look: &BlobLook) -> Option<Sign> {
    let received = look.read.as_ref().map(|read| read.received);
    match reason {
        Reason::ShortRead if received == Some(0) => Some(Sign::NothingCame),
        Reason::ShortRead => Some(Sign::CutShort),
        Reason::DigestMismatch => Some(Sign::OtherBytes),
        Reason::SizeMismatch if look.length == Some(0) => Some(Sign::Empty),
        Reason::SizeMismatch => {
            let has = look
                .length
                .filter(|length| Some(*length) != size)
                .or(received);
            let is_longer = look.status != 416 && has > size;
            Some(if is_longer {
                Sign::Longer
            } else {
                Sign::Shorter
            })
        }
        _ => None,
    }
}

/// Judges a promise of `size` against the length of an object that is whole in itself: one of two
/// manifests that promise different sizes for the same digest is wrong.
pub(super) fn size(size: Option<u64>, length: Option<u64>) -> Option<Defect> {
    let (size, length) = (size?, length?);
    (size != length).then(|| Defect {
        reason: Reason::SizeMismatch,
        evidence: Evidence {
            promised: format!("{size} bytes"),
            observed: format!(
                "the registry has {length} bytes of it, which are as their digest says"
            ),
            request: String::new(),
            status: None,
            sign: Some(Sign::OtherPromise),
        },
    })
}

fn absent(refusal: &Refusal, promised: &str) -> Outcome {
    let reason = if refusal.redirected {
        Reason::StorageMissing
    } else {
        Reason::NotFound
    };
    refused(reason, refusal, promised)
}

/// On a first look a lasting 5xx is a suspicion against the object; the confirmation finds out
/// whether the registry answers for others.
fn failing(refusal: &Refusal, promised: &str) -> Outcome {
    refused(Reason::Unreadable, refusal, promised)
}

fn refused(reason: Reason, refusal: &Refusal, promised: &str) -> Outcome {
    let code = refusal
        .code
        .as_deref()
        .map(|code| format!(" {code}"))
        .unwrap_or_default();
    let who = if refusal.redirected {
        " from the storage behind the registry"
    } else {
        ""
    };
    let observed = format!("{}{code}{who}", refusal.status);
    let evidence = Evidence {
        sign: refusal.is_page.then_some(Sign::WebPage),
        ..evidence(promised, observed, &refusal.request, refusal.status)
    };
    Outcome::Broken(Defect { reason, evidence })
}

fn evidence(promised: &str, observed: String, request: &str, status: u16) -> Evidence {
    Evidence {
        promised: promised.to_owned(),
        observed,
        request: request.to_owned(),
        status: Some(status),
        sign: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, redirected: bool) -> Refusal {
        Refusal {
            request: "GET /v2/app/blobs/x".into(),
            status,
            code: None,
            redirected,
            is_page: false,
        }
    }

    fn reason(outcome: &Outcome) -> Option<Reason> {
        match outcome {
            Outcome::Broken(defect) => Some(defect.reason),
            _ => None,
        }
    }

    const DATA: &[u8] = b"hello";

    fn look(length: Option<u64>, read: Option<BlobRead>) -> BlobLook {
        BlobLook {
            request: "GET x".into(),
            status: 206,
            length,
            read,
            range_ignored: false,
            is_html: false,
            is_from_cache: false,
        }
    }

    fn read(wanted: u64, received: u64, digest: Option<&[u8]>) -> BlobRead {
        BlobRead {
            wanted,
            received,
            digest: digest.map(Digest::sha256),
        }
    }

    fn blob_reason(look: BlobLook) -> Option<Reason> {
        reason(&blob(&Digest::sha256(DATA), Some(5), Answer::Found(look)).outcome)
    }

    #[test]
    fn blobs() {
        for (length, read, expected) in [
            (Some(5), None, None),
            (None, None, None),
            (Some(5), Some(read(1, 1, None)), None),
            (Some(5), Some(read(5, 5, Some(DATA))), None),
            (Some(0), None, Some(Reason::SizeMismatch)),
            (Some(4), Some(read(1, 1, None)), Some(Reason::SizeMismatch)),
            (Some(5), Some(read(1, 0, None)), Some(Reason::ShortRead)),
            (Some(5), Some(read(5, 2, None)), Some(Reason::ShortRead)),
            (
                None,
                Some(read(6, 6, Some(b"hello!"))),
                Some(Reason::SizeMismatch),
            ),
            (
                Some(5),
                Some(read(5, 5, Some(b"jello"))),
                Some(Reason::DigestMismatch),
            ),
        ] {
            assert_eq!(
                blob_reason(look(length, read.clone())),
                expected,
                "{length:?} {read:?}"
            );
        }
    }

    #[test]
    fn a_range_beyond_the_end_means_a_shorter_blob() {
        assert_eq!(
            blob_reason(BlobLook {
                status: 416,
                ..look(None, None)
            }),
            Some(Reason::SizeMismatch)
        );
    }

    #[test]
    fn a_web_page_in_place_of_a_blob_is_no_finding() {
        let page = BlobLook {
            is_html: true,
            ..look(Some(812), None)
        };
        let judged = blob(&Digest::sha256(DATA), Some(5), Answer::Found(page));
        assert!(
            matches!(judged.outcome, Outcome::Unverified(o) if o.reason == ObstacleReason::Protocol)
        );
        // A layer that is a page, as promised, is a layer.
        let page = BlobLook {
            is_html: true,
            ..look(Some(5), Some(read(5, 5, Some(DATA))))
        };
        assert_eq!(blob_reason(page), None);
    }

    #[test]
    fn an_ignored_range_is_told() {
        let ignored = BlobLook {
            range_ignored: true,
            ..look(Some(5), None)
        };
        let judged = blob(&Digest::sha256(DATA), Some(5), Answer::Found(ignored));
        assert_eq!(
            (judged.outcome, judged.exemption),
            (Outcome::Intact, Some(Exemption::RangeUnsupported))
        );
    }

    #[test]
    fn absence_failure_and_obstacles_are_told_apart() {
        let judge = |answer| blob(&Digest::sha256(DATA), Some(5), answer).outcome;
        assert_eq!(
            reason(&judge(Answer::Absent(refusal(404, false)))),
            Some(Reason::NotFound)
        );
        assert_eq!(
            reason(&judge(Answer::Absent(refusal(404, true)))),
            Some(Reason::StorageMissing)
        );
        assert_eq!(
            reason(&judge(Answer::Failing(refusal(500, false)))),
            Some(Reason::Unreadable)
        );
        let obstacle = Obstacle::new(ObstacleReason::Timeout, "x");
        assert_eq!(
            judge(Answer::Unknown(obstacle.clone())),
            Outcome::Unverified(obstacle)
        );
    }

    fn body(bytes: &[u8], media_type: &str) -> ManifestBody {
        ManifestBody {
            request: "GET x".into(),
            media_type: Some(media_type.into()),
            bytes: bytes.to_vec().into(),
            cut_from: None,
        }
    }

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    #[test]
    fn manifests() {
        let index = br#"{"manifests":[]}"#;
        for (bytes, digest, expected) in [
            (index.as_slice(), index.as_slice(), None),
            (index, b"other", Some(Reason::DigestMismatch)),
            (b"<html>", b"<html>", Some(Reason::InvalidManifest)),
            (b"", b"", Some(Reason::InvalidManifest)),
            (
                br#"{"manifests":[7]}"#,
                br#"{"manifests":[7]}"#,
                Some(Reason::InvalidManifest),
            ),
        ] {
            let (judged, _) = manifest(
                Some(&Digest::sha256(digest)),
                Answer::Found(body(bytes, INDEX)),
            );
            assert_eq!(
                reason(&judged.outcome),
                expected,
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        let cut = ManifestBody {
            cut_from: Some(99),
            ..body(b"{", INDEX)
        };
        let (judged, document) = manifest(Some(&Digest::sha256(index)), Answer::Found(cut));
        assert_eq!(
            (reason(&judged.outcome), document),
            (Some(Reason::ShortRead), None)
        );
    }

    #[test]
    fn the_digest_of_schema_1_does_not_cover_its_bytes() {
        let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        let found = Answer::Found(body(br#"{"fsLayers":[]}"#, schema1));
        let (judged, _) = manifest(Some(&Digest::sha256(b"other")), found);
        assert_eq!(
            (judged.outcome, judged.exemption),
            (Outcome::Intact, Some(Exemption::Schema1))
        );
    }

    #[test]
    fn sizes() {
        assert!(size(Some(5), Some(5)).is_none() && size(None, Some(5)).is_none());
        assert_eq!(
            size(Some(4), Some(5)).map(|d| d.reason),
            Some(Reason::SizeMismatch)
        );
    }
}
