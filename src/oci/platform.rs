//! What an image is for, in the words that decide which one a client takes, normalised as containerd does.

use std::fmt;

/// What an image is for. A word that is not known, like one that is missing, fits all others: registries hold
/// `sunos`, `armv7` and `intel386`, and clients pull what they find under them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Platform {
    /// A position in [`SYSTEMS`]; 0 for none that is known.
    os: u8,
    /// A position in [`ARCHITECTURES`].
    architecture: u8,
    /// The number of the architecture's version, such as 7 of `v7`.
    variant: u8,
    /// The build by which Windows tells its images apart, such as 17763 of `10.0.17763.6189`: a host takes those of its
    /// own (containerd, `platform_compat_windows.go`). Of another system, the features that it needs, as a set.
    build: [u8; 2],
}

/// What Go is ported to, which is what clients are (go/src/internal/syslist).
const SYSTEMS: [&str; 14] = [
    "",
    "linux",
    "windows",
    "darwin",
    "freebsd",
    "netbsd",
    "openbsd",
    "dragonfly",
    "solaris",
    "illumos",
    "aix",
    "plan9",
    "android",
    "wasip1",
];
const ARCHITECTURES: [&str; 15] = [
    "", "amd64", "arm64", "arm", "386", "ppc64le", "ppc64", "s390x", "riscv64", "loong64",
    "mips64le", "mips64", "mipsle", "mips", "wasm",
];

/// In which way two platforms differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differing {
    /// They are of two systems: what runs on one does not on the other.
    System,
    /// Their architectures differ.
    Architecture,
    /// Their versions do, of the architecture or of Windows, or one needs features that the other does not name.
    Version,
}

impl Platform {
    /// What these words say (containerd/platforms, `normalizeOS` and `normalizeArch`).
    #[must_use]
    pub fn new<'a>(
        [os, os_version, architecture, variant]: [&str; 4],
        features: impl Iterator<Item = &'a str>,
    ) -> Self {
        let words = [os, architecture, variant].map(|word| word.trim().to_ascii_lowercase());
        let [os, architecture, variant] = words.each_ref().map(String::as_str);
        let os = if os == "macos" { "darwin" } else { os };
        let (architecture, variant) = match (architecture, variant) {
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("i386", _) => ("386", ""),
            other => other,
        };
        let number = variant.strip_prefix('v').unwrap_or(variant).parse();
        let variant = match (architecture, number.unwrap_or(0)) {
            ("amd64", 1) | ("arm64", 8) => 0,
            (_, number) => number,
        };
        // Each has a place that follows from its letters. Two may share one, and are taken for the same then.
        let sum = |feature: &str| {
            let letters = feature.bytes().map(u16::from);
            letters.fold(0, u16::wrapping_add)
        };
        let place = |feature: &str| 1 << (sum(feature) % 16);
        let build: u16 = if os == "windows" {
            // What it needs has never counted (`windowsStripFeaturesMatcher`).
            let build = os_version.split('.').nth(2);
            build.and_then(|build| build.parse().ok()).unwrap_or(0)
        } else {
            features
                .filter(|feature| is_feature(feature))
                .map(place)
                .fold(0, |set, place| set | place)
        };
        Self {
            os: position(&SYSTEMS, os),
            architecture: position(&ARCHITECTURES, architecture),
            variant,
            build: build.to_le_bytes(),
        }
    }

    /// The platform of an index's child, as [`Descriptor::platform`](super::Descriptor::platform) has it.
    #[must_use]
    pub fn of_child(text: &str) -> Self {
        let mut parts = text.split('/');
        let mut next = || parts.next().unwrap_or_default();
        let (os, architecture, variant) = (next(), next(), next());
        let (os, more) = os.split_once('(').unwrap_or((os, ""));
        let mut more = more.trim_end_matches(')').split('+');
        let version = more.next().unwrap_or_default();
        Self::new([os, version, architecture, variant], more)
    }

    /// Which architecture it is, to be compared.
    #[must_use]
    pub fn architecture(self) -> u8 {
        self.architecture
    }

    /// In which way this platform, which is promised, is not the other one, if that shows.
    #[must_use]
    pub fn differs(self, other: Self) -> Option<Differing> {
        fn differ<T: Copy + Default + PartialEq>(one: T, other: T) -> bool {
            one != T::default() && other != T::default() && one != other
        }
        if differ(self.os, other.os) {
            Some(Differing::System)
        } else if differ(self.architecture, other.architecture) {
            Some(Differing::Architecture)
        } else if differ(self.variant, other.variant)
            || differ(self.build, other.build) && (self.is_windows() || self.lacks(other))
        {
            Some(Differing::Version)
        } else {
            None
        }
    }
}

impl Platform {
    fn is_windows(self) -> bool {
        SYSTEMS[usize::from(self.os)] == "windows"
    }

    /// Whether the other one needs features that are not promised: a host that has what is promised may not have those
    /// (containerd/platforms, `Match`).
    fn lacks(self, other: Self) -> bool {
        let [promised, needed] = [self, other].map(|it| u16::from_le_bytes(it.build));
        needed & !promised != 0
    }
}

