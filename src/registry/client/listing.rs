//! Lists, page by page: the catalog and the tags, and whether their end was seen.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::str::FromStr;

use url::Url;

use super::classify::{Failure, Stop};
use super::config::{MOST_TAGS, Share};
use super::exchange::{Ask, Exchange};
use super::link;
use super::page::{Entry, read_page};
use super::reply::{Read, Reply};
use super::scope::Scope;
use crate::oci::{Repository, Tag};
use crate::registry::{ListEnd, Listing, NAME_UNKNOWN, UnverifiedReason, Wanted};

/// What is asked for per page: the most that distribution, ECR and GitLab allow.
pub(crate) const PAGE: usize = 1000;
/// A registry that answers a page of 200,000 tags needs some megabytes; none needs this.
const LARGEST_PAGE: u64 = 32 << 20;
/// Pages after which a list is called endless. At 1,000 a page, ten million entries.
const MOST_PAGES: usize = 10_000;
/// How many entries are read for each that may be kept, until a list is called endless: others are left out, or
/// other shards look at them.
const READ_FOR_ONE: u64 = 10;
/// Empty pages in a row that may yet lead to a full one (the specification allows them).
const MOST_EMPTY_PAGES: usize = 3;
/// Times that a list is begun anew because the entry that a page goes on from has gone.
const MOST_RESTARTS: usize = 3;

impl Exchange {
    pub(crate) async fn catalog(&self, url: Url, share: &Share<Repository>) -> Listing<Repository> {
        Pages::new(self, url, Scope::Catalog, share.clone())
            .list()
            .await
    }

    pub(crate) async fn tag_list(
        &self,
        url: Url,
        repository: &Repository,
        share: &Share<Tag>,
    ) -> Listing<Tag> {
        Pages::new(self, url, Scope::Pull(repository), share.clone())
            .list()
            .await
    }

    /// The first page of a list, for a look at how the registry gives it.
    pub(crate) async fn first_page<T: FromStr + Ord>(
        &self,
        url: Url,
        scope: Scope<'_>,
    ) -> Listing<T> {
        let mut pages = Pages::new(self, url, scope, Share::all(MOST_TAGS));
        pages.is_first_only = true;
        pages.list().await
    }
}

struct Pages<'a, T> {
    exchange: &'a Exchange,
    /// Whether one page is enough.
    is_first_only: bool,
    url: Url,
    scope: Scope<'a>,
    share: Share<T>,
    restarts_left: usize,
    /// All that follows is of the reading that is under way, and begins anew with it.
    items: Vec<T>,
    invalid: u64,
    left_out: u64,
    of_others: u64,
    names: u64,
    /// The pages before, each as a hash of its entries: one that was there is no next one. A hash for each entry would
    /// take memory for what is not kept.
    had: HashSet<u64>,
    hasher: RandomState,
    empty_in_a_row: usize,
    /// The latest page that had entries.
    place: Option<Place>,
}

/// A page, and the entry at its end, which the next one goes on from.
struct Place {
    query: String,
    last: String,
    /// Whether it has fewer entries than its own link says that a page has.
    is_short: bool,
}

/// How a page was come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Via {
    Start,
    /// As the registry's link says.
    Link,
    /// As we make it up where there is no link.
    Guess,
}

/// What to do after a page.
enum Next {
    Ask(String, Via),
    /// It may be the end: look whether the entry that was gone on from is still listed.
    Check,
    Restart,
    End,
}

impl<'a, T: FromStr + Ord> Pages<'a, T> {
    fn new(exchange: &'a Exchange, url: Url, scope: Scope<'a>, share: Share<T>) -> Self {
        Self {
            exchange,
            is_first_only: false,
            url,
            scope,
            share,
            restarts_left: MOST_RESTARTS,
            items: Vec::new(),
            invalid: 0,
            left_out: 0,
            of_others: 0,
            names: 0,
            had: HashSet::new(),
            hasher: RandomState::new(),
            empty_in_a_row: 0,
            place: None,
        }
    }

    async fn list(mut self) -> Listing<T> {
        let end = match self.walk().await {
            Ok(()) => ListEnd::Whole,
            Err(Stop::Absent(refusal)) => ListEnd::Absent(refusal),
            Err(Stop::Failed(failure)) => ListEnd::Failed(failure.why),
        };
        // Some registries repeat entries over pages, and some do not sort them.
        self.items.sort_unstable();
        self.items.dedup();
        Listing {
            items: self.items,
            invalid: self.invalid,
            left_out: self.left_out,
            of_others: self.of_others,
            names: self.names,
            end,
        }
    }

