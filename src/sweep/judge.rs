//! The judge: a promise and an observation go in, an outcome comes out. Pure, so that every rule of
//! integrity is a test of two lines.

use super::form::Form;
use crate::oci::{Digest, Document, MediaKind, manifest_digest};
use crate::registry::{Answer, BlobLook, BlobRead, BodyEnd, ManifestBody, Refusal};
use crate::registry::{Depth, Unverified, UnverifiedReason};
use crate::report::{Defect, Evidence, Outcome, Reason, SkipReason, Symptom};

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
    /// How closely it had to be looked at to see that it is broken, where that is closer than asked.
    pub(super) depth: Option<Depth>,
}

impl Judged {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            length: None,
            skip_reason: None,
            form: None,
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
    let promised = match digest {
        Some(digest) => format!("a manifest with digest {digest}"),
        None => "a manifest".to_owned(),
    };
    let body = match answer {
        Answer::Found(body) => body,
        Answer::Absent(refusal) => return (Judged::of(absent(&refusal, &promised)), None),
        Answer::Failing(refusal) => return (Judged::of(failing(&refusal, &promised)), None),
        Answer::Unverified(why) => return (Judged::of(Outcome::Unverified(why)), None),
    };
    let (contradiction, document) = match other_bytes(digest, &body) {
        Some(contradiction) => (Some(contradiction), None),
        None => read_manifest(&body),
    };
    let outcome = of_bytes(contradiction, &promised, &body);
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
    let promised = format!("a blob with digest {digest}");
    let outcome = of_bytes(other_bytes(Some(digest), body), &promised, body);
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
    contradiction: Option<(Reason, String)>,
    promised: &str,
    body: &ManifestBody,
) -> Outcome {
    let Some((reason, observed)) = contradiction else {
        return Outcome::Intact;
    };
    let evidence = Evidence {
        symptom: symptom_of_manifest(reason, &body.bytes),
        ..evidence(promised, observed, &body.request, 200)
    };
    Outcome::Broken(Defect { reason, evidence })
}

/// What is to be said of a body that was cut after so many bytes.
fn cut(received: u64, announced: Option<u64>) -> String {
    match announced {
        Some(announced) => {
            format!("{received} of {announced} announced bytes, then the connection ended")
        }
        None => format!("{received} bytes, and the connection ended before the body did"),
    }
}

/// In which way bytes are not those that were promised, if they are not, and what they are.
fn other_bytes(digest: Option<&Digest>, body: &ManifestBody) -> Option<(Reason, String)> {
    let length = body.bytes.len();
    if body.end == BodyEnd::Cut {
        return Some((Reason::ShortRead, cut(length as u64, body.announced)));
    }
    let digest = digest?;
    let computed = manifest_digest(&body.bytes, digest)?;
    (computed != *digest).then(|| {
        let observed = format!("{length} bytes that hash to {computed}");
        (Reason::DigestMismatch, observed)
    })
}

