//! Registries resolved into targets: what a sweep looks at, and what a run needs to know besides.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::sources::{Resolved, Sources};
use super::{connect, in_use, print, scope};
use crate::cli::args::{
    CheckArgs, PublishArgs, ReadDepth, ReportArgs, RepositoryArgs, ServiceArgs, SweepArgs,
};
use crate::cli::error::{Error, Origin, Rank};
use crate::cli::suggest;
use crate::cli::surroundings::Surroundings;
use crate::registry::client::{Config, Endpoint, PublicName, Share};
use crate::report::{Documents, Mode, Record, Shard};
use crate::service::{Gateway, GatewayTls, Publish, Target, state};
use crate::sweep::{Empty, Expectations, Policy, Schedule, Schedules, Scope, Source};

/// Everything that a run needs to know.
pub(in crate::cli) struct Settings {
    pub(in crate::cli) targets: Vec<Target>,
    /// What is expected of the images that are named; `None` where registries are swept.
    pub(in crate::cli) expectations: Option<Expectations>,
    /// What documents name of each target; empty where none were read.
    pub(in crate::cli) documents: Vec<Documents>,
    pub(in crate::cli) report: ReportArgs,
    /// Where GitHub Actions takes a step's summary from.
    pub(in crate::cli) summary: Option<PathBuf>,
    pub(in crate::cli) publish: Publish,
    /// What is known of registries from before.
    pub(in crate::cli) known: Vec<Record>,
    /// What is needed besides to go on sweeping; `None` for a single sweep.
    pub(in crate::cli) service: Option<ServiceArgs>,
}

/// What `probe` does, or the text that `--print-config` prints.
pub(in crate::cli) fn sweep(sources: &Sources) -> Result<Result<Settings, String>, Error> {
    let process = sources.resolve::<SweepArgs>(None)?;
    let args = &process.args;
    let is_once = match sources.command() {
        None => process.matches.get_flag("once"),
        Some(name) => name == "sweep",
    };
    let named = registries(sources, &args.registries, "probe HOST[:PORT]")?;
    let mut targets = Vec::new();
    let mut resolved = Vec::new();
    for (address, _) in &named {
        let name = Endpoint::parse(address, false)?.name().to_owned();
        let own = sources.resolve::<SweepArgs>(Some(&name))?;
        let is_interval_given = own.origins.contains_key("interval");
        let target = target(sources, address, &own.args, is_once, is_interval_given);
        targets.push(target.map_err(|error| own.locate(error))?);
        resolved.push(own);
    }
    check_names(&targets, &resolved)?;
    let locate = |error| process.locate(error);
    let shard = targets.first().and_then(|target| target.policy.scope.shard);
    let publish = publish(&args.service.publish, shard, sources.around).map_err(locate)?;
    let mut known = known(args.service.publish.state.as_deref()).map_err(locate)?;
    rename(&mut known, &targets);
    let mut service = args.service.clone();
    service.external_url = external_url(&service).map_err(locate)?;
    if args.print_config {
        return Ok(Err(print::render(sources, &process, &named, &resolved)));
    }
    if !is_once && !args.report.report_files.is_empty() {
        return Err(locate(Error::option(
            "report-file",
            "for one sweep: `probe sweep`, or add --once",
        )));
    }
    Ok(Ok(Settings {
        targets,
        expectations: None,
        documents: Vec::new(),
        report: args.report.clone(),
        summary: sources
            .around
            .first(&["GITHUB_STEP_SUMMARY"])
            .map(Into::into),
        publish,
        known,
        service: (!is_once).then_some(service),
    }))
}

fn target(
    sources: &Sources,
    address: &str,
    args: &SweepArgs,
    is_once: bool,
    is_interval_given: bool,
) -> Result<Target, Error> {
    let mut http = connect::connection(sources, address, &args.connection)?;
    let scope = scope::resolve(args, sources.around)?;
    if let Some(total) = args.service.concurrency_total {
        let Some(shard) = scope.shard else {
            let why = "is shared by shards: add --shard, or give --concurrency";
            return Err(Error::option("concurrency-total", why));
        };
        let part = NonZeroUsize::new(shard.part_of(total.get()));
        http.concurrency = part.unwrap_or(NonZeroUsize::MIN);
    }
    keep(&mut http, &args.repositories, &scope);
    let repair_from = connect::repair_sources(sources, &http, &args.repair)?;
    let mut target = aim(http, &args.check, scope);
    target.repair_from = repair_from;
    target.in_use = in_use::source(&args.in_use, sources.around)?;
    target.policy.empty = empty(args, is_once);
    target.policy.run_id = args.service.run_id.as_ref().map(Into::into);
    target.policy.interval = (!is_once || is_interval_given).then_some(args.service.interval);
    if let Some(name) = &args.service.instance {
        name.clone_into(&mut target.policy.registry);
    }
    target.schedules = schedules(args, target.policy.interval)?;
    target.policy.manifests.method = args.manifests;
    target.policy.manifests.every = args.read_every;
    // One sweep that keeps nothing does not know since when an image is there.
    target.policy.referrers.has_memory = !is_once || args.service.publish.state.is_some();
    Ok(target)
}

