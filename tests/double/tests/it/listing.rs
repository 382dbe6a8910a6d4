//! The catalog and tag lists, in pages of all styles.

use registry_double::{Double, LinkWhen, Population, Registry, Reply, presets};

use crate::client::get;

/// Follows relative links to the end; the pages' items.
async fn pages(registry: &Registry, first: &str, field: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = first.to_owned();
    while pages.len() < 100 {
        let answer = get(registry, &path).await;
        assert_eq!(answer.status, 200, "{path}");
        let items = answer.json()[field].as_array().cloned().unwrap_or_default();
        pages.push(
            items
                .iter()
                .map(|item| item.as_str().unwrap_or("null").to_owned())
                .collect(),
        );
        let Some(link) = answer.headers.get("link") else {
            break;
        };
        let link = link.to_str().expect("text");
        link[1..link.find('>').expect("a link")].clone_into(&mut path);
    }
    pages
}

async fn with_repositories(names: &[&str]) -> Double {
    let double = Double::start().await;
    for name in names {
        double.image(name, Some("v1"), &[b"layer"]);
    }
    double
}

#[tokio::test]
async fn the_catalog_walks_directories() {
    let double = with_repositories(&["foo-bar", "foo/x", "foo"]).await;
    assert_eq!(
        get(&double, "/v2/_catalog").await.text(),
        r#"{"repositories":["foo","foo/x","foo-bar"]}"#
    );
    let answer = get(&double, "/v2/_catalog?n=2").await;
    assert_eq!(
        answer.header("link"),
        "</v2/_catalog?last=foo%2Fx&n=2>; rel=\"next\""
    );
    assert_eq!(
        pages(&double, "/v2/_catalog?n=2", "repositories").await,
        [vec!["foo", "foo/x"], vec!["foo-bar"]]
    );
    assert_eq!(
        pages(&double, "/v2/_catalog?last=foo-a", "repositories").await,
        [vec!["foo-bar"]]
    );
    let full = pages(&double, "/v2/_catalog?n=3", "repositories").await;
    assert_eq!(
        full.len(),
        2,
        "a full page has a link, and the last one is empty"
    );
    let refused = get(&double, "/v2/_catalog?n=1001").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "PAGINATION_NUMBER_INVALID")
    );
    assert_eq!(get(&double, "/v2/_catalog?n=x").await.status, 200);
    let answer = crate::client::head(&double, "/v2/_catalog").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn thousands_of_repositories_are_cheap() {
    let double = Double::start().await;
    let names = double.populate(Population {
        repositories: 2500,
        tags: 1,
        ..Population::default()
    });
    let pages = pages(&double, "/v2/_catalog?n=1000", "repositories").await;
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [1000, 1000, 500]
    );
    assert_eq!(pages.concat(), names);
    assert_eq!(
        get(&double, &format!("/v2/{}/manifests/v0000", names[2499]))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn populations_have_platforms() {
    let double = Double::start().await;
    let population = Population {
        tags: 3,
        platforms: 2,
        ..Population::default()
    };
    let names = double.populate(population);
    let index = get(&double, &format!("/v2/{}/manifests/v0002", names[0]))
        .await
        .json();
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn tags_are_whole_unless_told_otherwise() {
    let double = Double::start().await;
    let image = double.image("app", Some("a"), &[]);
    for tag in ["b", "c", "d"] {
        double.tag("app", tag, &image.digest);
    }
    assert_eq!(
        pages(&double, "/v2/app/tags/list?n=2", "tags").await,
        [vec!["a", "b", "c", "d"]]
    );
    double.quirks(|quirks| quirks.tags.honours_n = true);
    let by_two = pages(&double, "/v2/app/tags/list?n=2", "tags").await;
    assert_eq!(by_two, [vec!["a", "b"], vec!["c", "d"], vec![]]);
    assert_eq!(
        get(&double, "/v2/app/tags/list?n=2&last=d").await.text(),
        r#"{"name":"app","tags":null}"#
    );
    double.quirks(|quirks| {
        quirks.tags.page = Some(3);
        quirks.tags.link_when = LinkWhen::NotEmpty;
        quirks.tags.null_element = true;
    });
    let by_three = pages(&double, "/v2/app/tags/list", "tags").await;
    assert_eq!(
        by_three,
        [vec!["a", "b", "c", "null"], vec!["d", "null"], vec![]]
    );
    double.quirks(|quirks| {
        quirks.tags.unknown_last = Some(Reply::status(404));
        quirks.tags.unsorted = true;
        quirks.tags.cap = Some(3);
        quirks.tags.null_element = false;
    });
    assert_eq!(get(&double, "/v2/app/tags/list?last=bb").await.status, 404);
    assert_eq!(
        get(&double, "/v2/app/tags/list").await.text(),
        r#"{"name":"app","tags":["a","c","b"]}"#
    );
}

#[tokio::test]
async fn opaque_tokens_lead_on() {
    let double = presets::quay().await;
    double.require(registry_double::Auth::Open);
    for name in ["a", "b", "c"] {
        double.image(name, Some("v1"), &[]);
    }
    let answer = get(&double, "/v2/_catalog?n=2").await;
    let link = answer.header("link");
    assert!(
        link.starts_with("<https://quay.internal/v2/_catalog?n=2&next_page=CURSOR."),
        "{link}"
    );
    let query = &link[link.find('?').expect("a query")..link.find('>').expect("an end")];
    assert_eq!(get(&double, "/v2/_catalog?n=1").await.status, 429);
    assert_eq!(
        get(&double, &format!("/v2/_catalog{query}")).await.text(),
        r#"{"repositories":["c"]}"#
    );
}

#[tokio::test]
async fn links_say_n_zero_and_mean_it() {
    let double = presets::ghcr().await;
    double.require(registry_double::Auth::Open);
    let image = double.image("o/r", Some("t000"), &[]);
    for n in 1..150 {
        double.tag("o/r", &format!("t{n:03}"), &image.digest);
    }
    let answer = get(&double, "/v2/o/r/tags/list").await;
    assert_eq!(
        answer.header("link"),
        "</v2/o/r/tags/list?last=t099&n=0>; rel=\"next\""
    );
    let pages = pages(&double, "/v2/o/r/tags/list", "tags").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [100, 50]);
}
