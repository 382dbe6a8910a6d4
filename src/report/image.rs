//! An image that the caller named: its tree as it was seen, and what was expected of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::outcome::{Defect, Kind, SkipReason};
use crate::oci::{Digest, MediaKind, Printable, Reference, Repository, text_in_json};
use crate::registry::Unverified;

/// An image that the caller named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it is.
    pub repository: Repository,
    /// What the caller named it by.
    pub reference: Reference,
    /// What that leads to.
    pub root: Node,
}

impl Image {
    /// `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    #[must_use]
    pub fn name(&self) -> String {
        self.reference.in_repository(&self.repository)
    }
}

/// An object of an image, with what it promises in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What was promised.
    pub kind: Kind,
    /// The object; `None` for a tag that leads nowhere.
    pub digest: Option<Digest>,
    /// What a manifest turned out to be; `None` for a blob, and for what could not be read.
    #[serde(skip)]
    pub document: Option<MediaKind>,
    /// The media type that was promised for it.
    pub media_type: Option<Printable>,
    /// The length in bytes that was promised for it, or that the root of the tree has.
    pub size: Option<u64>,
    /// `os/architecture[/variant]`, where the promise states one; `os(version)` where that states a
    /// version.
    pub platform: Option<Printable>,
    /// What came of looking at it.
    #[serde(skip)]
    pub state: State,
    /// Whether it stands in the tree already, with its children.
    #[serde(rename = "repeated")]
    pub is_repeated: bool,
    /// What it promises, in the order of the document.
    #[serde(skip)]
    pub children: Vec<Node>,
}

/// What came of looking at an object of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It keeps the promise.
    Intact,
    /// It contradicts the promise, in two looks at least.
    Broken(Defect),
    /// We could not find out.
    Unverified(Unverified),
    /// We chose not to look.
    Skipped(SkipReason),
    /// It is not there, where the mode allows that.
    Absent,
    /// It seemed broken in the first look, and the second did not agree.
    Changed,
}

impl State {
    /// The word that names it in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Broken(_) => "broken",
            Self::Unverified(_) => "unverified",
            Self::Skipped(_) => "skipped",
            Self::Absent => "absent",
            Self::Changed => "changed",
        }
    }
}

/// What the caller expected of an image and was not so, in two looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unmet {
    /// The image, as `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    pub image: Printable,
    /// What was expected.
    #[serde(flatten)]
    pub expected: Expected,
    /// What there was instead, in words.
    pub observed: Printable,
}

/// What the caller may expect of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// That the name leads to this manifest.
    Digest(Digest),
    /// That there is an image for this platform.
    Platform(Platform),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Platform(platform) => write!(f, "platform {platform}"),
        }
    }
}

/// A platform, as container runtimes tell them apart: `arm64` is `arm64/v8`, `arm` is `arm/v7`, and
/// the names that kernels use are the ones that images use (containerd/platforms, `Normalize`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform(String);

text_in_json!(Platform);

impl Platform {
    #[cfg(test)]
    const PATTERN: &str = "^[^/]+/[^/]+(?:/[^/]+)?$";

    fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let (os, architecture, variant) = (
            os.to_lowercase(),
            architecture.to_lowercase(),
            variant.to_lowercase(),
        );
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
            ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", ""),
            ("armhf" | "arm", "" | "7" | "v7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("i386", _) => ("386", ""),
            other => other,
        };
        let parts = [os.as_str(), architecture, variant];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Self(parts.join("/"))
    }

    /// The platform that an image's config states; `None` if it is no such config.
    #[must_use]
    pub fn of_config(config: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Config {
            os: String,
            architecture: String,
            #[serde(default)]
            variant: String,
        }
        let config: Config = serde_json::from_str(&String::from_utf8_lossy(config)).ok()?;
        let is_stated = !config.os.is_empty() && !config.architecture.is_empty();
        is_stated.then(|| Self::new(&config.os, &config.architecture, &config.variant))
    }
}

impl Platform {
    /// How well an image for `stated` suits a node of this platform, 0 being best; `None` if it does not run there. A node
    /// of 64 bits runs images of 32, and those for older ARM processors run on newer ones (containerd/platforms,
    /// `platformVector`). Nodes do not say which version of amd64 they have: any is taken for theirs.
    #[must_use]
    pub fn rank(&self, stated: &Self) -> Option<usize> {
        let parts = |platform: &'_ Self| {
            let mut parts = platform.0.split('/').map(str::to_owned);
            [(); 3].map(|()| parts.next().unwrap_or_default())
        };
        let ([os, own, variant], [its_os, its, its_variant]) = (parts(self), parts(stated));
        let arm = |text: &str| {
            text.strip_prefix('v')?
                .split('.')
                .next()?
                .parse::<usize>()
                .ok()
        };
        if os != its_os {
            return None;
        }
        match (&*own, &*its) {
            ("amd64" | "arm64", _) if own == its => Some(usize::from(its_variant != variant)),
            ("amd64", "386") => Some(2),
            ("arm64", "arm") => 10_usize.checked_sub(arm(&its_variant)?),
            ("arm", "arm") => arm(&variant)?.checked_sub(arm(&its_variant)?),
            _ => (self == stated).then_some(0),
        }
    }
}

