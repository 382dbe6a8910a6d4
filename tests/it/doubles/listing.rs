//! Lists: pages, their links, and what of a list is to be believed.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry_double::{Double, LinkWhen, Next, OverMax, Registry, Reply, Request, on, presets};
use registry_probe::registry::UnverifiedReason;
use registry_probe::registry::{ListEnd, Registry as _};
use registry_probe::report::{Coverage, Listed, Shard, SkipReason, Verdict};
use serde_json::json;

use super::probe::{Probe, details, told};

/// `app` with so many tags of one image.
fn tagged(registry: &Registry, tags: usize) {
    let image = registry.image("app", None, &[b"a layer"]);
    for n in 0..tags {
        registry.tag("app", &format!("v{n:04}"), &image.digest);
    }
}

/// Lists in pages of two, whatever is asked for.
pub(super) fn by_twos(registry: &Registry) {
    registry.quirks(|quirks| {
        for listing in [&mut quirks.catalog, &mut quirks.tags] {
            listing.honours_n = true;
            listing.max = Some(2);
            listing.over_max = OverMax::Clamp;
        }
    });
}

#[tokio::test]
async fn links_are_followed_wherever_they_say_they_lead() {
    let writers: [fn(&Next) -> String; 7] = [
        Next::relative,
        // Another host, scheme and path: only the query counts.
        |next| {
            format!(
                "<https://elsewhere.invalid/x?n=2&last={}>; rel=\"next\"",
                next.last
            )
        },
        |next| {
            format!(
                "<http://{}/repository/r{}?last={}>; rel=next",
                next.host, next.path, next.last
            )
        },
        |next| format!("<?last={}>; REL=\"Next\"", next.last),
        |next| {
            format!(
                "</v2/?last=wrong>; rel=\"prev\", <{}?last={}>; title=\"a, b\"; rel=\"next\"",
                next.path, next.last
            )
        },
        |next| format!("<{}?n=0&next_page={}>;rel=next", next.path, next.token),
        |next| format!("<{}?last={}&n=2>; rel=\"last next\"", next.path, next.last),
    ];
    for (number, link) in writers.into_iter().enumerate() {
        let double = Double::start().await;
        by_twos(&double);
        double.quirks(|quirks| {
            (quirks.catalog.link, quirks.tags.link) = (link, link);
            quirks.tags.zero_is_default = true;
            quirks.tags.page = Some(2);
            quirks.catalog.zero_is_default = true;
            quirks.catalog.page = Some(2);
        });
        tagged(&double, 5);
        for name in ["b", "c", "d"] {
            double.image(name, Some("v1"), &[b"a layer"]);
        }
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "link {number}");
        assert_eq!(sweep.counts.repositories.listed, 4, "link {number}");
        assert_eq!(sweep.counts.tags.listed, 8, "link {number}");
    }
}

#[tokio::test]
async fn a_link_on_every_page_is_no_endless_list() {
    let double = presets::gitea().await;
    double.quirks(|quirks| quirks.tags.max = Some(2));
    tagged(&double, 5);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(sweep.counts.tags.listed, 5);
    let pages = double.seen(&on::tags());
    let pages = pages.iter().filter(|seen| seen.status == 200).count();
    assert_eq!(pages, 4, "three pages and an empty one");

    // A list of one page, as most are, costs the empty one and nothing more.
    double.quirks(|quirks| quirks.tags.max = None);
    assert_eq!(tags_of_app(&double).await, (ListEnd::Whole, 5, 2));
}

/// The end of a list of `app`'s tags, how many there are, and how many requests it took.
async fn tags_of_app(double: &Double) -> (ListEnd, usize, usize) {
    double.forget_requests();
    let app = "app".parse().expect("a name");
    let listing = Probe::of(double).http().tags(&app).await;
    // Some say first who may ask.
    let seen = double.seen(&on::tags());
    let asked = seen.iter().filter(|seen| seen.status != 401).count();
    (listing.end, listing.items.len(), asked)
}

/// That a list is not whole, and what is said of it.
fn assert_failed(end: &ListEnd, words: &str) {
    let ListEnd::Failed(why) = end else {
        panic!("{end:?}")
    };
    assert_eq!(why.reason, UnverifiedReason::Protocol, "{why}");
    assert!(why.detail.contains(words), "{why}");
}

