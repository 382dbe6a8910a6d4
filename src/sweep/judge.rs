//! The judge: a promise and an observation go in, an outcome comes out. Pure, so that every rule of
//! integrity is a test of two lines.

use super::form::Form;
use crate::oci::{Digest, Document, ImageConfig, MediaKind, Printable, manifest_digest};
use crate::registry::{Answer, BlobLook, BlobRead, BodyEnd, ManifestBody, Refusal};
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::report::{
    Defect, Evidence, LengthSource, Observed, Outcome, Promised, Reason, SkipReason, Start,
};

/// What a look at one object comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    /// The object's real length, if it became known.
    pub(super) length: Option<u64>,
    /// What about it was not looked at, though the rest is as promised.
    pub(super) skip_reason: Option<SkipReason>,
    /// What it is and what it is said to be, if it is a document.
    pub(super) form: Option<Form>,
    /// What it says, if it was read as the config of an image.
    pub(super) config: Option<ImageConfig>,
    /// And what its layers unpack to, where they are to be unpacked.
    pub(super) diff_ids: Vec<Digest>,
    /// What it unpacks to, if it is a layer that was.
    pub(super) unpacks_to: Option<Digest>,
    /// How closely it had to be looked at to see that it is broken, where that is closer than asked.
    pub(super) depth: Option<Depth>,
}

impl Judged {
    pub(super) fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            length: None,
            skip_reason: None,
            form: None,
            config: None,
            diff_ids: Vec::new(),
            unpacks_to: None,
            depth: None,
        }
    }

    /// Whether it is a manifest, kept as one, and as promised.
    pub(super) fn is_whole_manifest(&self) -> bool {
        let is_blob = self.form.as_ref().is_some_and(Form::is_blob);
        self.outcome == Outcome::Intact && !is_blob
    }
}

/// Judges a manifest of which `digest` was promised (`None` if a tag alone led to it), and reads it.
pub(super) fn manifest(
    digest: Option<&Digest>,
    answer: Answer<ManifestBody>,
) -> (Judged, Option<Document>) {
    let promised = Promised::Manifest {
        digest: digest.cloned(),
    };
    let body = match answer {
        Answer::Found(body) => body,
        Answer::Absent(refusal) => return (Judged::of(absent(refusal, promised)), None),
        Answer::Failing(refusal) => return (Judged::of(failing(refusal, promised)), None),
        Answer::Unverified(why) => return (Judged::of(Outcome::Unverified(why)), None),
    };
    let (contradiction, document) = match other_bytes(digest, &body) {
        Some(contradiction) => (Some(contradiction), None),
        None => read_manifest(&body),
    };
    let outcome = of_bytes(contradiction, promised, &body);
    let skip_reason = document
        .as_ref()
        .filter(|_| outcome == Outcome::Intact)
        .and_then(|document| skip_reason(document, digest));
    let form = document
        .as_ref()
        .map(|document| Form::of(document, body.media_type.as_deref()));
    let judged = Judged {
        length: Some(body.bytes.len() as u64),
        skip_reason,
        form,
        ..Judged::of(outcome)
    };
    (judged, document)
}

/// Judges a child of a type that clients do not know, where it is kept as they keep it: as a blob. What
/// it holds is read all the same, if it can be.
pub(super) fn kept_as_blob(digest: &Digest, body: &ManifestBody) -> (Judged, Option<Document>) {
    let read = Document::parse(&body.bytes, None).ok();
    let document = read.filter(|document| document.problems.is_empty());
    let kind = document.as_ref().map(|document| document.kind);
    let promised = Promised::Blob {
        digest: digest.clone(),
        size: None,
    };
    let outcome = of_bytes(other_bytes(Some(digest), body), promised, body);
    let is_intact = outcome == Outcome::Intact;
    let judged = Judged {
        form: Some(Form::of_blob(kind.unwrap_or(MediaKind::Unknown))),
        length: Some(body.bytes.len() as u64),
        ..Judged::of(outcome)
    };
    (judged, document.filter(|_| is_intact))
}

