//! Which images of Windows a node of Windows runs, by their versions.

/// Long-term releases: a node runs the images from the one before its own.
const LONG_TERM: [u16; 2] = [20_348, 26_100];

/// The major and minor version and the build of `10.0.20348.2322`; zeros where it is no version.
fn parts(version: &str) -> (u8, u8, u16) {
    let read = || {
        let mut parts = version.split('.');
        let (major, minor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((major, minor, parts.next()?.parse().ok()?))
    };
    read().unwrap_or_default()
}

/// The build of a version, without what updates of it add: nodes differ in these and run the same.
#[must_use]
pub fn windows_build(version: &str) -> Option<String> {
    let (major, minor, build) = parts(version);
    (build > 0).then(|| format!("{major}.{minor}.{build}"))
}

/// Whether a node of a version runs an image that states one (containerd/platforms,
/// `checkWindowsHostAndContainerCompat`): before Windows Server 2022 the same build alone.
#[must_use]
pub fn windows_runs(node: &str, image: &str) -> bool {
    let (own, its) = (parts(node), parts(image));
    if (own.0, own.1) != (its.0, its.1) {
        return false;
    }
    let oldest = LONG_TERM.iter().rev().find(|release| **release < own.2);
    match own.2 {
        ..20_348 => own.2 == its.2,
        build => (*oldest.unwrap_or(&LONG_TERM[0])..=build).contains(&its.2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_run_builds_since_the_release_before_theirs() {
        for (node, runs, others) in [
            (
                "10.0.17763",
                &["10.0.17763.6189"][..],
                &["10.0.20348.1", "10.0.14393.1", "7"][..],
            ),
            (
                "10.0.20348.2322",
                &["10.0.20348.1"],
                &["10.0.17763.6189", "10.0.25398.1"],
            ),
            (
                "10.0.25398",
                &["10.0.25398.1", "10.0.20348.1"],
                &["10.0.26100.1"],
            ),
            (
                "10.0.26100",
                &["10.0.26100.1", "10.0.20348.1"],
                &["10.0.17763.1", "11.0.20348.1"],
            ),
            ("10.0.26200", &["10.0.26100.1"], &["10.0.20348.1"]),
        ] {
            for (images, expected) in [(runs, true), (others, false)] {
                for image in images {
                    assert_eq!(windows_runs(node, image), expected, "{node} {image}");
                }
            }
        }
        assert_eq!(
            windows_build("10.0.20348.2322").as_deref(),
            Some("10.0.20348")
        );
        assert_eq!(windows_build("5.15.0-91-generic"), None);
    }
}
