//! Politeness: pauses are kept by all, tries are few, and not too many requests run at a time.

use std::time::{Duration, SystemTime};

use registry_double::{Bearer, Double, Population, Registry, Reply, on, presets};
use tokio_util::sync::CancellationToken;

use super::probe::{DEADLINE, Probe, details, told};
use crate::PATIENCE;

fn limited(retry_after: &str) -> Reply {
    Reply::error(429, "TOOMANYREQUESTS", "slow down").with_header("Retry-After", retry_after)
}

/// That nothing was asked between the first refusal and the end of the pause, but for what was under way
/// already: one request less than there may be at a time.
fn assert_pause(registry: &Registry, status: u16, pause: Duration, at_a_time: usize) {
    let requests = registry.requests();
    let refusal = requests
        .iter()
        .find(|seen| seen.status == status)
        .expect("something was refused");
    let early: Vec<_> = requests
        .iter()
        .filter(|seen| seen.at > refusal.at && seen.at < refusal.at + pause)
        .map(ToString::to_string)
        .collect();
    assert!(early.len() < at_a_time, "{early:?}");
    assert!(requests.iter().any(|seen| seen.at >= refusal.at + pause));
}

async fn busy() -> Double {
    let double = Double::start().await;
    double.populate(Population {
        repositories: 2,
        tags: 5,
        ..Population::default()
    });
    double
}

