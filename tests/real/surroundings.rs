//! The machine around the process: its clock is set, its descriptors run out, its names do not resolve.
//! Each is an unverified reason at most, and over when it is over.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use registry_double::{Double, in_background, on};

use crate::support::doubles::broken_and_intact;
use crate::support::nginx::Nginx;
use crate::support::process::{PATIENCE, tool, wait_until};
use crate::support::registry::Registry;
use crate::support::running::Running;
use crate::support::service::{Metrics, Service};

const DAY: i64 = 24 * 3600;

/// Seconds since 1970, by a clock that is right.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs_f64()
}

/// The library that lies to a process about the time.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("a folder").flatten();
    let found = folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file());
    found.expect("libfaketime is not installed: run tests/setup.sh")
}

/// A clock that is set by a file.
struct Clock(PathBuf);

impl Clock {
    fn set(&self, ahead: i64) {
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{ahead:+}\n")).expect("written");
        fs::rename(&new, &self.0).expect("renamed");
    }
}

fn sweeps(metrics: &Metrics, registry: &str) -> f64 {
    let labels = [("registry", registry)];
    let sum = metrics.sum("registry_probe_sweeps_total", &labels);
    sum.unwrap_or_default()
}

#[test]
fn a_clock_that_is_set_neither_spins_nor_stalls_nor_lies() {
    const INTERVAL: f64 = 0.3;
    let double = broken_and_intact();
    let real = Registry::start();
    let nginx = Nginx::tls(&real);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let clock = Clock(folder.path().join("clock"));
    clock.set(0);
    // Killed, it leaves a piece of shared memory behind, which is gone with its file system.
    let script = "mount -t tmpfs none /dev/shm; export LD_PRELOAD=\"$LIBRARY\"; \
                  unset LIBRARY; exec \"$0\" \"$@\"";
    let mut by = tool("unshare");
    by.env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .args(["--mount", "sh", "-e", "-c", script])
        .env("LIBRARY", faketime())
        .env("FAKETIME_TIMESTAMP_FILE", &clock.0)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let state = folder.path().join("state.json");
    let service = Service::launch_by(
        by,
        [
            "--interval".into(),
            "300ms".into(),
            "--scrub-every".into(),
            "1m".into(),
            "--ca-file".into(),
            nginx.authority().into_os_string(),
            "--state".into(),
            state.into_os_string(),
            double.url().into(),
            nginx.url().into(),
        ],
    );
    let name = double.address().to_owned();
    let labels = [("registry", name.as_str())];
    let last = |what: &str| service.metrics().integrity(what, &labels);
    for ahead in [
        0,
        400 * DAY,
        -400 * DAY,
        0,
        -3600,
        20_000 * DAY,
        -20_000 * DAY,
        1,
    ] {
        clock.set(ahead);
        let (start, before) = (Instant::now(), sweeps(&service.metrics(), &name));
        #[expect(clippy::cast_precision_loss, reason = "a number of seconds")]
        let expected = || (now() + ahead as f64).max(0.0);
        wait_until("the next sweeps are told by the new clock", || {
            let told = last("last_run_timestamp").unwrap_or_default();
            (told - expected()).abs() < 1000.0 && sweeps(&service.metrics(), &name) > before + 3.0
        });
        std::thread::sleep(Duration::from_millis(700));
        let made = sweeps(&service.metrics(), &name) - before;
        let most = start.elapsed().as_secs_f64() / INTERVAL + 2.0;
        assert!(made <= most, "{made} sweeps, clock {ahead:+}: a storm");
        assert_eq!(last("failures"), Some(1.0), "clock {ahead:+}");
        for path in ["/", "/report.json", "/healthz"] {
            assert_eq!(service.get(path).status, 200, "{path}, clock {ahead:+}");
        }
    }
    // What was seen whole while the clock was ahead is no fresher than now when nothing is seen.
    clock.set(400 * DAY);
    wait_until("a whole sweep in the future", || {
        last("last_complete_timestamp_seconds").is_some_and(|time| time > now() + 1e6)
    });
    double.when(on::any()).error(503, "UNAVAILABLE");
    clock.set(0);
    wait_until("it ages by the clock that is right", || {
        last("last_complete_timestamp_seconds").is_some_and(|time| time <= now() + 1.0)
    });
    let log = service.log();
    assert!(
        !log.contains("panicked") && !log.contains("crashed"),
        "{log}"
    );
}

/// Seconds of processor time that a process has taken.
fn processor_time(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    let (_, after) = text.rsplit_once(')').expect("it has a name");
    let fields: Vec<_> = after.split_whitespace().collect();
    // utime and stime, fields 14 and 15 of proc(5), in hundredths.
    let ticks = |field: usize| fields[field - 3].parse::<f64>().expect("a number");
    (ticks(14) + ticks(15)) / 100.0
}

