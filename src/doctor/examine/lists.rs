//! The first page of a list, and how it leads on.

use std::str::FromStr;

use reqwest::Method;
use url::Url;

use super::{Doctor, LONGEST_HEADER, host_of};
use crate::doctor::{NextPage, Page, PageSize};
use crate::oci::{Repository, Tag, shorten};
use crate::registry::Unverified;
use crate::registry::client::auth::Scope;
use crate::registry::client::classify::{self, Failure};
use crate::registry::client::exchange::Ask;
use crate::registry::client::link;
use crate::registry::client::listing::{LARGEST_PAGE, PAGE};
use crate::registry::client::page::read_page;
use crate::registry::client::reply::{Read, Reply};

impl Doctor<'_> {
    pub(super) async fn catalog(&mut self) -> (Result<Page, Unverified>, Vec<Repository>) {
        let url = self.registry.endpoint.catalog();
        parted(self.first_page(url, Scope::Catalog).await)
    }

    pub(super) async fn tags(
        &mut self,
        repository: &Repository,
    ) -> (Result<Page, Unverified>, Vec<Tag>) {
        let url = self.registry.endpoint.tags(repository);
        parted(self.first_page(url, Scope::Pull(repository)).await)
    }

    /// Asks as a sweep does: for large pages, and for the registry's own size where it refuses.
    async fn first_page<T: FromStr>(
        &mut self,
        list: Url,
        scope: Scope<'_>,
    ) -> Result<(Page, Vec<T>), Failure> {
        let mut ask = Ask {
            method: Method::GET,
            url: list.clone(),
            accept: "application/json",
            range: None,
            scope,
            read: Read::Whole { cap: LARGEST_PAGE },
        };
        ask.url.set_query(Some(&format!("n={PAGE}")));
        let mut size = PageSize::Accepted;
        let mut reply = self.ask(&ask).await?;
        if matches!(reply.status.as_u16(), 400 | 405) {
            size = PageSize::Refused(classify::status_words(&reply.refusal()));
            ask.url.set_query(None);
            reply = self.ask(&ask).await?;
        }
        if !reply.status.is_success() {
            return Err(reply.failure());
        }
        let entries = read_page(&reply, &ask.scope)?;
        let page = Page {
            entries: entries.len() as u64,
            asked: PAGE as u64,
            size,
            next: next_page(&reply, &list),
        };
        let names = entries.iter().flatten();
        Ok((page, names.filter_map(|name| name.parse().ok()).collect()))
    }
}

fn parted<T>(page: Result<(Page, Vec<T>), Failure>) -> (Result<Page, Unverified>, Vec<T>) {
    match page {
        Ok((page, names)) => (Ok(page), names),
        Err(failure) => (Err(failure.why), Vec::new()),
    }
}

fn next_page(reply: &Reply, list: &Url) -> NextPage {
    link::next(&reply.headers).map_or(NextPage::None, |target| form_of(target, list))
}

/// Where a link leads, seen from the list that it stands in. Its query is not shown: it may be an
/// opaque token.
fn form_of(target: &str, list: &Url) -> NextPage {
    let path = |text: &str| NextPage::OtherPath(shorten(text, LONGEST_HEADER));
    match list.join(target) {
        Err(_) => path(target.split('?').next().unwrap_or_default()),
        Ok(url) if url.origin() != list.origin() => NextPage::OtherHost(host_of(url.as_str())),
        Ok(url) if url.path() != list.path() => path(url.path()),
        Ok(_) if target.contains("://") => NextPage::Absolute,
        Ok(_) => NextPage::Relative,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_link() {
        let list = Url::parse("https://r.example:5000/v2/_catalog").expect("a URL");
        let other_host = |host: &str| NextPage::OtherHost(host.into());
        for (target, expected) in [
            ("/v2/_catalog?last=a&n=9", NextPage::Relative),
            ("?last=a", NextPage::Relative),
            ("https://r.example:5000/v2/_catalog?n=9", NextPage::Absolute),
            (
                "https://quay.example/v2/_catalog?x=secret",
                other_host("quay.example"),
            ),
            (
                "http://r.example:5000/v2/_catalog",
                other_host("r.example:5000"),
            ),
            ("//s.example:81/v2/_catalog", other_host("s.example:81")),
            ("/_catalog?n=9", NextPage::OtherPath("/_catalog".into())),
            (
                "https://[?x=secret",
                NextPage::OtherPath("https://[".into()),
            ),
        ] {
            assert_eq!(form_of(target, &list), expected, "{target}");
        }
    }
}