#[tokio::test]
async fn nothing_is_asked_before_the_end_of_a_pause() {
    let each = [429, 503].map(|status| async move {
        let double = busy().await;
        let reply = Reply::error(status, "TOOMANYREQUESTS", "slow down");
        double
            .when(on::manifest().nth(4))
            .reply(reply.with_header("Retry-After", "1"));
        let sweep = Probe::of(&double).concurrency(1).sweep().await;
        assert_eq!(told(&sweep), ["intact"], "{status}");
        assert_pause(&double, status, Duration::from_secs(1), 1);
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn a_pause_holds_for_everybody() {
    let double = busy().await;
    double.when(on::manifest().nth(4)).reply(limited("1"));
    let sweep = Probe::of(&double).concurrency(4).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_pause(&double, 429, Duration::from_secs(1), 4);
}

#[tokio::test]
async fn a_pause_can_be_a_date() {
    let double = busy().await;
    double.when(on::manifest().nth(4)).answer(|_, _| {
        let until = SystemTime::now() + Duration::from_secs(2);
        limited(&httpdate::fmt_http_date(until))
    });
    let sweep = Probe::of(&double).concurrency(1).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    // Dates are whole seconds, so this one is between one and two away.
    assert_pause(&double, 429, Duration::from_millis(990), 1);
}

#[tokio::test]
async fn a_refusal_that_names_no_pause_gets_one_all_the_same() {
    let double = busy().await;
    let page = Reply::html(429, "429 Too Many Requests");
    double.when(on::manifest().nth(4)).reply(page);
    let sweep = Probe::of(&double).concurrency(1).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_pause(&double, 429, Duration::from_secs(2), 1);
}

#[tokio::test]
async fn a_pause_longer_than_a_sweep_waits_ends_it() {
    let double = busy().await;
    double.when(on::manifest().after(4)).reply(limited("3600"));
    let start = std::time::Instant::now();
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sweep.verdict().word(), "unverified");
    assert!(sweep.findings.is_empty());
    assert!(
        details(&sweep).contains("left alone"),
        "{}",
        details(&sweep)
    );
    assert!(start.elapsed() < PATIENCE);
    let refused = double
        .requests()
        .iter()
        .filter(|seen| seen.status == 429)
        .count();
    assert!(refused <= 4, "those that were under way: {refused}");
}

#[tokio::test]
async fn a_pause_longer_than_clocks_go_ends_it_too() {
    let double = busy().await;
    let endless = limited("18446744073709551615");
    double.when(on::manifest().after(4)).reply(endless);
    let sweep = Probe::of(&double).sweep().await;
    let told = told(&sweep);
    assert_eq!(told[0], "unverified");
    let all_alike = |line: &String| line.ends_with(" rate_limited");
    assert!(
        told.len() > 1 && told[1..].iter().all(all_alike),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_limit_is_waited_for_several_times() {
    let double = busy().await;
    double.when(on::manifest().first(3)).reply(limited("0"));
    let sweep = Probe::of(&double).concurrency(1).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
}

#[tokio::test]
async fn no_more_at_a_time_than_agreed() {
    for at_a_time in [1, 3] {
        let double = presets::object_storage().await;
        double.populate(Population {
            repositories: 5,
            tags: 3,
            ..Population::default()
        });
        double.when(on::any()).delay(Duration::from_millis(5));
        let sweep = Probe::of(&double).concurrency(at_a_time).sweep().await;
        assert_eq!(told(&sweep), ["intact"]);
        assert!(double.peak_in_flight() <= at_a_time);
        assert!(double.companion().peak_in_flight() <= at_a_time);
    }
}

#[tokio::test]
async fn storage_has_a_pause_of_its_own() {
    let double = presets::object_storage().await;
    double.populate(Population {
        tags: 5,
        ..Population::default()
    });
    let slow = Reply::xml_error(503, "SlowDown").with_header("Retry-After", "1");
    double.companion().when(on::storage().nth(3)).reply(slow);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_pause(double.companion(), 503, Duration::from_secs(1), 4);
}

#[tokio::test]
async fn the_token_services_pause_is_kept_too() {
    let double = busy().await;
    double.require(Bearer::anonymous());
    double.when(on::token().nth(2)).reply(limited("1"));
    let sweep = Probe::of(&double).concurrency(1).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    assert_pause(&double, 429, Duration::from_secs(1), 1);
}

#[tokio::test]
async fn a_token_service_that_wants_a_long_pause_ends_its_requests() {
    let double = busy().await;
    double.require(Bearer::anonymous());
    double.when(on::token()).reply(limited("3600"));
    let sweep = Probe::of(&double).deadline(DEADLINE).sweep().await;
    assert_eq!(told(&sweep), ["unverified", "unverified - rate_limited"]);
    assert!(double.count(&on::token()) <= 2);
}

#[tokio::test]
async fn the_cost_of_a_healthy_sweep() {
    let double = busy().await;
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    // Ping, catalog, two lists; ten tags, one of each repository by GET, too; ten manifests; per repository
    // five configs and two layers, each by one GET of its end.
    assert_eq!(double.requests().len(), 4 + 10 + 2 + 10 + 2 * (5 + 2));
    assert_eq!(sweep.counts.requests, double.requests().len() as u64);
}

/// A registry that takes so many requests in each second, counted from the first, and refuses the others
/// until the next one begins.
fn take(double: &Double, a_second: u64) {
    let window = std::sync::Mutex::new((std::time::Instant::now(), 0));
    let is_too_many = move || {
        let mut window = window.lock().expect("nobody panics with it");
        if window.0.elapsed() >= Duration::from_secs(1) {
            *window = (std::time::Instant::now(), 0);
        }
        window.1 += 1;
        window.1 > a_second
    };
    double
        .when(on::any().matching(move |_| is_too_many()))
        .reply(limited("1"));
}

#[tokio::test]
async fn a_registry_with_a_limit_is_swept_within_it() {
    let double = Double::start().await;
    double.populate(Population {
        repositories: 6,
        tags: 10,
        ..Population::default()
    });
    take(&double, 40);
    let sweep = Probe::of(&double).concurrency(8).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let requests = double.requests();
    let refused = requests.iter().filter(|seen| seen.status == 429).count();
    assert!(requests.len() > 150, "{}", requests.len());
    // Those that were under way when it refused first, and some while the rate is found. Somebody who goes on
    // as fast as it answers is refused twice as often.
    assert!(
        refused * 10 < requests.len(),
        "{refused} of {}",
        requests.len()
    );
}

#[tokio::test]
async fn no_more_in_a_second_than_agreed() {
    let double = busy().await;
    let start = std::time::Instant::now();
    let sweep = Probe::of(&double).max_rps(40.0).sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let requests = u32::try_from(double.requests().len()).expect("some");
    let least = Duration::from_secs(1) * (requests - 2) / 40;
    assert!(
        start.elapsed() >= least,
        "{requests} in {:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_repository_that_never_answers_does_not_hold_up_the_others() {
    let double = Double::start().await;
    let population = Population {
        repositories: 4,
        tags: 6,
        ..Population::default()
    };
    let silent = double.populate(population).remove(0);
    let silence = double.when(on::manifest().repository(&silent));
    silence.delay(PATIENCE * 10);
    let cancel = CancellationToken::new();
    let probe = Probe::of(&double).concurrency(4).deadline(DEADLINE);
    let progress = probe.progress();
    // It is ended once the others are done.
    let stop = cancel.clone();
    tokio::spawn(async move {
        while progress.finished() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    });
    let sweep = probe.cancelled_by(&cancel).sweep().await;
    assert_eq!(sweep.verdict().word(), "unverified");
    assert_eq!(sweep.counts.repositories.checked, 3);
}

/// A registry that needs the longer the more is asked of it: it does one thing after the other.
#[tokio::test]
async fn a_registry_that_becomes_slow_is_asked_less() {
    let double = Double::start().await;
    double.populate(Population {
        repositories: 8,
        tags: 6,
        ..Population::default()
    });
    let queue = std::sync::Arc::new(std::sync::Mutex::new(std::time::Instant::now()));
    double.when(on::any()).edit(move |_, reply| {
        let mut free = queue.lock().expect("nobody panics with it");
        let now = std::time::Instant::now();
        *free = (*free).max(now) + Duration::from_millis(20);
        let wait = *free - now;
        reply.delayed(wait)
    });
    let probe = Probe::of(&double).concurrency(32);
    let meter = probe.meter();
    let sweep = probe.sweep().await;
    assert_eq!(told(&sweep), ["intact"]);
    let limit = meter.concurrency_limit();
    assert!(limit <= 24, "{limit} of 32 at a time");
}
