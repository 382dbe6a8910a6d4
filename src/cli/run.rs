//! The composition root: builds the parts from the settings, runs them, and prints what came of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output::Output;
use super::progress::Screen;
use super::settings::{Service, Settings, UsageError};
use super::signals::{self, Signals};
use crate::registry::client::HttpRegistry;
use crate::report::{Record, Report, Sweep};
use crate::service::{Limits, Listener, Plan, Protection, Publish, Target};
use crate::{service, sweep};

/// How long results may take to be handed on once the process was told to end.
const LAST_PUSH: Duration = Duration::from_secs(3);

/// Sweeps once and reports, or goes on sweeping, as the settings say. `reload` resolves them anew.
pub(super) async fn run(
    settings: Settings,
    color: bool,
    screen: &Screen,
    reload: impl Fn() -> Result<Settings, UsageError> + Send + Sync + 'static,
) -> Exit {
    let cancel = CancellationToken::new();
    let signals = match Signals::listen(&cancel) {
        Ok(signals) => signals,
        Err(error) => return super::usage_error(&format!("signals cannot be awaited: {error}")),
    };
    match &settings.service {
        None => once(settings, color, screen, &signals, &cancel).await,
        Some(service) => {
            let hangups = match signals::hangups() {
                Ok(hangups) => hangups,
                Err(error) => {
                    return super::usage_error(&format!("signals cannot be awaited: {error}"));
                }
            };
            match listener(service) {
                Ok(listener) => serve(settings, listener, &signals, hangups, cancel, reload).await,
                Err(error) => super::usage_error(&error),
            }
        }
    }
}

/// Sweeps every target side by side, prints one report of all, and hands the results on.
async fn once(
    settings: Settings,
    color: bool,
    screen: &Screen,
    signals: &Signals,
    cancel: &CancellationToken,
) -> Exit {
    let mut registries = Vec::new();
    let progress = Arc::<sweep::Progress>::default();
    for target in settings.targets {
        let Target {
            http,
            mut policy,
            scrub,
        } = target;
        policy.progress = Arc::clone(&progress);
        let name = policy.registry.clone();
        policy.turn = fastrand::u64(..);
        policy.scrub = scrub.map(|scrub| scrub.turn(SystemTime::now(), None));
        match HttpRegistry::new(http) {
            Ok(registry) => registries.push((registry, policy)),
            Err(error) => return super::usage_error(&format!("{name}: {error}")),
        }
    }
    let expectations = settings.expectations.as_ref();
    let known = &settings.known;
    let sweeps = registries.iter().map(|(registry, policy)| async move {
        let known = known.iter().find(|known| known.registry == policy.registry);
        let known = known
            .cloned()
            .unwrap_or_else(|| Record::new(policy.registry.clone()));
        match expectations {
            Some(expectations) => sweep::verify(registry, policy, expectations, cancel).await,
            None => sweep::sweep(registry, policy, &known, cancel).await,
        }
    });
    let sweeps = futures::future::join_all(sweeps);
    let sweeps = screen.during(&progress, sweeps).await;
    let records: Vec<_> = sweeps
        .into_iter()
        .map(|sweep| record(sweep, known))
        .collect();
    // As they were taken in: each finding says since when, and what is remembered is there.
    let reports: Vec<_> = records
        .iter()
        .filter_map(|record| record.last.clone())
        .collect();
    let reports = Arc::new(reports);
    let handed_on = hand_on(settings.output, settings.publish, &reports, records, color);
    let is_handed_on = tokio::select! {
        is_handed_on = handed_on => is_handed_on,
        () = signals.ended_for(LAST_PUSH) => false,
    };
    signals
        .exit()
        .unwrap_or_else(|| Exit::of(&reports, is_handed_on, &settings.fail_on))
}

/// Prints, writes and pushes what came of a run, and says whether all of that worked. Whoever reads the
/// report may be slow, and the rest does not wait for that.
async fn hand_on(
    output: Output,
    publish: Publish,
    reports: &Arc<Vec<Report>>,
    records: Vec<Record>,
    color: bool,
) -> bool {
    // Shared, for a registry of many names takes many megabytes.
    let records = Arc::new(records);
    let (reports, known, all) = (
        Arc::clone(reports),
        Arc::clone(&records),
        Arc::clone(&records),
    );
    let writing = tokio::task::spawn_blocking(move || output.write(&reports, &known, color));
    let publishing = publish.publish(&records, move || all.to_vec());
    let (is_written, errors) = tokio::join!(writing, publishing);
    is_written.unwrap_or(false) && errors.is_empty()
}

/// What is known of a registry after this sweep.
fn record(sweep: Sweep, known: &[Record]) -> Record {
    let known = known
        .iter()
        .find(|record| record.registry == sweep.registry);
    let new = || Record::new(sweep.registry.clone());
    let mut record = known.cloned().unwrap_or_else(new);
    record.absorb(sweep);
    record
}

async fn serve(
    settings: Settings,
    listener: Listener,
    signals: &Signals,
    mut hangups: Signal,
    cancel: CancellationToken,
    reload: impl Fn() -> Result<Settings, UsageError>,
) -> Exit {
    tracing::info!("serving {}", listener.url());
    let Some(first) = plan(settings) else {
        return super::usage_error("--once cannot be served");
    };
    let (newest, plans) = tokio::sync::watch::channel(first);
    let serving = service::serve(listener, plans, cancel);
    let mut serving = std::pin::pin!(serving);
    let served = loop {
        tokio::select! {
            served = &mut serving => break served,
            Some(()) = hangups.recv() => match reload().map(plan) {
                Ok(Some(plan)) => {
                    tracing::info!("the configuration was read again; sweeping anew");
                    newest.send_replace(plan);
                }
                Ok(None) => tracing::error!("the configuration now asks for a single sweep; going on as before"),
                Err(error) => tracing::error!("the configuration is not usable, going on as before: {error}"),
            },
        }
    };
    match served {
        Ok(()) => signals.exit().unwrap_or(Exit::Intact),
        Err(error) => super::usage_error(&format!("the endpoints cannot be served: {error}")),
    }
}

/// Reads who may read the endpoints, and listens.
fn listener(service: &Service) -> Result<Listener, String> {
    let protection = service.web_config.as_deref().map(Protection::load);
    let protection = protection.transpose()?;
    let listening = Listener::bind(service.listen, protection, Limits::default());
    listening.map_err(|error| format!("--listen {}: {error}", service.listen))
}

/// What the service needs of the settings; `None` if they are for a single sweep.
fn plan(settings: Settings) -> Option<Plan> {
    let Service { interval, .. } = settings.service?;
    Some(Plan {
        targets: settings.targets,
        interval,
        publish: settings.publish,
        known: settings.known,
    })
}
