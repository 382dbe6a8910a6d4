//! What `Content-Range` says: which part of how long a whole an answer is.

/// A part of a whole, as far as it makes sense (RFC 9110, 14.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The first byte and the last, the last not before the first and both inside the whole.
    pub(super) bytes: Option<(u64, u64)>,
    /// The length of the whole.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes 7-7/8`, `bytes 7-7/*` and `bytes */8`, and of what contradicts itself the total
    /// alone: distribution writes `bytes 0--1/0` for an empty blob.
    pub(super) fn parse(text: &str) -> Self {
        let Some((part, total)) = text.rsplit_once('/') else {
            return Self::default();
        };
        let total = total.trim().parse().ok();
        let bytes = part
            .trim()
            .split_once(' ')
            .filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"))
            .and_then(|(_, bytes)| bytes.trim().split_once('-'))
            .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)))
            .filter(|(first, last)| first <= last && total.is_none_or(|total| *last < total));
        Self { bytes, total }
    }

    /// Whether this is the part that was `asked` for, as a first and a last byte, of a whole of this
    /// length. A total may be left out.
    pub(super) fn is(self, asked: (u64, u64), length: u64) -> bool {
        self.bytes == Some(asked) && self.total.is_none_or(|total| total == length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_write() {
        for (text, bytes, total) in [
            ("bytes 7-7/8", Some((7, 7)), Some(8)),
            ("Bytes  0-15/16 ", Some((0, 15)), Some(16)),
            ("bytes 7-7/*", Some((7, 7)), None),
            ("bytes */8", None, Some(8)),
            ("bytes 0--1/0", None, Some(0)),
            ("bytes 8-8/8", None, Some(8)),
            ("bytes 5-3/8", None, Some(8)),
            ("pages 1-2/8", None, Some(8)),
            ("bytes 7-7", None, None),
            ("", None, None),
        ] {
            assert_eq!(
                ContentRange::parse(text),
                ContentRange { bytes, total },
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_very_part_is_it() {
        let is_it = |text| ContentRange::parse(text).is((7, 7), 8);
        assert!(is_it("bytes 7-7/8") && is_it("bytes 7-7/*"));
        for text in [
            "bytes 0-0/8",
            "bytes 7-7/9",
            "bytes */8",
            "bytes 0--1/0",
            "",
        ] {
            assert!(!is_it(text), "{text}");
        }
    }
}
