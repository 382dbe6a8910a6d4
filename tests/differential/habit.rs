//! Lasting habits of a registry: what it does with every request of a kind, whatever the object.

use std::sync::Arc;

use fastrand::Rng;
use registry_double::{
    Accept, DescriptorCache, Endpoint, Framing, Quirks, Ranges, RawAnswer, Request,
    media_type as t, on,
};

use crate::image::{Stored, TAG};
use crate::wire::Change;

/// A habit, in words and in deed.
pub(crate) struct Habit {
    pub(crate) kind: &'static str,
    pub(crate) words: String,
    pub(crate) deed: Deed,
}

/// The kind of those whose tag is one thing for HEAD and another for GET.
pub(crate) const TWO_TAGS: &str = "tag HEAD and GET differ";

/// How a registry comes by a habit.
#[derive(Clone)]
pub(crate) enum Deed {
    /// It is one of the double's own.
    Quirk(Quirk),
    /// Blobs are in storage behind it, to which this status leads.
    Storage(u16),
    /// It does this to every answer.
    Change(Change),
    /// It does this to every answer, and speaks TLS, and ends connections without saying that it does.
    UncleanTls(Change),
}

fn habit(kind: &'static str, words: impl Into<String>, deed: Deed) -> Habit {
    Habit {
        kind,
        words: words.into(),
        deed,
    }
}

fn change(
    kind: &'static str,
    words: impl Into<String>,
    change: impl Fn(&Request, &mut RawAnswer) + Send + Sync + 'static,
) -> Habit {
    habit(kind, words, Deed::Change(Arc::new(change)))
}

fn is_object(request: &Request) -> bool {
    matches!(request.endpoint, Endpoint::Manifest | Endpoint::Blob)
}

/// What a change of every answer does to one.
type Plain = fn(&Request, &mut RawAnswer);

/// Habits that are one change of every answer.
const CHANGES: [(&str, &str, Plain); 5] = [
    (
        "no digest header",
        "no answer states a digest",
        |_, answer| {
            answer.drop_header("Docker-Content-Digest");
        },
    ),
    (
        "all in chunks",
        "every answer comes in chunks",
        |_, answer| {
            answer.framing = Framing::Chunked;
        },
    ),
    (
        "all to the end",
        "no answer has a length, all end with the connection",
        |_, answer| {
            answer.drop_header("Content-Length");
        },
    ),
    (
        "HEAD without a length",
        "HEAD states no length",
        |request, answer| {
            if request.is_head() {
                answer.drop_header("Content-Length");
            }
        },
    ),
    (
        "HEAD without a length",
        "HEAD states a length of 0",
        |request, answer| {
            if request.is_head() && is_object(request) && answer.status == 200 {
                answer.set_header("Content-Length", "0");
            }
        },
    ),
];

/// How a habit is given to a double.
type Quirk = fn(&mut Quirks);

/// Habits that the double has by itself.
const QUIRKS: [(&str, &str, Quirk); 3] = [
    ("ranges ignored", "ranges are ignored", |quirks| {
        quirks.ranges = Ranges::Ignored;
    }),
    (
        "a cache that remembers",
        "HEAD is answered from memory",
        |quirks| {
            quirks.descriptor_cache = DescriptorCache::Warm;
        },
    ),
    ("Accept ignored", "Accept makes no difference", |quirks| {
        quirks.accept = Accept::Ignored;
    }),
];

const REFUSALS: [u16; 8] = [400, 403, 404, 405, 416, 500, 501, 502];
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];
const TYPES: [&str; 4] = [
    "application/octet-stream",
    "application/json",
    "text/plain",
    "",
];

fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    *random.choice(from).expect("there are some")
}

pub(crate) fn choose(random: &mut Rng, stored: &[Stored]) -> Habit {
    match random.u8(..20) {
        0..3 => {
            let (kind, words, quirk) = pick(random, &QUIRKS);
            habit(kind, words, Deed::Quirk(quirk))
        }
        3..6 => ranges_refused(pick(random, &REFUSALS)),
        6..9 => {
            let of = pick(
                random,
                &[Some(Endpoint::Manifest), Some(Endpoint::Blob), None],
            );
            head_refused(random, of)
        }
        9 | 10 => {
            let status = pick(random, &REDIRECTS);
            habit(
                "storage",
                format!("blobs are in storage, by {status}"),
                Deed::Storage(status),
            )
        }
        11 | 12 => two_tags(random, stored),
        13 => one_type(pick(random, &TYPES)),
        14 => strict_accept(random),
        15 => unclean_tls(),
        _ => {
            let (kind, words, deed) = pick(random, &CHANGES);
            change(kind, words, deed)
        }
    }
}

