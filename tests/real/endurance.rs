//! Endurance: sweep follows sweep in one process, faults come and go, and neither memory nor descriptors
//! grow.
//!
//! Short by itself; `PROBE_SOAK_PROCESS_SWEEPS=10000` makes it long.

use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use registry_double::{Background, Bearer, Double, in_background, on};

use crate::support::listening::Listening;
use crate::support::service::{Metrics, Service};

/// How many sweeps there are unless the environment says otherwise.
const FEW: u64 = 300;
/// After these, everything has been seen once that is kept, and every kind of fault has come once: the
/// code for it counts as memory, too.
const FIRST: u64 = 100;
/// A fault comes so often in the first sweeps, and so often later.
const FIRST_FAULTS: u64 = 15;
const LATER_FAULTS: u64 = 250;
/// How much more memory than after the first sweeps may be taken at the end.
const GROWTH: f64 = 1.05;
/// Connections under way when descriptors are counted.
const UNDER_WAY: usize = 8;
/// No sweep takes longer, but for those that meet a fault.
const SLOWEST: Duration = Duration::from_secs(600);

const USER: &str = "probe";
const PASSWORD: &str = "only-for-tests";

/// A registry with tokens that run out, two broken images and some that are not.
fn registry() -> Background<Double> {
    in_background(async {
        let double = Double::start().await;
        for number in 0..6 {
            let name = format!("app-{number}");
            let image = double.image(&name, Some("v1"), &[name.as_bytes(), b"shared"]);
            if number < 2 {
                double.remove_layer_link(&name, &image.layers[0]);
            }
        }
        // Long enough for one request on a busy machine, and shorter than a sweep that meets a fault.
        let tokens = Bearer::user_only(USER, PASSWORD).lifetime(Duration::from_secs(1));
        double.require(tokens);
        double
    })
}

/// A Pushgateway as far as a probe sees it.
fn gateway() -> Listening {
    Listening::start(|mut stream| {
        use std::io::{BufRead as _, BufReader, Read as _};
        let mut reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
        loop {
            let (mut line, mut length) = (String::new(), 0);
            while matches!(reader.read_line(&mut line), Ok(1..)) && line != "\r\n" {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().expect("a length is a number");
                }
                line.clear();
            }
            let is_read = std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink());
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            if line != "\r\n" || is_read.is_err() || stream.write_all(answer).is_err() {
                return;
            }
        }
    })
}

fn wanted() -> u64 {
    let given = std::env::var("PROBE_SOAK_PROCESS_SWEEPS").ok();
    let given = given.map(|text| text.parse().expect("a number of sweeps"));
    given.unwrap_or(FEW).max(FIRST + 1)
}

/// Says a line that the test harness does not keep to itself.
fn say(line: &str) {
    // Whoever closed standard error does not want it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What a process takes: kilobytes of memory and descriptors.
#[derive(Clone, Copy, Debug)]
struct Taken {
    kilobytes: u64,
    descriptors: usize,
}

impl Taken {
    /// The least of several looks: what is taken for a moment only is not counted.
    fn by(id: u32) -> Self {
        let looks: Vec<_> = (0..25)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(20));
                Self::at_once(id)
            })
            .collect();
        let kilobytes = looks.iter().map(|taken| taken.kilobytes).min();
        let descriptors = looks.iter().map(|taken| taken.descriptors).min();
        Self {
            kilobytes: kilobytes.expect("it was looked at"),
            descriptors: descriptors.expect("it was looked at"),
        }
    }

    fn at_once(id: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let folder = fs::read_dir(format!("/proc/{id}/fd")).expect("it runs");
        Self {
            kilobytes: number.expect("it is there").parse().expect("a number"),
            descriptors: folder.count(),
        }
    }
}

/// Lets one fault begin; the next one ends it.
fn strike(double: &Double, number: u64) -> &'static str {
    double.forget_rules();
    match number % 5 {
        0 => {
            double.when(on::blob().first(6)).error(503, "UNAVAILABLE");
            "refusals"
        }
        1 => {
            double.when(on::any().first(12)).hang_up();
            "connections cut"
        }
        2 => {
            double.when(on::token().first(4)).error(500, "UNKNOWN");
            "no tokens"
        }
        3 => {
            double
                .when(on::manifest().first(3))
                .error(429, "TOOMANYREQUESTS");
            "limits"
        }
        _ => {
            double.when(on::catalog().first(3)).cut_after(5);
            "lists cut"
        }
    }
}

fn sweeps(service: &Service) -> u64 {
    let total = service.metrics().sum("registry_probe_sweeps_total", &[]);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    let total = total.unwrap_or_default() as u64;
    total
}

/// Waits until so many sweeps were made, and breaks the registry once in every so many.
fn sweep_on(service: &Service, double: &Double, until: u64, every: u64) {
    let (mut made, mut last) = (sweeps(service), std::time::Instant::now());
    let mut struck = made / every;
    while made < until {
        if made / every > struck {
            struck += 1;
            let fault = strike(double, struck);
            let taken = Taken::at_once(service.id());
            say(&format!(
                "endurance: {made} sweeps, {taken:?}; now: {fault}"
            ));
        }
        double.forget_requests();
        std::thread::sleep(Duration::from_millis(20));
        let now = sweeps(service);
        if now > made {
            (made, last) = (now, std::time::Instant::now());
        }
        assert!(
            last.elapsed() < SLOWEST,
            "no sweep ends after {made}:\n{}",
            service.log()
        );
    }
}

#[test]
fn sweeps_in_a_row_take_no_more_memory_or_descriptors() {
    let double = registry();
    let gateway = gateway();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(folder.path().join("password"), PASSWORD).expect("written");
    let service = Service::launch([
        "--interval".to_owned(),
        "1ms".into(),
        "--state".into(),
        path("state.json"),
        "--textfile".into(),
        path("probe.prom"),
        "--push-gateway".into(),
        gateway.host(),
        "--username".into(),
        USER.into(),
        "--password-file".into(),
        path("password"),
        double.url(),
    ]);
    let wanted = wanted();
    let is_over = AtomicBool::new(false);
    let (first, last) = std::thread::scope(|scope| {
        let readers = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                for path in ["/", "/report.json", "/healthz", "/nowhere"] {
                    let status = service.get(path).status;
                    assert!([200, 404].contains(&status), "{path}: {status}");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        sweep_on(&service, &double, FIRST, FIRST_FAULTS);
        let first = Taken::by(service.id());
        sweep_on(&service, &double, wanted, LATER_FAULTS);
        double.forget_rules();
        let made = sweeps(&service);
        sweep_on(&service, &double, made + 20, u64::MAX);
        let last = Taken::by(service.id());
        is_over.store(true, Ordering::Release);
        readers.join().expect("everything is answered");
        (first, last)
    });
    say(&format!(
        "endurance: after {FIRST} sweeps {first:?}, after {} {last:?}",
        sweeps(&service)
    ));
    let text = fs::read_to_string(folder.path().join("probe.prom")).expect("it was written");
    assert_eq!(Metrics::read(&text).integrity("failures", &[]), Some(2.0));
    #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
    let growth = last.kilobytes as f64 / first.kilobytes as f64;
    assert!(growth < GROWTH, "memory has grown: {first:?}, {last:?}");
    assert!(
        last.descriptors <= first.descriptors + UNDER_WAY,
        "descriptors have grown: {first:?}, {last:?}"
    );
}