#[tokio::test]
async fn a_link_to_where_we_were_is_not_the_end() {
    for target in ["last=v0000", "n=1000", ""] {
        let double = Double::start().await;
        tagged(&double, 3);
        let link = format!("</v2/app/tags/list?{target}>; rel=\"next\"");
        double.when(on::tags()).set_header("Link", &link);
        let (end, count, asked) = tags_of_app(&double).await;
        assert_failed(&end, "leads back");
        assert_eq!((count, asked), (3, 2), "{target}");
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(
            told(&sweep),
            ["unverified", "unverified app protocol"],
            "{target}"
        );
        assert_eq!(sweep.counts.tags.checked, 3, "{target}");
    }
}

#[tokio::test]
async fn a_list_whose_pages_are_all_the_first_is_not_whole() {
    // Something in between drops `last`, or takes it from the first of two queries.
    let double = Double::start().await;
    by_twos(&double);
    tagged(&double, 6);
    for name in ["b", "c", "d"] {
        double.image(name, Some("v1"), &[b"a layer"]);
    }
    let first_page = |names: &[&str], key: &str, path: &str| {
        let link = format!("<{path}?n=2&last={}>; rel=\"next\"", names[1]);
        Reply::json(200, &json!({ key: names })).with_header("Link", &link)
    };
    let goes_on = |request: &Request| request.param("last").is_some();
    let tags = first_page(&["v0000", "v0001"], "tags", "/v2/app/tags/list");
    double.when(on::tags().matching(goes_on)).reply(tags);
    let (end, count, asked) = tags_of_app(&double).await;
    assert_failed(&end, "leads back");
    assert_eq!((count, asked), (2, 2));

    let catalog = first_page(&["app", "b"], "repositories", "/v2/_catalog");
    double.when(on::catalog().matching(goes_on)).reply(catalog);
    let listing = Probe::of(&double).http().repositories().await;
    assert_failed(&listing.end, "leads back");
    assert_eq!(listing.items.len(), 2);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sweep.verdict(), Verdict::Unverified);
    assert!(matches!(sweep.listed, Listed::Failed(_)));
}

#[tokio::test]
async fn a_last_page_that_links_to_itself_is_the_end() {
    let double = Double::start().await;
    by_twos(&double);
    tagged(&double, 3);
    let link = "</v2/app/tags/list?last=v0001&n=2>; rel=\"next\"";
    double.when(on::tags()).set_header("Link", link);
    assert_eq!(tags_of_app(&double).await, (ListEnd::Whole, 3, 2));

    // A full one proves nothing.
    double.tag(
        "app",
        "v0003",
        &double.digest_of("app", "v0000").expect("it is there"),
    );
    let (end, count, _) = tags_of_app(&double).await;
    assert_failed(&end, "leads back");
    assert_eq!(count, 4);

    // An empty one has nothing to lead to.
    double
        .when(on::tags().matching(|request| request.param("last").is_some()))
        .reply(Reply::json(200, &json!({"name": "app", "tags": []})).with_header("Link", link));
    assert_eq!(tags_of_app(&double).await, (ListEnd::Whole, 2, 3));
}

#[tokio::test]
async fn empty_pages_that_lead_on_and_on_are_not_the_end() {
    let double = Double::start().await;
    tagged(&double, 1);
    double.when(on::tags()).answer(|_, request| {
        let page: usize = request
            .param("page")
            .and_then(|page| page.parse().ok())
            .unwrap_or_default();
        let link = format!("<{}?page={}>; rel=\"next\"", request.path, page + 1);
        Reply::json(200, &json!({"name": "app", "tags": []})).with_header("Link", &link)
    });
    let (end, _, asked) = tags_of_app(&double).await;
    assert_failed(&end, "lead on and on");
    assert!(asked <= 5, "{asked}");
}

#[tokio::test]
async fn an_empty_page_that_leads_on_is_not_the_end() {
    let double = Double::start().await;
    tagged(&double, 1);
    double.when(on::tags().nth(1)).reply(
        Reply::json(200, &json!({"name": "app", "tags": null}))
            .with_header("Link", "</v2/app/tags/list?last=a>; rel=\"next\""),
    );
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(sweep.counts.tags.checked, 1);
}

#[tokio::test]
async fn a_last_page_that_is_exactly_full() {
    for double in [
        presets::distribution28().await,
        presets::debian_distribution().await,
        presets::distribution31().await,
    ] {
        by_twos(&double);
        tagged(&double, 4);
        double.image("b", Some("v1"), &[b"a layer"]);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"]);
        assert_eq!(sweep.counts.tags.checked, 5);
        // Where the last page is empty, one more shows that nothing vanished before it.
        assert!(double.count(&on::catalog()) <= 3);
        let (end, count, asked) = tags_of_app(&double).await;
        assert_eq!((end, count), (ListEnd::Whole, 4));
        assert!(asked <= 4, "{asked}");
    }
}