pub(crate) fn unclean_tls() -> Habit {
    let words = "TLS, where all ends with the connection and without a word";
    let change: Change = Arc::new(|_, answer| answer.drop_header("Content-Length"));
    habit("unclean TLS", words, Deed::UncleanTls(change))
}

fn ranges_refused(status: u16) -> Habit {
    let words = format!("every range is refused by {status}");
    change("ranges refused", words, move |request, answer| {
        if request.endpoint == Endpoint::Blob && request.header("range").is_some() {
            refuse(answer, status);
        }
    })
}

pub(crate) fn one_type(media_type: &'static str) -> Habit {
    let words = format!("every manifest is served as {media_type:?}");
    change("one type for all", words, move |request, answer| {
        if request.endpoint == Endpoint::Manifest && answer.status == 200 {
            answer.set_header("Content-Type", media_type);
        }
    })
}

fn refuse(answer: &mut RawAnswer, status: u16) {
    answer.status = status;
    answer.set_body("");
    for name in [
        "Docker-Content-Digest",
        "Etag",
        "Content-Range",
        "Accept-Ranges",
        "Content-Type",
    ] {
        answer.drop_header(name);
    }
}

pub(crate) fn head_without_length() -> Habit {
    let (kind, words, deed) = CHANGES[3];
    change(kind, words, deed)
}

/// HEAD is refused, for what is at this endpoint or for everything.
pub(crate) fn head_refused(random: &mut Rng, of: Option<Endpoint>) -> Habit {
    let statuses = [400, 403, 404, 405, 500, 501, 502];
    let status = *random.choice(&statuses).expect("there are statuses");
    let what = of.map_or("object".to_owned(), |of| format!("{of:?}"));
    change(
        "HEAD refused",
        format!("HEAD of every {what} is refused by {status}"),
        {
            move |request, answer| {
                let is_meant = of.is_none_or(|of| request.endpoint == of);
                if request.is_head() && is_object(request) && is_meant {
                    refuse(answer, status);
                }
            }
        },
    )
}

/// Which `Accept` header it wants.
pub(crate) fn strict_accept(random: &mut Rng) -> Habit {
    let wanted = [
        (None, 404),
        (Some("*/*"), 404),
        (Some(t::DOCKER_MANIFEST), 406),
    ];
    let (wanted, status) = pick(random, &wanted);
    let what = wanted.unwrap_or("the very type, or any");
    let words = format!("{status} to who does not accept {what}");
    change("strict Accept", words, move |request, answer| {
        if request.endpoint != Endpoint::Manifest || answer.status != 200 {
            return;
        }
        let accepted = request.header("accept").unwrap_or_default();
        let served = answer.header("Content-Type").unwrap_or_default();
        let is_accepted = match wanted {
            Some(wanted) => accepted.contains(wanted),
            None => accepted.contains(served) || accepted.contains("*/*"),
        };
        if !is_accepted {
            refuse(answer, status);
        }
    })
}

/// HEAD and GET of the tag are about different manifests.
fn two_tags(random: &mut Rng, stored: &[Stored]) -> Habit {
    let manifests = stored.iter().filter(|stored| stored.media_type.is_some());
    let named = random
        .choice(manifests.collect::<Vec<_>>())
        .expect("there is a root");
    tag_gives(named, random.bool())
}

/// HEAD of the tag, or GET, is about this manifest.
pub(crate) fn tag_gives(named: &Stored, is_head: bool) -> Habit {
    let named = named.clone();
    let method = if is_head { "HEAD" } else { "GET" };
    let words = format!("{method} of the tag gives {:?}", named.part);
    change(TWO_TAGS, words, move |request, answer| {
        let is_meant = request.endpoint == Endpoint::Manifest
            && request.reference.as_deref() == Some(TAG)
            && request.is_head() == is_head
            && request.repository.as_deref() == Some(crate::image::REPOSITORY);
        if is_meant && answer.status == 200 {
            answer.set_body(named.bytes.clone());
            answer.set_header("Docker-Content-Digest", &named.digest);
            answer.set_header("Etag", &format!("\"{}\"", named.digest));
            let media_type = named.media_type.as_deref().unwrap_or_default();
            answer.set_header("Content-Type", media_type);
        }
    })
}

/// Leads blobs to where they are.
pub(crate) fn store_elsewhere(registry: &registry_double::Registry, status: u16) {
    registry
        .when(on::blob())
        .redirect_to_storage(status, registry);
}
