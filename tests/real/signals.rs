//! Signals at any moment: the process ends soon and with the right code, files are whole, and what is
//! known stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use registry_double::{Background, Double, in_background, on};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::listening::Listening;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::running::{End, Running};
use crate::support::service::{Metrics, Service};

/// Moments that signals are sent at, of either kind of process. `PROBE_SIGNAL_MOMENTS` is for more.
const MOMENTS: u64 = 40;
/// Whatever it is doing, a process that is told to end has ended after this time, on a slow machine.
const SOON: Duration = Duration::from_secs(60);
const REPOSITORIES: usize = 12;
/// The number of a signal (signal(7)).
const SIGTERM: u32 = 15;
/// What stands in a file before a run.
const OLD: &str = "old\n";

/// A registry with one broken image, which takes some time to answer.
fn registry() -> Background<Double> {
    in_background(async {
        let double = Double::start().await;
        for number in 0..REPOSITORIES {
            let layer = format!("layer {number}");
            let name = format!("app-{number:02}");
            let image = double.image(&name, Some("v1"), &[layer.as_bytes()]);
            if number == 0 {
                double.remove_layer_link(&name, &image.layers[0]);
            }
        }
        double.when(on::any()).delay(Duration::from_millis(2));
        double
    })
}

/// Bodies that were pushed, and whether each arrived whole.
type Bodies = Arc<Mutex<Vec<(String, bool)>>>;

/// A Pushgateway that notes every body that arrives.
fn gateway() -> (Listening, Bodies) {
    let bodies = Bodies::default();
    let noted = Arc::clone(&bodies);
    let listening = Listening::start(move |mut stream| {
        use std::io::{BufRead as _, BufReader, Read as _, Write as _};
        let mut reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
        loop {
            let (mut head, mut length) = (String::new(), 0_u64);
            while matches!(reader.read_line(&mut head), Ok(1..)) && !head.ends_with("\r\n\r\n") {
                let line = head.trim_end().rsplit("\r\n").next().unwrap_or_default();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.parse().expect("a length is a number");
                }
            }
            if !head.ends_with("\r\n\r\n") {
                return;
            }
            let mut body = String::new();
            let read = reader.by_ref().take(length).read_to_string(&mut body);
            let is_whole = read.is_ok_and(|read| read as u64 == length);
            if length > 0 {
                noted
                    .lock()
                    .expect("nobody panics with it")
                    .push((body, is_whole));
            }
            std::thread::sleep(Duration::from_millis(3));
            if stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .is_err()
            {
                return;
            }
        }
    });
    (listening, bodies)
}

fn moments() -> u64 {
    let given = std::env::var("PROBE_SIGNAL_MOMENTS").ok();
    given.map_or(MOMENTS, |text| text.parse().expect("a number"))
}

/// The files that a run writes, in a folder of their own.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn options(&self, command: &mut Command) {
        command.arg("--textfile").arg(self.at("probe.prom"));
        command.arg("--state").arg(self.at("state.json"));
    }

    /// Nothing but whole files is there.
    fn assert_whole(&self, what: &str) {
        for entry in fs::read_dir(self.0.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".manifests") {
                let list = fs::read(&path).expect("it can be read");
                let is_one = list.starts_with(b"registry-probe manifests ");
                assert!(is_one, "{what}: {name} is cut");
                continue;
            }
            let text = fs::read_to_string(&path).expect("it can be read");
            match &*name {
                "probe.prom" => assert_whole_metrics(&text, what),
                "state.json" | "report.json" if text != OLD => {
                    let whole: Result<Value, _> = serde_json::from_str(&text);
                    assert!(whole.is_ok(), "{what}: {name} is cut: {text}");
                }
                "report.json" => {}
                _ => panic!("{what}: {name} is left behind: {text}"),
            }
        }
    }
}

fn assert_whole_metrics(text: &str, what: &str) {
    assert!(text.ends_with('\n'), "{what}: cut: {text}");
    if text != OLD {
        let listed = Metrics::read(text);
        assert!(
            listed.integrity("catalog_accessible", &[]).is_some(),
            "{what}: {text}"
        );
    }
}

