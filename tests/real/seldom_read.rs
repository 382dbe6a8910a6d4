//! A defect that only a blob's bytes show, in a registry whose blobs are read in one of 24 sweeps each: it is found
//! in its turn and seen in every sweep from then on, so that an alert about it has the time to fire.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use registry_double::{Background, Double, Reply, in_background, on};
use tempfile::TempDir;

use crate::support::bulk::{self, Push};
use crate::support::files::text;
use crate::support::images::{Content, Image, Layer};
use crate::support::monitoring::{eventually, faster};
use crate::support::probe::Probe;
use crate::support::prometheus::{Prometheus, Pushgateway};
use crate::support::registry::Registry;
use crate::support::report::Finding;
use crate::support::service::Service;

const REPOSITORY: &str = "team/app";

/// Sweeps of which each reads another part of all blobs.
const PERIOD: u8 = 24;

/// So many times as fast as in production do the alerts' times pass: one that waits for half an hour waits for six
/// seconds, in which there are six sweeps.
const TIMES: u64 = 300;

/// A sweep every second that reads nothing but what is due, by this name.
fn sparing(registry: &Registry, name: &str) -> Vec<String> {
    let options = format!(
        "--instance {name} --interval 1s --read-every {PERIOD}s --load 0% {}",
        registry.host()
    );
    options.split(' ').map(str::to_owned).collect()
}

/// Images of some repositories, and a layer of the first.
fn images() -> (Vec<Push>, Layer) {
    let layers = ["one", "lost", "three"].map(Layer::gzip);
    let image: Content = Image::of("app", "amd64", &layers).into();
    let others = (0..8).map(|number| {
        let content = Content::index(&format!("other {number}"));
        Push::new(&format!("team/other{number}"), "v1", &content)
    });
    let pushes = [Push::new(REPOSITORY, "v1", &image)];
    let [_, lost, _] = layers;
    (pushes.into_iter().chain(others).collect(), lost)
}

/// Runs of `probe --once` that know each other by one thing alone.
struct Runs {
    arguments: Vec<String>,
    expected: Finding,
    /// Runs since the defect was made.
    count: u64,
    has_found: bool,
    /// Parts of the period in which a run began and ended.
    covered: BTreeSet<u64>,
}

impl Runs {
    fn new(registry: &Registry, name: &str, more: &[&str], lost: &Layer) -> Self {
        let mut arguments = sparing(registry, name);
        arguments.extend(more.iter().map(|&more| more.to_owned()));
        let digest = Some(lost.blob.digest.as_str());
        Self {
            arguments,
            expected: Finding::new(REPOSITORY, "layer/short_read", digest, &["v1"]),
            count: 0,
            has_found: false,
            covered: BTreeSet::new(),
        }
    }

    /// Sweeps once. What was found once is found in every later run.
    fn sweep(&mut self) {
        let began = second();
        let outcome = Probe::once().args(&self.arguments).run();
        let report = outcome.report();
        assert!(report.is_complete(), "{outcome}");
        self.count += 1;
        if second() == began {
            self.covered.insert(began % u64::from(PERIOD));
        }
        match report.findings() {
            found if found.is_empty() => assert!(!self.has_found, "it is lost again: {outcome}"),
            found => assert_eq!(found, std::slice::from_ref(&self.expected), "{outcome}"),
        }
        self.has_found |= report.verdict() == "broken";
    }

    fn expects_nothing(&mut self) {
        let outcome = Probe::once().args(&self.arguments).run();
        assert_eq!(outcome.report().verdict(), "intact", "{outcome}");
        (self.count, self.has_found) = (0, false);
        self.covered.clear();
    }
}

fn second() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("it is after 1970").as_secs()
}

/// Waits for the next second to begin.
fn await_second() {
    let now = second();
    while second() == now {
        thread::sleep(Duration::from_millis(5));
    }
}

/// A textfile that is taken away after each run, and what it said as a target for Prometheus: no run finds what one
/// before it has written there.
struct TakenAway {
    folder: TempDir,
    said: Arc<Mutex<String>>,
    server: Background<Double>,
}

