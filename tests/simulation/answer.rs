//! What the simulated registry answers, in the words of the probe's seam.

use bytes::Bytes;
use registry_probe::oci::Digest;
use registry_probe::registry::{Answer, BlobLook, BlobRead, BodyEnd, ManifestBody, Refusal};
use registry_probe::registry::{Depth, Unverified, UnverifiedReason};

use super::content::Object;
use super::world::{Code, Reply};

/// What was asked for, which the codes of a registry tell apart.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Manifest,
    Blob,
    List,
}

pub(crate) fn why(reason: UnverifiedReason, request: &str) -> Unverified {
    Unverified::new(reason, format!("{request}: simulated"))
}

pub(crate) fn refusal(status: u16, code: Code, request: String, place: Place) -> Refusal {
    let name = match place {
        Place::Manifest => "MANIFEST_UNKNOWN",
        Place::Blob => "BLOB_UNKNOWN",
        Place::List => "NAME_UNKNOWN",
    };
    Refusal {
        request: request.into(),
        status,
        code: (code == Code::Coded).then(|| name.into()),
        storage: None,
        is_page: code == Code::Page,
    }
}

/// An answer that is not the object.
pub(crate) fn negative<T>(reply: Reply, request: String, place: Place) -> Answer<T> {
    match reply {
        Reply::Gone(code) => Answer::Absent(refusal(404, code, request, place)),
        Reply::Failing => Answer::Failing(refusal(500, Code::Bare, request, place)),
        Reply::Unknown(reason) => Answer::Unverified(why(reason, &request)),
        _ => Answer::Unverified(why(UnverifiedReason::Protocol, &request)),
    }
}

/// As many bytes, the middle one of them changed inside a digest or a word.
fn altered(bytes: &Bytes) -> Bytes {
    let mut altered = bytes.to_vec();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    altered.into()
}

/// A manifest's or a config's bytes.
pub(crate) fn body(object: Option<&Object>, reply: Reply, request: String) -> Answer<ManifestBody> {
    let Some(object) = object else {
        return negative(reply, request, Place::Manifest);
    };
    let whole = &object.bytes;
    let (bytes, end) = match reply {
        Reply::Whole => (whole.clone(), BodyEnd::Whole),
        Reply::Altered => (altered(whole), BodyEnd::Whole),
        Reply::Shorter => (whole.slice(..whole.len() / 2), BodyEnd::Cut),
        Reply::Hollow => (Bytes::new(), BodyEnd::Cut),
        reply => return negative(reply, request, Place::Manifest),
    };
    Answer::Found(ManifestBody {
        request: request.into(),
        media_type: Some(object.nature.media_type().into()),
        bytes,
        announced: Some(object.size),
        end,
    })
}

/// What a look at a blob shows.
pub(crate) fn blob(
    object: Option<&Object>,
    reply: Reply,
    depth: Depth,
    request: String,
) -> Answer<BlobLook> {
    let Some(object) = object else {
        return negative(reply, request, Place::Blob);
    };
    let all = |received: u64, digest: Digest, end: BodyEnd| BlobRead::All {
        received,
        digest: Some(digest),
        end,
    };
    let read = |digest: Digest| match depth {
        Depth::Head => BlobRead::Nothing,
        Depth::Tail => BlobRead::End,
        Depth::Digest | Depth::Unpack => all(object.size, digest, BodyEnd::Whole),
    };
    let (length, read) = match reply {
        Reply::Whole => (object.size, read(object.digest.clone())),
        Reply::Altered => (object.size, read(Digest::sha256(b"others"))),
        Reply::Hollow if depth == Depth::Head => (object.size, BlobRead::Nothing),
        Reply::Hollow => (object.size, all(0, Digest::sha256(b""), BodyEnd::Cut)),
        Reply::Shorter => (object.size - 1, BlobRead::Nothing),
        reply => return negative(reply, request, Place::Blob),
    };
    Answer::Found(BlobLook {
        request: request.into(),
        status: 200,
        length: Some(length),
        read,
        storage: None,
        is_html: false,
        unpacked: None,
        is_from_cache: false,
    })
}