/// Whether this is a feature that counts: a word that a platform can be written with, and not what containerd passes over.
pub(super) fn is_feature(feature: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !feature.is_empty() && feature != "win32k" && feature.chars().all(is_letter)
}

fn position(words: &[&str], word: &str) -> u8 {
    let position = words.iter().position(|known| *known == word);
    position
        .and_then(|position| u8::try_from(position).ok())
        .unwrap_or(0)
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |words: &[&'static str], position: u8| match words.get(usize::from(position)) {
            None | Some(&"") => "unknown",
            Some(word) => word,
        };
        f.write_str(known(&SYSTEMS, self.os))?;
        let build = u16::from_le_bytes(self.build);
        match build {
            0 => {}
            build if self.is_windows() => write!(f, "(10.0.{build})")?,
            _ => f.write_str("(+os.features)")?,
        }
        write!(f, "/{}", known(&ARCHITECTURES, self.architecture))?;
        if self.variant > 0 {
            write!(f, "/v{}", self.variant)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(one: &str, other: &str) -> Option<Differing> {
        let [one, other] = [one, other].map(Platform::of_child);
        one.differs(other)
    }

    /// containerd/platforms, `database.go`; the words of the last group stand in documents of others.
    #[test]
    fn what_is_said_in_other_words_is_the_same() {
        for (one, other) in [
            ("linux/amd64", "Linux/x86_64"),
            ("linux/amd64/v1", "linux/x86-64"),
            ("linux/arm64", "linux/aarch64/v8"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/arm/v7", "linux/armhf"),
            ("linux/arm/v6", "linux/armel"),
            ("linux/386", "linux/i386"),
            ("darwin/arm64", "macos/arm64"),
            (
                "windows(10.0.17763.6189)/amd64",
                "windows(10.0.17763.1)/amd64",
            ),
            ("linux/arm/v7", "linux/arm"),
            ("linux/amd64", "linux(+erofs)/amd64"),
            ("linux(+erofs)/amd64", "linux/amd64"),
            ("linux(+a+erofs)/amd64", "linux(+erofs)/amd64"),
            (
                "windows(10.0.1.1+a)/amd64",
                "windows(10.0.1.1+win32k)/amd64",
            ),
            ("unknown/unknown", "linux/amd64"),
            ("linux/", "linux/arm64"),
            ("linux", "linux/arm64"),
            ("", "linux/arm64"),
            ("sunos/armv7", "linux/amd64"),
            ("linux/intel386", "linux/386"),
        ] {
            assert_eq!(differs(one, other), None, "{one} {other}");
        }
    }

    #[test]
    fn what_differs() {
        use Differing as D;
        for (one, other, expected) in [
            ("linux/amd64", "windows/amd64", D::System),
            ("linux/amd64", "linux/arm64", D::Architecture),
            ("linux/arm", "linux/arm64/v8", D::Architecture),
            ("linux/arm/v6", "linux/arm/v7", D::Version),
            ("linux/amd64/v3", "linux/amd64/v2", D::Version),
            ("linux(+a)/amd64", "linux(+a+erofs)/amd64", D::Version),
            (
                "windows(10.0.17763.1)/amd64",
                "windows(10.0.20348.1)/amd64",
                D::Version,
            ),
        ] {
            assert_eq!(differs(one, other), Some(expected), "{one} {other}");
        }
    }

    /// An index and a config that name the same features, however many or long.
    #[test]
    fn the_same_features_are_the_same() {
        for features in [
            vec!["a".repeat(700)],
            vec!["one feature, of many words".to_owned()],
            vec!["erofs".to_owned(), "x".repeat(40), "y".repeat(40)],
        ] {
            let platform = serde_json::json!({
                "os": "linux", "architecture": "amd64", "os.features": features,
            });
            let digest = crate::oci::Digest::sha256(b"").to_string();
            let child = serde_json::json!({"digest": digest, "size": 1, "platform": platform});
            let index = serde_json::json!({"manifests": [child]}).to_string();
            let index = crate::oci::Document::parse(index.as_bytes(), None).expect("an index");
            let promised = index.children[0].platform.as_deref().expect("a platform");
            let words = ["linux", "", "amd64", ""];
            let config = Platform::new(words, features.iter().map(String::as_str));
            let differing = Platform::of_child(promised).differs(config);
            assert_eq!(differing, None, "{promised}");
        }
    }

    #[test]
    fn a_platform_is_told_in_the_words_of_clients() {
        for (text, told) in [
            ("linux/x86_64", "linux/amd64"),
            (
                "windows(10.0.17763.6189)/amd64",
                "windows(10.0.17763)/amd64",
            ),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux(+erofs)/amd64", "linux(+os.features)/amd64"),
            ("", "unknown/unknown"),
        ] {
            assert_eq!(Platform::of_child(text).to_string(), told);
        }
    }
}
