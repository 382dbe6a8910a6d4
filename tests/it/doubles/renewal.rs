//! Credentials that run out: renewed in time, renewed once where that was not enough, and never in
//! a loop.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use registry_double::{Basic, Bearer, Double, Registry, Reply, on, presets};

use super::probe::{Probe, told};

fn fill(double: &Double, images: usize) {
    for n in 0..images {
        double.image("app", Some(&format!("v{n}")), &[format!("{n}").as_bytes()]);
    }
}

/// Tokens run out twice in the middle of a walk, and nobody announces it.
fn expire_twice(double: &Double) {
    for number in [2, 5] {
        let moment = on::blob().nth(number);
        let moment = double.when(moment);
        moment.then(|registry, _| registry.expire_tokens());
    }
}

fn refusals(registry: &Registry) -> usize {
    let is_refusal = |status| matches!(status, 400 | 401 | 403);
    let sent = registry.seen(&on::any().header("authorization"));
    sent.iter().filter(|seen| is_refusal(seen.status)).count()
}

#[tokio::test]
async fn a_token_of_two_seconds_is_renewed_before_it_expires() {
    let double = presets::short_tokens().await;
    fill(&double, 6);
    // At three quarters of its life, which is 1.5 s.
    let (each, most) = (Duration::from_millis(200), 8);
    double.when(on::blob()).delay(each);
    let start = Instant::now();
    let sweep = Probe::of(&double)
        .repositories(&["app"])
        .concurrency(1)
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["intact"]);
    // A slow machine sends fewer requests with a token, and never more of them.
    let mut sent = BTreeMap::<_, usize>::new();
    for seen in double.seen(&on::blob()) {
        let token = seen.header("authorization").map(str::to_owned);
        *sent.entry(token).or_default() += 1;
    }
    assert!(sent.len() > 1 && !sent.contains_key(&None), "{sent:?}");
    assert!(sent.values().all(|requests| *requests <= most), "{sent:?}");
    let tokens = double.count(&on::token());
    let most = 2 + start.elapsed().as_millis() / 1500;
    assert!(tokens as u128 <= most, "{tokens}");
}

#[tokio::test]
async fn a_token_that_expires_early_is_renewed_once_a_refusal() {
    let double = Double::start().await;
    fill(&double, 4);
    double.require(Bearer::anonymous().saying_lifetime(None));
    expire_twice(&double);
    let sweep = Probe::of(&double)
        .repositories(&["app"])
        .concurrency(1)
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!((refusals(&double), double.count(&on::token())), (2, 3));
}

#[tokio::test]
async fn many_that_are_refused_together_renew_once() {
    let double = Double::start().await;
    fill(&double, 8);
    double.require(Bearer::anonymous().saying_lifetime(None));
    // Long enough that what is asked at a time is answered together.
    double.when(on::blob()).delay(Duration::from_millis(100));
    expire_twice(&double);
    let sweep = Probe::of(&double)
        .repositories(&["app"])
        .concurrency(8)
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!(double.count(&on::token()), 3, "{}", refusals(&double));
}

#[tokio::test]
async fn a_lifetime_that_is_a_lie_is_no_trap() {
    for said in [Some(0), Some(u64::MAX), Some(86_400)] {
        let double = Double::start().await;
        double.image("app", Some("v1"), &[b"a layer"]);
        double.require(Bearer::anonymous().saying_lifetime(said));
        let sweep = Probe::of(&double).repositories(&["app"]).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{said:?}");
        assert!(double.count(&on::token()) <= 2, "{said:?}");
    }
}

#[tokio::test]
async fn ecr_public_says_400_to_an_expired_token() {
    let double = presets::ecr_public().await;
    fill(&double, 4);
    expire_twice(&double);
    let sweep = Probe::of(&double)
        .repositories(&["app"])
        .concurrency(1)
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_eq!((refusals(&double), double.count(&on::token())), (2, 3));
}

