//! The catalog and the tag lists, cut into pages.

use serde_json::{Value, json};

use crate::digest::hex;
use crate::proxy;
use crate::quirks::{LinkWhen, Listing, Next, OverMax};
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::{Request, encode};

use super::{not_allowed, unknown_name};

/// What an opaque token begins with, so that it cannot be mistaken for a name.
pub(crate) const TOKEN_MARK: &str = "CURSOR.";

/// `GET /v2/_catalog`
pub(super) fn catalog(registry: &Registry, request: &Request) -> Reply {
    if request.method != "GET" {
        return not_allowed("GET");
    }
    let quirks = registry.manners();
    let cached = proxy::cached_repositories(registry);
    let store = registry.store();
    let listed = store.repositories().filter(|(name, repository)| {
        let has_directory = if quirks.catalog_by_manifests {
            repository.has_manifests
        } else {
            repository.has_layers
        };
        has_directory
            && registry.gate().shows(request, name)
            && cached.as_ref().is_none_or(|cached| cached.contains(name))
    });
    let names = listed.map(|(name, _)| name).collect();
    // The order of a walk through directories: a component ends before a longer one goes on.
    answer(
        request,
        &quirks.catalog,
        names,
        |name| name.replace('/', "\0"),
        |names| json!({"repositories": names}),
    )
}

/// `GET /v2/<name>/tags/list`
pub(crate) fn tags(registry: &Registry, request: &Request) -> Reply {
    if request.method != "GET" {
        return not_allowed("GET");
    }
    let name = request.repository();
    let tags = match registry.store().repository(name) {
        Some(repository) if repository.has_tags => repository.tags.keys().cloned().collect(),
        _ => return unknown_name(name),
    };
    let listing = &registry.manners().tags;
    answer(
        request,
        listing,
        tags,
        str::to_owned,
        |tags| json!({"name": name, "tags": tags}),
    )
}

/// One page of `items`, which come sorted by `key`.
fn answer(
    request: &Request,
    listing: &Listing,
    mut items: Vec<String>,
    key: impl Fn(&str) -> String,
    render: impl Fn(Value) -> Value,
) -> Reply {
    let size = match page_size(request, listing) {
        Ok(size) => size,
        Err(refusal) => return refusal,
    };
    items.truncate(listing.cap.unwrap_or(usize::MAX));
    let sorted = !listing.unsorted;
    if !sorted {
        shuffle(&mut items);
    }
    let start = match position(request, listing) {
        None => 0,
        Some(last) => match items.iter().position(|item| *item == last) {
            Some(at) => at + 1,
            None => match &listing.unknown_last {
                Some(refusal) => return refusal.clone(),
                None if sorted => items.partition_point(|item| key(item) <= key(&last)),
                None => 0,
            },
        },
    };
    let rest = &items[start..];
    let page = &rest[..size.map_or(rest.len(), |size| size.min(rest.len()))];
    let reply = Reply::json(200, &render(elements(page, listing)));
    match page.last() {
        Some(last) if has_link(listing, page.len(), size, rest.len()) => {
            let next = next(request, last, size.unwrap_or(page.len()));
            reply.with_header("Link", &(listing.link)(&next))
        }
        _ => reply,
    }
}

/// How many items the page may have; nothing for all of them.
fn page_size(request: &Request, listing: &Listing) -> Result<Option<usize>, Reply> {
    let asked = request.param("n").filter(|_| listing.honours_n);
    let Some(asked) = asked else {
        return Ok(listing.page);
    };
    match (asked.parse::<usize>(), &listing.bad_n) {
        (Err(_), Some(refusal)) => Err(refusal.clone()),
        (Err(_), None) => Ok(listing.page),
        (Ok(0), _) if listing.zero_is_default => Ok(listing.page),
        (Ok(n), _) => match (listing.max, listing.over_max) {
            (Some(max), OverMax::Clamp) => Ok(Some(n.min(max))),
            (Some(max), OverMax::Refuse(status, code)) if n > max => Err(Reply::error_with(
                status,
                code,
                "invalid number of results requested",
                &json!({"n": n}),
            )),
            _ => Ok(Some(n)),
        },
    }
}

/// The item after which the page begins.
fn position(request: &Request, listing: &Listing) -> Option<String> {
    let given = request.param("next_page").or_else(|| request.param("last"));
    let given = given.filter(|given| listing.honours_n && !given.is_empty())?;
    Some(
        given
            .strip_prefix(TOKEN_MARK)
            .and_then(untoken)
            .unwrap_or(given),
    )
}

fn has_link(listing: &Listing, on_page: usize, size: Option<usize>, left: usize) -> bool {
    match listing.link_when {
        LinkWhen::MoreFollows => left > on_page,
        LinkWhen::PageFull => size == Some(on_page),
        LinkWhen::NotEmpty => true,
        LinkWhen::Never => false,
    }
}

fn next(request: &Request, last: &str, n: usize) -> Next {
    Next {
        host: request.header("host").unwrap_or_default().to_owned(),
        path: request.path.clone(),
        last: encode(last),
        token: format!("{TOKEN_MARK}{}", hex(last.as_bytes())),
        n,
    }
}

fn untoken(token: &str) -> Option<String> {
    let digits = (0..token.len()).step_by(2).map(|at| token.get(at..at + 2));
    let bytes = digits
        .map(|pair| u8::from_str_radix(pair?, 16).ok())
        .collect::<Option<Vec<_>>>()?;
    String::from_utf8(bytes).ok()
}

fn elements(page: &[String], listing: &Listing) -> Value {
    if page.is_empty() && listing.empty_is_null {
        return Value::Null;
    }
    let null = listing.null_element.then_some(Value::Null);
    page.iter().map(|item| json!(item)).chain(null).collect()
}

/// The same disorder every time: even places first, then the odd ones backwards.
fn shuffle(items: &mut Vec<String>) {
    let odd: Vec<_> = items.iter().skip(1).step_by(2).rev().cloned().collect();
    *items = items.iter().step_by(2).cloned().chain(odd).collect();
}