/// How reads of blobs are spread over time. Where nobody said how often sweeps begin, each reads all.
fn schedules(args: &SweepArgs, said: Option<Duration>) -> Result<Schedules, Error> {
    let interval = args.service.interval;
    let load = f64::from(args.load) / 100.0;
    let tail = said.map(|interval| {
        let schedule = Schedule::new(args.read_every, interval);
        (schedule, interval.mul_f64(load))
    });
    let in_full = args
        .scrub_every
        .or(args.read_depth.map(|_| args.read_every));
    let digest = match (in_full, args.scrub_max_bytes) {
        (None, Some(_)) => {
            return Err(Error::option(
                "scrub-max-bytes",
                "limits --scrub-every or --read-depth, which are missing",
            ));
        }
        (every, most) => every.map(|every| (Schedule::new(every, interval), most)),
    };
    Ok(Schedules {
        tail,
        digest,
        unpacks: args.read_depth == Some(ReadDepth::Unpack),
    })
}

/// What is kept of lists: what is in scope, and no more than there is memory for.
pub(super) fn keep(http: &mut Config, args: &RepositoryArgs, scope: &Scope) {
    let wanted = Arc::new(Scope {
        shard: scope.shard,
        repositories: scope.repositories.clone(),
        tags: scope.tags.clone(),
        ..Scope::new(Source::Catalog)
    });
    let of_tags = Arc::clone(&wanted);
    http.repositories = Share {
        wanted: Arc::new(move |name| wanted.wants(name)),
        most: args.max_repositories.get() as usize,
    };
    http.tags = Share {
        wanted: Arc::new(move |tag| of_tags.wants_tag(tag)),
        most: args.max_tags.get() as usize,
    };
}

/// What of a registry is looked at as closely as these options say.
pub(super) fn aim(mut http: Config, check: &CheckArgs, scope: Scope) -> Target {
    let ask = &check.ask;
    http.detect_cache = ask.mode.is_none();
    http.spares_upstream = ask.mode.is_none();
    let public = http.public_name.as_ref().map(PublicName::name);
    let name = public.unwrap_or(http.endpoint.name()).to_owned();
    let policy = Policy {
        depth: check.depth,
        mode: ask.mode.unwrap_or(Mode::Private),
        platform_mismatch: check.platform_mismatch,
        unpack_max_bytes: check.unpack_max_bytes,
        referrers: check.referrers.policy(false),
        concurrency: http.concurrency,
        confirm_after: ask.confirm_after,
        deadline: ask.deadline,
        ..Policy::new(name, scope)
    };
    Target {
        http,
        policy,
        schedules: Schedules::default(),
        repair_from: Vec::new(),
        in_use: None,
    }
}

/// What nothing to check comes to: a service whose registry was always empty waits for the first push.
fn empty(args: &SweepArgs, is_once: bool) -> Empty {
    let patterns = [
        &args.repositories.repos,
        &args.repositories.exclude_repos,
        &args.tags.tags,
        &args.tags.exclude_tags,
    ];
    let has_filter = patterns.iter().any(|patterns| !patterns.is_empty())
        || args.repositories.repos_file.is_some();
    match (args.allow_empty, is_once || has_filter) {
        (true, _) => Empty::Allowed,
        (false, true) => Empty::Unverified,
        (false, false) => Empty::AllowedIfAlwaysSo,
    }
}

/// Two registries of one name could not be told apart in metrics.
fn check_names(targets: &[Target], resolved: &[Resolved<SweepArgs>]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for (target, own) in targets.iter().zip(resolved) {
        for option in ["instance", "public-name"] {
            let origin = own.origins.get(option);
            if targets.len() > 1 && origin.is_some_and(|origin| origin.rank != Rank::Entry) {
                let error = Error::option(option, "names one registry, and there are several");
                return Err(own.locate(error));
            }
        }
        let name = &target.policy.registry;
        if !names.insert(name) {
            return Err(Error::Usage(format!(
                "{name} is named twice: once is enough"
            )));
        }
    }
    Ok(())
}

