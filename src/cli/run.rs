//! The composition root: builds the parts from the settings, runs them, and prints what came of it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::args::ServiceArgs;
use super::error::Error;
use super::exit::Exit;
use super::output;
use super::progress::Screen;
use super::settings::Settings;
use super::signals::{self, Signals};
use crate::registry::client::{Config, HttpRegistry};
use crate::report::Record;
use crate::service::state::read_manifests;
use crate::service::{InUseWatch, Limits, Listener, Plan, Target, WebProtection, look_elsewhere};
use crate::sweep::KnownManifests;
use crate::{service, sweep};

/// How long results may take to be handed on once the process was told to end.
const LAST_PUSH: Duration = Duration::from_secs(3);

/// Sweeps once and reports, or goes on sweeping, as the settings say. `reload` resolves them anew.
pub(super) async fn run(
    settings: Settings,
    color: bool,
    screen: &Screen,
    reload: impl Fn() -> Result<Settings, Error>,
) -> Result<Exit, Error> {
    let cancel = CancellationToken::new();
    let signals = Signals::listen(&cancel)?;
    match plan(&settings) {
        None => once(settings, color, screen, &signals, &cancel).await,
        Some((plan, service)) => serve(plan, &service, &signals, cancel, reload).await,
    }
}

/// A registry that can be asked.
pub(super) fn client(config: Config) -> Result<HttpRegistry, Error> {
    let name = config.endpoint.name().to_owned();
    HttpRegistry::new(config).map_err(|error| Error::Client(name, error))
}

/// Sweeps every target side by side, prints one report of all, and hands the results on.
async fn once(
    mut settings: Settings,
    color: bool,
    screen: &Screen,
    signals: &Signals,
    cancel: &CancellationToken,
) -> Result<Exit, Error> {
    let mut registries = Vec::new();
    let documents = std::mem::take(&mut settings.documents);
    let progress = Arc::<sweep::Progress>::default();
    for mut target in std::mem::take(&mut settings.targets) {
        target.policy.progress = Arc::clone(&progress);
        target.policy.turn = fastrand::u64(..);
        let in_use = prepare(&mut target, &settings, cancel).await;
        let registry = client(target.http)?;
        registries.push((registry, target.policy, target.repair_from, in_use));
    }
    let expectations = settings.expectations.as_ref();
    let known = &settings.known;
    let sweeps = registries
        .iter_mut()
        .map(|(registry, policy, repair_from, in_use)| async move {
            let (registry, policy) = (&*registry, &*policy);
            let known = known_of(&policy.registry, known);
            let mut swept = match expectations {
                Some(expectations) => sweep::verify(registry, policy, expectations, cancel).await,
                None => sweep::sweep(registry, policy, &known, cancel).await,
            };
            InUseWatch::end(in_use.take(), registry, policy, &mut swept, cancel).await;
            look_elsewhere(&mut swept, repair_from, cancel).await;
            (known, swept)
        });
    let sweeps = futures::future::join_all(sweeps);
    let mut sweeps = screen.during(&progress, sweeps).await;
    for ((_, sweep), mut documents) in sweeps.iter_mut().zip(documents) {
        documents.judge(&sweep.images, &sweep.unmet);
        sweep.documents = Some(documents);
    }
    let policies = registries.iter().map(|(_, policy, ..)| policy);
    let manifests: Vec<_> = policies
        .filter_map(sweep::Policy::known_manifests)
        .collect();
    let absorbed = sweeps.into_iter().map(|(mut known, sweep)| {
        known.absorb(sweep);
        Arc::new(known)
    });
    let records: Vec<_> = absorbed.collect();
    // Shared, for a registry of many names takes many megabytes.
    let records: Arc<Vec<_>> = Arc::new(records);
    let fail_on = settings.report.fail_on.fail_on.clone();
    let handed_on = hand_on(settings, &records, manifests, color);
    let is_handed_on = tokio::select! {
        is_handed_on = handed_on => is_handed_on,
        () = signals.ended_for(LAST_PUSH) => false,
    };
    let exit = signals.exit();
    Ok(exit.unwrap_or_else(|| Exit::of(&output::reports(&records), is_handed_on, &fail_on)))
}

