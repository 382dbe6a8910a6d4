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
    Quirk(fn(&mut Quirks)),
    /// Blobs are in storage behind it, to which this status leads.
    Storage(u16),
    /// It does this to every answer.
    Change(Change),
    /// It does this to every answer, and speaks TLS, and ends connections without saying that it does.
    UncleanTls(Change),
}

pub(crate) fn unclean_tls() -> Habit {
    let words = "TLS, where all ends with the connection, and without a word";
    habit("unclean TLS", words, Deed::UncleanTls(without_length()))
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

pub(crate) fn choose(random: &mut Rng, stored: &[Stored]) -> Habit {
    let pick =
        |random: &mut Rng, statuses: &[u16]| *random.choice(statuses).expect("there are statuses");
    match random.u8(..20) {
        0 => habit(
            "ranges ignored",
            "ranges are ignored",
            Deed::Quirk(|quirks| {
                quirks.ranges = Ranges::Ignored;
            }),
        ),
        1..4 => {
            let status = pick(random, &[400, 403, 405, 416, 500, 501, 502]);
            change(
                "ranges refused",
                format!("every range is refused by {status}"),
                {
                    move |request, answer| {
                        if request.endpoint == Endpoint::Blob && request.header("range").is_some() {
                            refuse(answer, status);
                        }
                    }
                },
            )
        }
        4..7 => {
            let of = *random
                .choice(&[Some(Endpoint::Manifest), Some(Endpoint::Blob), None])
                .expect("there are endpoints");
            head_refused(random, of)
        }
        7 => change(
            "no digest header",
            "no answer states a digest",
            |_, answer| {
                answer.drop_header("Docker-Content-Digest");
            },
        ),
        8 => change(
            "all in chunks",
            "every answer comes in chunks",
            |_, answer| {
                answer.framing = Framing::Chunked;
            },
        ),
        9 => habit(
            "all to the end",
            "no answer has a length, all end with the connection",
            Deed::Change(without_length()),
        ),
        10 | 11 => {
            let status = pick(random, &[301, 302, 303, 307, 308]);
            habit(
                "storage",
                format!("blobs are in storage, by {status}"),
                Deed::Storage(status),
            )
        }
        12 | 13 => two_tags(random, stored),
        14 => head_without_length(),
        15 => change(
            "HEAD without a length",
            "HEAD states a length of 0",
            |request, answer| {
                if request.is_head() && is_object(request) && answer.status == 200 {
                    answer.set_header("Content-Length", "0");
                }
            },
        ),
        16 => {
            let types = [
                "application/octet-stream",
                "application/json",
                "text/plain",
                "",
            ];
            one_type(random.choice(&types).expect("there are types"))
        }
        17 => strict_accept(random),
        18 => habit(
            "a cache that remembers",
            "HEAD is answered from memory",
            Deed::Quirk(|quirks| {
                quirks.descriptor_cache = DescriptorCache::Warm;
            }),
        ),
        _ => unclean_tls(),
    }
}

/// Answers that only the connection ends.
fn without_length() -> Change {
    Arc::new(|_, answer| answer.drop_header("Content-Length"))
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
    change(
        "HEAD without a length",
        "HEAD states no length",
        |request, answer| {
            if request.is_head() {
                answer.drop_header("Content-Length");
            }
        },
    )
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
    match random.u8(..4) {
        0 => habit(
            "Accept ignored",
            "Accept makes no difference",
            Deed::Quirk(|quirks| {
                quirks.accept = Accept::Ignored;
            }),
        ),
        1 => change(
            "strict Accept",
            "404 to who does not accept the very type, or any",
            |request, answer| {
                let accepted = request.header("accept").unwrap_or_default();
                let served = answer.header("Content-Type").unwrap_or_default();
                let is_accepted = accepted.contains(served) || accepted.contains("*/*");
                if request.endpoint == Endpoint::Manifest && answer.status == 200 && !is_accepted {
                    refuse(answer, 404);
                }
            },
        ),
        2 => change(
            "strict Accept",
            "404 to who does not accept anything",
            |request, answer| {
                let accepted = request.header("accept").unwrap_or_default();
                if request.endpoint == Endpoint::Manifest && !accepted.contains("*/*") {
                    refuse(answer, 404);
                }
            },
        ),
        _ => change(
            "strict Accept",
            "406 to who does not accept Docker's types",
            |request, answer| {
                let accepted = request.header("accept").unwrap_or_default();
                if request.endpoint == Endpoint::Manifest && !accepted.contains(t::DOCKER_MANIFEST)
                {
                    refuse(answer, 406);
                }
            },
        ),
    }
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