    async fn walk(&mut self) -> Result<(), Stop> {
        let first = format!("n={PAGE}");
        let (mut query, mut way) = (first.clone(), Via::Start);
        for _ in 0..MOST_PAGES {
            let reply = self.page(&query).await?;
            let next = if reply.status.is_success() {
                let entries = read_page(&reply, &self.scope)?;
                self.take(&reply, entries, &query, way)?
            } else {
                self.recover(&reply, query == first, way)?
            };
            match next {
                Next::End => return self.ended(),
                Next::Ask(_, Via::Link | Via::Guess) if self.is_first_only => return Ok(()),
                Next::Ask(..) if self.is_too_long() => break,
                Next::Ask(next, by) => (query, way) = (next, by),
                Next::Check if self.still_has_place().await? => return self.ended(),
                Next::Check | Next::Restart => {
                    self.restart()?;
                    (query, way) = (first.clone(), Via::Start);
                }
            }
        }
        let (most, option) = (self.share.most, self.option());
        let detail = format!(
            "{} has more than {MOST_PAGES} pages, {most} entries that are wanted ({option}) or {} in all",
            self.url.path(),
            self.most_read()
        );
        Err(Failure::new(UnverifiedReason::TooLarge, detail).into())
    }

    /// A list that had entries a moment ago, and is empty now that it is begun again, is another store's.
    fn ended(&self) -> Result<(), Stop> {
        if self.restarts_left < MOST_RESTARTS && self.names == 0 {
            return Err(self.is_changing().into());
        }
        Ok(())
    }

    fn is_changing(&self) -> Failure {
        let path = self.url.path();
        incomplete(&format!("{path} changes while it is read"))
    }

    fn most_read(&self) -> u64 {
        (self.share.most as u64).saturating_mul(READ_FOR_ONE)
    }

    fn is_too_long(&self) -> bool {
        let kept = self.items.len() as u64 + self.invalid;
        kept >= self.share.most as u64 || self.names + self.invalid >= self.most_read()
    }

