//! What was meant: arguments, environment and files resolved into the configuration of each part.

#[cfg(test)]
mod configured;
mod connect;
mod file;
mod images;
mod print;
mod scope;
mod sources;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

pub(super) use connect::Connect;
pub(super) use images::explained;
pub(super) use scope::{is_plain, parse_repository};
use sources::Origin;
use sources::Resolved;
pub(super) use sources::{Sources, Typed, without_login};

use super::args::{CheckArgs, Command, FailOn, LogFormat, ReportArgs, ServiceArgs, SweepArgs};
use super::doctor::Examinations;
use super::explain::Explanation;
use super::output::Output;
use super::suggest;
use crate::registry::client::{Config, Endpoint};
use crate::report::{Mode, Record, Shard};
use crate::service::{Gateway, Publish, Target, state};
use crate::sweep::{Empty, Expectations, Policy, Scope, Scrub};

/// What there is to do.
pub(super) enum Job {
    /// Sweep some registries.
    Sweep(Box<Settings>),
    /// Examine some registries.
    Examine(Examinations),
    /// Explain one image.
    Explain(Box<Explanation>),
    /// Print the configuration that is in force.
    Print(String),
    /// Print the completions for a shell.
    Complete(clap_complete::Shell),
    /// Write manual pages into a folder.
    Manual(PathBuf),
}

/// What was typed, the environment and the files that they name, resolved. Can be called again when the
/// files have changed; it changes nothing itself.
///
/// # Errors
///
/// The first thing that cannot be used, where it stands, and what to do.
pub(super) fn load(typed: &Typed, around: &Surroundings) -> Result<Job, UsageError> {
    // These have no options, and ask nobody.
    match &typed.cli.command {
        Some(Command::Completions { shell }) => return Ok(Job::Complete(*shell)),
        Some(Command::Man { folder }) => return Ok(Job::Manual(folder.clone())),
        _ => {}
    }
    let sources = Sources::new(typed, around)?;
    match &typed.cli.command {
        Some(Command::Verify(_)) => {
            images::verify(&sources).map(|settings| Job::Sweep(Box::new(settings)))
        }
        Some(Command::Explain(_)) => {
            Explanation::resolve(&sources).map(|explanation| Job::Explain(Box::new(explanation)))
        }
        Some(Command::Doctor(_)) => Examinations::resolve(&sources).map(Job::Examine),
        _ => sweep(&sources),
    }
}

/// Everything that a run needs to know.
pub(super) struct Settings {
    pub(super) targets: Vec<Target>,
    /// What is expected of the images that are named; `None` where registries are swept.
    pub(super) expectations: Option<Expectations>,
    pub(super) output: Output,
    pub(super) fail_on: Vec<FailOn>,
    pub(super) log_format: LogFormat,
    pub(super) publish: Publish,
    /// What is known of registries from before.
    pub(super) known: Vec<Record>,
    /// What is needed besides to go on sweeping; `None` for a single sweep.
    pub(super) service: Option<Service>,
}

/// What the service needs to know.
pub(super) struct Service {
    pub(super) interval: Duration,
    pub(super) listen: SocketAddr,
    /// The file that says who may read the endpoints.
    pub(super) web_config: Option<PathBuf>,
}

/// Something that was typed or configured and cannot be used: what, and then what to do.
#[derive(Debug)]
pub(super) struct UsageError(pub(super) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn usage<T>(message: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(message.into()))
}

/// What comes from outside the command line. A value, so that settings can be tested.
pub(super) struct Surroundings {
    pub(super) environment: HashMap<String, String>,
    /// The number of the user that the process runs as, if it is known.
    pub(super) user_id: Option<u32>,
    /// Read only if `--password-stdin` asks for it, and then once.
    pub(super) stdin: LazyLock<std::io::Result<String>>,
}

impl Surroundings {
    /// The value of the first of some variables that is set to something.
    fn first(&self, names: &[&str]) -> Option<&str> {
        let values = names.iter().filter_map(|name| self.environment.get(*name));
        values.map(String::as_str).find(|value| !value.is_empty())
    }
}

