//! How to reach a registry, and as whom: options and files resolved into the client's configuration.

use std::path::{Path, PathBuf};

use super::sources::{PASSWORDS, Sources};
use crate::cli::args::ConnectionArgs;
use crate::cli::error::{Error, read};
use crate::cli::surroundings::Surroundings;
use crate::registry::client::{Config, CredentialSource, Secret};

/// To the registry at this address, where a cache is to be recognised unless somebody said what it is.
pub(in crate::cli) fn connection(
    sources: &Sources,
    address: &str,
    args: &ConnectionArgs,
) -> Result<Config, Error> {
    let ca_pem = args.ca_file.as_ref().map(|path| read(path, "ca-file"));
    Ok(Config {
        public_name: args.public_name.clone(),
        credentials: credentials(args, sources.around)?,
        ca_pem: ca_pem.transpose()?.map(String::into_bytes),
        skip_tls_verify: args.insecure_skip_tls_verify,
        concurrency: args.concurrency,
        max_rps: args.max_rps,
        timeout: args.timeout,
        ..Config::new(sources.endpoint(address, args.plain_http)?)
    })
}

fn credentials(args: &ConnectionArgs, around: &Surroundings) -> Result<CredentialSource, Error> {
    // Named at last, or nothing of a user would be left here.
    if let Some(path) = &args.authfile {
        return if path.exists() {
            Ok(CredentialSource::Files(vec![path.clone()]))
        } else {
            let path = path.display();
            Err(Error::option("authfile", format!("{path} does not exist")))
        };
    }
    let password = match (&args.password_file, args.password_stdin) {
        (Some(path), _) => Some(read(path, "password-file")?),
        (None, true) => match &*around.stdin {
            Ok(text) => Some(text.clone()),
            Err(error) => return Err(Error::option("password-stdin", error)),
        },
        (None, false) => around.first(&PASSWORDS).map(str::to_owned),
    };
    match (args.username.clone(), password) {
        (Some(username), Some(password)) => {
            let password = password.lines().next().unwrap_or_default();
            Ok(CredentialSource::Given {
                username,
                password: Secret::new(password),
            })
        }
        (Some(_), None) => Err(Error::option(
            "username",
            "no password for this user: add --password-file, --password-stdin or PROBE_PASSWORD",
        )),
        (None, Some(_)) => Err(Error::Usage(
            "a password without a user name: add --username or PROBE_USERNAME".to_owned(),
        )),
        (None, None) => Ok(CredentialSource::Files(stored(around))),
    }
}

/// Where docker, podman and skopeo keep logins.
fn stored(around: &Surroundings) -> Vec<PathBuf> {
    let under = |variable: &str, file: &str| {
        let folder = around.first(&[variable])?;
        Some(Path::new(folder).join(file))
    };
    // Where podman and skopeo keep them without a variable, as root mostly does.
    let run = |id| PathBuf::from(format!("/run/containers/{id}/auth.json"));
    let files = [
        around.first(&["REGISTRY_AUTH_FILE"]).map(PathBuf::from),
        under("DOCKER_CONFIG", "config.json").or(under("HOME", ".docker/config.json")),
        under("XDG_RUNTIME_DIR", "containers/auth.json"),
        around.user_id.map(run),
    ];
    files.into_iter().flatten().collect()
}