#[tokio::test]
async fn a_page_size_that_is_refused_is_asked_for_no_more() {
    for (status, code) in [(400, "PAGINATION_NUMBER_INVALID"), (405, "UNSUPPORTED")] {
        let double = Double::start().await;
        double.quirks(|quirks| {
            quirks.tags.honours_n = true;
            for listing in [&mut quirks.catalog, &mut quirks.tags] {
                listing.max = Some(100);
                listing.page = Some(2);
                listing.over_max = OverMax::Refuse(status, code);
            }
        });
        tagged(&double, 5);
        double.image("b", Some("v1"), &[b"a layer"]);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{status}");
        assert_eq!(sweep.counts.tags.checked, 6);
        let refused = double
            .seen(&on::tags())
            .iter()
            .filter(|seen| seen.status == status)
            .count();
        assert_eq!(refused, 2, "once a list");
    }
}

#[tokio::test]
async fn no_place_in_a_list_is_made_up_where_a_link_leads_on() {
    let double = presets::ecr().await;
    tagged(&double, 1001);
    let sweep = Probe::of(&double)
        .login("AWS", "token")
        .tags_per_repository(1)
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["intact", "skipped tags_per_repo 1000"]);
    assert!(
        double
            .seen(&on::tags())
            .iter()
            .all(|seen| seen.status == 200)
    );
}

#[tokio::test]
async fn a_full_page_without_a_link_is_continued_by_its_last_entry() {
    let double = Double::start().await;
    double.quirks(|quirks| {
        quirks.tags.honours_n = true;
        quirks.tags.link_when = LinkWhen::Never;
    });
    tagged(&double, 1001);
    let probe = Probe::of(&double).tags_per_repository(1);
    assert_eq!(
        told(&probe.sweep().await),
        ["intact", "skipped tags_per_repo 1000"]
    );
    assert_eq!(double.count(&on::tags()), 2);
}

#[tokio::test]
async fn a_full_page_that_is_all_there_is_ends_the_list() {
    // 2.8 ignores `n` and `last` for tags and would give the same page for ever.
    let double = Double::start().await;
    tagged(&double, 1000);
    let probe = Probe::of(&double).tags_per_repository(1);
    assert_eq!(
        told(&probe.sweep().await),
        ["intact", "skipped tags_per_repo 999"]
    );
    assert!(double.count(&on::tags()) <= 2);

    // ECR refuses a `last` of one's own making, which says nothing about the list.
    let double = presets::ecr().await;
    tagged(&double, 1000);
    let probe = Probe::of(&double)
        .login("AWS", "token")
        .tags_per_repository(1);
    assert_eq!(
        told(&probe.sweep().await),
        ["intact", "skipped tags_per_repo 999"]
    );
}

#[tokio::test]
async fn a_list_whose_place_was_deleted_is_begun_again() {
    for double in [presets::zot().await, presets::harbor().await] {
        by_twos(&double);
        tagged(&double, 6);
        // The second page would begin after this one.
        double.when(on::tags().first(1)).then(|registry, _| {
            registry.remove_tag("app", "v0001");
        });
        let probe = Probe::of(&double).repositories(&["app"]);
        let sweep = probe.sweep().await;
        assert_eq!(told(&sweep), ["intact"]);
        assert!(sweep.counts.tags.checked >= 5);
    }
}

#[tokio::test]
async fn a_list_whose_place_is_deleted_for_ever_has_an_end() {
    let double = presets::zot().await;
    by_twos(&double);
    tagged(&double, 6);
    let goes_on = on::tags().matching(|request| request.param("last").is_some());
    double.when(goes_on).reply(Reply::status(404));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app protocol"]);
    let (end, _, asked) = tags_of_app(&double).await;
    assert_failed(&end, "404");
    assert_eq!(asked, 8, "begun four times");
}

/// zot with as many repositories, in pages of two.
async fn zot_with(repositories: usize) -> Double {
    let double = presets::zot().await;
    by_twos(&double);
    for n in 0..repositories {
        double.image(&format!("r{n:02}"), Some("v1"), &[b"a layer"]);
    }
    double
}

