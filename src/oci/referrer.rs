//! What is attached to a manifest: which types are signatures, attestations and bills of materials, and the
//! tags by which clients attach things where the registry has no list of them.

use std::fmt;
use std::str::FromStr;

use super::descriptor::{Descriptor, is_of_an_image};
use super::digest::Digest;
use super::document::Document;
use super::name::Tag;
use super::text::{Printable, text_in_json};

/// What nearly all is that is attached to images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferrerClass {
    /// A signature.
    Signature,
    /// A signed statement, such as of how it was built.
    Attestation,
    /// A list of what is in it.
    Sbom,
}

/// Types by their class. The first of each is cosign's (pkg/types/media.go there), which has them as types of
/// artifacts and, under its tags, of layers; the others are of the Notary Project, in-toto, SPDX, `CycloneDX`, Syft
/// and Harbor.
const TYPES: &[(ReferrerClass, &[&str])] = &[
    (
        ReferrerClass::Signature,
        &[
            "application/vnd.dev.cosign.artifact.sig.v1+json",
            "application/vnd.dev.cosign.simplesigning.v1+json",
            "application/vnd.cncf.notary.signature",
            "application/vnd.cncf.notary.v2.signature",
        ],
    ),
    (
        ReferrerClass::Attestation,
        &[
            "application/vnd.dev.cosign.artifact.att.v1+json",
            "application/vnd.dsse.envelope.v1+json",
            "application/vnd.in-toto+json",
            "application/vnd.in-toto.bundle",
        ],
    ),
    (
        ReferrerClass::Sbom,
        &[
            "application/vnd.dev.cosign.artifact.sbom.v1+json",
            "application/spdx+json",
            "application/spdx+xml",
            "text/spdx",
            "text/spdx+json",
            "text/spdx+xml",
            "application/vnd.cyclonedx",
            "application/vnd.cyclonedx+json",
            "application/vnd.cyclonedx+xml",
            "application/vnd.syft+json",
            "application/vnd.goharbor.harbor.sbom.v1",
        ],
    ),
];

/// What a bundle of sigstore's states that is a signature of cosign's.
const SIGNS: &str = "https://sigstore.dev/cosign/sign/v1";

/// What stands where an artifact has no config, or no content (image-spec manifest.md).
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// The longest type that is taken.
const LONGEST: usize = 128;

/// A type of what is attached: a class, or a media type that is of none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferrerType {
    /// Of a class, whoever made it.
    Class(ReferrerClass),
    /// Of this type of artifact, or else of this media type.
    MediaType(Printable),
}

text_in_json!(ReferrerType);

/// A word that is no type of what can be attached.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not signature, attestation, sbom or a media type such as application/spdx+json")]
pub struct InvalidType;

impl ReferrerType {
    /// Its grammar, for the schema of the report.
    #[cfg(test)]
    pub(crate) const PATTERN: &str = ".";
}

impl fmt::Display for ReferrerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => f.write_str(class.word()),
            Self::MediaType(media_type) => media_type.fmt(f),
        }
    }
}

impl FromStr for ReferrerType {
    type Err = InvalidType;

    fn from_str(text: &str) -> Result<Self, InvalidType> {
        let mut classes = ReferrerClass::ALL.iter();
        if let Some(class) = classes.find(|class| class.word() == text) {
            return Ok(Self::Class(*class));
        }
        let is_word = |part: &str| {
            let mut bytes = part.bytes();
            let starts = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
            starts && bytes.all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        match text.split_once('/') {
            Some((main, sub)) if text.len() <= LONGEST && is_word(main) && is_word(sub) => {
                Ok(Self::MediaType(text.into()))
            }
            _ => Err(InvalidType),
        }
    }
}

/// The types of something that is attached: by what a list says of it, which is a hint, or by its own manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The type of artifact, or else of its config, and those of its layers.
    media_types: Vec<Printable>,
    /// None where its type is of no class, two where it does not say which.
    classes: Vec<ReferrerClass>,
}

/// Different types of layers of one artifact that are looked at.
const MOST_TYPES: usize = 8;

impl Attached {
    /// By what a list of referrers says of it.
    #[must_use]
    pub fn of(entry: &Descriptor) -> Self {
        let written = match &*entry.artifact_type {
            "" => &entry.media_type,
            artifact_type => artifact_type,
        };
        Self::by(std::iter::once(written), &entry.predicate_type)
    }

