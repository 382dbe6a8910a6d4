//! What was meant: arguments, environment and files resolved into the configuration of each part.

mod connect;
mod scope;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub(super) use connect::Connect;
pub(super) use scope::{is_plain, parse_repository};

use super::args::{CheckArgs, Cli, Command, FailOn, OutputArg, ServiceArgs, SweepArgs, VerifyArgs};
use super::doctor::Examinations;
use super::image::parse_image;
use crate::crawl::{Filter, Policy, Scope, Source};
use crate::http::{Config, Endpoint};
use crate::service::{Gateway, Publish, Target};

/// What there is to do.
pub(super) enum Job {
    /// Sweep some registries.
    Sweep(Settings),
    /// Examine some registries.
    Examine(Examinations),
}

impl Job {
    pub(super) fn resolve(cli: Cli, around: &Surroundings) -> Result<Self, UsageError> {
        match cli.command {
            Some(Command::Verify(args)) => verify(args, around).map(Self::Sweep),
            Some(Command::Doctor(args)) => Examinations::resolve(&args, around).map(Self::Examine),
            None => sweep(cli.sweep, around).map(Self::Sweep),
        }
    }
}

/// Everything that a run needs to know.
pub(super) struct Settings {
    pub(super) targets: Vec<Target>,
    pub(super) output: OutputArg,
    pub(super) fail_on: Vec<FailOn>,
    pub(super) publish: Publish,
    /// What is needed besides to go on sweeping; `None` for a single sweep.
    pub(super) service: Option<Service>,
}

/// What the service needs to know.
pub(super) struct Service {
    pub(super) interval: Duration,
    pub(super) listen: SocketAddr,
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
    /// Read only if `--password-stdin` asks for it.
    pub(super) stdin: fn() -> std::io::Result<String>,
}

impl Surroundings {
    /// The value of the first of some variables that is set to something.
    fn first(&self, names: &[&str]) -> Option<&str> {
        let values = names.iter().filter_map(|name| self.environment.get(*name));
        values.map(String::as_str).find(|value| !value.is_empty())
    }
}

fn sweep(args: SweepArgs, around: &Surroundings) -> Result<Settings, UsageError> {
    let registries = if args.registries.is_empty() {
        registry_from_environment(around, "probe HOST[:PORT]")?
    } else {
        args.registries.clone()
    };
    let scope = scope::resolve(&args, around)?;
    let connect = Connect::new(&args.connection, around)?;
    let mut targets = Vec::new();
    for registry in registries {
        let http = connect.config(parse_endpoint(&registry, args.connection.plain_http)?);
        let policy = policy(&http, &args.check, scope.clone(), args.confirm_after);
        targets.push(Target { http, policy });
    }
    rename(&mut targets, &args, around)?;
    let service = Service {
        interval: args.service.interval,
        listen: args.service.listen,
    };
    Ok(Settings {
        targets,
        output: args.report.output,
        fail_on: args.report.fail_on,
        publish: publish(&args.service, around)?,
        service: (!args.once).then_some(service),
    })
}

/// Gives the registry the name that it is to have in metrics. Two registries of one name could not be
/// told apart there.
fn rename(
    targets: &mut [Target],
    args: &SweepArgs,
    around: &Surroundings,
) -> Result<(), UsageError> {
    let given = args.service.instance.as_deref();
    if let Some(name) = given.or(around.first(&["REGISTRY_INSTANCE"])) {
        let [target] = targets else {
            return usage("--instance names one registry, and there are several");
        };
        name.clone_into(&mut target.policy.registry);
    }
    let mut names = BTreeSet::new();
    for target in targets {
        let name = &target.policy.registry;
        if !names.insert(name.clone()) {
            return usage(format!("{name} is named twice: once is enough"));
        }
    }
    Ok(())
}

fn publish(args: &ServiceArgs, around: &Surroundings) -> Result<Publish, UsageError> {
    let address = args.push_gateway.as_deref();
    let gateway = address
        .or(around.first(&["PUSHGATEWAY"]))
        .map(|address| Gateway::new(address, &args.job))
        .transpose()
        .map_err(|error| UsageError(error.to_string()))?;
    Ok(Publish {
        gateway,
        textfile: args.textfile.clone(),
    })
}

fn policy(
    http: &Config,
    check: &CheckArgs,
    scope: Scope,
    confirm_after: std::time::Duration,
) -> Policy {
    Policy {
        registry: http.endpoint.name().to_owned(),
        scope,
        depth: check.depth.into(),
        mode: check.mode.into(),
        concurrency: http.concurrency,
        confirm_after,
        deadline: check.deadline,
    }
}

/// The names of the job that this program replaces.
pub(super) fn registry_from_environment(
    around: &Surroundings,
    command: &str,
) -> Result<Vec<String>, UsageError> {
    let Some(host) = around.first(&["PROBE_REGISTRY", "REGISTRY_HOST"]) else {
        return usage(format!("no registry is named: `{command}`"));
    };
    Ok(vec![match around.first(&["REGISTRY_SCHEME"]) {
        Some(scheme) if !host.contains("://") => format!("{scheme}://{host}"),
        _ => host.to_owned(),
    }])
}

pub(super) fn parse_endpoint(text: &str, plain_http: bool) -> Result<Endpoint, UsageError> {
    Endpoint::parse(text, plain_http).map_err(|error| UsageError(error.to_string()))
}

fn read(path: &Path, flag: &str) -> Result<String, UsageError> {
    std::fs::read_to_string(path)
        .map_err(|error| UsageError(format!("{flag} {} cannot be read: {error}", path.display())))
}

fn verify(args: VerifyArgs, around: &Surroundings) -> Result<Settings, UsageError> {
    let mut by_registry = BTreeMap::<String, (Endpoint, Vec<_>)>::new();
    for image in &args.images {
        let (endpoint, repository, reference) = parse_image(image, args.connection.plain_http)?;
        let (_, images) = by_registry
            .entry(endpoint.name().to_owned())
            .or_insert_with(|| (endpoint, Vec::new()));
        images.push((repository, reference));
    }
    let connect = Connect::new(&args.connection, around)?;
    let targets = by_registry.into_values().map(|(endpoint, images)| {
        let http = connect.config(endpoint);
        let scope = Scope {
            source: Source::Images(images),
            repositories: Filter::default(),
            tags: Filter::default(),
            tags_per_repository: None,
        };
        let policy = policy(&http, &args.check, scope, args.confirm_after);
        Target { http, policy }
    });
    Ok(Settings {
        targets: targets.collect(),
        output: args.report.output,
        fail_on: args.report.fail_on,
        publish: Publish::default(),
        service: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::http::CredentialSource;
    use clap::Parser as _;

    use super::*;

    fn resolve(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let around = Surroundings {
            environment,
            user_id: Some(7),
            stdin: || Ok("piped\n".to_owned()),
        };
        let cli =
            Cli::try_parse_from(["probe"].iter().chain(arguments)).map_err(|e| e.to_string())?;
        match Job::resolve(cli, &around).map_err(|error| error.to_string())? {
            Job::Sweep(settings) => Ok(settings),
            Job::Examine(_) => Err("an examination".to_owned()),
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