/// What bytes come to that are contradicted in this way, or in none.
fn of_bytes(
    contradiction: Option<(Reason, Observed)>,
    promised: Promised,
    body: &ManifestBody,
) -> Outcome {
    let Some((reason, observed)) = contradiction else {
        return Outcome::Intact;
    };
    broken(reason, promised, observed, &body.request, 200)
}

/// In which way bytes are not those that were promised, if they are not, and what they are.
fn other_bytes(digest: Option<&Digest>, body: &ManifestBody) -> Option<(Reason, Observed)> {
    let length = body.bytes.len() as u64;
    if body.end == BodyEnd::Cut {
        let observed = Observed::Cut {
            received: length,
            announced: body.announced,
        };
        return Some((Reason::ShortRead, observed));
    }
    let digest = digest?;
    let computed = manifest_digest(&body.bytes, digest)?;
    (computed != *digest).then(|| {
        let observed = Observed::OtherBytes {
            length: Some(length),
            digest: computed,
            start: Start::of(&body.bytes),
        };
        (Reason::DigestMismatch, observed)
    })
}

/// In which way a manifest's bytes are none that clients take, if they are not, and what they say.
fn read_manifest(body: &ManifestBody) -> (Option<(Reason, Observed)>, Option<Document>) {
    match Document::parse(&body.bytes, body.media_type.as_deref()) {
        Err(error) => {
            let observed = Observed::NoManifest {
                error: error.into(),
                start: Start::of(&body.bytes),
            };
            (Some((Reason::InvalidManifest, observed)), None)
        }
        Ok(document) => {
            let problem = document.problems.first().map(|problem| {
                let problem = problem.into();
                (
                    Reason::InvalidManifest,
                    Observed::InvalidManifest { problem },
                )
            });
            (problem, Some(document))
        }
    }
}

fn skip_reason(document: &Document, digest: Option<&Digest>) -> Option<SkipReason> {
    match document.kind {
        MediaKind::Unknown => Some(SkipReason::UnknownMediaType),
        _ if digest.is_some_and(|digest| digest.hasher().is_none()) => {
            Some(SkipReason::UnknownAlgorithm)
        }
        _ => None,
    }
}

/// Judges a blob of which `digest` and `size` were promised.
pub(super) fn blob(digest: &Digest, size: Option<u64>, answer: Answer<BlobLook>) -> Judged {
    let promised = Promised::Blob {
        digest: digest.clone(),
        size,
    };
    let look = match answer {
        Answer::Found(look) => look,
        Answer::Absent(refusal) => return Judged::of(absent(refusal, promised)),
        Answer::Failing(refusal) => return Judged::of(failing(refusal, promised)),
        Answer::Unverified(why) => return Judged::of(Outcome::Unverified(why)),
    };
    let in_the_way = |reason, what: &str| {
        let detail = format!("{} {what}", look.request);
        Outcome::Unverified(Unverified::new(reason, detail))
    };
    let outcome = match contradiction(digest, size, &look) {
        // Something in the way answers with a page of its own.
        Some(_) if look.is_html => in_the_way(
            UnverifiedReason::Protocol,
            "answers with a web page instead of the blob",
        ),
        Some((reason, observed)) => broken(reason, promised, observed, &look.request, look.status),
        None => Outcome::Intact,
    };
    let skip_reason = match outcome {
        Outcome::Intact if look.read == BlobRead::Start => Some(SkipReason::RangeUnsupported),
        Outcome::Intact if digest.hasher().is_none() => Some(SkipReason::UnknownAlgorithm),
        _ => None,
    };
    Judged {
        length: look.length.or(match look.read {
            BlobRead::All { received, .. } if outcome == Outcome::Intact => Some(received),
            _ => None,
        }),
        skip_reason,
        depth: matches!(look.read, BlobRead::All { .. }).then_some(Depth::Digest),
        ..Judged::of(outcome)
    }
}