    /// By what its manifest holds; one that holds nothing is of no class.
    #[must_use]
    pub fn by_manifest(document: &Document) -> Self {
        let config = document.config.as_ref().map(|config| &*config.media_type);
        let config = config.filter(|own| !is_of_an_image(own) && *own != EMPTY_TYPE);
        let own = match &*document.artifact_type {
            "" => config.unwrap_or_default(),
            artifact_type => artifact_type,
        };
        let layers = document.layers.iter().filter(|layer| !layer.is_tar());
        let layers = layers.map(|layer| &*layer.media_type);
        let is_type = |text: &&str| !text.is_empty() && *text != EMPTY_TYPE;
        let written = [own].into_iter().chain(layers).filter(is_type);
        let mut attached = Self::by(written, &document.predicate_type);
        if document.layers.is_empty() && document.children.is_empty() {
            attached.classes.clear();
        }
        attached
    }

    /// By a tag of cosign's.
    #[must_use]
    pub fn by_tag(class: ReferrerClass) -> Self {
        Self {
            media_types: Vec::new(),
            classes: vec![class],
        }
    }

    fn by<'a>(written: impl Iterator<Item = &'a str>, predicate: &str) -> Self {
        let (mut media_types, mut classes) = (Vec::new(), Vec::new());
        for written in written {
            let name = written.split(';').next().unwrap_or_default().trim();
            let media_type = Printable::cut(name, LONGEST);
            if media_types.len() == MOST_TYPES || media_types.contains(&media_type) {
                continue;
            }
            media_types.push(media_type);
            for class in classes_of(name, predicate) {
                if !classes.contains(&class) {
                    classes.push(class);
                }
            }
        }
        Self {
            media_types,
            classes,
        }
    }

    /// Whether it is of a type.
    #[must_use]
    pub fn is(&self, wanted: &ReferrerType) -> bool {
        match wanted {
            ReferrerType::Class(class) => self.classes.contains(class),
            ReferrerType::MediaType(wanted) => {
                let mut own = self.media_types.iter();
                own.any(|own| own.eq_ignore_ascii_case(wanted))
            }
        }
    }

    /// Whether nothing shows what it is.
    #[must_use]
    pub fn is_untold(&self) -> bool {
        self.media_types.is_empty() && self.classes.is_empty()
    }

    /// Its types: its classes, or else its media type, if it is one.
    pub fn types(&self) -> impl Iterator<Item = ReferrerType> {
        let classes = self.classes.iter().copied().map(ReferrerType::Class);
        let own = self.media_types.first().and_then(|own| own.parse().ok());
        let is_media_type = |own: &ReferrerType| matches!(own, ReferrerType::MediaType(_));
        let own = own.filter(|own| self.classes.is_empty() && is_media_type(own));
        classes.chain(own)
    }
}

/// The classes of a type.
fn classes_of(name: &str, predicate: &str) -> Vec<ReferrerClass> {
    use ReferrerClass::{Attestation, Signature};
    let is_it = |known: &&str| known.eq_ignore_ascii_case(name);
    let is_bundle = name.starts_with("application/vnd.dev.sigstore.bundle");
    match predicate {
        SIGNS if is_bundle => vec![Signature],
        // cosign leaves the annotation out of the list that it keeps itself (cosign#4641).
        "" if is_bundle => vec![Signature, Attestation],
        _ if is_bundle => vec![Attestation],
        _ => {
            let known = TYPES.iter().filter(|(_, types)| types.iter().any(is_it));
            known.map(|(class, _)| *class).collect()
        }
    }
}

impl ReferrerClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Signature, Self::Attestation, Self::Sbom];

    fn word(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Attestation => "attestation",
            Self::Sbom => "sbom",
        }
    }

    /// The end of the tag under which cosign keeps all of this class.
    fn suffix(self) -> &'static str {
        match self {
            Self::Signature => ".sig",
            Self::Attestation => ".att",
            Self::Sbom => ".sbom",
        }
    }

    /// The tag under which cosign keeps what it attaches to a manifest (its `attachTag`).
    #[must_use]
    pub fn tag(self, subject: &Digest) -> Option<Tag> {
        let text = subject.to_string().replacen(':', "-", 1);
        (text + self.suffix()).parse().ok()
    }
}

/// The tag under which clients keep the list of what they attached to a manifest, where the registry has none
/// (distribution-spec, "Referrers Tag Schema").
#[must_use]
pub fn list_tag(subject: &Digest) -> Option<Tag> {
    let text = subject.to_string();
    let (algorithm, encoded) = text.split_once(':')?;
    let plain = |text: &str, most: usize| -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let chars = text.chars().take(most);
        chars.map(|c| if is_plain(c) { c } else { '-' }).collect()
    };
    format!("{}-{}", plain(algorithm, 32), plain(encoded, 64))
        .parse()
        .ok()
}