/// Text that is no platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlatform;

impl fmt::Display for NoPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected OS/ARCHITECTURE[/VARIANT], such as linux/arm64")
    }
}

impl std::error::Error for NoPlatform {}

impl FromStr for Platform {
    type Err = NoPlatform;

    fn from_str(text: &str) -> Result<Self, NoPlatform> {
        // Windows tells its images apart by versions, and runtimes take any that they can run.
        let text = match text.split_once('(') {
            Some((os, rest)) => &format!("{os}{}", rest.split_once(')').ok_or(NoPlatform)?.1),
            None => text,
        };
        let parts: Vec<_> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        match parts.as_slice() {
            parts if !parts.iter().all(is_word) => Err(NoPlatform),
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(NoPlatform),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_the_same_to_a_runtime_or_not() {
        let parse = |text: &str| text.parse::<Platform>().expect("a platform");
        for (one, other) in [
            ("linux/arm64", "linux/arm64/v8"),
            ("Linux/aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/x86_64", "linux/amd64"),
            ("windows(10.0.17763.6189)/amd64", "windows/amd64"),
        ] {
            assert_eq!(parse(one), parse(other), "{one} {other}");
        }
        for (one, other) in [
            ("linux/arm/v6", "linux/arm/v7"),
            ("linux/arm64", "linux/arm"),
            ("linux/amd64", "windows/amd64"),
            ("linux/amd64", "linux/amd64/v3"),
        ] {
            assert_ne!(parse(one), parse(other), "{one} {other}");
        }
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "linux/am d64",
            "linux/\x1b",
            "linux(5/amd64",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn nodes_take_what_containerd_takes_for_them() {
        let parse = |text: &str| text.parse::<Platform>().expect("a platform");
        let best = |node: &str, images: &[&str]| {
            let ranked = images
                .iter()
                .filter_map(|it| Some((parse(node).rank(&parse(it))?, *it)));
            ranked
                .min_by_key(|(rank, _)| *rank)
                .map(|(_, it)| it.to_owned())
        };
        for (node, images, expected) in [
            (
                "linux/arm64",
                &["linux/amd64", "linux/arm64/v8"][..],
                "linux/arm64/v8",
            ),
            (
                "linux/arm64",
                &["linux/arm/v6", "linux/arm/v7"],
                "linux/arm/v7",
            ),
            (
                "linux/arm/v6",
                &["linux/arm/v7", "linux/arm/v5"],
                "linux/arm/v5",
            ),
            (
                "linux/arm",
                &["linux/arm/v6", "linux/arm/v7"],
                "linux/arm/v7",
            ),
            (
                "linux/amd64",
                &["linux/amd64/v3", "linux/amd64"],
                "linux/amd64",
            ),
            ("linux/amd64", &["linux/amd64/v2"], "linux/amd64/v2"),
            ("linux/amd64", &["linux/386"], "linux/386"),
            (
                "windows/amd64",
                &["windows(10.0.17763.1)/amd64"],
                "windows(10.0.17763.1)/amd64",
            ),
            ("linux/s390x", &["linux/s390x"], "linux/s390x"),
            ("linux/arm", &["linux/arm64", "linux/arm/v8"], ""),
            ("linux/386", &["linux/amd64"], ""),
            (
                "linux/amd64",
                &["windows/amd64", "linux/arm64", "unknown/unknown"],
                "",
            ),
        ] {
            assert_eq!(
                best(node, images).unwrap_or_default(),
                expected,
                "{node} {images:?}"
            );
        }
    }

    #[test]
    fn a_config_states_its_platform_or_is_none() {
        let of = |text: &str| Platform::of_config(text.as_bytes()).map(|p| p.to_string());
        let config = r#"{"architecture":"arm","os":"linux","variant":"v6","rootfs":{}}"#;
        assert_eq!(of(config).as_deref(), Some("linux/arm/v6"));
        for text in ["", "{}", "[]", r#"{"architecture":"","os":""}"#] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