/// In which way a look contradicts what was promised, if it does, and what was seen instead.
fn contradiction(
    digest: &Digest,
    size: Option<u64>,
    look: &BlobLook,
) -> Option<(Reason, Observed)> {
    if let (Some(length), Some(size)) = (look.length, size)
        && length != size
    {
        let source = LengthSource::Stated;
        return Some((
            Reason::SizeMismatch,
            Observed::OtherLength { length, source },
        ));
    }
    let BlobRead::All {
        received,
        digest: computed,
        end,
    } = &look.read
    else {
        return None;
    };
    // Clients hold that against it, be every byte there (Go: unexpected EOF).
    if *end == BodyEnd::Cut {
        let observed = Observed::Cut {
            received: *received,
            announced: look.length,
        };
        return Some((Reason::ShortRead, observed));
    }
    if let Some(size) = size.filter(|size| received != size) {
        let observed = if *received < size {
            Observed::OtherLength {
                length: *received,
                source: LengthSource::Received,
            }
        } else {
            Observed::MoreBytes
        };
        return Some((Reason::SizeMismatch, observed));
    }
    match computed {
        Some(computed) if computed != digest => {
            let observed = Observed::OtherBytes {
                length: None,
                digest: computed.clone(),
                start: Start::Other,
            };
            Some((Reason::DigestMismatch, observed))
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
        evidence: Box::new(Evidence {
            promised: Some(Promised::Size { size }),
            observed: Some(Observed::OtherLength {
                length,
                source: LengthSource::Verified,
            }),
            ..Evidence::default()
        }),
    })
}

pub(super) fn absent(refusal: Refusal, promised: Promised) -> Outcome {
    let reason = if refusal.storage.is_some() {
        Reason::StorageMissing
    } else {
        Reason::NotFound
    };
    refused(reason, refusal, promised)
}

/// On a first look a lasting 5xx is a suspicion against the object; the confirmation finds out
/// whether the registry answers for others.
pub(super) fn failing(refusal: Refusal, promised: Promised) -> Outcome {
    refused(Reason::Unreadable, refusal, promised)
}

fn refused(reason: Reason, refusal: Refusal, promised: Promised) -> Outcome {
    let observed = Observed::Refused {
        status: refusal.status,
        code: refusal.code,
        from_storage: refusal.storage.is_some(),
        is_page: refusal.is_page,
    };
    broken(reason, promised, observed, &refusal.request, refusal.status)
}

