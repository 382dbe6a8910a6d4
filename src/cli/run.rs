//! The composition root: builds the parts from the settings, runs them, and prints what came of it.

use std::io::Write as _;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::args::OutputArg;
use super::exit::Exit;
use super::settings::{Service, Settings, UsageError};
use super::signals::Signals;
use crate::http::HttpRegistry;
use crate::model::{Record, Sweep};
use crate::service::{Limits, Listener, Plan, Protection, Target};
use crate::{crawl, report, service};

/// How long results may take to be handed on once the process was told to end.
const LAST_PUSH: Duration = Duration::from_secs(3);

/// Sweeps once and reports, or goes on sweeping, as the settings say. `reload` resolves them anew.
pub(super) async fn run(
    settings: Settings,
    color: bool,
    reload: impl Fn() -> Result<Settings, UsageError> + Send + Sync + 'static,
) -> Exit {
    let cancel = CancellationToken::new();
    let signals = match Signals::listen(&cancel) {
        Ok(signals) => signals,
        Err(error) => return super::usage_error(&format!("signals cannot be awaited: {error}")),
    };
    match &settings.service {
        None => once(settings, color, &signals, &cancel).await,
        Some(service) => match listener(service).await {
            Ok(listener) => serve(settings, listener, signals, cancel, reload).await,
            Err(error) => super::usage_error(&error),
        },
    }
}

/// Sweeps every target side by side, prints one report of all, and hands the results on.
async fn once(
    settings: Settings,
    color: bool,
    signals: &Signals,
    cancel: &CancellationToken,
) -> Exit {
    let mut registries = Vec::new();
    for Target { http, policy } in settings.targets {
        let name = policy.registry.clone();
        match HttpRegistry::new(http) {
            Ok(registry) => registries.push((registry, policy)),
            Err(error) => return super::usage_error(&format!("{name}: {error}")),
        }
    }
    let sweeps = registries
        .iter()
        .map(|(registry, policy)| crawl::sweep(registry, policy, cancel));
    let sweeps = futures::future::join_all(sweeps).await;
    let records: Vec<_> = sweeps.iter().map(record).collect();
    let text = match settings.output {
        OutputArg::Text => report::text::render(&sweeps, color),
        OutputArg::Json => report::json::render(&sweeps),
        OutputArg::Prom => report::metrics::render(&records.iter().collect::<Vec<_>>()),
    };
    // Whoever closed the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let publishing = settings.publish.publish(&records, &records);
    let is_published = tokio::select! {
        errors = publishing => errors.is_empty(),
        () = signals.ended_for(LAST_PUSH) => false,
    };
    signals
        .exit()
        .unwrap_or_else(|| Exit::of(&sweeps, is_published, &settings.fail_on))
}

fn record(sweep: &Sweep) -> Record {
    let mut record = Record::new(sweep.registry.clone());
    record.absorb(sweep.clone());
    record
}

async fn serve(
    settings: Settings,
    listener: Listener,
    mut signals: Signals,
    cancel: CancellationToken,
    reload: impl Fn() -> Result<Settings, UsageError>,
) -> Exit {
    tracing::info!("serving {}", listener.url());
    let Some(first) = plan(settings) else {
        return super::usage_error("--once cannot be served");
    };
    let (sender, plans) = tokio::sync::mpsc::channel(1);
    let serving = service::serve(listener, first, plans, cancel);
    let mut serving = std::pin::pin!(serving);
    let served = loop {
        tokio::select! {
            served = &mut serving => break served,
            () = signals.hung_up() => match reload().map(plan) {
                Ok(Some(plan)) => {
                    tracing::info!("the configuration was read again; sweeping anew");
                    // A plan that is waiting to be taken up is as new as this one.
                    let _ = sender.try_send(plan);
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
async fn listener(service: &Service) -> Result<Listener, String> {
    let protection = service.web_config.as_deref().map(Protection::load);
    let protection = protection.transpose()?;
    let listening = Listener::bind(service.listen, protection, Limits::default()).await;
    listening.map_err(|error| format!("--listen {}: {error}", service.listen))
}

/// What the service needs of the settings; `None` if they are for a single sweep.
fn plan(settings: Settings) -> Option<Plan> {
    let Service { interval, .. } = settings.service?;
    Some(Plan {
        targets: settings.targets,
        interval,
        publish: settings.publish,
    })
}
