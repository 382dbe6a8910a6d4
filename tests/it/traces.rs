//! No secret is in what this program and its libraries would log at the finest level, which only whoever
//! builds it anew can have; nor in what a panic would show of its parts.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use registry_double::{Basic, Bearer, Double};
use registry_probe::registry::Depth;
use registry_probe::registry::client::{Config, CredentialSource, Endpoint, HttpRegistry, Secret};
use registry_probe::report::{Record, Verdict};
use registry_probe::sweep::{self, Filter, Policy, Scope, Source};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;

use crate::PATIENCE;
use crate::secrets::{PASSWORD, USER, broken, leaks, secrets};

/// Everything that was logged by this thread.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn text(&self) -> String {
        let bytes = self.0.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut heard = self.0.lock().expect("nobody panics with it");
        heard.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a thread's logs go to, if anywhere: there is one logger for the whole process.
struct OfThisThread;

impl<'a> MakeWriter<'a> for OfThisThread {
    type Writer = Heard;

    fn make_writer(&'a self) -> Heard {
        LISTENER.with_borrow(|listener| listener.clone().unwrap_or_default())
    }
}

thread_local! {
    static LISTENER: RefCell<Option<Heard>> = const { RefCell::new(None) };
}

impl log::Log for OfThisThread {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        use io::Write as _;
        let _ = writeln!(
            self.make_writer(),
            "log {} {}",
            record.target(),
            record.args()
        );
    }

    fn flush(&self) {}
}

/// Sweeps with this login, as it is done by the program, and gives all that is logged meanwhile.
fn sweep(double: &Double) -> String {
    static LOGGERS: Once = Once::new();
    LOGGERS.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(OfThisThread)
            .init();
        log::set_logger(&OfThisThread).expect("nobody else has set one");
        log::set_max_level(log::LevelFilter::Trace);
    });
    let heard = Heard::default();
    LISTENER.set(Some(heard.clone()));
    let _everything = Filter::new(&[], &[]).expect("no pattern is wrong");
    let endpoint = Endpoint::parse(&double.url(), false).expect("an address");
    let some = NonZeroUsize::new(4).expect("some");
    let config = Config {
        credentials: CredentialSource::Given {
            username: USER.to_owned(),
            password: Secret::new(PASSWORD),
        },
        concurrency: some,
        timeout: PATIENCE,
        ..Config::new(endpoint.clone())
    };
    let policy = Policy {
        depth: Depth::Digest,
        concurrency: some,
        confirm_after: Duration::ZERO,
        ..Policy::new(endpoint.name(), Scope::new(Source::Catalog))
    };
    let shown = format!("{config:?} {policy:?}");
    // All of it in this thread, where somebody listens.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let sweep = runtime.expect("a runtime").block_on(async {
        let registry = HttpRegistry::new(config).expect("a client");
        let known = Record::new(policy.registry.clone());
        sweep::sweep(&registry, &policy, &known, &CancellationToken::new()).await
    });
    LISTENER.set(None);
    assert_eq!(sweep.verdict(), Verdict::Broken, "{sweep:?}");
    let text = heard.text();
    for needed in ["answered", "log reqwest"] {
        assert!(text.contains(needed), "nobody said `{needed}`: {text}");
    }
    format!("{shown} {sweep:?} {text}")
}

fn search(double: &Double) {
    let text = sweep(double);
    let secrets = secrets(double, double.companion());
    let leaks = leaks(&text, &secrets);
    assert!(leaks.is_empty(), "{leaks:?} of {} secrets", secrets.len());
}

#[test]
fn a_password_is_in_no_trace() {
    search(&broken(|double| {
        double.require(Basic::new(USER, PASSWORD));
    }));
}

#[test]
fn tokens_and_signatures_are_in_no_trace() {
    search(&broken(|double| {
        double.require(Bearer::user_only(USER, PASSWORD));
    }));
}
