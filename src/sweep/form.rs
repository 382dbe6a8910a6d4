//! What a document is and what it is said to be, and whether clients read it as that. Pure.

use crate::oci::{Document, MediaKind, Printable, content_type};
use crate::report::{Defect, Evidence, Observed, Promised, Reason};

/// What a document is, and what it is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It is what its header says, and says nothing else of itself.
    Plain(MediaKind),
    Odd(Box<Odd>),
}

/// A document that is said to be something else than it is, or of which too little is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Odd {
    kind: MediaKind,
    /// The type that it says to have; empty if it says none.
    own_type: Box<str>,
    /// The type that the registry says it to have; empty if it says none.
    served_as: Box<str>,
    /// Whether it is kept as a blob, as containerd keeps what it does not know.
    is_blob: bool,
}

impl Form {
    pub(super) fn of(document: &Document, header: Option<&str>) -> Self {
        let served_as = header.map(content_type).unwrap_or_default();
        let is_said = MediaKind::from_media_type(&served_as) == document.kind;
        let own = MediaKind::from_media_type(&document.media_type);
        let says_so = own == document.kind || own == MediaKind::Unknown;
        if is_said && says_so && document.kind != MediaKind::Unknown {
            return Self::Plain(document.kind);
        }
        Self::Odd(Box::new(Odd {
            kind: document.kind,
            own_type: document.media_type.clone(),
            served_as: served_as.into(),
            is_blob: false,
        }))
    }

    /// Of what is kept as a blob, which has neither.
    pub(super) fn of_blob(kind: MediaKind) -> Self {
        Self::Odd(Box::new(Odd {
            kind,
            own_type: Box::default(),
            served_as: Box::default(),
            is_blob: true,
        }))
    }

    /// Whether whoever reads it by its header can read it. A blob's header says nothing.
    pub(super) fn is_readable_by_header(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Odd(odd) => {
                let served = MediaKind::from_media_type(&odd.served_as);
                odd.is_blob
                    || odd.is_read_as(served)
                    || odd.is_of_its_own()
                    // Schema 1 is what containers/image tries where it is told of nothing that it knows.
                    || (odd.kind == MediaKind::Schema1 && served == MediaKind::Unknown)
            }
        }
    }

    pub(super) fn is_blob(&self) -> bool {
        matches!(self, Self::Odd(odd) if odd.is_blob)
    }

    /// Whether it is of a type that only it and its header know.
    pub(super) fn is_of_its_own(&self) -> bool {
        matches!(self, Self::Odd(odd) if odd.is_of_its_own())
    }
}

impl Odd {
    /// Whether clients that are told that it is of this kind can read it (containerd,
    /// core/images/image.go, `validateMediaType`).
    fn is_read_as(&self, told: MediaKind) -> bool {
        is_read_as(told, self.kind, MediaKind::from_media_type(&self.own_type))
    }

    fn is_of_its_own(&self) -> bool {
        let is_unknown = MediaKind::from_media_type(&self.own_type) == MediaKind::Unknown;
        is_unknown
            && !self.own_type.is_empty()
            && self.own_type.eq_ignore_ascii_case(&self.served_as)
    }

    fn observed(&self, served_as: Option<&str>) -> Observed {
        Observed::OtherKind {
            kind: self.kind,
            own_type: (&self.own_type).into(),
            served_as: served_as.map(Printable::from),
        }
    }
}

fn is_read_as(told: MediaKind, is: MediaKind, says: MediaKind) -> bool {
    use MediaKind as K;
    told != K::Unknown
        && told == is
        && !matches!(
            (is, says),
            (K::Index, K::Manifest) | (K::Manifest, K::Index)
        )
}

/// By what a client reads a document.
#[derive(Clone, Copy)]
pub(super) enum ReadBy<'a> {
    /// By its header, as what a tag or a digest alone leads to.
    Header,
    /// By the type that its index promises.
    Promise(&'a str),
}

/// Judges what a document is against what clients read it as.
pub(super) fn media_type(read_by: ReadBy<'_>, form: Option<&Form>) -> Option<Defect> {
    let form = form?;
    let (is_readable, promised, observed) = match (read_by, form) {
        (ReadBy::Header, Form::Plain(_)) => return None,
        (ReadBy::Header, Form::Odd(odd)) => (
            form.is_readable_by_header(),
            Promised::Readable { kind: odd.kind },
            odd.observed(Some(&odd.served_as)),
        ),
        (ReadBy::Promise(media_type), Form::Plain(kind)) => (
            is_read_as(MediaKind::from_media_type(media_type), *kind, *kind),
            of_type(media_type),
            Observed::OtherKind {
                kind: *kind,
                own_type: Printable::default(),
                served_as: None,
            },
        ),
        (ReadBy::Promise(media_type), Form::Odd(odd)) => {
            let told = MediaKind::from_media_type(media_type);
            let is_its_own =
                odd.kind == MediaKind::Unknown && odd.served_as.eq_ignore_ascii_case(media_type);
            let is_unknown = told == MediaKind::Unknown && (odd.is_blob || is_its_own);
            (
                is_unknown || odd.is_read_as(told),
                of_type(media_type),
                odd.observed(None),
            )
        }
    };
    (!is_readable).then(|| Defect {
        reason: Reason::MediaTypeMismatch,
        evidence: Box::new(Evidence {
            promised: Some(promised),
            observed: Some(observed),
            ..Evidence::default()
        }),
    })
}

