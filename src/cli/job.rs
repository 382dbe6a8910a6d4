//! What there is to do.

use std::path::PathBuf;

use super::args::Command;
use super::compare::Comparing;
use super::doctor::Examinations;
use super::error::Error;
use super::explain::Explanation;
use super::generated;
use super::keep::Keeping;
use super::merge::Merge;
use super::settings::{self, Settings, Sources, Typed};
use super::surroundings::Surroundings;

/// What there is to do.
pub(super) enum Job {
    /// Sweep some registries.
    Sweep(Box<Settings>),
    /// Examine some registries.
    Examine(Examinations),
    /// Explain one image.
    Explain(Box<Explanation>),
    /// Merge some reports.
    Merge(Box<Merge>),
    /// List what must be kept, or say what deletions would break.
    Keep(Box<Keeping>),
    /// Compare two registries.
    Compare(Box<Comparing>),
    /// Print the configuration that is in force, or the completions for a shell.
    Print(Vec<u8>),
    /// Write manual pages into a folder.
    Manual(PathBuf),
}

/// What was typed, the environment and the files that they name, resolved. Can be called again when the
/// files have changed; it changes nothing itself.
///
/// # Errors
///
/// The first thing that cannot be used, where it stands, and what to do.
pub(super) fn load(typed: &Typed, around: &Surroundings) -> Result<Job, Error> {
    let sources = || Sources::new(typed, around);
    Ok(match &typed.cli.command {
        // These have no options, and ask nobody.
        Some(Command::Completions { shell }) => Job::Print(generated::completions(*shell)),
        Some(Command::Man { folder }) => Job::Manual(folder.clone()),
        Some(Command::Verify(_)) => Job::Sweep(Box::new(settings::verify(&sources()?)?)),
        Some(Command::Explain(_)) => Job::Explain(Box::new(Explanation::resolve(&sources()?)?)),
        Some(Command::Merge(_)) => Job::Merge(Box::new(Merge::resolve(&sources()?)?)),
        Some(Command::Keep(_)) => Job::Keep(Box::new(Keeping::resolve(&sources()?)?)),
        Some(Command::Compare(_)) => Job::Compare(Box::new(Comparing::resolve(&sources()?)?)),
        Some(Command::Doctor(_)) => Job::Examine(Examinations::resolve(&sources()?)?),
        Some(Command::Sweep(_) | Command::Serve(_)) | None => match settings::sweep(&sources()?)? {
            Ok(settings) => Job::Sweep(Box::new(settings)),
            Err(text) => Job::Print(text.into_bytes()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Wanted;
    use crate::registry::client::{Config, CredentialSource};
    use crate::service::Target;
    use crate::sweep::Source;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn resolve(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let around = Surroundings::with(environment);
        let words = ["probe"].iter().chain(arguments);
        let typed = Typed::parse(words.map(Into::into).collect()).map_err(|e| e.to_string())?;
        match load(&typed, &around).map_err(|error| error.to_string())? {
            Job::Sweep(settings) => Ok(*settings),
            Job::Print(text) => Err(String::from_utf8_lossy(&text).into_owned()),
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

    /// What stands beside it is for a probe that has all repositories.
    #[test]
    fn requests_at_a_time_are_shared_by_shards() {
        let at_a_time = |shard: &str, total: &str| {
            let shard = ["--once", "r.example", "--concurrency=64", "--shard", shard];
            let total = ["--concurrency-total", total];
            let target = target(&[&shard[..], &total].concat(), &[]);
            assert_eq!(target.http.concurrency, target.policy.concurrency);
            target.http.concurrency.get()
        };
        let of_four = |total| ["0/4", "1/4", "2/4", "3/4"].map(|shard| at_a_time(shard, total));
        assert_eq!(of_four("8"), [2, 2, 2, 2]);
        assert_eq!(of_four("10"), [3, 3, 2, 2]);
        // One is the least with which anything can be asked.
        assert_eq!(of_four("2"), [1, 1, 1, 1]);
    }

    #[test]
    fn what_is_out_of_scope_takes_no_room_in_lists() {
        let http = |arguments: &[&str]| {
            let once: &[&str] = &["--once", "r.example"];
            target(&[once, arguments].concat(), &[]).http
        };
        let keeps = |http: &Config, name: &str| {
            (http.repositories.wanted)(&name.parse().expect("a name")) == Wanted::Here
        };
        let all = http(&[]);
        assert_eq!((all.repositories.most, all.tags.most), (100_000, 250_000));
        assert!(keeps(&all, "app"));
        let some = http(&[
            "--repo=team/*",
            "--tag=v*",
            "--max-repositories=400000",
            "--max-tags=9",
        ]);
        assert_eq!((some.repositories.most, some.tags.most), (400_000, 9));
        assert!(keeps(&some, "team/app") && !keeps(&some, "app"));
        assert_eq!(
            (some.tags.wanted)(&"x".parse().expect("a tag")),
            Wanted::LeftOut
        );
        let shards = ["0/2", "1/2"].map(|shard| http(&["--shard", shard]));
        assert_ne!(keeps(&shards[0], "app"), keeps(&shards[1], "app"));
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
            ("MyRegistry/app:v1", "myregistry", "app", "v1"),
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
            ("DOCKER_AUTH_CONFIG", "{}"),
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/x"),
        ];
        let files = |environment| match target(&["--once", "r.example"], environment)
            .http
            .credentials
        {
            CredentialSource::Stored(stores) => stores
                .iter()
                .map(|store| store.place.to_string())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            files(&environment),
            [
                "/a",
                "DOCKER_AUTH_CONFIG",
                "/x/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json",
            ]
        );
        assert_eq!(
            files(&[("DOCKER_CONFIG", "/d"), ("XDG_CONFIG_HOME", "/c")]),
            [
                "/d/config.json",
                "/run/containers/7/auth.json",
                "/c/containers/auth.json"
            ]
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_and_says_what_to_do() {
        for (arguments, environment, expected) in [
            ("", "", "no registry is named"),
            ("r.x r.x", "", "named twice"),
            ("r.x s.x --instance x", "", "there are several"),
            ("r.x --push-gateway ftp://x", "", "--push-gateway"),
            ("r.x --interval 0s", "", "longer than nothing"),
            ("--once", "", "no registry is named"),
            ("--once ftp://x", "", "neither http nor https"),
            ("--once r.x --username u", "", "--password-file"),
            ("--once r.x", "PROBE_PASSWORD=hunter2", "--username"),
            ("--once r.x --repo A", "", "--repo: `A`"),
            (
                "--once r.x --repair-from https://u:hunter2@s.x",
                "",
                "--repair-from: `https://hidden@s.x`",
            ),
            (
                "--once r.x --public-name https://u:hunter2@s.x",
                "",
                "--public-name: `https://hidden@s.x`",
            ),
            ("verify u:hunter2@shared.example", "", "is not an image"),
            ("--once r.x --repo [x", "", "not a pattern"),
            (
                "--once r.x --authfile /nonexistent",
                "",
                "--authfile: /nonexistent",
            ),
            ("--once r.x --concurrency 0", "", "--concurrency"),
            (
                "--once r.x --concurrency-total 8",
                "",
                "--concurrency-total: is shared by shards: add --shard",
            ),
            ("--once r.x --max-repositories 0", "", "--max-repositories"),
            ("--once r.x --timeout 0s", "", "longer than nothing"),
            ("verify", "", "IMAGE"),
            (
                "verify --map a=b r.example/a",
                "",
                "--map: is about --images-from",
            ),
            ("verify --map a --images-from x", "", "WRITTEN=ASKED"),
            (
                "verify --images-from /nonexistent",
                "",
                "--images-from: /nonexistent cannot be read",
            ),
            (
                "verify --images-from - --expect-digest DIGEST",
                "",
                "documents may name several",
            ),
            ("verify --images-from - --images-from -", "", "read once"),
            ("verify --images-from - --password-stdin", "", "read once"),
            (
                "verify r.example/a r.example/b --expect-digest DIGEST",
                "",
                "there are several",
            ),
            (
                "verify r.example/a --expect-digest sha256:0",
                "",
                "expected a digest",
            ),
            ("verify r.example/a --platform linux", "", "OS/ARCHITECTURE"),
            (
                "verify r.example/a",
                "PROBE_PLATFORM=linux",
                "PROBE_PLATFORM",
            ),
            ("verfy", "", "did you mean `probe verify`"),
            ("--once r.x --report-file junit", "", "FORMAT=PATH"),
            ("--once r.x --report-file xml=x", "", "none of the formats"),
            ("r.x --report-file junit=x", "", "add --once"),
            ("verify r.example/A:b", "", "is not an image"),
            ("verify r.example/a:", "", "is not an image"),
            ("verify r.example/a@sha256:0", "", "is not an image"),
            (
                "--once",
                "REGISTRY_HOST=r.x TAGS_PER_REPO=x",
                "TAGS_PER_REPO",
            ),
        ] {
            let arguments = arguments.replace("DIGEST", DIGEST);
            let arguments: Vec<_> = arguments.split_whitespace().collect();
            let environment = environment.split_whitespace();
            let environment: Vec<_> = environment.filter_map(|one| one.split_once('=')).collect();
            let error = resolve(&arguments, &environment).err().unwrap_or_default();
            assert!(error.contains(expected), "{arguments:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