/// Every process says how it ended, and none that it crashed.
fn assert_ended(end: &End, signal: &str, what: &str) {
    let signalled = match signal {
        "INT" => 130,
        "TERM" => 143,
        _ => 129,
    };
    // It may have been done before.
    assert!([signalled, 1].contains(&end.code()), "{what}: {end:?}");
    assert!(end.took < SOON, "{what}: {end:?}");
    assert!(!end.stderr.contains("panicked"), "{what}: {end:?}");
}

#[test]
fn a_single_run_ends_well_whenever_it_is_told_to() {
    let double = registry();
    let (gateway, bodies) = gateway();
    let run = |files: &Files| {
        let mut command = Running::probe();
        files.options(&mut command);
        command.args(["--once", "--confirm-after", "20ms", "--concurrency", "4"]);
        command.args(["--push-gateway", &gateway.host()]);
        let report = files.at("report.json");
        command.arg("--report-file");
        command.arg(format!("json={}", report.display()));
        command.arg(double.url()).stdout(Stdio::null());
        Running::start(&mut command)
    };
    let files = Files::new();
    let start = Instant::now();
    let whole = run(&files).end();
    let length = start.elapsed();
    assert_eq!(whole.code(), 1, "{whole:?}");
    for moment in 0..moments() {
        let mut random = fastrand::Rng::with_seed(moment);
        let files = Files::new();
        fs::write(files.at("report.json"), OLD).expect("written");
        fs::write(files.at("probe.prom"), OLD).expect("written");
        let signal = ["INT", "TERM", "TERM", "HUP"][random.usize(..4)];
        let after = length.mul_f64(random.f64() * 1.1);
        let what = format!("moment {moment}: SIG{signal} after {after:?}");
        let mut running = run(&files);
        std::thread::sleep(after);
        running.signal(signal);
        let end = running.end();
        assert_ended(&end, signal, &what);
        // Whoever does not handle a signal may leave a file that nobody reads.
        if !end.was_killed() {
            files.assert_whole(&what);
        }
    }
    let bodies = bodies.lock().expect("nobody panics with it");
    assert!(!bodies.is_empty());
    for (body, is_whole) in bodies.iter() {
        assert!(
            *is_whole && body.ends_with('\n'),
            "it was pushed cut: {body}"
        );
    }
}

#[test]
fn a_service_ends_well_whenever_it_is_told_to() {
    let double = registry();
    let mut handled = 0;
    for moment in 0..moments() {
        let mut random = fastrand::Rng::with_seed(moment);
        let files = Files::new();
        let mut command = Running::probe();
        files.options(&mut command);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--interval",
            "30ms",
            "--confirm-after",
            "0s",
        ]);
        command.arg(double.url()).stdout(Stdio::null());
        let mut running = Running::start(&mut command);
        let after = Duration::from_millis(random.u64(..600));
        // Every other time not before it handles signals, however long its start takes.
        if moment % 2 == 0 {
            running.handles(SIGTERM);
        }
        std::thread::sleep(after);
        let signal = ["INT", "TERM"][random.usize(..2)];
        let what = format!("moment {moment}: SIG{signal} after {after:?}");
        running.signal(signal);
        let end = running.end();
        assert_ended(&end, signal, &what);
        assert_ne!(
            end.code(),
            1,
            "{what}: a service ends when it is told to: {end:?}"
        );
        handled += u64::from(!end.was_killed());
        files.assert_whole(&what);
        if let Ok(text) = fs::read_to_string(files.at("probe.prom")) {
            let metrics = Metrics::read(&text);
            let checked = metrics.integrity("repos_listed", &[]);
            assert_eq!(
                checked,
                Some(12.0),
                "{what}: a part of a sweep is no result: {text}"
            );
        }
    }
    assert!(
        handled >= moments() / 2,
        "only {handled} were handled at all"
    );
}