fn sweep(sources: &Sources) -> Result<Job, UsageError> {
    let process = sources.resolve::<SweepArgs>(None)?;
    let args = &process.args;
    let (addresses, origin) = registries(sources, &args.registries, "probe HOST[:PORT]")?;
    let mut targets = Vec::new();
    let mut resolved = Vec::new();
    for address in addresses {
        suggest::registry(&address)?;
        let name = parse_endpoint(&address, false)?.name().to_owned();
        let own = sources.resolve::<SweepArgs>(Some(&name))?;
        let target = target(sources, &address, &own.args);
        targets.push(target.map_err(|error| own.locate(error))?);
        resolved.push((address, own));
    }
    check_names(&targets, &resolved)?;
    let shard = targets.first().and_then(|target| target.policy.scope.shard);
    let publish = publish(&args.service, shard).map_err(|error| process.locate(error))?;
    let known = known(args.service.state.as_deref()).map_err(|error| process.locate(error))?;
    if args.print_config {
        let text = print::render(sources, &process, &resolved, &origin);
        return Ok(Job::Print(text));
    }
    if !args.once && !args.report.report_files.is_empty() {
        return usage("--report-file is for one sweep: add --once");
    }
    let service = Service {
        interval: args.service.interval,
        listen: args.service.listen,
        web_config: args.service.web_config.clone(),
    };
    Ok(Job::Sweep(Box::new(Settings {
        targets,
        expectations: None,
        output: output(&args.report, sources.around),
        fail_on: args.report.fail_on.clone(),
        log_format: args.report.log_format,
        publish,
        known,
        service: (!args.once).then_some(service),
    })))
}

fn output(args: &ReportArgs, around: &Surroundings) -> Output {
    Output {
        form: args.output,
        files: args.report_files.clone(),
        summary: around.first(&["GITHUB_STEP_SUMMARY"]).map(PathBuf::from),
    }
}

fn target(sources: &Sources, address: &str, args: &SweepArgs) -> Result<Target, UsageError> {
    let connect = Connect::new(&args.connection, sources.around)?;
    let mut http = connect.config(sources.endpoint(address, args.connection.plain_http)?);
    http.detect_cache = args.check.mode.is_none();
    let scope = scope::resolve(args, sources.around)?;
    let mut policy = policy(&http, &args.check, scope, args.confirm_after);
    policy.empty = empty(args);
    if let Some(name) = &args.service.instance {
        name.clone_into(&mut policy.registry);
    }
    let scrub = args
        .scrub_every
        .map(|every| Scrub::new(every, args.service.interval, args.scrub_max_bytes));
    Ok(Target {
        http,
        policy,
        scrub,
    })
}

/// What nothing to check comes to: a service whose registry was always empty waits for the first push.
fn empty(args: &SweepArgs) -> Empty {
    let patterns = [
        &args.repos,
        &args.exclude_repos,
        &args.tags,
        &args.exclude_tags,
    ];
    let has_filter =
        patterns.iter().any(|patterns| !patterns.is_empty()) || args.repos_file.is_some();
    match (args.allow_empty, args.once || has_filter) {
        (true, _) => Empty::Allowed,
        (false, true) => Empty::Unverified,
        (false, false) => Empty::AllowedIfAlwaysSo,
    }
}

/// Two registries of one name could not be told apart in metrics.
fn check_names(
    targets: &[Target],
    resolved: &[(String, Resolved<SweepArgs>)],
) -> Result<(), UsageError> {
    let is_named = |own: &Resolved<SweepArgs>| match own.origins.get("instance") {
        None | Some(Origin::Entry(_)) => None,
        Some(_) => Some("--instance names one registry, and there are several"),
    };
    let mut names = BTreeSet::new();
    for (target, (_, own)) in targets.iter().zip(resolved) {
        if let (Some(why), 2..) = (is_named(own), targets.len()) {
            return Err(own.locate(UsageError(why.to_owned())));
        }
        let name = &target.policy.registry;
        if !names.insert(name) {
            return usage(format!("{name} is named twice: once is enough"));
        }
    }
    Ok(())
}

fn publish(args: &ServiceArgs, shard: Option<Shard>) -> Result<Publish, UsageError> {
    let gateway = args.push_gateway.as_deref();
    let gateway = gateway.map(|address| Gateway::new(address, &args.job, shard));
    let gateway = gateway.transpose();
    Ok(Publish {
        gateway: gateway.map_err(|error| UsageError(error.to_string()))?,
        textfile: args.textfile.clone(),
        state: args.state.clone(),
    })
}

/// A file that cannot be gone on from is an error: to begin anew would overwrite what it knows.
fn known(state: Option<&Path>) -> Result<Vec<Record>, UsageError> {
    let Some(path) = state else {
        return Ok(Vec::new());
    };
    state::read(path).map_err(|error| {
        let path = path.display();
        UsageError(format!(
            "--state {path}: {error}; name another file, or remove this one to begin anew"
        ))
    })
}