fn of_type(media_type: &str) -> Promised {
    Promised::MediaType {
        media_type: Printable::cut(media_type, 128),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    const OWN: &str = "application/vnd.example.thing.v1+json";

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    /// Of a document with these fields, served under this type.
    fn form(fields: &serde_json::Value, own_type: Option<&str>, served_as: Option<&str>) -> Form {
        let mut fields = fields.clone();
        if let Some(own_type) = own_type {
            fields["mediaType"] = json!(own_type);
        }
        let document = Document::parse(fields.to_string().as_bytes(), served_as);
        Form::of(&document.expect("a document"), served_as)
    }

    fn image() -> serde_json::Value {
        json!({"config": {"digest": DIGEST, "size": 2}, "layers": []})
    }

    fn is_refused(read_by: ReadBy<'_>, form: &Form) -> bool {
        let defect = media_type(read_by, Some(form));
        let reason = defect.map(|defect| defect.reason);
        assert!(matches!(reason, None | Some(Reason::MediaTypeMismatch)));
        reason.is_some()
    }

    #[test]
    fn headers_that_clients_read_by() {
        let index = json!({"manifests": []});
        let schema1 = json!({"fsLayers": []});
        for (fields, own_type, served_as, expected) in [
            (&image(), Some(IMAGE), Some(IMAGE), false),
            (&image(), None, Some(IMAGE), false),
            (
                &image(),
                None,
                Some("Application/Vnd.OCI.Image.Manifest.v1+json; charset=utf-8"),
                false,
            ),
            (
                &image(),
                Some("application/vnd.oci.image.manifest.v1+jsn"),
                Some(IMAGE),
                false,
            ),
            (&image(), Some(SCHEMA1), Some(IMAGE), false),
            (&image(), Some(INDEX), Some(IMAGE), true),
            (&image(), Some(IMAGE), Some(INDEX), true),
            (
                &image(),
                Some(IMAGE),
                Some("application/octet-stream"),
                true,
            ),
            (&image(), Some(IMAGE), Some("application/json"), true),
            (&image(), Some(IMAGE), Some("text/plain"), true),
            (&image(), Some(IMAGE), Some(SCHEMA1), true),
            (&image(), Some(IMAGE), None, true),
            (&image(), Some(OWN), Some(OWN), false),
            (&index, Some(INDEX), Some(LIST), false),
            (&index, None, Some(INDEX), false),
            (&index, None, Some(IMAGE), true),
            (&schema1, None, Some(SCHEMA1), false),
            (&schema1, None, Some("application/json"), false),
            (&schema1, None, Some(IMAGE), true),
        ] {
            let form = form(fields, own_type, served_as);
            let refused = is_refused(ReadBy::Header, &form);
            assert_eq!(refused, expected, "{fields} {own_type:?} {served_as:?}");
        }
    }

    #[test]
    fn promises_that_clients_read_by() {
        // Whatever the header says: containerd does not look at it.
        for served_as in [Some(IMAGE), Some("application/octet-stream"), None] {
            let form = form(&image(), Some(IMAGE), served_as);
            for (promised, expected) in [
                (IMAGE, false),
                (
                    "application/vnd.docker.distribution.manifest.v2+json",
                    false,
                ),
                (INDEX, true),
                (SCHEMA1, true),
                (OWN, true),
                ("", true),
            ] {
                let refused = is_refused(ReadBy::Promise(promised), &form);
                assert_eq!(refused, expected, "{promised} {served_as:?}");
            }
        }
        let blob = Form::of_blob(MediaKind::Unknown);
        assert!(!is_refused(ReadBy::Promise(OWN), &blob));
        let own = form(&json!({"things": []}), Some(OWN), Some(OWN));
        assert!(own.is_of_its_own() && !is_refused(ReadBy::Promise(OWN), &own));
        assert!(is_refused(ReadBy::Promise("application/json"), &own));
    }

    #[test]
    fn both_sides_are_told() {
        let form = form(&image(), Some(IMAGE), Some("text/plain"));
        let evidence = |read_by| media_type(read_by, Some(&form)).expect("a defect").evidence;
        let by_header = evidence(ReadBy::Header);
        assert_eq!(
            by_header.answer(),
            format!(
                " answers an image manifest with the `mediaType` {IMAGE}, served as text/plain"
            )
        );
        let media_type = INDEX.into();
        let by_promise = evidence(ReadBy::Promise(INDEX));
        assert_eq!(
            by_promise.promised,
            Some(Promised::MediaType { media_type })
        );
    }
}