#[test]
fn a_storm_of_hangups_loses_nothing() {
    let (first, second) = (registry(), registry());
    let folder = tempfile::tempdir().expect("a temporary directory");
    let config = folder.path().join("probe.yaml");
    let state = folder.path().join("state.json");
    let write = |doubles: &[&Background<Double>]| {
        let entries = doubles
            .iter()
            .map(|double| format!("  - registry: {}\n", double.url()));
        let text = format!("registries:\n{}", entries.collect::<String>());
        replace(&config, &text);
    };
    write(&[&first]);
    let options = ["--config".into(), config.clone().into_os_string()];
    let state_option = ["--state".into(), state.clone().into_os_string()];
    let service = Service::start(options.into_iter().chain(state_option));
    let mut random = fastrand::Rng::with_seed(7);
    let name = first.address().to_owned();
    let known = [("registry", name.as_str())];
    for storm in 0..150 {
        // The last one counts, and nothing else does.
        match storm {
            50 => write(&[&second, &first]),
            100 => write(&[&first]),
            149 => write(&[&first, &second]),
            _ => {}
        }
        service.signal("HUP");
        std::thread::sleep(Duration::from_millis(random.u64(..12)));
        if storm % 10 == 0 {
            let failures = service.metrics().integrity("failures", &known);
            assert_eq!(failures, Some(1.0), "what is known stays");
        }
    }
    for double in [&first, &second] {
        let label = [("registry", double.address())];
        wait_until("both are swept after the storm", || {
            service.metrics().integrity("failures", &label) == Some(1.0)
        });
    }
    wait_until("both are in the state", || {
        let text = fs::read_to_string(&state).expect("it is there");
        let _: Value = serde_json::from_str(&text).expect("it is whole");
        [&first, &second]
            .iter()
            .all(|double| text.contains(double.address()))
    });
    let log = service.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    service.signal("TERM");
    let (status, log) = service.ended();
    assert_eq!(status.code(), Some(143), "{log}");
}

/// Replaces a file as a whole, as editors and orchestrators do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(&new, path).expect("renamed");
}

/// A run that has swept, and that a gateway which never answers keeps from ending.
fn kept_from_ending(double: &Double, gateway: &Listening) -> Running {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let textfile = folder.path().join("probe.prom");
    let mut command = Running::probe();
    command
        .args(["--once", "--confirm-after", "0s"])
        .args(["--push-gateway", &gateway.host(), "--textfile"])
        .arg(&textfile)
        .arg(double.url())
        .stdout(Stdio::null());
    let running = Running::start(&mut command);
    wait_until("it has swept", || textfile.exists());
    running
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    // An echo may come for so long, and after so long it ends by itself.
    let (echo, by_itself) = (Duration::from_secs(1), Duration::from_secs(3));
    let double = registry();
    let silent = Listening::start(|stream| {
        std::thread::sleep(PATIENCE);
        drop(stream);
    });
    // Where this process was too late, nothing was shown, and it is done again.
    for _ in 0..20 {
        let mut running = kept_from_ending(&double, &silent);
        let first = Instant::now();
        running.signal("INT");
        // What follows at once is an echo of the same: terminals and `timeout` send two.
        running.signal("INT");
        let was_echo = first.elapsed() < echo;
        std::thread::sleep(echo + Duration::from_millis(300));
        let was_there = running.signal("INT");
        let was_in_time = was_echo && first.elapsed() < by_itself;
        assert!(
            was_there || !was_in_time,
            "what is under way has some seconds to end"
        );
        let end = running.end();
        assert_eq!(end.code(), 130, "{end:?}");
        if was_in_time && first.elapsed() < by_itself {
            return;
        }
    }
    panic!("a later interrupt never ends it before it ends by itself");
}

#[test]
fn a_reader_that_does_not_read_keeps_nobody_from_ending() {
    let double = registry();
    for number in 0..300 {
        let name = format!("more-{number}");
        let image = double.image(&name, Some("v1"), &[name.as_bytes()]);
        double.remove_layer_link(&name, &image.layers[0]);
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let textfile = folder.path().join("probe.prom");
    let mut command = Running::probe();
    command.args([
        "--once",
        "--confirm-after",
        "0s",
        "--output",
        "json",
        "--textfile",
    ]);
    command
        .arg(&textfile)
        .arg(double.url())
        .stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    wait_until("it has swept, and prints", || textfile.exists());
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        running.signal("TERM"),
        "more than a pipe holds is left to print"
    );
    let end = running.end();
    assert_eq!(end.code(), 143, "{end:?}");
    assert!(end.took < SOON, "{end:?}");
}

