//! How to reach a registry, and as whom: options and files resolved into the HTTP side's configuration.

use std::path::{Path, PathBuf};

use super::sources::PASSWORDS;
use super::{Surroundings, UsageError, read, usage};
use crate::cli::args::ConnectionArgs;
use crate::registry::client::{Config, CredentialSource, Endpoint, Secret};

/// What the connections to all registries have in common.
pub(in crate::cli) struct Connect<'a> {
    args: &'a ConnectionArgs,
    credentials: CredentialSource,
    ca_pem: Option<Vec<u8>>,
}

impl<'a> Connect<'a> {
    pub(in crate::cli) fn new(
        args: &'a ConnectionArgs,
        around: &Surroundings,
    ) -> Result<Self, UsageError> {
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

    /// To this endpoint, where a cache is to be recognised unless somebody said what it is.
    pub(in crate::cli) fn config(&self, endpoint: Endpoint) -> Config {
        Config {
            credentials: self.credentials.clone(),
            ca_pem: self.ca_pem.clone(),
            skip_tls_verify: self.args.insecure_skip_tls_verify,
            concurrency: self.args.concurrency,
            max_rps: self.args.max_rps,
            timeout: self.args.timeout,
            ..Config::new(endpoint)
        }
    }
}

fn credentials(
    args: &ConnectionArgs,
    around: &Surroundings,
) -> Result<CredentialSource, UsageError> {
    // Named at last, or nothing of a user would be left here.
    if args.authfile.is_some() {
        return auth_files(args, around);
    }
    let username = args.username.clone();
    let password = match (&args.password_file, args.password_stdin) {
        (Some(path), _) => Some(read(path, "--password-file")?),
        (None, true) => match &*around.stdin {
            Ok(text) => Some(text.clone()),
            Err(error) => return usage(format!("--password-stdin: {error}")),
        },
        (None, false) => around.first(&PASSWORDS).map(str::to_owned),
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
