//! `Range` as Go's file server reads it, over bytes that may be fewer than their promised length.

use bytes::Bytes;

use crate::quirks::Ranges;
use crate::reply::Reply;
use crate::store::Blob;

/// What a `Range` header asks of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// No usable single range: everything.
    Everything,
    /// These bytes.
    Part { start: u64, length: u64 },
    /// Nothing that is there.
    Beyond,
    /// Not a range at all.
    Nonsense,
}

/// Reads a `Range` header. Of several ranges at once it makes everything, which the standard
/// allows.
pub(super) fn asked(header: Option<&str>, length: u64) -> Asked {
    let Some(header) = header else {
        return Asked::Everything;
    };
    let Some(range) = header.strip_prefix("bytes=") else {
        return Asked::Nonsense;
    };
    if range.contains(',') {
        return Asked::Everything;
    }
    let Some((first, last)) = range.trim().split_once('-') else {
        return Asked::Nonsense;
    };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Err(_), Ok(suffix)) if first.is_empty() => {
            let taken = suffix.min(length);
            Asked::Part {
                start: length - taken,
                length: taken,
            }
        }
        (Ok(start), _) if start >= length => Asked::Beyond,
        (Ok(start), Err(_)) if last.is_empty() => Asked::Part {
            start,
            length: length - start,
        },
        (Ok(start), Ok(last)) if start <= last => Asked::Part {
            start,
            length: last.min(length - 1) - start + 1,
        },
        _ => Asked::Nonsense,
    }
}

/// Answers with the blob or the part of it that is asked for. Where bytes are missing, the answer
/// promises them all the same and is cut short, as from a server that trusts a stale descriptor.
pub(super) fn serve(blob: &Blob, header: Option<&str>, ranges: Ranges) -> Reply {
    let asked = if ranges == Ranges::Ignored {
        Asked::Everything
    } else {
        asked(header, blob.length)
    };
    let whole = || {
        Reply::status(200)
            .with_body(blob.bytes.clone())
            .promising(blob.length)
    };
    let reply = match asked {
        Asked::Everything => whole(),
        // Some clients ask for a range of everything, empty or not.
        Asked::Beyond if blob.length == 0 && ranges == Ranges::Honoured => whole(),
        Asked::Part { start, length } => {
            // An empty part ends before it begins: distribution really writes `bytes 0--1/0`.
            let last = i128::from(start) + i128::from(length) - 1;
            Reply::status(206)
                .with_body(part(&blob.bytes, start, length))
                .promising(length)
                .with_header(
                    "Content-Range",
                    &format!("bytes {start}-{last}/{}", blob.length),
                )
        }
        Asked::Beyond => refused("invalid range: failed to overlap\n", blob, ranges)
            .with_header("Content-Range", &format!("bytes */{}", blob.length)),
        Asked::Nonsense => refused("invalid range\n", blob, ranges),
    };
    if ranges == Ranges::Ignored || reply.status == 416 {
        reply
    } else {
        reply.with_header("Accept-Ranges", "bytes")
    }
}

/// A 416. Old Go leaves the blob's own length in place, over a text that is usually shorter.
fn refused(text: &str, blob: &Blob, ranges: Ranges) -> Reply {
    let reply = Reply::text(416, text);
    if ranges == Ranges::HonouredByOldGo {
        reply.promising(blob.length)
    } else {
        reply
    }
}

/// What exists of the part that is asked for.
fn part(bytes: &Bytes, start: u64, length: u64) -> Bytes {
    let index = |position: u64| {
        usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(bytes.len())
    };
    bytes.slice(index(start)..index(start.saturating_add(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_by_go() {
        let cases = [
            (None, Asked::Everything),
            (
                Some("bytes=0-0"),
                Asked::Part {
                    start: 0,
                    length: 1,
                },
            ),
            (
                Some("bytes=9-9"),
                Asked::Part {
                    start: 9,
                    length: 1,
                },
            ),
            (
                Some("bytes=5-"),
                Asked::Part {
                    start: 5,
                    length: 5,
                },
            ),
            (
                Some("bytes=5-99"),
                Asked::Part {
                    start: 5,
                    length: 5,
                },
            ),
            (
                Some("bytes=-3"),
                Asked::Part {
                    start: 7,
                    length: 3,
                },
            ),
            (
                Some("bytes=-99"),
                Asked::Part {
                    start: 0,
                    length: 10,
                },
            ),
            (Some("bytes=10-10"), Asked::Beyond),
            (Some("bytes=0-1,3-4"), Asked::Everything),
            (Some("bytes=4-2"), Asked::Nonsense),
            (Some("bytes=x"), Asked::Nonsense),
            (Some("items=0-0"), Asked::Nonsense),
        ];
        for (header, expected) in cases {
            assert_eq!(asked(header, 10), expected, "{header:?}");
        }
        assert_eq!(
            asked(Some("bytes=-1"), 0),
            Asked::Part {
                start: 0,
                length: 0
            }
        );
        assert_eq!(asked(Some("bytes=0-0"), 0), Asked::Beyond);
    }

    #[test]
    fn an_empty_suffix_is_written_as_distribution_writes_it() {
        let blob = Blob {
            length: 0,
            bytes: Bytes::new(),
        };
        let reply = serve(&blob, Some("bytes=-1"), Ranges::Honoured);
        assert_eq!(
            (reply.status, reply.header("Content-Range")),
            (206, Some("bytes 0--1/0"))
        );
    }
}