#[tokio::test]
async fn a_token_refused_with_403_and_no_challenge_is_renewed() {
    let each = [
        Reply::error(403, "DENIED", "expired"),
        Reply::error(403, "UNAUTHORIZED", "expired"),
        Reply::status(403),
        Reply::status(400),
    ]
    .map(|expired| async move {
        let double = Double::start().await;
        fill(&double, 4);
        let bearer = Bearer::anonymous().saying_lifetime(None);
        double.require(bearer.expired(expired));
        expire_twice(&double);
        let sweep = Probe::of(&double)
            .repositories(&["app"])
            .concurrency(1)
            .sweep()
            .await;
        assert_eq!(told(&sweep), ["intact"]);
        assert_eq!((refusals(&double), double.count(&on::token())), (2, 3));
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn a_refusal_that_has_another_reason_renews_nothing() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.require(Bearer::anonymous());
    double
        .when(on::blob().get().reference(&image.layers[0]))
        .error(403, "SCAN_FAILED");
    double
        .when(on::blob().head().reference(&image.layers[0]))
        .error(404, "BLOB_UNKNOWN");
    let sweep = Probe::of(&double).repositories(&["app"]).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app forbidden"]);
    assert_eq!(double.count(&on::token()), 1);
}

#[tokio::test]
async fn a_second_refusal_stands() {
    let each = [
        Reply::error(401, "UNAUTHORIZED", "authentication required"),
        Reply::error(403, "DENIED", "access denied"),
        Reply::error(400, "DENIED", "invalid token"),
        Reply::error(401, "UNAUTHORIZED", "insufficient scope")
            .with_header("WWW-Authenticate", "Basic realm=\"harbor\""),
    ]
    .map(|reply| async move {
        let double = Double::start().await;
        let image = double.image("app", Some("v1"), &[b"a layer"]);
        double.require(Bearer::anonymous());
        let status = reply.status;
        let blob = on::blob().reference(&image.layers[0]);
        double.when(blob.clone()).reply(reply);
        let sweep = Probe::of(&double).repositories(&["app"]).sweep().await;
        assert_eq!(sweep.verdict().word(), "unverified", "{status}");
        assert!(sweep.findings.is_empty(), "{status}");
        // Once with what was at hand, once with a new one; HEAD, and then GET with a range and without; in
        // each of two looks.
        assert!(
            double.count(&blob) <= 2 * 6,
            "{status}: {}",
            double.count(&blob)
        );
        assert!(double.count(&on::token()) <= 2 * 3, "{status}");
    });
    futures::future::join_all(each).await;
}

fn write_login(path: &std::path::Path, double: &Double, login: &str) {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(login);
    let config = format!(
        r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#,
        double.address()
    );
    std::fs::write(path, config).expect("the login is written");
}

#[tokio::test]
async fn a_password_that_expires_is_read_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("config.json");
    let double = presets::ecr_expiring(Duration::from_secs(3600)).await;
    double.image("app", Some("v1"), &[b"a layer", b"another"]);
    write_login(&path, &double, "AWS:token");
    // The password is changed in the middle of the walk, on both sides.
    let file = path.clone();
    let changed = double.address().to_owned();
    double
        .when(on::manifest().get().first(1))
        .then(move |registry, _| {
            use base64::Engine as _;
            registry.require(Basic::new("AWS", "next"));
            let auth = base64::engine::general_purpose::STANDARD.encode("AWS:next");
            let config = format!(r#"{{"auths":{{"{changed}":{{"auth":"{auth}"}}}}}}"#);
            std::fs::write(&file, config).expect("the login is written");
        });
    let sweep = Probe::of(&double).authfiles(&[path]).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
}

#[tokio::test]
async fn an_expired_password_is_unverified_and_no_loop() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("config.json");
    let double = presets::ecr_expiring(Duration::from_secs(3600)).await;
    for n in 0..5 {
        double.image("app", Some(&format!("v{n}")), &[b"a layer"]);
    }
    write_login(&path, &double, "AWS:token");
    double.when(on::tags()).then(|registry, _| {
        let expired = Reply::error(403, "DENIED", "Your authorization token has expired.");
        registry.require(Basic::new("AWS", "token").expiring(Duration::ZERO, expired));
    });
    let probe = Probe::of(&double).repositories(&["app"]).concurrency(1);
    let sweep = probe.authfiles(&[path]).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified app forbidden"]);
    // The ping that tests it; in both looks the list, and each tag by HEAD and GET. No refusal leads to more.
    let shown = double.count(&on::any().header("authorization"));
    assert!(shown <= 1 + 2 * (1 + 2 * 5), "{shown}");
}

#[tokio::test]
async fn a_new_sweep_reads_the_login_anew() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("config.json");
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.require(Basic::new("user", "first"));
    write_login(&path, &double, "user:first");
    let sweep = Probe::of(&double)
        .authfiles(std::slice::from_ref(&path))
        .sweep()
        .await;
    assert_eq!(told(&sweep), ["intact"]);
    double.require(Basic::new("user", "second"));
    write_login(&path, &double, "user:second");
    let sweep = Probe::of(&double).authfiles(&[path]).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
}
