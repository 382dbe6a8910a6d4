//! Forms of lists: which answers are a list, which say that there is none, and which say nothing at
//! all. Each is seen twice: as the walk sees it, and by what becomes of a sweep.

use registry_double::{Double, Reply, on};
use registry_probe::registry::UnverifiedReason;
use registry_probe::registry::{ListEnd, Listing, Registry as _};
use registry_probe::report::Verdict;
use serde_json::{Value, json};

use super::probe::{Probe, details};

/// The two lists, by their keys.
const KEYS: [&str; 2] = ["repositories", "tags"];

/// How a list is to end: how many entries and invalid ones it has, or why it is none and what is said.
#[derive(Clone, Copy)]
enum Ends {
    Whole(usize, u64),
    Absent,
    Failed(UnverifiedReason, &'static str),
}

/// What every answer that is read well and is no list comes to.
const NO_LIST: Ends = Ends::Failed(UnverifiedReason::Protocol, "is not a list");

/// A registry with one image, whose lists are answered so.
async fn answering(key: &str, reply: Reply) -> Double {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    let list = if key == "tags" {
        on::tags()
    } else {
        on::catalog()
    };
    double.when(list).reply(reply);
    double
}

/// A listing without its names.
async fn listed(double: &Double, key: &str) -> (usize, u64, ListEnd) {
    fn counted<T>(listing: Listing<T>) -> (usize, u64, ListEnd) {
        (listing.items.len(), listing.invalid, listing.end)
    }
    let http = Probe::of(double).http();
    if key == "tags" {
        counted(http.tags(&"app".parse().expect("a name")).await)
    } else {
        counted(http.repositories().await)
    }
}

async fn hold(key: &str, reply: Reply, ends: Ends) {
    let case = format!("{key}: {} {:?}", reply.status, reply.body);
    let double = answering(key, reply).await;
    let (items, invalid, end) = listed(&double, key).await;
    match (ends, &end) {
        (Ends::Whole(all, none), ListEnd::Whole) => {
            assert_eq!((items, invalid), (all, none), "{case}");
        }
        (Ends::Absent, ListEnd::Absent(_)) => {}
        (Ends::Failed(reason, words), ListEnd::Failed(why)) => {
            assert_eq!(why.reason, reason, "{case}: {why}");
            assert!(why.detail.contains(words), "{case}: {why}");
        }
        _ => panic!("{case}: {end:?}"),
    }
    let asked = double.requests().len();
    assert!(asked <= 2, "{case}: {asked} requests");
    if let Ends::Failed(_, words) = ends {
        let sweep = Probe::of(&double).sweep().await;
        assert_eq!(sweep.verdict(), Verdict::Unverified, "{case}");
        assert!(!sweep.is_complete(), "{case}");
        assert!(
            details(&sweep).contains(words),
            "{case}: {}",
            details(&sweep)
        );
    }
}

fn object(key: &str, list: Value) -> Value {
    Value::Object([(key.to_owned(), list)].into_iter().collect())
}

fn text(body: impl Into<Vec<u8>>) -> Reply {
    let body: Vec<u8> = body.into();
    Reply::status(200)
        .with_body(body)
        .with_header("Content-Type", "application/json")
}

#[tokio::test]
async fn what_is_a_list() {
    for key in KEYS {
        let one = object(key, json!(["a"]));
        let mut of_another = one.clone();
        of_another["name"] = json!("behind/the/proxy");
        of_another["errors"] = json!(null);
        of_another["child"] = json!({"deep": [1, {"tags": 7}]});
        let odd = json!(["a", 7, null, {"tags": []}, ["b"], "", "a/../b"]);
        for (reply, ends) in [
            (Reply::json(200, &one), Ends::Whole(1, 0)),
            // ECR says so.
            (Reply::text(200, &one.to_string()), Ends::Whole(1, 0)),
            (Reply::json(200, &of_another), Ends::Whole(1, 0)),
            (text(format!(" \n\t{one}\n\n")), Ends::Whole(1, 0)),
            (
                text(format!(
                    r#"{{"{}\u{:04x}":["a"]}}"#,
                    &key[..key.len() - 1],
                    b's'
                )),
                Ends::Whole(1, 0),
            ),
            (Reply::json(200, &object(key, json!([]))), Ends::Whole(0, 0)),
            (
                Reply::json(200, &object(key, json!(null))),
                Ends::Whole(0, 0),
            ),
            (Reply::json(200, &object(key, odd)), Ends::Whole(1, 6)),
        ] {
            hold(key, reply, ends).await;
        }
    }
}

#[tokio::test]
async fn what_is_no_list() {
    for (key, other) in [(KEYS[0], KEYS[1]), (KEYS[1], KEYS[0])] {
        let list = object(key, json!(["a"])).to_string();
        for body in [
            String::new(),
            " ".to_owned(),
            "{}".to_owned(),
            "[]".to_owned(),
            "null".to_owned(),
            "true".to_owned(),
            "7".to_owned(),
            "\"a\"".to_owned(),
            "[\"a\"]".to_owned(),
            "[[\"a\"]]".to_owned(),
            "[[\"a\"],null]".to_owned(),
            "a, b".to_owned(),
            format!("[{list}]"),
            object(key, json!({})).to_string(),
            object(key, json!({"a": null})).to_string(),
            object(key, json!("a")).to_string(),
            object(key, json!(0)).to_string(),
            object(key, json!(false)).to_string(),
            object(other, json!(["a"])).to_string(),
            json!({"message": "no Route matched with those values"}).to_string(),
            json!({"errors": []}).to_string(),
            format!(r#"{{"{key}":["a"],"{key}":[]}}"#),
            format!("{list}{list}"),
            format!("\u{feff}{list}"),
            list[..list.len() - 1].to_owned(),
            "<html><body>Sign in</body></html>".to_owned(),
        ] {
            hold(key, text(body), NO_LIST).await;
        }
        // As bytes that nobody asked to be compressed.
        let gzip = text([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).with_header("Content-Encoding", "gzip");
        hold(key, gzip, NO_LIST).await;
        let page = Ends::Failed(UnverifiedReason::Protocol, "a web page");
        hold(key, Reply::html(200, "Sign in"), page).await;
    }
}

#[tokio::test]
async fn an_error_is_no_list_whatever_its_status() {
    for key in KEYS {
        for code in ["UNAUTHORIZED", "DENIED", "TOOMANYREQUESTS", "NAME_UNKNOWN"] {
            let ends = Ends::Failed(UnverifiedReason::Protocol, code);
            hold(key, Reply::error(200, code, "no"), ends).await;
            // Nor beside a list.
            let mut both = object(key, json!([]));
            both["errors"] = json!([{"code": code, "message": "no"}]);
            hold(key, Reply::json(200, &both), ends).await;
        }
    }
}

#[tokio::test]
async fn a_list_is_a_200_and_nothing_else() {
    for key in KEYS {
        for status in [201, 202, 203, 204, 206] {
            let reply = Reply::json(status, &object(key, json!(["a"])));
            hold(key, reply, NO_LIST).await;
        }
    }
}

#[tokio::test]
async fn a_list_that_is_cut_is_not_whole() {
    let cut = Ends::Failed(UnverifiedReason::Connect, "the list was cut short");
    for key in KEYS {
        let list = object(key, json!(["a"]));
        let length = list.to_string().len();
        // What comes of it is a whole list each time, but more was announced.
        let reply = || text(list.to_string());
        hold(key, reply().promising(length as u64 + 1), cut).await;
        let chunked = reply().without_header("Content-Length");
        hold(key, chunked.cut_after(length), cut).await;
        let half = text(list.to_string()).cut_after(length / 2);
        hold(key, half, cut).await;
        // Without its last chunk once only: it is asked for again.
        let double = Double::start().await;
        double.image("app", Some("v1"), &[b"a layer"]);
        let first = if key == "tags" {
            on::tags()
        } else {
            on::catalog()
        }
        .first(1);
        let chunked = reply().without_header("Content-Length");
        double.when(first).reply(chunked.cut_after(length));
        let (_, _, end) = listed(&double, key).await;
        assert_eq!(end, ListEnd::Whole, "{key}");
    }
}

#[tokio::test]
async fn only_name_unknown_says_that_there_is_no_repository() {
    let on_the_way = Ends::Failed(UnverifiedReason::Protocol, "404 Not Found");
    let unknown = Reply::error(404, "NAME_UNKNOWN", "repository name not known to registry");
    let page = Reply::html(404, "404 Not Found");
    for (reply, of_tags, of_catalog) in [
        (unknown.clone(), Ends::Absent, Ends::Absent),
        (Reply::status(404), on_the_way, Ends::Absent),
        (
            Reply::text(404, "404 page not found\n"),
            on_the_way,
            Ends::Absent,
        ),
        // A proxy without a route, and what is asked for elsewhere.
        (
            Reply::json(404, &json!({"message": "no Route matched"})),
            on_the_way,
            Ends::Absent,
        ),
        // Harbor's words, which count of a repository that the catalog lacks.
        (
            Reply::error(404, "NOT_FOUND", "repository not found"),
            Ends::Absent,
            Ends::Absent,
        ),
        (
            Reply::error(404, "MANIFEST_UNKNOWN", "unknown"),
            on_the_way,
            Ends::Absent,
        ),
        (
            Reply::json(404, &json!({"tags": []})),
            on_the_way,
            Ends::Absent,
        ),
        (page, on_the_way, on_the_way),
    ] {
        hold("repositories", reply.clone(), of_catalog).await;
        hold("tags", reply, of_tags).await;
    }
}

#[tokio::test]
async fn no_other_refusal_says_anything_of_a_list() {
    for (status, reason) in [
        (400, UnverifiedReason::Protocol),
        (401, UnverifiedReason::Unauthorized),
        (403, UnverifiedReason::Forbidden),
        (405, UnverifiedReason::Protocol),
        (410, UnverifiedReason::Protocol),
        (451, UnverifiedReason::Forbidden),
    ] {
        for key in KEYS {
            let reply = Reply::error(status, "NAME_UNKNOWN", "no");
            hold(key, reply, Ends::Failed(reason, "NAME_UNKNOWN")).await;
        }
    }
}