fn policy(
    http: &Config,
    check: &CheckArgs,
    scope: Scope,
    confirm_after: std::time::Duration,
) -> Policy {
    Policy {
        depth: check.depth.into(),
        mode: check.mode.map_or(Mode::Private, Into::into),
        concurrency: http.concurrency,
        confirm_after,
        deadline: check.deadline,
        ..Policy::new(http.endpoint.name(), scope)
    }
}

/// The registries' addresses, and where they were named: on the command line, or else in the
/// environment, or else in the file.
pub(super) fn registries(
    sources: &Sources,
    typed: &[String],
    command: &str,
) -> Result<(Vec<String>, Origin), UsageError> {
    if !typed.is_empty() {
        return Ok((typed.to_vec(), Origin::Flag));
    }
    let around = sources.around;
    for variable in ["PROBE_REGISTRY", "REGISTRY_HOST"] {
        let Some(host) = around.first(&[variable]) else {
            continue;
        };
        let address = match around.first(&["REGISTRY_SCHEME"]) {
            Some(scheme) if !host.contains("://") => format!("{scheme}://{host}"),
            _ => host.to_owned(),
        };
        return Ok((vec![address], Origin::Environment(variable.to_owned())));
    }
    let entries = sources.file.iter().flat_map(|file| {
        let entries = file.registries.iter();
        entries.map(|entry| (entry.address.clone(), file.place(entry.line)))
    });
    let (addresses, places): (Vec<_>, Vec<_>) = entries.unzip();
    match places.into_iter().next() {
        Some(first) => Ok((addresses, Origin::Top(first))),
        None => usage(format!("no registry is named: `{command}`")),
    }
}

pub(super) fn parse_endpoint(text: &str, plain_http: bool) -> Result<Endpoint, UsageError> {
    Endpoint::parse(text, plain_http).map_err(|error| UsageError(error.to_string()))
}

