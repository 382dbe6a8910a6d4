//! What else is to be known of it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::GITEA;
use super::database::{delete, of_hash, sql};
use crate::product::Object;
use crate::pushed::{BROKEN, Pushed};
use crate::registry::Registry;
use crate::support::probe::Probe;
use crate::support::skopeo;
use crate::trial::sweep;

/// What a request for a manifest writes.
pub(super) fn downloads_are_counted(binary: &Path) -> String {
    let registry = Registry::start(&GITEA, binary);
    let pushed = Pushed::to(&registry);
    let client = registry.client();
    let path = |kind: &str, reference: &str| format!("/v2/{}/{kind}/{reference}", BROKEN.0);
    let counts = |ask: &dyn Fn() -> u16| {
        let count = || sql(&registry, "SELECT sum(download_count) FROM package_version");
        let before = count();
        assert_eq!(ask(), 200);
        count() != before
    };
    let (tag, layer) = (
        path("manifests", BROKEN.1),
        path("blobs", pushed.digest(Object::Layer)),
    );
    let seen = [
        counts(&|| client.get(&tag).status),
        counts(&|| client.head(&tag).status),
        counts(&|| client.get(&layer).status),
        counts(&|| client.head(&layer).status),
    ];
    assert_eq!(seen, [true, false, false, false]);
    "A GET of a manifest raises `download_count` of its version, which nothing else goes by; a HEAD does not, nor does \
     a request for a blob."
        .to_owned()
}

/// Whom it shows what, and for how long a token is good.
pub(super) fn shows_what_a_user_may_see(binary: &Path) -> String {
    let registry = Registry::start(&GITEA, binary);
    let _ = Pushed::to(&registry);
    let anonymous = || {
        let outcome = Probe::once().arg(registry.host()).run();
        (outcome.code, outcome.report().count("tags/checked"))
    };
    assert_eq!(anonymous(), (0, 3), "a public owner's images are for all");
    // 2 is private: known to itself alone.
    sql(
        &registry,
        "UPDATE user SET visibility = 2 WHERE name = 'team'",
    );
    let outcome = Probe::once().arg(registry.host()).run();
    let report = outcome.report();
    assert_eq!(
        (outcome.code, report.unverified()),
        (3, vec!["nothing_listed".to_owned()]),
        "{outcome}"
    );
    let named = Probe::once()
        .args(["--repo", BROKEN.0])
        .arg(registry.host())
        .run();
    let report = named.report();
    assert_eq!(
        (named.code, report.unverified()),
        (3, vec!["unauthorized".to_owned()]),
        "{named}"
    );
    let outcome = sweep(&registry, "tail");
    assert_eq!(outcome.code, 0, "{outcome}");
    let absent = registry.client().get("/v2/nobody/app/tags/list");
    assert_eq!(
        (absent.status, absent.header("content-type")),
        (404, "text/plain;charset=utf-8")
    );
    let token = registry.client().get("/v2/token").body;
    let hours = lifetime(&token) / 3600;
    format!(
        "Without a login, it lists what belongs to public owners alone: nothing is told of the others, so a sweep without \
         a login cannot know of them. It hands out tokens for {hours} hours, and serves blobs itself unless an object \
         store has `SERVE_DIRECT`."
    )
}

/// How many seconds a token is good for.
fn lifetime(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).expect("JSON");
    let token = answer["token"].as_str().expect("a token");
    let claims = token.split('.').nth(1).expect("it has claims");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let at = |name: &str| claims[name].as_u64().expect("a time");
    at("exp") - at("nbf")
}

/// Where a row of `package_blob` is lost, nothing but the database helps.
pub(super) fn a_lost_row_is_mended(binary: &Path) -> String {
    let statement = "DELETE FROM package_file WHERE blob_id NOT IN (SELECT id FROM package_blob)";
    let registry = Registry::start(&GITEA, binary);
    let pushed = Pushed::to(&registry);
    delete(&registry, "package_blob", &of_hash(&pushed, Object::Layer));
    sql(&registry, statement);
    let name = format!("{}:{}", BROKEN.0, BROKEN.1);
    skopeo::push(&registry, pushed.content(), &name);
    let outcome = sweep(&registry, "digest");
    assert_eq!(outcome.code, 0, "{outcome}");
    format!(
        "Where a row of `package_blob` is lost, each request for the object is a 500 (`package blob does not exist` in \
         its log), and so are a push and a deletion. `{statement};` makes it an object that is not there, which a push \
         brings back."
    )
}
