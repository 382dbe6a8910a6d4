//! The first page of a list, and how it leads on.

use std::str::FromStr;

use serde::Serialize;
use serde_json::json;
use url::Url;

use super::Outcome::{Fine, Warn};
use super::subject::Doctor;
use super::{Check, LONGEST_HEADER};
use crate::oci::{Repository, Tag, shorten};
use crate::registry::client::classify;
use crate::registry::client::link;
use crate::registry::client::listing::PAGE;
use crate::registry::client::scope::Scope;
use crate::registry::{ListEnd, Unverified, UnverifiedReason};
use crate::render::words::{length, many, number};

const BY_NAME: &str = "--repo NAME (once for each), or --repos-file FILE";

const EMPTY: &str = "An empty catalog proves nothing: some registries show one to whoever may not see more, \
                     and a cache shows what it has stored. A sweep has nothing to check then, and says so. If \
                     there is more, name";

/// The first page of a list.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Its entries, those that are no names included.
    pub(super) entries: u64,
    next: Next,
    /// The host or path of the next one, where that is another.
    place: Option<String>,
    /// What was said to the size of page that was asked for, where another one came (ECR,
    /// distribution).
    size_refused: Option<String>,
}

/// How a page leads to the next (distribution-spec, "Listing Tags"; RFC 8288).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Next {
    /// It does not: this is all.
    None,
    /// By a link that is relative to this page.
    Relative,
    /// By a link with this registry's own address.
    Absolute,
    /// By a link to another host than was asked (Quay and ECR behind another name).
    OtherHost,
    /// By a link with another path than that of the list (nexus-public#1011, renovate#15080).
    OtherPath,
}

impl<T> Page<T> {
    /// Whether this is the whole list. Some registries leave the link out of a full page.
    pub(super) fn is_all(&self) -> bool {
        self.next == Next::None && self.entries < length(PAGE)
    }

    fn check(&self, id: &'static str, what: &str) -> Check {
        let data = json!({
            "entries": self.entries, "is_complete": self.is_all(), "next": self.next,
            "next_place": self.place, "page_size_refused": self.size_refused,
        });
        if self.entries == 0 {
            return Check::new(id, Warn, what, data);
        }
        let place = self.place.as_deref().unwrap_or_default();
        let mut words = match self.next {
            Next::None if self.is_all() => format!("{what}, all on one page"),
            Next::None => format!("{what}, a full page, and no link to another"),
            Next::Relative => format!("{what}, and a relative link to more"),
            Next::Absolute => format!("{what}, and an absolute link to more"),
            Next::OtherHost => format!("{what}, and a link to more at another host, {place}"),
            Next::OtherPath => format!("{what}, and a link to more at another path, {place}"),
        };
        let is_usual = self.place.is_none() && self.size_refused.is_none();
        let outcome = if is_usual { Fine } else { Warn };
        if let Some(refused) = &self.size_refused {
            let size = number(length(PAGE));
            words = format!("{words}; pages of {size} are refused: {refused}");
        }
        Check::new(id, outcome, words, data)
    }
}

impl Doctor<'_> {
    pub(super) async fn first_page<T: FromStr + Ord>(
        &mut self,
        url: Url,
        scope: Scope<'_>,
    ) -> Result<Page<T>, Unverified> {
        let list = self
            .registry
            .exchange
            .first_page(url.clone(), scope.clone())
            .await;
        let heads = self.heads();
        match list.end {
            ListEnd::Whole => {}
            ListEnd::Absent(refusal) => {
                let mut why = classify::refused(&refusal).why;
                if matches!(scope, Scope::Pull(_)) {
                    why.reason = UnverifiedReason::UnknownRepository;
                }
                return Err(why);
            }
            ListEnd::Failed(why) => return Err(why),
        }
        let mut replies = heads.iter().map(|head| &head.reply);
        let headers = heads.last().map(|head| &head.reply.headers);
        let target = headers.and_then(link::next);
        let (next, place) = target.map_or((Next::None, None), |target| form_of(target, &url));
        // What is refused of a list that comes then is the size of its pages.
        let refused = replies.find(|reply| matches!(reply.status.as_u16(), 400 | 405));
        Ok(Page {
            entries: length(list.items.len()) + list.invalid,
            items: list.items,
            next,
            place,
            size_refused: refused.map(|reply| classify::status_words(&reply.refusal())),
        })
    }
}

