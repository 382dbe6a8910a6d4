//! Lists, page by page: the catalog and the tags.

use std::collections::HashSet;
use std::str::FromStr;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::auth::Scope;
use super::classify::Failure;
use super::exchange::{Ask, Exchange};
use super::link;
use super::reply::{Read, Reply};
use crate::model::{Capped, ObstacleReason, Repository, Tag};
use crate::registry::{ListEnd, Listing};

/// What is asked for per page: the most that distribution, ECR and GitLab allow.
pub(super) const PAGE: usize = 1000;
/// A registry that answers a page of 200,000 tags needs some megabytes; none needs this.
pub(super) const LARGEST_PAGE: u64 = 32 << 20;
/// Pages after which a list is called endless. At 1,000 a page, ten million entries.
const MOST_PAGES: usize = 10_000;
/// Tags of a repository, and repositories, after which a list is called endless: as many as there is
/// memory for, of which a repository takes more.
pub(super) const MOST_ENTRIES: usize = 250_000;
const MOST_REPOSITORIES: usize = 100_000;
/// Empty pages in a row that may yet lead to a full one (the specification allows them).
const MOST_EMPTY_PAGES: usize = 3;
/// Times that a list is begun anew because the entry that a page goes on from has gone.
const MOST_RESTARTS: usize = 3;

/// The JSON of either list.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(alias = "repositories", borrow)]
    tags: Option<Capped<'a, MOST_ENTRIES>>,
}

impl Exchange {
    pub(super) async fn catalog(&self, url: Url) -> Listing<Repository> {
        Pages::new(self, url, Scope::Catalog).list().await
    }

    pub(super) async fn tag_list(&self, url: Url, repository: &Repository) -> Listing<Tag> {
        Pages::new(self, url, Scope::Pull(repository)).list().await
    }
}

struct Pages<'a, T> {
    exchange: &'a Exchange,
    url: Url,
    scope: Scope<'a>,
    restarts_left: usize,
    items: Vec<T>,
    invalid: u64,
}

/// Where to go after a page.
enum Next {
    /// As the registry's link says.
    Query(String),
    /// As we make it up where there is no link.
    Guess(String),
    Restart,
    End,
}

impl<'a, T: FromStr + Ord + ToString> Pages<'a, T> {
    fn new(exchange: &'a Exchange, url: Url, scope: Scope<'a>) -> Self {
        Self {
            exchange,
            url,
            scope,
            restarts_left: MOST_RESTARTS,
            items: Vec::new(),
            invalid: 0,
        }
    }

    async fn list(mut self) -> Listing<T> {
        let end = match self.walk().await {
            Ok(()) => ListEnd::Whole,
            Err(failure) => match failure.refusal.filter(|refusal| refusal.status == 404) {
                Some(refusal) => ListEnd::Absent(refusal),
                None => ListEnd::Failed(failure.obstacle),
            },
        };
        // Some registries repeat entries over pages, and some do not sort them.
        self.items.sort_unstable();
        self.items.dedup();
        Listing {
            items: self.items,
            invalid: self.invalid,
            end,
        }
    }

    async fn walk(&mut self) -> Result<(), Failure> {
        let first = format!("n={PAGE}");
        let mut query = first.clone();
        let mut seen = HashSet::new();
        let mut empty_pages = 0;
        let mut is_guess = false;
        for _ in 0..MOST_PAGES {
            let reply = self.page(&query).await?;
            if self.items.len() >= self.most() {
                break;
            }
            let before = self.items.len();
            let next = if reply.status.is_success() {
                let entries = read_page(&reply)?;
                let count = entries.len();
                self.take(entries);
                empty_pages = if count == 0 { empty_pages + 1 } else { 0 };
                self.next(&reply, count, before)
            } else {
                match self.recover(&reply, &query, &first) {
                    // The registry does not go on from an entry: its page was the whole list (ECR).
                    Err(_) if is_guess && matches!(reply.status.as_u16(), 400 | 404 | 405) => {
                        Next::End
                    }
                    recovered => recovered?,
                }
            };
            is_guess = matches!(next, Next::Guess(_));
            match next {
                Next::Restart => {
                    seen.clear();
                    query.clone_from(&first);
                }
                // A link that leads to where we were is the end of the list (Gitea).
                Next::Query(next) | Next::Guess(next)
                    if empty_pages <= MOST_EMPTY_PAGES && seen.insert(next.clone()) =>
                {
                    query = next;
                }
                Next::Query(_) | Next::Guess(_) | Next::End => return Ok(()),
            }
        }
        let detail = format!(
            "{} has more than {MOST_PAGES} pages or {} entries",
            self.url.path(),
            self.most()
        );
        Err(Failure::new(ObstacleReason::TooLarge, detail))
    }