fn delete(registry: &Registry, repository: &str) {
    registry.remove_manifests_directory(repository);
    registry.remove_layers_directory(repository);
}

#[tokio::test]
async fn a_catalog_whose_place_was_deleted_is_begun_again() {
    // zot answers an empty page to a `last` that is not there any more.
    let double = zot_with(5).await;
    double
        .when(on::catalog().first(1))
        .then(|registry, _| delete(registry, "r01"));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(sweep.counts.repositories.checked, 4);
    // The first page, the empty one, the look back, and the three of the second reading.
    assert!(double.count(&on::catalog()) <= 6);

    // One that is empty then is not the list that was begun: a store has gone.
    let double = zot_with(5).await;
    double.when(on::catalog().first(1)).then(|registry, _| {
        (0..5).for_each(|n| delete(registry, &format!("r{n:02}")));
    });
    let listing = Probe::of(&double).http().repositories().await;
    assert_failed(&listing.end, "changes while it is read");

    // Nor is one that ends in its middle each time.
    let double = zot_with(20).await;
    let number = AtomicUsize::new(1);
    double
        .when(on::catalog().matching(|request| request.param("last").is_none()))
        .then(move |registry, _| {
            // Each time, the one that the first page has just ended with.
            let next = number.fetch_add(1, Ordering::Relaxed);
            delete(registry, &format!("r{next:02}"));
        });
    let listing = Probe::of(&double).http().repositories().await;
    assert_failed(&listing.end, "changes while it is read");
    assert!(double.requests().len() <= 12, "{}", double.requests().len());
}

/// What others look at, and what nobody does, takes none of the room that there is. Yet a list must end.
#[tokio::test]
async fn filters_come_before_the_cap_and_a_list_without_end_has_one() {
    let double = Double::start().await;
    by_twos(&double);
    for n in 0..60 {
        double.image(&format!("r{n:02}"), Some("v1"), &[b"a layer"]);
    }
    let image = double.image("r07", None, &[b"a layer"]);
    for n in 0..30 {
        double.tag("r07", &format!("x{n:02}"), &image.digest);
    }
    let probe = || Probe::of(&double).at_most(25, 8);
    let sweep = probe().sweep().await;
    assert!(
        matches!(&sweep.listed, Listed::Failed(why) if why.reason == UnverifiedReason::TooLarge)
    );
    let too_many = details(&sweep);
    assert!(
        too_many.contains("25 entries that are wanted (--max-repositories)"),
        "{too_many}"
    );

    // A filter takes few of many.
    let sweep = probe().matching("r0*").tags("v*").sweep().await;
    assert_eq!(
        told(&sweep),
        [
            "intact",
            "skipped repository_filter 50",
            "skipped tag_filter 30"
        ]
    );
    assert_eq!(sweep.counts.repositories.listed, 10);
    let sweep = probe().matching("r07").sweep().await;
    assert!(details(&sweep).contains("8 entries that are wanted (--max-tags)"));

    // Four shards take what is too much for one, and leave out the same together.
    let (mut listed, mut left_out) = (0, 0);
    for index in 0..4 {
        let shard = Shard::new(index, 4).expect("a shard");
        let sweep = probe().tags("v*").shard(shard).sweep().await;
        assert!(sweep.is_complete(), "{:?}", told(&sweep));
        listed += sweep.counts.repositories.listed;
        let sweep = probe().matching("r*1").shard(shard).sweep().await;
        left_out += sweep
            .skipped
            .get(&SkipReason::RepositoryFilter)
            .copied()
            .unwrap_or_default();
    }
    assert_eq!((listed, left_out), (60, 54));

    // Nothing of it is wanted, and it goes on and on.
    let sweep = Probe::of(&double)
        .at_most(5, 8)
        .matching("none*")
        .sweep()
        .await;
    let endless = details(&sweep);
    assert!(endless.contains("or 50 in all"), "{endless}");
}

#[tokio::test]
async fn a_guess_that_comes_to_nothing_is_looked_into() {
    // Pages that are full and have no link, of which the last entry goes.
    let double = presets::zot().await;
    double.quirks(|quirks| {
        quirks.catalog.link_when = LinkWhen::Never;
        quirks.tags.link_when = LinkWhen::Never;
    });
    tagged(&double, 1200);
    double
        .when(on::tags().first(1))
        .then(|registry, _| registry.remove_tag("app", "v0999"));
    let app = "app".parse().expect("a name");
    let listing = Probe::of(&double).http().tags(&app).await;
    assert_eq!((listing.end, listing.items.len()), (ListEnd::Whole, 1199));

    for refusal in [
        Reply::status(404),
        Reply::status(400),
        Reply::error(405, "UNSUPPORTED", "no"),
    ] {
        let double = Double::start().await;
        tagged(&double, 1000);
        double
            .when(on::tags().matching(|request| request.param("last").is_some()))
            .reply(refusal);
        // The whole list, the guess, and whether its place is still there.
        assert_eq!(tags_of_app(&double).await, (ListEnd::Whole, 1000, 3));
    }
}