/// `there` is a repository whose tags are listed.
pub(super) fn catalog(
    page: &Result<Page<Repository>, Unverified>,
    there: Option<&Repository>,
) -> Check {
    let page = match page {
        Ok(page) => page,
        Err(why) => {
            let advice = format!("It cannot list this registry. Name the repositories: {BY_NAME}.");
            return Check::trouble("catalog", "not offered: ", why).care(advice);
        }
    };
    if page.entries == 0 {
        let there = there.map(|repository| {
            format!("The catalog does not show {repository}, which is there. Name")
        });
        let why = there.unwrap_or_else(|| EMPTY.to_owned());
        let check = page.check("catalog", "offered, and empty");
        return check.care(format!("{why} the repositories: {BY_NAME}."));
    }
    let count = many(page.entries, "repository", "repositories");
    let check = page.check("catalog", &format!("offered: {count}"));
    if page.is_all() {
        return check.will(format!(
            "It lists the catalog in every sweep, and walks {count}."
        ));
    }
    let check = check.will(format!(
        "It lists the catalog page by page: {count}, and then more."
    ));
    match &page.place {
        Some(place) => check.will(format!(
            "It takes no more than the query of the links to {place}, and stays at the address above."
        )),
        None if page.next == Next::None => {
            check.will("It asks on from the last name of a full page that has no link.")
        }
        None => check,
    }
}

/// `why` says why nothing of the repository `name` may be pulled.
pub(super) fn tags(
    name: &Repository,
    tags: &Result<Page<Tag>, Unverified>,
    why: Option<&Unverified>,
) -> Check {
    let check = match tags {
        Err(why) => Check::trouble("tags", &format!("{name}: "), why),
        Ok(page) if page.entries == 0 => page.check("tags", &format!("{name} has none")),
        Ok(page) => {
            let count = many(page.entries, "tag", "tags");
            page.check("tags", &format!("{name}: {count}"))
        }
    };
    match why {
        None => check,
        Some(why) if why.is_refusal() => check.care(format!(
            "What it is refused, such as {name}, will be `unverified` and never `broken`. Give this \
             login the right to pull, or leave it out with --exclude-repo."
        )),
        Some(_) => check.care(format!(
            "Check the name of {name}: the registry does not know it, or does not show it to this login."
        )),
    }
}

/// Where a link leads, seen from the list that it stands in. Its query is not shown: it may be an
/// opaque token.
fn form_of(target: &str, list: &Url) -> (Next, Option<String>) {
    let path = |text: &str| (Next::OtherPath, Some(shorten(text, LONGEST_HEADER)));
    match list.join(target) {
        Err(_) => path(target.split('?').next().unwrap_or_default()),
        Ok(url) if url.origin() != list.origin() => (Next::OtherHost, Some(host_of(&url))),
        Ok(url) if url.path() != list.path() => path(url.path()),
        Ok(_) if target.contains("://") => (Next::Absolute, None),
        Ok(_) => (Next::Relative, None),
    }
}

/// The host of a URL that a registry wrote, with its port.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("an unreadable address");
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    shorten(&format!("{host}{port}"), LONGEST_HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_link() {
        let list = Url::parse("https://r.example:5000/v2/_catalog").expect("a URL");
        for (target, next, place) in [
            ("/v2/_catalog?last=a&n=9", Next::Relative, None),
            ("?last=a", Next::Relative, None),
            (
                "https://r.example:5000/v2/_catalog?n=9",
                Next::Absolute,
                None,
            ),
            (
                "https://quay.example/v2/_catalog?x=secret",
                Next::OtherHost,
                Some("quay.example"),
            ),
            (
                "http://r.example:5000/v2/_catalog",
                Next::OtherHost,
                Some("r.example:5000"),
            ),
            (
                "//s.example:81/v2/_catalog",
                Next::OtherHost,
                Some("s.example:81"),
            ),
            ("/_catalog?n=9", Next::OtherPath, Some("/_catalog")),
            ("https://[?x=secret", Next::OtherPath, Some("https://[")),
        ] {
            let expected = (next, place.map(str::to_owned));
            assert_eq!(form_of(target, &list), expected, "{target}");
        }
    }
}