pub(super) fn publish(
    args: &PublishArgs,
    shard: Option<Shard>,
    around: &Surroundings,
) -> Result<Publish, Error> {
    let (certificate, key) = (&args.push_client_cert, &args.push_client_key);
    let pair = connect::client_pair("push-client", certificate.as_ref(), key.as_ref())?;
    let tls = GatewayTls {
        authorities: connect::authorities(args.push_ca_file.as_deref(), "push-ca-file")?,
        pair,
        proxies: connect::proxies(around),
    };
    let gateway = args.push_gateway.as_deref();
    let gateway = gateway.map(|address| {
        let gateway = Gateway::new(address, &args.job, shard, tls);
        gateway.map_err(|error| Error::option("push-gateway", error))
    });
    Ok(Publish {
        gateway: gateway.transpose()?,
        textfile: args.textfile.clone(),
        state: args.state.clone(),
    })
}

/// The address of the status page, whose paths can be written behind it. It becomes a label of a metric, so
/// it may hold no login.
fn external_url(args: &ServiceArgs) -> Result<Option<String>, Error> {
    let Some(address) = &args.external_url else {
        return Ok(None);
    };
    let url = Url::parse(address).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let why = "no web address such as https://probe.example, without a login";
    let url = url.ok_or_else(|| Error::option("external-url", why))?;
    Ok(Some(format!("{}/", url.as_str().trim_end_matches('/'))))
}

/// A file that cannot be gone on from is an error: to begin anew would overwrite what it knows.
fn known(state: Option<&Path>) -> Result<Vec<Record>, Error> {
    let Some(path) = state else {
        return Ok(Vec::new());
    };
    state::read(path).map_err(|error| {
        let path = path.display();
        let advice = "name another file, or remove this one to begin anew";
        Error::option("state", format!("{path}: {error}; {advice}"))
    })
}

/// What is known of a registry by its address goes on under the name that it is given now.
fn rename(known: &mut [Record], targets: &[Target]) {
    for target in targets {
        let (name, address) = (&target.policy.registry, target.http.endpoint.name());
        let is_taken = targets.iter().any(|other| other.policy.registry == address);
        if is_taken || known.iter().any(|record| record.registry == *name) {
            continue;
        }
        let mut records = known.iter_mut();
        if let Some(record) = records.find(|record| record.registry == address) {
            record.registry.clone_from(name);
        }
    }
}

/// The registries' addresses, and where each was named: on the command line, or else as they are
/// configured.
pub(in crate::cli) fn registries(
    sources: &Sources,
    typed: &[String],
    command: &str,
) -> Result<Vec<(String, Origin)>, Error> {
    if !typed.is_empty() {
        let is_known = |name: &str| {
            let file = sources.file.as_ref();
            file.is_some_and(|file| file.entry(name).is_some())
        };
        suggest::registries(typed, sources.command().is_none(), is_known)?;
        let typed = typed.iter().cloned();
        return Ok(typed.map(|address| (address, Origin::flag())).collect());
    }
    configured(sources).ok_or_else(|| Error::Usage(format!("no registry is named: `{command}`")))
}

/// The registries' addresses in the environment, or else in the file, and where each of them is; `None` if
/// there are none.
pub(super) fn configured(sources: &Sources) -> Option<Vec<(String, Origin)>> {
    let around = sources.around;
    for variable in ["PROBE_REGISTRY", "REGISTRY_HOST"] {
        let Some(host) = around.first(&[variable]) else {
            continue;
        };
        let hosts = host
            .split([',', ' ', '\n'])
            .map(str::trim)
            .filter(|host| !host.is_empty());
        let address = |host: &str| match around.first(&["REGISTRY_SCHEME"]) {
            Some(scheme) if !host.contains("://") => format!("{scheme}://{host}"),
            _ => host.to_owned(),
        };
        let named = hosts.map(|host| (address(host), Origin::variable(variable)));
        return Some(named.collect());
    }
    let entries = sources.file.iter().flat_map(|file| &file.registries);
    let named: Vec<_> = entries
        .map(|entry| (entry.address.clone(), entry.origin.clone()))
        .collect();
    (!named.is_empty()).then_some(named)
}