pub(super) fn broken(
    reason: Reason,
    promised: Promised,
    observed: Observed,
    request: &Printable,
    status: u16,
) -> Outcome {
    let evidence = Evidence {
        promised: Some(promised),
        observed: Some(observed),
        request: request.clone(),
        status: Some(status),
    };
    Outcome::Broken(Defect {
        reason,
        evidence: Box::new(evidence),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, redirected: bool) -> Refusal {
        Refusal {
            request: "GET /v2/app/blobs/x".into(),
            status,
            code: None,
            storage: redirected.then(|| "https://storage.example".into()),
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

    fn look(length: Option<u64>, read: BlobRead) -> BlobLook {
        BlobLook {
            request: "GET x".into(),
            status: 200,
            length,
            read,
            storage: None,
            is_html: false,
            unpacked: None,
            is_from_cache: false,
        }
    }

    fn all(received: u64, bytes: &[u8], end: BodyEnd) -> BlobRead {
        BlobRead::All {
            received,
            digest: Some(Digest::sha256(bytes)),
            end,
        }
    }

    fn judge_blob(look: BlobLook) -> Judged {
        blob(&Digest::sha256(DATA), Some(5), Answer::Found(look))
    }

    #[test]
    fn blobs() {
        use BodyEnd::{Connection, Cut, More, Whole};
        use Reason as R;
        let other = |length, source| Observed::OtherLength { length, source };
        let is = |length| other(length, LengthSource::Stated);
        let came = |length| other(length, LengthSource::Received);
        let cut = |received, announced| Observed::Cut {
            received,
            announced,
        };
        let jello = Observed::OtherBytes {
            length: None,
            digest: Digest::sha256(b"jello"),
            start: Start::Other,
        };
        for (length, read, expected) in [
            (Some(5), BlobRead::Nothing, None),
            (Some(5), BlobRead::End, None),
            (Some(5), BlobRead::Start, None),
            (None, BlobRead::Start, None),
            (Some(5), all(5, DATA, Whole), None),
            (None, all(5, DATA, Connection), None),
            (Some(0), BlobRead::Nothing, Some((R::SizeMismatch, is(0)))),
            (Some(4), BlobRead::Nothing, Some((R::SizeMismatch, is(4)))),
            (Some(6), BlobRead::Nothing, Some((R::SizeMismatch, is(6)))),
            (
                Some(5),
                all(0, b"", Cut),
                Some((R::ShortRead, cut(0, Some(5)))),
            ),
            (
                Some(5),
                all(2, b"he", Cut),
                Some((R::ShortRead, cut(2, Some(5)))),
            ),
            (None, all(2, b"he", Cut), Some((R::ShortRead, cut(2, None)))),
            (
                None,
                all(5, b"jello", Cut),
                Some((R::ShortRead, cut(5, None))),
            ),
            (None, all(0, b"", Whole), Some((R::SizeMismatch, came(0)))),
            (
                None,
                all(2, b"he", Connection),
                Some((R::SizeMismatch, came(2))),
            ),
            (
                None,
                all(6, b"hello!", More),
                Some((R::SizeMismatch, Observed::MoreBytes)),
            ),
            (
                Some(5),
                all(5, b"jello", Whole),
                Some((R::DigestMismatch, jello)),
            ),
        ] {
            let judged = judge_blob(look(length, read.clone()));
            let seen = match judged.outcome.clone() {
                Outcome::Broken(defect) => Some((defect.reason, defect.evidence.observed)),
                _ => None,
            };
            let expected = expected.map(|(reason, observed)| (reason, Some(observed)));
            assert_eq!(seen, expected, "{length:?} {read:?}");
            assert_eq!(judged.outcome == Outcome::Intact, expected.is_none());
        }
    }

    #[test]
    fn a_body_that_is_cut_behind_its_last_byte_is_cut() {
        let judged = judge_blob(look(None, all(5, DATA, BodyEnd::Cut)));
        assert_eq!(reason(&judged.outcome), Some(Reason::ShortRead));
    }

    #[test]
    fn a_blob_of_no_promised_length() {
        let judge = |look| blob(&Digest::sha256(DATA), None, Answer::Found(look));
        let judged = judge(look(Some(5), all(5, DATA, BodyEnd::Whole)));
        assert_eq!((judged.outcome, judged.length), (Outcome::Intact, Some(5)));
        let judged = judge(look(None, all(5, DATA, BodyEnd::Whole)));
        assert_eq!((judged.outcome, judged.length), (Outcome::Intact, Some(5)));
        let cut = judge(look(Some(5), all(2, b"he", BodyEnd::Cut)));
        assert_eq!(reason(&cut.outcome), Some(Reason::ShortRead));
    }

    #[test]
    fn a_web_page_in_place_of_a_blob_is_no_finding() {
        let page = BlobLook {
            is_html: true,
            ..look(Some(812), BlobRead::Nothing)
        };
        assert!(
            matches!(judge_blob(page).outcome, Outcome::Unverified(o) if o.reason == UnverifiedReason::Protocol)
        );
        // A layer that is a page, as promised, is a layer.
        let page = BlobLook {
            is_html: true,
            ..look(Some(5), all(5, DATA, BodyEnd::Whole))
        };
        assert_eq!(judge_blob(page).outcome, Outcome::Intact);
    }

    #[test]
    fn what_was_seen_of_its_start_alone_is_told() {
        let judged = judge_blob(look(Some(5), BlobRead::Start));
        assert_eq!(
            (judged.outcome, judged.skip_reason),
            (Outcome::Intact, Some(SkipReason::RangeUnsupported))
        );
    }

    #[test]
    fn absent_failing_and_unverified_differ() {
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
        let why = Unverified::new(UnverifiedReason::Timeout, "x");
        assert_eq!(
            judge(Answer::Unverified(why.clone())),
            Outcome::Unverified(why)
        );
    }

    fn body(bytes: &[u8], media_type: &str) -> ManifestBody {
        ManifestBody {
            request: "GET x".into(),
            media_type: Some(media_type.into()),
            bytes: bytes.to_vec().into(),
            announced: None,
            end: BodyEnd::Whole,
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
            announced: Some(99),
            end: BodyEnd::Cut,
            ..body(b"{", INDEX)
        };
        let (judged, document) = manifest(Some(&Digest::sha256(index)), Answer::Found(cut));
        assert_eq!(
            (reason(&judged.outcome), document),
            (Some(Reason::ShortRead), None)
        );
    }

    #[test]
    fn no_type_keeps_bytes_from_being_hashed() {
        for media_type in [
            INDEX,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "application/json",
        ] {
            let found = Answer::Found(body(br#"{"manifests":[]}"#, media_type));
            let (judged, _) = manifest(Some(&Digest::sha256(b"other")), found);
            assert_eq!(reason(&judged.outcome), Some(Reason::DigestMismatch));
        }
    }

    #[test]
    fn a_tag_points_to_what_is_stated_or_to_what_came() {
        let index = br#"{"manifests":[]}"#;
        let resolved = |stated: Option<Digest>, body| {
            crate::sweep::resolve::judge(Answer::Found(crate::registry::Resolved {
                stated,
                body,
                by_head: None,
            }))
        };
        let digest = Digest::sha256(index);
        let stated = resolved(Some(digest.clone()), None).expect("a digest");
        assert!(stated.digest == digest && stated.manifest.is_none());
        let came = resolved(None, Some(body(index, INDEX))).expect("a manifest");
        assert_eq!(came.digest, digest);
        assert!(came.manifest.is_none(), "it is asked for by its digest");
        // The digest of half a manifest, or of an error, is none that a tag points to.
        let half = ManifestBody {
            end: BodyEnd::Cut,
            ..body(&index[..5], INDEX)
        };
        for (odd, expected) in [
            (half, Reason::ShortRead),
            (body(b"{}", INDEX), Reason::InvalidManifest),
            (
                body(br#"{"errors":[]}"#, "application/json"),
                Reason::InvalidManifest,
            ),
        ] {
            let seen = resolved(None, Some(odd.clone())).err();
            assert_eq!(seen.as_ref().and_then(reason), Some(expected));
            let stated = resolved(Some(digest.clone()), Some(odd)).expect("a digest");
            assert_eq!(stated.digest, digest);
        }
        assert!(matches!(resolved(None, None), Err(Outcome::Unverified(_))));
    }

    #[test]
    fn what_is_kept_as_a_blob_is_hashed_and_read_if_it_can_be() {
        let judge = |promised: &[u8], bytes: &[u8]| {
            let body = body(bytes, "application/octet-stream");
            kept_as_blob(&Digest::sha256(promised), &body)
        };
        let index = br#"{"manifests":[]}"#;
        let (judged, document) = judge(index, index);
        assert!(judged.outcome == Outcome::Intact && document.is_some());
        for bytes in [b"{}".as_slice(), b"", b"\x1f\x8b", br#"{"manifests":[7]}"#] {
            let (judged, document) = judge(bytes, bytes);
            assert!(judged.outcome == Outcome::Intact && document.is_none());
        }
        let (judged, document) = judge(index, br#"{"manifests":[ ]}"#);
        assert_eq!(reason(&judged.outcome), Some(Reason::DigestMismatch));
        assert_eq!(document, None);
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
