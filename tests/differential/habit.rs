//! Lasting habits of a registry: what it does with every request of a kind, whatever the object.

use std::sync::Arc;

use fastrand::Rng;
use registry_double::{
    Accept, DescriptorCache, Endpoint, Framing, Quirks, RawAnswer, Ranges, Request, media_type as t, on,
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
    /// It speaks TLS, and ends connections without saying that it does.
    UncleanTls,
}

fn habit(kind: &'static str, words: impl Into<String>, deed: Deed) -> Habit {
    Habit { kind, words: words.into(), deed }
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
    let pick = |random: &mut Rng, statuses: &[u16]| {
        *random.choice(statuses).expect("there are statuses")
    };
    match random.u8(..20) {
        0 => habit("ranges ignored", "ranges are ignored", Deed::Quirk(|quirks| {
            quirks.ranges = Ranges::Ignored;
        })),
        1 => habit("ranges refused", "416 as old Go says it", Deed::Quirk(|quirks| {
            quirks.ranges = Ranges::HonouredByOldGo;
        })),
        2 | 3 => {
            let status = pick(random, &[400, 403, 405, 416, 500, 501, 502]);
            change("ranges refused", format!("every range is refused by {status}"), {
                move |request, answer| {
                    if request.endpoint == Endpoint::Blob && request.header("range").is_some() {
                        refuse(answer, status);
                    }
                }
            })
        }
        4..7 => {
            let status = pick(random, &[400, 403, 404, 405, 500, 501, 502]);
            let (of, what) = match random.u8(..3) {
                0 => (Some(Endpoint::Manifest), "manifest"),
                1 => (Some(Endpoint::Blob), "blob"),
                _ => (None, "object"),
            };
            change("HEAD refused", format!("HEAD of every {what} is refused by {status}"), {
                move |request, answer| {
                    let is_meant = of.is_none_or(|of| request.endpoint == of);
                    if request.is_head() && is_object(request) && is_meant {
                        refuse(answer, status);
                    }
                }
            })
        }
        7 => change("no digest header", "no answer states a digest", |_, answer| {
            answer.drop_header("Docker-Content-Digest");
        }),
        8 => change("all in chunks", "every answer comes in chunks", |_, answer| {
            answer.framing = Framing::Chunked;
        }),
        9 => change("all to the end", "no answer has a length, all end with the connection", |_, answer| {
            answer.drop_header("Content-Length");
        }),
        10 | 11 => {
            let status = pick(random, &[301, 302, 303, 307, 308]);
            habit("storage", format!("blobs are in storage, by {status}"), Deed::Storage(status))
        }
        12 | 13 => tag_head(random, stored),
        14 => change("HEAD without a length", "HEAD states no length", |request, answer| {
            if request.is_head() {
                answer.drop_header("Content-Length");
            }
        }),
        15 => change("HEAD without a length", "HEAD states a length of 0", |request, answer| {
            if request.is_head() && is_object(request) && answer.status == 200 {
                answer.set_header("Content-Length", "0");
            }
        }),
        16 => {
            let media_type = *random
                .choice(&["application/octet-stream", "application/json", "text/plain", ""])
                .expect("there are types");
            let words = format!("every manifest is served as {media_type:?}");
            change("one type for all", words, move |request, answer| {
                if request.endpoint == Endpoint::Manifest && answer.status == 200 {
                    answer.set_header("Content-Type", media_type);
                }
            })
        }
        17 => accept(random),
        18 => habit("a cache that remembers", "HEAD is answered from memory", Deed::Quirk(|quirks| {
            quirks.descriptor_cache = DescriptorCache::Warm;
        })),
        _ => habit("unclean TLS", "TLS, whose connections end without a word", Deed::UncleanTls),
    }
}

fn refuse(answer: &mut RawAnswer, status: u16) {
    answer.status = status;
    answer.set_body("");
    for name in ["Docker-Content-Digest", "Etag", "Content-Range", "Accept-Ranges", "Content-Type"] {
        answer.drop_header(name);
    }
}

/// Which `Accept` header it wants.
fn accept(random: &mut Rng) -> Habit {
    match random.u8(..3) {
        0 => habit("Accept ignored", "Accept makes no difference", Deed::Quirk(|quirks| {
            quirks.accept = Accept::Ignored;
        })),
        1 => change("strict Accept", "404 to who does not accept the very type, or any", |request, answer| {
            let accepted = request.header("accept").unwrap_or_default();
            let served = answer.header("Content-Type").unwrap_or_default();
            let is_accepted = accepted.contains(served) || accepted.contains("*/*");
            if request.endpoint == Endpoint::Manifest && answer.status == 200 && !is_accepted {
                refuse(answer, 404);
            }
        }),
        _ => change("strict Accept", "406 to who does not accept Docker's types", |request, answer| {
            let accepted = request.header("accept").unwrap_or_default();
            if request.endpoint == Endpoint::Manifest && !accepted.contains(t::DOCKER_MANIFEST) {
                refuse(answer, 406);
            }
        }),
    }
}

/// HEAD and GET of the tag are about different manifests.
fn tag_head(random: &mut Rng, stored: &[Stored]) -> Habit {
    let manifests = stored.iter().filter(|stored| stored.media_type.is_some());
    let named = random.choice(manifests.collect::<Vec<_>>()).expect("there is a root").clone();
    let is_head = random.bool();
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
    registry.when(on::blob()).redirect_to_storage(status, registry);
}