/// Gives a single sweep what earlier runs left: the manifests that were read, when bytes were, and what was broken. And
/// learns what is in use.
async fn prepare(
    target: &mut Target,
    settings: &Settings,
    cancel: &CancellationToken,
) -> Option<InUseWatch> {
    let registry = &target.policy.registry;
    let state = settings.publish.state.as_deref();
    let manifests = state.map(|path| read_manifests(path, registry));
    target.policy.manifests.known = manifests.map(Arc::new);
    let known = known_of(registry, &settings.known);
    target.begin(&known);
    target.recall_failures(&settings.publish, &known).await;
    InUseWatch::begin(target, &known, cancel).await
}

/// What is known of a registry before this sweep.
fn known_of(registry: &str, known: &[Record]) -> Record {
    let known = known.iter().find(|record| record.registry == registry);
    known.cloned().unwrap_or_else(|| Record::new(registry))
}

/// Prints, writes and pushes what came of a run, and says whether all of that worked. Whoever reads the
/// report may be slow, and the rest does not wait for that.
async fn hand_on(
    settings: Settings,
    records: &Arc<Vec<Arc<Record>>>,
    manifests: Vec<(String, Arc<KnownManifests>)>,
    color: bool,
) -> bool {
    let (known, all) = (Arc::clone(records), Arc::clone(records));
    let (report, summary) = (settings.report, settings.summary);
    let write = move || output::write(&report, summary.as_deref(), &known, color);
    let writing = tokio::task::spawn_blocking(write);
    let publishing = settings.publish.publish(records, move || all.to_vec());
    let keeping = settings.publish.keep(manifests);
    let (is_written, errors, are_kept) = tokio::join!(writing, publishing, keeping);
    is_written.unwrap_or(false) && errors.is_empty() && are_kept
}

/// Sweeps by the newest settings until a signal ends it.
async fn serve(
    first: Plan,
    service: &ServiceArgs,
    signals: &Signals,
    cancel: CancellationToken,
    reload: impl Fn() -> Result<Settings, Error>,
) -> Result<Exit, Error> {
    let mut hangups = signals::hangups()?;
    let listener = listener(service)?;
    tracing::info!("serving {}", listener.url());
    let (newest, plans) = tokio::sync::watch::channel(first);
    let serving = service::serve(listener, plans, cancel);
    let mut serving = std::pin::pin!(serving);
    let served = loop {
        tokio::select! {
            served = &mut serving => break served,
            Some(()) = hangups.recv() => match reload().map(|settings| plan(&settings)) {
                Ok(Some((plan, _))) => {
                    tracing::info!("the configuration was read again; sweeping anew");
                    newest.send_replace(plan);
                }
                Ok(None) => tracing::error!("the configuration now asks for a single sweep; going on as before"),
                Err(error) => tracing::error!("the configuration is not usable, going on as before: {error}"),
            },
        }
    };
    served.map_err(|error| Error::System("the endpoints cannot be served", error))?;
    Ok(signals.exit().unwrap_or(Exit::Intact))
}

/// Reads who may read the endpoints, and listens.
fn listener(service: &ServiceArgs) -> Result<Listener, Error> {
    let protection = service.web_config.as_deref().map(WebProtection::load);
    let protection = protection.transpose().map_err(Error::Usage)?;
    let address = service.listen;
    if protection.is_none() && !address.ip().is_loopback() {
        tracing::warn!(
            "whoever reaches {address} may read what is served: --web-config protects it"
        );
    }
    let listening = Listener::bind(address, protection, Limits::default());
    listening.map_err(|error| Error::option("listen", format!("{address}: {error}")))
}

/// What the service needs of the settings; `None` if they are for a single sweep.
fn plan(settings: &Settings) -> Option<(Plan, ServiceArgs)> {
    let service = settings.service.clone()?;
    let plan = Plan {
        targets: settings.targets.clone(),
        interval: service.interval,
        external_url: service.external_url.clone(),
        publish: settings.publish.clone(),
        known: settings.known.clone(),
    };
    Some((plan, service))
}