/// In which way a manifest's bytes are none that clients take, if they are not, and what they say.
fn read_manifest(body: &ManifestBody) -> (Option<(Reason, String)>, Option<Document>) {
    match Document::parse(&body.bytes, body.media_type.as_deref()) {
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
fn symptom_of_manifest(reason: Reason, bytes: &[u8]) -> Option<Symptom> {
    let is_cut = reason == Reason::ShortRead;
    match bytes.trim_ascii_start().first() {
        None if is_cut => Some(Symptom::NothingCame),
        None => Some(Symptom::Empty),
        Some(_) if is_cut => Some(Symptom::CutShort),
        // No manifest begins so, and every page does.
        Some(b'<') => Some(Symptom::WebPage),
        Some(_) if reason == Reason::DigestMismatch => Some(Symptom::OtherBytes),
        Some(_) => None,
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
    let promised = match size {
        Some(size) => format!("{size} bytes with digest {digest}"),
        None => format!("a blob with digest {digest}"),
    };
    let look = match answer {
        Answer::Found(look) => look,
        Answer::Absent(refusal) => return Judged::of(absent(&refusal, &promised)),
        Answer::Failing(refusal) => return Judged::of(failing(&refusal, &promised)),
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
        Some((reason, observed)) => {
            let evidence = Evidence {
                symptom: symptom_of_blob(reason, size, &look),
                ..evidence(&promised, observed, &look.request, look.status)
            };
            Outcome::Broken(Defect { reason, evidence })
        }
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
fn contradiction(digest: &Digest, size: Option<u64>, look: &BlobLook) -> Option<(Reason, String)> {
    if let (Some(length), Some(size)) = (look.length, size)
        && length != size
    {
        return Some((
            Reason::SizeMismatch,
            format!("the registry has {length} bytes of it"),
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
        return Some((Reason::ShortRead, cut(*received, look.length)));
    }
    if let Some(size) = size.filter(|size| received != size) {
        let than = if *received < size {
            format!("{received} bytes, which are fewer")
        } else {
            "more bytes than that".to_owned()
        };
        return Some((Reason::SizeMismatch, than));
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
fn symptom_of_blob(reason: Reason, size: Option<u64>, look: &BlobLook) -> Option<Symptom> {
    let received = match look.read {
        BlobRead::All { received, .. } => Some(received),
        BlobRead::Nothing | BlobRead::Start | BlobRead::End => None,
    };
    match reason {
        Reason::ShortRead if received == Some(0) => Some(Symptom::NothingCame),
        Reason::ShortRead => Some(Symptom::CutShort),
        Reason::DigestMismatch => Some(Symptom::OtherBytes),
        Reason::SizeMismatch => {
            let has = look.length.filter(|length| Some(*length) != size);
            let has = has.or(received);
            Some(match has {
                Some(0) => Symptom::Empty,
                has if has > size => Symptom::Longer,
                _ => Symptom::Shorter,
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
            symptom: Some(Symptom::OtherPromise),
            ..Evidence::default()
        },
    })
}

pub(super) fn absent(refusal: &Refusal, promised: &str) -> Outcome {
    let reason = if refusal.redirected {
        Reason::StorageMissing
    } else {
        Reason::NotFound
    };
    refused(reason, refusal, promised)
}

/// On a first look a lasting 5xx is a suspicion against the object; the confirmation finds out
/// whether the registry answers for others.
pub(super) fn failing(refusal: &Refusal, promised: &str) -> Outcome {
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
        symptom: refusal.is_page.then_some(Symptom::WebPage),
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
        symptom: None,
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

    fn look(length: Option<u64>, read: BlobRead) -> BlobLook {
        BlobLook {
            request: "GET x".into(),
            status: 200,
            length,
            read,
            is_html: false,
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
        for (length, read, expected) in [
            (Some(5), BlobRead::Nothing, None),
            (Some(5), BlobRead::End, None),
            (Some(5), BlobRead::Start, None),
            (None, BlobRead::Start, None),
            (Some(5), all(5, DATA, Whole), None),
            (None, all(5, DATA, Connection), None),
            (
                Some(0),
                BlobRead::Nothing,
                Some((R::SizeMismatch, Symptom::Empty)),
            ),
            (
                Some(4),
                BlobRead::Nothing,
                Some((R::SizeMismatch, Symptom::Shorter)),
            ),
            (
                Some(6),
                BlobRead::Nothing,
                Some((R::SizeMismatch, Symptom::Longer)),
            ),
            (
                Some(5),
                all(0, b"", Cut),
                Some((R::ShortRead, Symptom::NothingCame)),
            ),
            (
                Some(5),
                all(2, b"he", Cut),
                Some((R::ShortRead, Symptom::CutShort)),
            ),
            (
                None,
                all(2, b"he", Cut),
                Some((R::ShortRead, Symptom::CutShort)),
            ),
            (
                None,
                all(5, b"jello", Cut),
                Some((R::ShortRead, Symptom::CutShort)),
            ),
            (
                None,
                all(0, b"", Whole),
                Some((R::SizeMismatch, Symptom::Empty)),
            ),
            (
                None,
                all(2, b"he", Connection),
                Some((R::SizeMismatch, Symptom::Shorter)),
            ),
            (
                None,
                all(6, b"hello!", More),
                Some((R::SizeMismatch, Symptom::Longer)),
            ),
            (
                Some(5),
                all(5, b"jello", Whole),
                Some((R::DigestMismatch, Symptom::OtherBytes)),
            ),
        ] {
            let judged = judge_blob(look(length, read.clone()));
            let seen = match &judged.outcome {
                Outcome::Broken(defect) => {
                    defect.evidence.symptom.map(|sign| (defect.reason, sign))
                }
                _ => None,
            };
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
    fn absence_failure_and_unverified_are_told_apart() {
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
        let (judged, document) = came.manifest.expect("it came along");
        assert!(judged.outcome == Outcome::Intact && document.is_some());
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
