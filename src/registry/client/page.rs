//! One page of a list: what is a list, and its entries.

use std::borrow::Cow;

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::classify::{self, Failure};
use super::reply::Reply;
use super::scope::Scope;
use crate::oci::{Capped, shorten};
use crate::registry::UnverifiedReason;

/// Entries of a page, and of a whole list, that there is memory for.
pub(crate) const MOST_ENTRIES: usize = 250_000;

/// The JSON of the catalog. Its key must be there, once; `null` is an empty list.
#[derive(Deserialize)]
struct Catalog<'a> {
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    repositories: Option<Capped<'a, MOST_ENTRIES>>,
    errors: Option<IgnoredAny>,
}

/// The JSON of the tags of a repository. Its `name` is not looked at: proxies that rewrite paths leave
/// in it what the repository is called behind them.
#[derive(Deserialize)]
struct Tags<'a> {
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    tags: Option<Capped<'a, MOST_ENTRIES>>,
    errors: Option<IgnoredAny>,
}

/// An entry of a page, where it stands there as it is; `None` if it is no text. A list may have 250,000.
pub(crate) type Entry<'a> = Option<Cow<'a, str>>;

/// The entries of a page of the list that `scope` is about.
pub(crate) fn read_page<'a>(
    reply: &'a Reply,
    scope: &Scope<'_>,
) -> Result<Vec<Entry<'a>>, Failure> {
    if reply.body.was_cut() {
        let detail = format!("{}: the list was cut short", reply.request);
        return Err(Failure::new(UnverifiedReason::Connect, detail));
    }
    if reply.is_html() {
        return Err(reply.failure());
    }
    // A part is not the list, and no client takes anything else for it.
    if reply.status != StatusCode::OK {
        return Err(no_list(reply, &classify::status_words(&reply.refusal())));
    }
    let list = parse(&reply.body.bytes, scope).map_err(|why| no_list(reply, &why))?;
    if list.left_out > 0 {
        let detail = format!(
            "{}: a page has more than {MOST_ENTRIES} entries",
            reply.request
        );
        return Err(Failure::new(UnverifiedReason::TooLarge, detail));
    }
    Ok(list.entries.into_iter().map(text).collect())
}

/// Without a copy, unless it has escapes.
fn text(entry: &RawValue) -> Entry<'_> {
    let written = entry.get();
    let plain = serde_json::from_str(written).map(Cow::Borrowed);
    plain
        .or_else(|_| serde_json::from_str(written).map(Cow::Owned))
        .ok()
}

/// The list, or why it is none.
fn parse<'a>(body: &'a [u8], scope: &Scope<'_>) -> Result<Capped<'a, MOST_ENTRIES>, String> {
    // An error is one whatever its status, and what else is with it.
    let code = || classify::error_code(body).map(|code| format!("an error, {code}"));
    // What is derived would read the values from an array, too.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err("no JSON object".to_owned());
    }
    let read = match scope {
        Scope::Catalog => {
            serde_json::from_slice(body).map(|page: Catalog<'a>| (page.repositories, page.errors))
        }
        Scope::None | Scope::Pull(_) => {
            serde_json::from_slice(body).map(|page: Tags<'a>| (page.tags, page.errors))
        }
    };
    let (list, errors) = read.map_err(|error| code().unwrap_or_else(|| error.to_string()))?;
    match errors.and_then(|_| code()) {
        Some(error) => Err(error),
        None => Ok(list.unwrap_or_default()),
    }
}

fn no_list(reply: &Reply, why: &str) -> Failure {
    let detail = format!("{}: the answer is not a list ({why})", reply.request);
    Failure::new(UnverifiedReason::Protocol, shorten(&detail, 300))
}