/// What a tag says to be attached to, if it is one under which clients keep what they attach; and its class, if it
/// is one of cosign's.
#[must_use]
pub fn subject_of(tag: &Tag) -> Option<(Digest, Option<ReferrerClass>)> {
    let text = tag.as_str();
    let (stem, class) = ReferrerClass::ALL
        .iter()
        .find_map(|class| Some((text.strip_suffix(class.suffix())?, Some(*class))))
        .unwrap_or((text, None));
    let encoded = stem.strip_prefix("sha256-")?;
    let digest = format!("sha256:{encoded}").parse().ok()?;
    Some((digest, class))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Document;

    fn entry(more: &str) -> Attached {
        let digest = Digest::sha256(b"signature");
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"digest":"{digest}","size":7{more}}}]}}"#
        );
        let document = Document::parse(text.as_bytes(), None).expect("an index");
        Attached::of(&document.children[0])
    }

    fn types(more: &str) -> String {
        let types: Vec<_> = entry(more).types().map(|it| it.to_string()).collect();
        types.join(" ")
    }

    #[test]
    fn types_are_told_as_their_makers_write_them() {
        const MANIFEST: &str = r#","mediaType":"application/vnd.oci.image.manifest.v1+json""#;
        const BUNDLE: &str = r#","artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json""#;
        let of = |artifact: &str| types(&format!(r#"{MANIFEST},"artifactType":"{artifact}""#));
        let bundle = |predicate: &str| {
            types(&format!(
                r#"{BUNDLE},"annotations":{{"dev.sigstore.bundle.predicateType":"{predicate}"}}"#
            ))
        };
        for (told, expected) in [
            (of("application/vnd.cncf.notary.signature"), "signature"),
            (
                of("application/vnd.dev.cosign.artifact.sig.v1+json"),
                "signature",
            ),
            (of("application/vnd.in-toto+json"), "attestation"),
            (of("application/SPDX+json; charset=utf-8"), "sbom"),
            (of("application/vnd.goharbor.harbor.sbom.v1"), "sbom"),
            (bundle("https://sigstore.dev/cosign/sign/v1"), "signature"),
            (bundle("https://slsa.dev/provenance/v1"), "attestation"),
            (types(BUNDLE), "signature attestation"),
            (of("application/vnd.acme.scan"), "application/vnd.acme.scan"),
            (
                types(MANIFEST),
                "application/vnd.oci.image.manifest.v1+json",
            ),
            (types(""), ""),
            // No class by its own word.
            (of("signature"), ""),
            (of("no/type at all"), ""),
        ] {
            assert_eq!(told, expected);
        }
        let scan = entry(r#","artifactType":"application/vnd.acme.scan""#);
        let is = |text: &str| scan.is(&text.parse().expect("a type"));
        assert!(is("application/vnd.acme.scan") && !is("signature") && !is("application/vnd.acme"));
        // A class that is asked for by its media type is that type alone.
        let spdx = entry(r#","artifactType":"application/spdx+json""#);
        assert!(spdx.is(&"application/spdx+json".parse().expect("a type")));
        assert!(!spdx.is(&"text/spdx".parse().expect("a type")));
    }

    #[test]
    fn only_types_are_taken_for_types() {
        for text in [
            "signature",
            "attestation",
            "sbom",
            "application/vnd.a-b.c+json",
        ] {
            let read: ReferrerType = text.parse().expect("a type");
            assert_eq!(read.to_string(), text);
        }
        for text in [
            "",
            "signatures",
            "a/",
            "/a",
            "a/b/c",
            "a/b;c",
            "a b/c",
            "a/\u{1b}",
        ] {
            assert_eq!(text.parse::<ReferrerType>(), Err(InvalidType), "{text}");
        }
    }

    #[test]
    fn tags_of_what_is_attached_name_their_subject() {
        let subject = Digest::sha256(b"image");
        let hex = &subject.to_string()[7..];
        let tag = list_tag(&subject).expect("a tag");
        assert_eq!(tag.as_str(), format!("sha256-{hex}"));
        assert_eq!(subject_of(&tag), Some((subject.clone(), None)));
        for class in ReferrerClass::ALL {
            let tag = class.tag(&subject).expect("a tag");
            assert_eq!(tag.as_str(), format!("sha256-{hex}{}", class.suffix()));
            assert_eq!(subject_of(&tag), Some((subject.clone(), Some(class))));
        }
        let long: Digest = format!("sha512:{}", "a".repeat(128))
            .parse()
            .expect("a digest");
        let tag = list_tag(&long).expect("a tag");
        assert_eq!(tag.as_str(), format!("sha512-{}", "a".repeat(64)));
        for other in ["v1", "sha256-abc", "latest.sig", &tag.to_string()] {
            assert_eq!(subject_of(&other.parse().expect("a tag")), None, "{other}");
        }
    }
}