impl TakenAway {
    fn new() -> Self {
        let (said, server) = (
            Arc::<Mutex<String>>::default(),
            in_background(Double::start()),
        );
        let says = Arc::clone(&said);
        server.when(on::any()).answer(move |_: &_, _: &_| {
            Reply::text(200, &says.lock().expect("nobody panics with it"))
        });
        let folder = tempfile::tempdir().expect("a temporary directory");
        Self {
            folder,
            said,
            server,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn take(&self) {
        let path = self.path("probe.prom");
        let text = fs::read_to_string(&path).expect("it was written");
        *self.said.lock().expect("nobody panics with it") = text;
        fs::remove_file(path).expect("it can be removed");
    }
}

/// The names by which the alert fires.
fn firing(prometheus: &Prometheus) -> BTreeSet<String> {
    let alert = "ALERTS{alertname='RegistryManifestIntegrityFailure', alertstate='firing'}";
    let series = prometheus.query(alert).into_iter();
    let names = series.map(|(labels, _)| labels["registry"].as_str().map(str::to_owned));
    names.map(|name| name.expect("it has one")).collect()
}

/// A service, runs with a state and runs with nothing but a gateway, side by side.
struct Watchers {
    service: Service,
    with_state: Runs,
    with_gateway: Runs,
    textfile: TakenAway,
    _gateway: Pushgateway,
    prometheus: Prometheus,
}

impl Watchers {
    fn start(registry: &Registry, lost: &Layer) -> Self {
        let textfile = TakenAway::new();
        let gateway = Pushgateway::start();
        let (state, file) = (textfile.path("state"), textfile.path("probe.prom"));
        let service = Service::start(sparing(registry, "service"));
        let rules = faster(&text("alerts/registry-integrity.rules.yaml"), TIMES);
        let served = textfile.server.url().replace("http://", "");
        let targets = [service.address(), gateway.address(), &served];
        let more = ["--state", &state, "--textfile", &file];
        Self {
            prometheus: Prometheus::of_all(&targets, &[rules]),
            with_state: Runs::new(registry, "state", &more, lost),
            with_gateway: Runs::new(
                registry,
                "gateway",
                &["--push-gateway", gateway.address()],
                lost,
            ),
            service,
            textfile,
            _gateway: gateway,
        }
    }

    /// Runs once what runs once, at the beginning of a second.
    fn tick(&mut self) {
        await_second();
        let Self {
            with_state,
            with_gateway,
            ..
        } = self;
        thread::scope(|threads| {
            threads.spawn(|| with_state.sweep());
            threads.spawn(|| with_gateway.sweep());
        });
        self.textfile.take();
    }

    /// The sweeps of the service so far, and whether the last one knew of the defect.
    fn served(&self) -> (f64, bool) {
        let metrics = self.service.metrics();
        let sweeps = metrics.sum("registry_probe_sweeps_total", &[]);
        let failures = metrics.integrity("failures", &[("repository", REPOSITORY)]);
        (sweeps.expect("it sweeps"), failures == Some(1.0))
    }

    fn all_fire(&self) -> bool {
        firing(&self.prometheus).len() == 3
    }
}

#[test]
fn what_is_seldom_read_is_found_and_stays_until_it_is_mended() {
    let registry = Registry::start();
    let (pushes, lost) = images();
    bulk::push_all(&registry, &pushes);
    let mut watchers = Watchers::start(&registry, &lost);
    let blind = Probe::once().depth("head").arg(registry.host());
    watchers.with_state.expects_nothing();
    watchers.with_gateway.expects_nothing();
    registry.store().remove_data(&lost.blob.digest);
    assert_eq!(blind.run().code, 0, "HEAD shows nothing");

    let (before, _) = watchers.served();
    let mut service_has_found = false;
    eventually("all three find it", || {
        watchers.tick();
        let (sweeps, has_found) = watchers.served();
        // One may have been under way, and one more begin before its time.
        let is_late = sweeps > before + 2.0 + f64::from(PERIOD);
        assert!(has_found || !(is_late || service_has_found), "{sweeps}");
        service_has_found = has_found;
        let Runs {
            count, has_found, ..
        } = watchers.with_state;
        assert!(
            has_found || count <= u64::from(PERIOD) + 1,
            "not in {count} runs"
        );
        let Runs {
            has_found: by_turns,
            ref covered,
            ..
        } = watchers.with_gateway;
        assert!(
            by_turns || covered.len() < usize::from(PERIOD),
            "{covered:?}"
        );
        service_has_found && has_found && by_turns
    });
    eventually("the alert fires for all three", || {
        watchers.tick();
        assert!(watchers.served().1, "the service lost it");
        watchers.all_fire()
    });
    for _ in 0..4 {
        watchers.tick();
        assert!(watchers.served().1 && watchers.all_fire());
    }

    bulk::push_all(&registry, &pushes);
    watchers.with_state.expects_nothing();
    watchers.with_gateway.expects_nothing();
    watchers.textfile.take();
    eventually("it is cleared", || {
        watchers.tick();
        !watchers.served().1 && firing(&watchers.prometheus).is_empty()
    });
}