#[test]
fn without_descriptors_it_waits_and_calls_nothing_broken() {
    let double = broken_and_intact();
    let mut by = tool("prlimit");
    by.env_clear().args(["--nofile=48:48"]);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let textfile = folder.path().join("probe.prom");
    let service = Service::launch_by(
        by,
        [
            "--interval".into(),
            "200ms".into(),
            "--textfile".into(),
            textfile.clone().into_os_string(),
            double.url().into(),
        ],
    );
    let failures = |metrics: &Metrics| metrics.integrity("failures", &[]);
    wait_until("it has swept", || {
        failures(&service.metrics()) == Some(1.0) && textfile.exists()
    });
    let before = processor_time(service.id());
    let hold = Instant::now();
    let is_told = || service.log().contains("no connection can be accepted");
    let mut idle = Vec::new();
    // Clients that ask for nothing take all that there are, again and again.
    while hold.elapsed() < Duration::from_secs(4) || (!is_told() && hold.elapsed() < PATIENCE) {
        idle.retain(|client: &TcpStream| !is_closed(client));
        while idle.len() < 60 {
            idle.push(TcpStream::connect(service.address()).expect("the kernel accepts"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let spent = processor_time(service.id()) - before;
    let time = hold.elapsed();
    assert!(
        spent < 0.75 * time.as_secs_f64(),
        "{spent} s of processor time in {time:?}: it spins"
    );
    let log = service.log();
    assert!(is_told(), "{log}");
    let lines = log.lines().count() as u64;
    assert!(lines < 50 * time.as_secs(), "it floods its log: {log}");
    let written = Metrics::read(&fs::read_to_string(&textfile).expect("it was written"));
    assert_eq!(
        failures(&written),
        Some(1.0),
        "nothing new is broken, nothing was mended"
    );
    drop(idle);
    let let_go = now();
    wait_until("it answers again, and sees again", || {
        let metrics = service.metrics();
        metrics.integrity("catalog_accessible", &[]) == Some(1.0)
            && failures(&metrics) == Some(1.0)
            && metrics
                .integrity("last_run_timestamp", &[])
                .unwrap_or_default()
                > let_go
    });
    assert!(!service.log().contains("panicked"), "{}", service.log());
}

#[test]
fn with_hardly_any_descriptors_it_says_so() {
    let double = in_background(async {
        let double = Double::start().await;
        double.image("intact", Some("v1"), &[b"a layer"]);
        double
    });
    let mut verified = 0;
    for most in 4..20 {
        let mut command = tool("prlimit");
        command.env_clear().arg(format!("--nofile={most}:{most}"));
        command.arg(env!("CARGO_BIN_EXE_probe"));
        command.args(["--once", "--log-format", "json", &double.url()]);
        let end = Running::start(command.stdout(Stdio::null())).end();
        assert!([0, 2, 3].contains(&end.code()), "{most}: {end:?}");
        // A fault, too, is told in the form of the log.
        for line in end.stderr.lines() {
            let is_log = serde_json::from_str::<serde_json::Value>(line).is_ok();
            assert!(is_log || line.starts_with("error: "), "{most}: {end:?}");
        }
        verified += usize::from(end.code() == 0);
    }
    assert!((4..16).contains(&verified), "{verified} of 16");
}

fn is_closed(client: &TcpStream) -> bool {
    client.set_nonblocking(true).expect("a socket can be asked");
    let mut byte = [0];
    let read = client.peek(&mut byte);
    !matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A command that gives a program its own idea of `/etc/hosts` and of name servers.
fn with_names(hosts: &Path, resolver: &Path) -> std::process::Command {
    let script = "mount --bind \"$HOSTS\" /etc/hosts; mount --bind \"$RESOLVER\" /etc/resolv.conf; \
                  unset HOSTS RESOLVER; exec \"$0\" \"$@\"";
    let mut by = tool("unshare");
    by.env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOSTS", hosts)
        .env("RESOLVER", resolver)
        .args(["--mount", "bash", "-e", "-c", script]);
    by
}

#[test]
fn a_name_that_is_gone_is_unverified_until_it_is_back() {
    let double = broken_and_intact();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [hosts, resolver] = ["hosts", "resolver"].map(|name| folder.path().join(name));
    // Nobody listens there: the answer is no, and at once.
    fs::write(
        &resolver,
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    )
    .expect("written");
    fs::write(&hosts, "127.0.0.1 registry.test\n").expect("written");
    let port = double.address().rsplit_once(':').expect("it has a port").1;
    let url = format!("http://registry.test:{port}");
    let service = Service::launch_by(with_names(&hosts, &resolver), ["--interval", "200ms", &url]);
    let told = |name: &str| service.metrics().integrity(name, &[]);
    wait_until("it sees", || told("failures") == Some(1.0));
    let complete = || told("last_complete_timestamp_seconds").unwrap_or_default();
    // In place: the file that is mounted is this one.
    fs::write(&hosts, "127.0.0.1 other.test\n").expect("written");
    wait_until("it is told why nothing is seen", || {
        service
            .metrics()
            .integrity("unverified", &[("reason", "dns")])
            == Some(1.0)
    });
    let blind = complete();
    assert_eq!(told("failures"), Some(1.0), "what is known stays");
    assert_eq!(told("catalog_accessible"), Some(0.0));
    fs::write(&hosts, "127.0.0.1 registry.test\n").expect("written");
    wait_until("it sees again", || {
        complete() > blind && told("catalog_accessible") == Some(1.0)
    });
    assert_eq!(told("failures"), Some(1.0));
}

#[test]
fn a_name_server_that_never_answers_keeps_nobody_from_ending() {
    let silent = UdpSocket::bind("127.0.0.177:53").expect("root may listen there");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [hosts, resolver] = ["hosts", "resolver"].map(|name| folder.path().join(name));
    fs::write(
        &resolver,
        "nameserver 127.0.0.177\noptions timeout:30 attempts:5\n",
    )
    .expect("written");
    fs::write(&hosts, "").expect("written");
    let mut by = with_names(&hosts, &resolver);
    by.arg(env!("CARGO_BIN_EXE_probe")).stdout(Stdio::null());
    let mut running =
        Running::start(by.args(["--once", "--timeout", "1h", "http://registry.test"]));
    let mut question = [0; 512];
    silent.set_read_timeout(Some(PATIENCE)).expect("a limit");
    silent.recv(&mut question).expect("it asks");
    assert!(running.signal("TERM"));
    let end = running.end();
    assert_eq!(end.code(), 143, "{end:?}");
    // The name is waited for for 150 s.
    assert!(end.took < Duration::from_secs(60), "{end:?}");
}