    /// The option that says how many entries are kept.
    fn option(&self) -> &'static str {
        match self.scope {
            Scope::Catalog => "--max-repositories",
            Scope::None | Scope::Pull(_) => "--max-tags",
        }
    }

    async fn page(&self, query: &str) -> Result<Reply, Failure> {
        let mut url = self.url.clone();
        url.set_query((!query.is_empty()).then_some(query));
        // Manifest types in this Accept make Artifactory answer 406 (renovate#3124).
        let read = Read::Whole { cap: LARGEST_PAGE };
        let ask = Ask::get(url, "application/json", self.scope.clone(), read);
        self.exchange.ask_again_if_cut(&ask, self.exchange).await
    }

    /// Takes in a page, and says where it leads. What is no text cannot be gone on from, nor told from
    /// what was there before, so it counts for neither.
    fn take(
        &mut self,
        reply: &Reply,
        entries: Vec<Entry<'_>>,
        query: &str,
        way: Via,
    ) -> Result<Next, Failure> {
        let count = entries.len();
        let link = link::next_query(&reply.headers);
        let Some(last) = entries.iter().flatten().next_back() else {
            self.add(entries);
            return self.after_nothing(reply, link, query);
        };
        let page = self.hasher.hash_one(&entries);
        let is_new = !self.had.contains(&page);
        if !is_new && way == Via::Guess {
            // It gives everything at once, whatever it is asked for (distribution 2.8).
            return Ok(Next::End);
        }
        if !is_new {
            let detail = format!("{}: the link to the next page leads back", reply.request);
            return Err(incomplete(&detail));
        }
        self.empty_in_a_row = 0;
        let size = link.as_deref().and_then(size_in);
        let is_short = size.is_some_and(|size| count < size);
        let next = match link {
            // The last page of a list whose links have led on until here.
            Some(next) if next == query && way == Via::Link && is_short => Next::End,
            Some(next) => Next::Ask(next, Via::Link),
            // A page that is full to the entry and has no link: there may be more behind it. Only here
            // is the next page's start computed by us.
            None if count == PAGE => {
                let mut query = url::form_urlencoded::Serializer::new(format!("n={PAGE}"));
                Next::Ask(query.append_pair("last", last).finish(), Via::Guess)
            }
            None => Next::End,
        };
        if matches!(next, Next::Ask(..)) {
            self.had.insert(page);
            let query = query.to_owned();
            self.place = Some(Place {
                query,
                last: last.clone().into_owned(),
                is_short,
            });
        }
        self.add(entries);
        Ok(next)
    }

    fn add(&mut self, entries: Vec<Entry<'_>>) {
        for entry in entries {
            match entry.map(|entry| entry.parse()) {
                Some(Ok(item)) => {
                    self.names += 1;
                    match (self.share.wanted)(&item) {
                        Wanted::Here => self.items.push(item),
                        Wanted::LeftOut => self.left_out += 1,
                        Wanted::ByOthers => self.of_others += 1,
                        Wanted::Unsaid => {}
                    }
                }
                // Null elements (Nexus), digests (Artifactory) and the like cannot be pulled by.
                Some(Err(_)) | None => self.invalid += 1,
            }
        }
    }

    /// Where a page without entries leads. It is the end where nothing had promised it, or where the
    /// page before said by its length that it was the last (Gitea's have links, too). Else it may be
    /// because the entry that was gone on from has been deleted meanwhile (zot's catalog).
    fn after_nothing(
        &mut self,
        reply: &Reply,
        link: Option<String>,
        query: &str,
    ) -> Result<Next, Failure> {
        self.empty_in_a_row += 1;
        match link.filter(|next| next != query) {
            Some(next) if self.empty_in_a_row <= MOST_EMPTY_PAGES => Ok(Next::Ask(next, Via::Link)),
            Some(_) => {
                let detail = format!("{}: empty pages lead on and on", reply.request);
                Err(incomplete(&detail))
            }
            None if self.place.as_ref().is_some_and(|place| !place.is_short) => Ok(Next::Check),
            None => Ok(Next::End),
        }
    }

    /// Whether the entry that was gone on from is listed still: then nothing is behind it.
    async fn still_has_place(&self) -> Result<bool, Failure> {
        let Some(place) = &self.place else {
            return Ok(true);
        };
        let reply = self.page(&place.query).await?;
        if !reply.status.is_success() {
            return Ok(false);
        }
        let entries = read_page(&reply, &self.scope)?;
        Ok(entries.iter().flatten().any(|entry| *entry == place.last))
    }

    /// Begins anew: what has been deleted meanwhile is not in the list any more.
    fn restart(&mut self) -> Result<(), Failure> {
        if self.restarts_left == 0 {
            return Err(self.is_changing());
        }
        self.restarts_left -= 1;
        self.items.clear();
        (self.invalid, self.left_out, self.of_others, self.names) = (0, 0, 0, 0);
        self.had.clear();
        self.empty_in_a_row = 0;
        self.place = None;
        Ok(())
    }

    /// What to do about a page that was refused.
    fn recover(&self, reply: &Reply, has_size: bool, way: Via) -> Result<Next, Stop> {
        match (reply.status.as_u16(), way) {
            // ECR and distribution refuse a page size that they do not like by 405 and 400.
            (400 | 405, Via::Start) if has_size => Ok(Next::Ask(String::new(), Via::Start)),
            // ECR does not go on from an entry at all, and others not from one that has gone.
            (400 | 404 | 405, Via::Guess) => Ok(Next::Check),
            // zot and Harbor refuse to go on from an entry that has been deleted meanwhile.
            (400 | 404, Via::Link) if self.restarts_left > 0 => Ok(Next::Restart),
            (404, Via::Start) => Err(self.absence(reply)),
            _ => Err(reply.failure().into()),
        }
    }

    /// What a 404 to the whole list says. Only `NAME_UNKNOWN`, and Harbor's `NOT_FOUND`, is said of a
    /// repository; all else is said by something on the way, such as a proxy that has lost its backend.
    fn absence(&self, reply: &Reply) -> Stop {
        let says_so = match self.scope {
            Scope::Catalog => true,
            Scope::None | Scope::Pull(_) => {
                matches!(reply.code().as_deref(), Some(NAME_UNKNOWN | "NOT_FOUND"))
            }
        };
        if reply.is_absence() && says_so {
            return Stop::Absent(reply.refusal());
        }
        let mut failure = reply.failure();
        if reply.is_absence() {
            failure
                .why
                .extend("; only NAME_UNKNOWN would say that the repository is not there");
        }
        Stop::Failed(failure)
    }
}

/// The size of a page, as a link to the next one says it. `0` is GHCR's own size, whatever that is.
fn size_in(query: &str) -> Option<usize> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (_, size) = pairs.find(|(name, _)| name == "n")?;
    size.parse().ok().filter(|size| *size > 0)
}

fn incomplete(detail: &str) -> Failure {
    let detail = format!("{detail}: the list is not whole");
    Failure::new(UnverifiedReason::Protocol, detail)
}