#[test]
fn the_first_process_of_a_container_ends_whatever_it_waits_for() {
    // Nobody answers there, and nobody writes to standard input.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let image = format!("{url}/app:v1");
    let login = ["--username", "u", "--password-stdin"];
    for (command, options) in [
        (vec!["doctor", &url], &[][..]),
        (vec!["explain", &image], &[]),
        (vec!["verify", "--wait", "1h", &image], &[]),
        (vec!["sweep", &url], &[]),
        (vec!["explain", &image], &login),
        (vec!["doctor", &url], &login),
    ] {
        for (name, code) in [("INT", 130), ("TERM", 143)] {
            let mut before = Command::new("unshare");
            let mut child = before
                .args(["--pid", "--fork", "--kill-child"])
                .arg(env!("CARGO_BIN_EXE_probe"))
                .args(&command)
                .args(options)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("unshare can be started");
            let children = format!("/proc/{0}/task/{0}/children", child.id());
            let first = || fs::read_to_string(&children).unwrap_or_default();
            // Until it listens a signal is lost, as for any first process: so it is sent again. Once it does,
            // one is enough, as the next test shows.
            let ended = (0..600).find_map(|_| {
                let ended = child.try_wait().expect("it is ours");
                if ended.is_none() {
                    let _ = Command::new("kill")
                        .args(["-s", name, first().trim()])
                        .stderr(Stdio::null())
                        .status();
                    std::thread::sleep(Duration::from_millis(100));
                }
                ended
            });
            let _ = child.kill();
            let ended = ended.and_then(|status| status.code());
            assert_eq!(ended, Some(code), "{command:?} {options:?} {name}");
        }
    }
}

#[test]
fn one_signal_at_any_moment_ends_the_first_process() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    // The bit of SIGTERM in what a process catches.
    let catches = |process: &str| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|caught| u64::from_str_radix(caught.trim(), 16).ok());
        caught.is_some_and(|caught| caught & (1 << 14) != 0)
    };
    // From the moment when it is caught on, at all moments of a start.
    for moment in 0..40 {
        let mut child = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child"])
            .arg(env!("CARGO_BIN_EXE_probe"))
            .args(["sweep", &url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare can be started");
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let mut first = String::new();
        let is_there = (0..600_000).any(|_| {
            let named = fs::read_to_string(&children).unwrap_or_default();
            named.trim().clone_into(&mut first);
            let is_it = !first.is_empty() && catches(&first);
            if !is_it {
                std::thread::sleep(Duration::from_micros(100));
            }
            is_it
        });
        assert!(is_there, "it never listens");
        std::thread::sleep(Duration::from_micros(500 * moment));
        let sent = Command::new("kill").args(["-s", "TERM", &first]).status();
        assert!(sent.expect("kill runs").success());
        let ended = (0..600).find_map(|_| {
            let ended = child.try_wait().expect("it is ours");
            if ended.is_none() {
                std::thread::sleep(Duration::from_millis(50));
            }
            ended
        });
        let _ = child.kill();
        let ended = ended.and_then(|status| status.code());
        assert_eq!(ended, Some(143), "the signal of moment {moment} was lost");
    }
}

#[test]
fn an_image_that_is_no_longer_waited_for_is_told_as_an_image() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let image = format!("{}/app:v1", silent.local_addr().expect("an address"));
    let child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(["verify", "--wait", "1h", &image])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it can be started");
    // It listens before it asks.
    let asked = silent.accept().expect("it asks");
    let told = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(told.expect("kill runs").success());
    let said = child.wait_with_output().expect("it ends");
    drop(asked);
    assert_eq!(said.status.code(), Some(130));
    let text = String::from_utf8_lossy(&said.stdout);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "stopped before the end: 1 object",
        "where app (1)",
        "it was told to stop",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for part in [
        "platforms",
        "list of repositories",
        "next sweep",
        "as a whole",
    ] {
        assert!(!text.contains(part), "{part}: {text}");
    }
}
