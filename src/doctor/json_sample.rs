//! What an examination saw of lists and of one image, in the JSON of [`super::json`].

use serde::Serialize;

use crate::doctor::{
    BlobAnswers, BlobHead, ManifestGet, ManifestHead, NextPage, Page, PageSize, Pull, Range, Sample,
};
use crate::oci::printable;
use crate::registry::Unverified;

#[derive(Serialize)]
pub(super) struct WireUnverifiedReason {
    reason: &'static str,
    detail: String,
}

/// A page, or what stood in its way.
#[derive(Default, Serialize)]
pub(super) struct WireList {
    entries: Option<u64>,
    complete: bool,
    page_size_refused: Option<String>,
    next: Option<&'static str>,
    next_place: Option<String>,
    why: Option<WireUnverifiedReason>,
}

#[derive(Serialize)]
pub(super) struct WireSample<'a> {
    repository: &'a str,
    tags: WireList,
    unknown_manifest_status: Option<u16>,
    pull: Option<WirePull<'a>>,
}

#[derive(Serialize)]
struct WirePull<'a> {
    tag: &'a str,
    head: WireHead,
    get: WireGet,
    blob: Option<WireBlob>,
}

#[derive(Default, Serialize)]
struct WireHead {
    status: Option<u16>,
    digest: Option<&'static str>,
    length: Option<&'static str>,
    etag: Option<&'static str>,
    accepts_ranges: Option<bool>,
    why: Option<WireUnverifiedReason>,
}

#[derive(Default, Serialize)]
struct WireGet {
    digest: Option<&'static str>,
    manifests: Option<u64>,
    blobs: Option<u64>,
    why: Option<WireUnverifiedReason>,
}

#[derive(Serialize)]
struct WireBlob {
    size: u64,
    head: WireHead,
    redirected_to: Option<String>,
    range: &'static str,
    why: Option<WireUnverifiedReason>,
}

impl WireUnverifiedReason {
    pub(super) fn of(why: &Unverified) -> Self {
        Self {
            reason: why.reason.word(),
            detail: printable(&why.detail),
        }
    }
}

impl WireList {
    pub(super) fn of(page: &Result<Page, Unverified>) -> Self {
        let page = match page {
            Ok(page) => page,
            Err(why) => {
                return Self {
                    why: Some(WireUnverifiedReason::of(why)),
                    ..Self::default()
                };
            }
        };
        let (next, next_place) = match &page.next {
            NextPage::None => ("none", None),
            NextPage::Relative => ("relative", None),
            NextPage::Absolute => ("absolute", None),
            NextPage::OtherHost(host) => ("other_host", Some(printable(host))),
            NextPage::OtherPath(path) => ("other_path", Some(printable(path))),
        };
        Self {
            entries: Some(page.entries),
            complete: page.is_all(),
            page_size_refused: match &page.size {
                PageSize::Accepted => None,
                PageSize::Refused(words) => Some(printable(words)),
            },
            next: Some(next),
            next_place,
            why: None,
        }
    }
}

impl<'a> WireSample<'a> {
    pub(super) fn of(sample: &'a Sample) -> Self {
        Self {
            repository: sample.repository.as_str(),
            tags: WireList::of(&sample.tags),
            unknown_manifest_status: sample.unknown,
            pull: sample.pull.as_ref().map(WirePull::of),
        }
    }
}

impl<'a> WirePull<'a> {
    fn of(pull: &'a Pull) -> Self {
        let head = match &pull.head {
            Err(why) => WireHead::refused(why),
            Ok(ManifestHead {
                status,
                digest,
                length,
            }) => WireHead {
                status: Some(*status),
                digest: Some(digest.word()),
                length: Some(length.word()),
                ..WireHead::default()
            },
        };
        let get = match &pull.get {
            Err(why) => WireGet {
                why: Some(WireUnverifiedReason::of(why)),
                ..WireGet::default()
            },
            Ok(ManifestGet {
                digest,
                manifests,
                blobs,
            }) => WireGet {
                digest: Some(digest.word()),
                manifests: Some(*manifests),
                blobs: Some(*blobs),
                why: None,
            },
        };
        let blob = pull.blob.as_ref().map(WireBlob::of);
        Self {
            tag: pull.tag.as_str(),
            head,
            get,
            blob,
        }
    }
}

impl WireHead {
    fn refused(why: &Unverified) -> Self {
        Self {
            why: Some(WireUnverifiedReason::of(why)),
            ..Self::default()
        }
    }
}

impl WireBlob {
    fn of(blob: &BlobAnswers) -> Self {
        let head = match &blob.head {
            Err(why) => WireHead::refused(why),
            Ok(BlobHead {
                status,
                length,
                etag,
                accepts_ranges,
            }) => WireHead {
                status: Some(*status),
                length: Some(length.word()),
                etag: Some(etag.word()),
                accepts_ranges: Some(*accepts_ranges),
                ..WireHead::default()
            },
        };
        let (range, why) = match &blob.range {
            Range::NotAsked => ("not_asked", None),
            Range::Honoured => ("honoured", None),
            Range::Ignored => ("ignored", None),
            Range::Empty => ("empty", None),
            Range::Refused(why) => ("refused", Some(WireUnverifiedReason::of(why))),
        };
        Self {
            size: blob.size,
            head,
            redirected_to: blob.redirected_to.as_deref().map(printable),
            range,
            why,
        }
    }
}