#[tokio::test]
async fn unusable_entries_are_counted_and_repeated_ones_taken_once() {
    let double = Double::start().await;
    tagged(&double, 3);
    let digest = registry_double::sha256("x");
    let first = json!({"name": "app", "tags": ["v0000", null, "", "a/b", digest, "v0001", 7]});
    let second = json!({"name": "app", "tags": ["v0001", "v0002", "v0000", "v0002"]});
    let link = "</v2/app/tags/list?last=v0001>; rel=\"next\"";
    double
        .when(on::tags().first(1))
        .reply(Reply::json(200, &first).with_header("Link", link));
    double
        .when(on::tags().after(1))
        .reply(Reply::json(200, &second));
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact", "skipped invalid_name 5"]);
    assert_eq!(sweep.counts.tags.listed, 3);
    assert_eq!(double.count(&on::manifest().head()), 3);
}

#[tokio::test]
async fn a_repository_without_tags_is_no_fault() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.image("swept", Some("v1"), &[b"a layer"]);
    double.remove_tags_directory("swept");
    double.image("emptied", Some("v1"), &[b"a layer"]);
    double.remove_tag("emptied", "v1");
    double.empty_repository("new");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(sweep.counts.repositories.checked, 4);
}

#[tokio::test]
async fn a_repository_that_was_named_and_is_unknown_is_unverified() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    let sweep = Probe::of(&double)
        .repositories(&["app", "typo"])
        .sweep()
        .await;
    assert_eq!(
        told(&sweep),
        ["unverified", "unverified typo unknown_repository"]
    );
}

#[tokio::test]
async fn an_empty_catalog_is_never_a_success_in_silence() {
    for double in [presets::gar().await, Double::start().await] {
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep), ["unverified", "unverified - nothing_listed"]);
        assert!(details(&sweep).contains("nothing to check"));
        assert_eq!(sweep.counts.repositories, Coverage::default());
        assert!(sweep.findings.is_empty());
    }
}

#[tokio::test]
async fn a_refused_catalog_says_to_name_the_repositories() {
    for reply in [
        Reply::text(404, "404 page not found\n"),
        Reply::error(401, "UNAUTHORIZED", "authentication required"),
        Reply::error(403, "DENIED", "access forbidden"),
        Reply::error(405, "UNSUPPORTED", "The operation is unsupported."),
        Reply::error(400, "NAME_INVALID", "invalid"),
    ] {
        let status = reply.status;
        let double = Double::start().await;
        double.image("app", Some("v1"), &[b"a layer"]);
        double.when(on::catalog()).reply(reply);
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(told(&sweep).len(), 2, "{status}: {:?}", told(&sweep));
        assert_eq!(sweep.verdict(), Verdict::Unverified, "{status}");
        assert!(matches!(sweep.listed, Listed::Failed(_)), "{status}");
        assert!(
            details(&sweep).contains("--repo"),
            "{status}: {}",
            details(&sweep)
        );
        assert!(double.requests().len() <= 4, "{status}");

        let sweep = Probe::of(&double).repositories(&["app"]).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{status}");
    }
}

#[tokio::test]
async fn an_endless_list_has_an_end() {
    let double = Double::start().await;
    tagged(&double, 1);
    double.when(on::tags()).answer(|_, request| {
        let page = request.param("page").unwrap_or_default();
        let page: usize = page.parse().unwrap_or_default();
        let link = format!("<{}?page={}>; rel=\"next\"", request.path, page + 1);
        let list = json!({"name": "app", "tags": [format!("v{page}")]});
        Reply::json(200, &list).with_header("Link", &link)
    });
    let (end, count, asked) = tags_of_app(&double).await;
    let ListEnd::Failed(why) = end else {
        panic!("{end:?}")
    };
    assert_eq!(why.reason, UnverifiedReason::TooLarge);
    assert_eq!((count, asked), (10_000, 10_000));
}