fn read(path: &Path, flag: &str) -> Result<String, UsageError> {
    std::fs::read_to_string(path)
        .map_err(|error| UsageError(format!("{flag} {} cannot be read: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::client::CredentialSource;
    use crate::sweep::Source;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn resolve(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let around = Surroundings {
            environment,
            user_id: Some(7),
            stdin: LazyLock::new(|| Ok("piped\n".to_owned())),
        };
        let words = ["probe"].iter().chain(arguments);
        let typed = Typed::parse(words.map(Into::into).collect()).map_err(|e| e.to_string())?;
        match load(&typed, &around).map_err(|error| error.to_string())? {
            Job::Sweep(settings) => Ok(*settings),
            Job::Print(text) => Err(text),
            _ => Err("no sweep".to_owned()),
        }
    }

    fn target(arguments: &[&str], environment: &[(&str, &str)]) -> Target {
        resolve(arguments, environment)
            .expect("usable")
            .targets
            .remove(0)
    }

    #[test]
    fn names_of_the_job_that_this_replaces() {
        let old = [
            ("REGISTRY_HOST", "registry.example"),
            ("REGISTRY_SCHEME", "http"),
            ("TAGS_PER_REPO", "5"),
            ("REG_USER", "u"),
            ("REG_PASS", "p"),
        ];
        let target = target(&["--once"], &old);
        assert!(!target.http.endpoint.is_https());
        assert_eq!(target.policy.registry, "registry.example");
        assert_eq!(target.policy.scope.tags_per_repository, Some(5));
        assert!(
            matches!(target.http.credentials, CredentialSource::Given { username, .. } if username == "u")
        );
    }

    #[test]
    fn the_catalog_is_asked_for_only_where_it_is_needed() {
        let source = |arguments: &[&str]| {
            target(&[&["--once", "r.example"], arguments].concat(), &[])
                .policy
                .scope
                .source
        };
        assert_eq!(source(&[]), Source::Catalog);
        assert_eq!(source(&["--repo", "team/*"]), Source::Catalog);
        let named = vec!["a".parse().expect("a name"), "b/c".parse().expect("a name")];
        assert_eq!(source(&["--repo", "b/c,a"]), Source::Repositories(named));
    }

    #[test]
    fn images_as_docker_reads_them() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let by_digest = format!("r.example/a@{digest}");
        for (image, registry, repository, reference) in [
            ("localhost:5000/app:v1", "localhost:5000", "app", "v1"),
            ("r.example/team/app", "r.example", "team/app", "latest"),
            (&by_digest, "r.example", "a", digest),
            ("nginx", "docker.io", "library/nginx", "latest"),
            ("team/app:v1", "docker.io", "team/app", "v1"),
            ("index.docker.io/nginx:1", "docker.io", "library/nginx", "1"),
            ("localhost/app", "localhost", "app", "latest"),
            (
                "docker.io:443/nginx",
                "docker.io",
                "library/nginx",
                "latest",
            ),
            ("http://registry/app:v1", "registry", "app", "v1"),
            ("registry:443/app:v1", "registry", "app", "v1"),
            (
                "https://127.0.0.1:5000/app:v1",
                "127.0.0.1:5000",
                "app",
                "v1",
            ),
        ] {
            let target = target(&["verify", image], &[]);
            assert_eq!(target.policy.registry, registry);
            let Source::Images(images) = target.policy.scope.source else {
                panic!("images")
            };
            let seen = (images[0].0.to_string(), images[0].1.to_string());
            assert_eq!(seen, (repository.to_owned(), reference.to_owned()));
        }
        for image in [
            "r.example\\a/b",
            "https://u:hunter2@r.example/a",
            "u:hunter2@r.example/a",
        ] {
            let Err(error) = resolve(&["verify", image], &[]) else {
                panic!("{image}")
            };
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn files_with_logins_in_their_order() {
        let environment = [
            ("REGISTRY_AUTH_FILE", "/a"),
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/x"),
        ];
        let files = |environment| match target(&["--once", "r"], environment).http.credentials {
            CredentialSource::Files(paths) => paths
                .iter()
                .map(|p| p.display().to_string())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            files(&environment),
            [
                "/a",
                "/h/.docker/config.json",
                "/x/containers/auth.json",
                "/run/containers/7/auth.json"
            ]
        );
        assert_eq!(
            files(&[("DOCKER_CONFIG", "/d"), ("HOME", "/h")]),
            ["/d/config.json", "/run/containers/7/auth.json"]
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_and_says_what_to_do() {
        for (arguments, environment, expected) in [
            (vec![], vec![], "no registry is named"),
            (vec!["r", "r"], vec![], "named twice"),
            (
                vec!["r", "s", "--instance", "x"],
                vec![],
                "there are several",
            ),
            (
                vec!["r", "--push-gateway", "ftp://x"],
                vec![],
                "--push-gateway",
            ),
            (vec!["r", "--interval", "0s"], vec![], "longer than nothing"),
            (vec!["--once"], vec![], "no registry is named"),
            (vec!["--once", "ftp://x"], vec![], "neither http nor https"),
            (
                vec!["--once", "r", "--username", "u"],
                vec![],
                "--password-file",
            ),
            (
                vec!["--once", "r"],
                vec![("PROBE_PASSWORD", "hunter2")],
                "--username",
            ),
            (vec!["--once", "r", "--repo", "A"], vec![], "--repo `A`"),
            (vec!["--once", "r", "--repo", "[x"], vec![], "not a pattern"),
            (
                vec!["--once", "r", "--authfile", "/nonexistent"],
                vec![],
                "--authfile /nonexistent",
            ),
            (
                vec!["--once", "r", "--concurrency", "0"],
                vec![],
                "--concurrency",
            ),
            (
                vec!["--once", "r", "--timeout", "0s"],
                vec![],
                "longer than nothing",
            ),
            (vec!["verify"], vec![], "IMAGE"),
            (
                vec![
                    "verify",
                    "r.example/a",
                    "r.example/b",
                    "--expect-digest",
                    DIGEST,
                ],
                vec![],
                "there are several",
            ),
            (
                vec!["verify", "r.example/a", "--expect-digest", "sha256:0"],
                vec![],
                "expected a digest",
            ),
            (
                vec!["verify", "r.example/a", "--platform", "linux"],
                vec![],
                "OS/ARCHITECTURE",
            ),
            (
                vec!["verify", "r.example/a"],
                vec![("PROBE_PLATFORM", "linux")],
                "PROBE_PLATFORM",
            ),
            (vec!["verfy"], vec![], "did you mean `probe verify`"),
            (
                vec!["--once", "r", "--report-file", "junit"],
                vec![],
                "FORMAT=PATH",
            ),
            (
                vec!["--once", "r", "--report-file", "xml=x"],
                vec![],
                "none of the formats",
            ),
            (vec!["r", "--report-file", "junit=x"], vec![], "add --once"),
            (vec!["verify", "r.example/A:b"], vec![], "is not an image"),
            (vec!["verify", "r.example/a:"], vec![], "is not an image"),
            (
                vec!["verify", "r.example/a@sha256:0"],
                vec![],
                "is not an image",
            ),
            (
                vec!["--once"],
                vec![("REGISTRY_HOST", "r"), ("TAGS_PER_REPO", "x")],
                "TAGS_PER_REPO",
            ),
        ] {
            let error = resolve(&arguments, &environment).err().unwrap_or_default();
            assert!(error.contains(expected), "{arguments:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
