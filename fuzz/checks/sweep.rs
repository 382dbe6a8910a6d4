//! What must hold for manifests and their judge, whatever a registry sends.

use serde_json::{Value, json};

use super::judge;
use crate::oci::fuzzing::assert_printable;
use crate::oci::{Descriptor, Digest, Document, MediaKind};
use crate::registry::{Answer, BodyEnd, ManifestBody};
use crate::report::{Outcome, Reason};

/// The most entries that a list in a document may have, and the lists of blobs that there can be.
const MOST_ENTRIES: usize = 10_000;
const LISTS: usize = 3;
/// What is told of all that is wrong with one.
const MOST_PROBLEMS: usize = 16;

/// A manifest: the first line is its `Content-Type`, unless it begins with a brace.
pub(crate) fn document(input: &[u8]) {
    let (content_type, bytes) = match input.iter().position(|b| *b == b'\n') {
        Some(end) if input.first() != Some(&b'{') => {
            (std::str::from_utf8(&input[..end]).ok(), &input[end + 1..])
        }
        _ => (None, input),
    };
    let parsed = Document::parse(bytes, content_type);
    match &parsed {
        Ok(document) => check_document(document),
        Err(error) => assert_printable(&error.to_string(), 201),
    }
    let is_sound = parsed.is_ok_and(|document| document.problems.is_empty());
    check_judge(bytes, content_type, is_sound);
}

fn check_document(document: &Document) {
    let lists = [&document.children, &document.layers];
    for entries in lists {
        assert!(entries.len() <= MOST_ENTRIES * LISTS);
    }
    assert!(document.problems.len() <= MOST_PROBLEMS);
    for problem in &document.problems {
        assert_printable(problem, 200);
    }
    let is_sound = document.problems.is_empty();
    for entry in lists.into_iter().flatten().chain(&document.config) {
        // A digest goes into paths: it is what it says, and nothing else.
        let text = entry.digest.to_string();
        assert_eq!(text.parse().as_ref(), Ok(&entry.digest));
        assert!(!text.contains(['/', '?', '#', '%', ' ']), "{text}");
        assert!(entry.media_type.chars().count() <= 255);
        assert_printable(entry.platform.as_deref().unwrap_or_default(), 65);
        assert!(entry.size.is_some() || document.kind == MediaKind::Schema1 || !is_sound);
        assert!(!entry.is_inline || entry.digest.hasher().is_some());
    }
    if is_sound {
        check_written(document);
    }
}

/// What was read, written anew, is read as the same.
fn check_written(document: &Document) {
    let text = written(document).to_string();
    let read = Document::parse(text.as_bytes(), Some(&document.media_type));
    let read = read.expect("what was written by us");
    let plain = |entries: &[Descriptor]| -> Vec<_> {
        let entries = entries.iter().cloned();
        let plain = entries.map(|entry| Descriptor {
            is_inline: false,
            has_web_address: false,
            ..entry
        });
        plain.collect()
    };
    assert_eq!(read.kind, document.kind);
    assert_eq!(read.children, plain(&document.children));
    assert_eq!(read.layers, plain(&document.layers));
    assert_eq!(read.config.as_slice(), plain(document.config.as_slice()));
}

/// The document as JSON, without what is carried inline.
fn written(document: &Document) -> Value {
    let descriptor = |entry: &Descriptor| {
        let kind = entry.attestation.then_some("attestation-manifest");
        json!({
            "mediaType": entry.media_type,
            "digest": entry.digest.to_string(),
            "blobSum": entry.digest.to_string(),
            "size": entry.size,
            "platform": {"os": entry.platform},
            "artifactType": entry.artifact_type,
            "annotations": {
                "vnd.docker.reference.type": kind,
                "dev.sigstore.bundle.predicateType": entry.predicate_type,
            },
        })
    };
    let list = |entries: &[Descriptor]| entries.iter().map(descriptor).collect::<Vec<_>>();
    let layers = list(&document.layers);
    let own_type = &document.media_type;
    match document.kind {
        MediaKind::Index => json!({"mediaType": own_type, "manifests": list(&document.children)}),
        MediaKind::Manifest => json!({
            "mediaType": own_type,
            "config": document.config.as_ref().map(descriptor),
            "layers": layers,
        }),
        MediaKind::Schema1 => json!({
            "mediaType": own_type,
            "history": vec![json!({"v1Compatibility": "{}"}); layers.len()],
            "fsLayers": layers,
        }),
        MediaKind::Artifact => json!({
            "mediaType": own_type,
            "artifactType": "x/y",
            "blobs": layers,
        }),
        MediaKind::Unknown => json!({"mediaType": own_type}),
    }
}

/// Bytes are intact if they are what was promised, and are a manifest; never if they are others.
fn check_judge(bytes: &[u8], content_type: Option<&str>, is_sound: bool) {
    let judge = |digest: Option<&Digest>, end| {
        let body = ManifestBody {
            request: "GET /v2/app/manifests/v1".into(),
            media_type: content_type.map(Into::into),
            announced: None,
            end,
            bytes: bytes.to_vec().into(),
        };
        let (judged, document) = judge::manifest(digest, Answer::Found(body));
        if let Outcome::Broken(defect) = &judged.outcome {
            assert_printable(&defect.evidence.answer(), 400);
            let promised = defect.evidence.promised.as_ref().expect("promised");
            assert_printable(&promised.to_string(), 300);
        }
        (judged, document)
    };
    let promised = Digest::sha256(bytes);
    for digest in [None, Some(&promised)] {
        let (judged, document) = judge(digest, BodyEnd::Whole);
        assert_eq!(judged.outcome == Outcome::Intact, is_sound);
        assert!(document.is_some() || !is_sound);
        assert_eq!(judged.length, Some(bytes.len() as u64));
        let (cut, _) = judge(digest, BodyEnd::Cut);
        assert!(
            matches!(cut.outcome, Outcome::Broken(defect) if defect.reason == Reason::ShortRead)
        );
    }
    let other = Digest::sha256(&promised.spread().to_be_bytes());
    let (judged, _) = judge(Some(&other), BodyEnd::Whole);
    assert_ne!(judged.outcome, Outcome::Intact);
}
