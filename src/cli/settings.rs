//! What was meant: arguments, environment and files resolved into the configuration of each part.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use super::args::{
    CheckArgs, Cli, Command, ConnectionArgs, FailOn, OutputArg, ReportArgs, SweepArgs, VerifyArgs,
};
use super::doctor::Examinations;
use super::image::parse_image;
use crate::crawl::{Filter, Policy, Scope, Source};
use crate::http::{Config, CredentialSource, Endpoint, Secret};
use crate::model::Repository;

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
}

/// One registry to sweep.
pub(super) struct Target {
    pub(super) http: Config,
    pub(super) policy: Policy,
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
    if !args.once {
        return usage(
            "say what to do: `probe --once REGISTRY` or `probe verify IMAGE` (`probe --help` tells more)",
        );
    }
    let registries = if args.registries.is_empty() {
        registry_from_environment(around, "probe --once HOST[:PORT]")?
    } else {
        args.registries.clone()
    };
    let source = source(&args)?;
    let filter = |include: &[String], exclude: &[String]| {
        Filter::new(include, exclude)
            .map_err(|error| UsageError(format!("not a pattern of names: {error}")))
    };
    let tags_per_repository = match (args.tags_per_repo, around.first(&["TAGS_PER_REPO"])) {
        (Some(most), _) => Some(most.get() as usize),
        (None, None) => None,
        (None, Some(text)) => match text.parse() {
            Ok(most) if most > 0 => Some(most),
            _ => return usage("TAGS_PER_REPO is not a number of tags"),
        },
    };
    let scope = Scope {
        source,
        repositories: filter(&args.repos, &args.exclude_repos)?,
        tags: filter(&args.tags, &args.exclude_tags)?,
        tags_per_repository,
    };
    let connect = Connect::new(&args.connection, around)?;
    let mut targets = Vec::new();
    for registry in registries {
        let http = connect.config(parse_endpoint(&registry, args.connection.plain_http)?);
        let policy = policy(&http, &args.check, scope.clone(), args.confirm_after);
        targets.push(Target { http, policy });
    }
    Ok(settings(targets, args.report))
}

fn settings(targets: Vec<Target>, report: ReportArgs) -> Settings {
    Settings {
        targets,
        output: report.output,
        fail_on: report.fail_on,
    }
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

/// The catalog is needed only where it must be filtered.
fn source(args: &SweepArgs) -> Result<Source, UsageError> {
    let mut named = match &args.repos_file {
        Some(path) => repositories_in(path)?,
        None => Vec::new(),
    };
    let is_plain = |pattern: &String| is_plain(pattern);
    if args.repos_file.is_none() && !args.repos.is_empty() && args.repos.iter().all(is_plain) {
        for name in &args.repos {
            named.push(parse_repository(name)?);
        }
    } else if args.repos_file.is_none() {
        return Ok(Source::Catalog);
    }
    named.sort();
    named.dedup();
    Ok(Source::Repositories(named))
}

/// Whether a pattern is nothing but a name.
pub(super) fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '{'])
}

pub(super) fn parse_repository(name: &str) -> Result<Repository, UsageError> {
    let parsed = name.parse();
    parsed.map_err(|error| UsageError(format!("--repo `{name}`: {error}")))
}

fn repositories_in(path: &Path) -> Result<Vec<Repository>, UsageError> {
    let text = read(path, "--repos-file")?;
    let mut named = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        match name.parse() {
            Ok(name) => named.push(name),
            Err(error) => {
                let name = crate::model::shorten(name, 80);
                return usage(format!(
                    "--repos-file {}, line {}: `{name}` is {error}",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    if named.is_empty() {
        return usage(format!(
            "--repos-file {} names no repository",
            path.display()
        ));
    }
    Ok(named)
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
    Ok(settings(targets.collect(), args.report))
}

/// What the connections to all registries have in common.
pub(super) struct Connect<'a> {
    args: &'a ConnectionArgs,
    credentials: CredentialSource,
    ca_pem: Option<Vec<u8>>,
}

impl<'a> Connect<'a> {
    pub(super) fn new(args: &'a ConnectionArgs, around: &Surroundings) -> Result<Self, UsageError> {
        let ca_pem = args
            .ca_file
            .as_ref()
            .map(|path| read(path, "--ca-file"))
            .transpose()?;
        Ok(Self {
            args,
            credentials: credentials(args, around)?,
            ca_pem: ca_pem.map(String::into_bytes),
        })
    }

    pub(super) fn config(&self, endpoint: Endpoint) -> Config {
        Config {
            endpoint,
            credentials: self.credentials.clone(),
            ca_pem: self.ca_pem.clone(),
            skip_tls_verify: self.args.insecure_skip_tls_verify,
            concurrency: self.args.concurrency,
            timeout: self.args.timeout,
        }
    }
}

fn credentials(
    args: &ConnectionArgs,
    around: &Surroundings,
) -> Result<CredentialSource, UsageError> {
    let username = args
        .username
        .clone()
        .or(around.first(&["REG_USER"]).map(str::to_owned));
    let password = match (&args.password_file, args.password_stdin) {
        (Some(path), _) => Some(read(path, "--password-file")?),
        (None, true) => Some(
            (around.stdin)().map_err(|error| UsageError(format!("--password-stdin: {error}")))?,
        ),
        (None, false) => around
            .first(&["PROBE_PASSWORD", "REG_PASS"])
            .map(str::to_owned),
    };
    match (username, password) {
        (Some(username), Some(password)) => {
            let password = password.lines().next().unwrap_or_default();
            Ok(CredentialSource::Given {
                username,
                password: Secret::new(password),
            })
        }
        (Some(_), None) => usage(
            "a user name without a password: add --password-file, --password-stdin or PROBE_PASSWORD",
        ),
        (None, Some(_)) => {
            usage("a password without a user name: add --username or PROBE_USERNAME")
        }
        (None, None) => auth_files(args, around),
    }
}

fn auth_files(
    args: &ConnectionArgs,
    around: &Surroundings,
) -> Result<CredentialSource, UsageError> {
    if let Some(path) = &args.authfile {
        if !path.exists() {
            return usage(format!("--authfile {} does not exist", path.display()));
        }
        return Ok(CredentialSource::Files(vec![path.clone()]));
    }
    let under = |variable: &str, file: &str| {
        around
            .first(&[variable])
            .map(|dir| Path::new(dir).join(file))
    };
    let docker = under("DOCKER_CONFIG", "config.json").or(under("HOME", ".docker/config.json"));
    let files = [
        around.first(&["REGISTRY_AUTH_FILE"]).map(PathBuf::from),
        docker,
        under("XDG_RUNTIME_DIR", "containers/auth.json"),
        // Where podman and skopeo keep logins without that variable, as root mostly does.
        around
            .user_id
            .map(|id| PathBuf::from(format!("/run/containers/{id}/auth.json"))),
    ];
    Ok(CredentialSource::Files(
        files.into_iter().flatten().collect(),
    ))
}

#[cfg(test)]
mod tests {
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
            (vec!["r.example"], vec![], "probe --once REGISTRY"),
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