    fn most(&self) -> usize {
        match self.scope {
            Scope::Catalog => MOST_REPOSITORIES,
            Scope::None | Scope::Pull(_) => MOST_ENTRIES,
        }
    }

    async fn page(&self, query: &str) -> Result<Reply, Failure> {
        let mut url = self.url.clone();
        url.set_query((!query.is_empty()).then_some(query));
        // Manifest types in this Accept make Artifactory answer 406 (renovate#3124).
        let ask = Ask {
            method: Method::GET,
            url,
            accept: "application/json",
            range: None,
            scope: self.scope.clone(),
            read: Read::Whole { cap: LARGEST_PAGE },
        };
        let reply = self.exchange.ask(&ask).await?;
        if reply.body.was_cut() {
            self.exchange.ask(&ask).await
        } else {
            Ok(reply)
        }
    }

    fn take(&mut self, entries: Vec<Value>) {
        for entry in entries {
            match entry.as_str().map(str::parse) {
                Some(Ok(item)) => self.items.push(item),
                // Null elements (Nexus), digests (Artifactory) and the like cannot be pulled by.
                Some(Err(_)) | None => self.invalid += 1,
            }
        }
    }

    fn next(&self, reply: &Reply, count: usize, before: usize) -> Next {
        if let Some(query) = link::next_query(&reply.headers) {
            return Next::Query(query);
        }
        // A page that is full to the entry and has no link: there may be more behind it. Only here
        // is the next page's start computed by us.
        let last = self
            .items
            .last()
            .filter(|_| count == PAGE && self.items.len() > before);
        last.map_or(Next::End, |last| {
            let mut query = url::form_urlencoded::Serializer::new(format!("n={PAGE}"));
            Next::Guess(query.append_pair("last", &last.to_string()).finish())
        })
    }

    /// What to do about a page that was refused.
    fn recover(&mut self, reply: &Reply, query: &str, first: &str) -> Result<Next, Failure> {
        let status = reply.status.as_u16();
        let is_first = query == first || query.is_empty();
        match status {
            // ECR and distribution refuse a page size that they do not like by 405 and 400.
            400 | 405 if query == first => Ok(Next::Query(String::new())),
            // zot and Harbor refuse to go on from an entry that has been deleted meanwhile.
            400 | 404 if !is_first && self.restarts_left > 0 => {
                self.restarts_left -= 1;
                Ok(Next::Restart)
            }
            404 if is_first && reply.is_absence() => Err(Failure {
                refusal: Some(reply.refusal()),
                ..reply.failure()
            }),
            _ => Err(Failure {
                refusal: None,
                ..reply.failure()
            }),
        }
    }
}

pub(super) fn read_page(reply: &Reply) -> Result<Vec<Value>, Failure> {
    if reply.body.was_cut() {
        let detail = format!("{}: the list was cut short", reply.request);
        return Err(Failure::new(ObstacleReason::Connect, detail));
    }
    if reply.is_html() {
        return Err(reply.failure());
    }
    let page: Page<'_> = serde_json::from_slice(&reply.body.bytes).map_err(|error| {
        let detail = format!("{}: the answer is not a list ({error})", reply.request);
        Failure::new(
            ObstacleReason::Protocol,
            crate::model::shorten(&detail, 300),
        )
    })?;
    let list = page.tags.unwrap_or_default();
    if list.left_out > 0 {
        let detail = format!(
            "{}: a page has more than {MOST_ENTRIES} entries",
            reply.request
        );
        return Err(Failure::new(ObstacleReason::TooLarge, detail));
    }
    let text =
        |entry: &&RawValue| serde_json::from_str(entry.get()).map_or(Value::Null, Value::String);
    Ok(list.entries.iter().map(text).collect())
}
