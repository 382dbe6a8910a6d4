//! How to reach a registry, and as whom: options and files resolved into the client's configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sources::{PASSWORDS, Sources};
use crate::cli::args::{ConnectionArgs, RepairArgs};
use crate::cli::error::{Error, read, without_login};
use crate::cli::surroundings::Surroundings;
use crate::registry::client::{
    self, CertsFolder, ClientPair, Config, CredentialSource, Endpoint, LoginStore, OwnCertificates,
    Place, Proxies, PublicName, Rules, Secret, WatchedFiles,
};
use crate::service::RepairSource;

/// To the registry at this address, where a cache is to be recognised unless somebody said what it is.
pub(in crate::cli) fn connection(
    sources: &Sources,
    address: &str,
    args: &ConnectionArgs,
) -> Result<Config, Error> {
    let authorities = authorities(args.ca_file.as_deref(), "ca-file")?;
    let endpoint = sources.endpoint(address, args.plain_http)?;
    let given = client_pair(
        "client",
        args.client_cert.as_ref(),
        args.client_key.as_ref(),
    )?;
    Ok(Config {
        public_name: public_name(args)?,
        credentials: credentials(args, sources.around)?,
        files: WatchedFiles {
            password: args.password_file.clone(),
            ca: args.ca_file.clone(),
        },
        ca_pem: authorities.map(|(_, pem)| pem),
        own: own(sources.around, &endpoint, given),
        proxies: proxies(sources.around),
        skip_tls_verify: args.insecure_skip_tls_verify,
        concurrency: args.concurrency,
        max_rps: args.max_rps,
        timeout: args.timeout,
        software: args.software,
        ..Config::new(endpoint)
    })
}

/// The authorities that an option names, if it does: the file, and what it holds.
///
/// # Errors
///
/// If it cannot be read, or holds something else: a service with it would never sweep.
pub(super) fn authorities(
    path: Option<&Path>,
    option: &str,
) -> Result<Option<(PathBuf, Vec<u8>)>, Error> {
    let Some(path) = path else {
        return Ok(None);
    };
    let pem = read(path, option)?.into_bytes();
    let why = client::authorities(&pem).err();
    let error = why.map(|why| Error::option(option, format!("{} {why}", path.display())));
    error.map_or(Ok(Some((path.to_owned(), pem))), Err)
}

/// The name that people pull by, if one is given. What was typed may hold a password, so it is not repeated.
pub(super) fn public_name(args: &ConnectionArgs) -> Result<Option<PublicName>, Error> {
    let parse = |text: &String| {
        let invalid = |why| {
            let text = without_login(text);
            Error::option("public-name", format!("`{text}`: {why}"))
        };
        text.parse().map_err(invalid)
    };
    args.public_name.as_ref().map(parse).transpose()
}

/// The registries that may hold what is broken in the one of `http`: by the logins that are
/// stored for them, through the same proxies, and trusting `--ca-file` as this registry's storage does. What was
/// typed as this registry's login, and its client certificate, are not theirs.
pub(in crate::cli) fn repair_sources(
    sources: &Sources,
    http: &Config,
    args: &RepairArgs,
) -> Result<Vec<RepairSource>, Error> {
    let source = |text: &String| {
        let invalid =
            |why: String| Error::option("repair-from", format!("`{}`: {why}", without_login(text)));
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), &**text),
        };
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if !host.contains(['.', ':']) && host != "localhost" {
            return Err(invalid(
                "expected HOST or HOST/PREFIX, and the host needs a `.` or a port".to_owned(),
            ));
        }
        let endpoint = sources.endpoint(&format!("{scheme}{host}"), false);
        let endpoint = endpoint.map_err(|error| invalid(error.to_string()))?;
        let prefix = Some(prefix.trim_end_matches('/')).filter(|prefix| !prefix.is_empty());
        let prefix = prefix.map(str::parse).transpose();
        let credentials = match &http.credentials {
            CredentialSource::Stored(stores) => CredentialSource::Stored(stores.clone()),
            _ => CredentialSource::Stored(stored(sources.around)),
        };
        Ok(RepairSource {
            http: Config {
                credentials,
                ca_pem: http.ca_pem.clone(),
                files: WatchedFiles {
                    ca: http.files.ca.clone(),
                    password: None,
                },
                own: own(sources.around, &endpoint, None),
                proxies: Arc::clone(&http.proxies),
                timeout: http.timeout,
                ..Config::new(endpoint)
            },
            prefix: prefix.map_err(|_| invalid("expected HOST or HOST/PREFIX".to_owned()))?,
        })
    };
    args.repair_from.iter().map(source).collect()
}

/// The client certificate that is named by `--{whose}-cert` and `--{whose}-key`.
pub(super) fn client_pair(
    whose: &str,
    certificate: Option<&PathBuf>,
    key: Option<&PathBuf>,
) -> Result<Option<ClientPair>, Error> {
    let (cert_option, key_option) = (format!("{whose}-cert"), format!("{whose}-key"));
    match (certificate, key) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let why = format!("a key without a certificate: add --{cert_option}");
            Err(Error::option(&key_option, why))
        }
        (Some(certificate), key) => {
            let pair = ClientPair::read(certificate, key.unwrap_or(certificate));
            pair.map(Some).map_err(|error| {
                let is_key = error.is_key && key.is_some();
                let option = if is_key { &key_option } else { &cert_option };
                Error::option(option, error.why)
            })
        }
    }
}

/// What is meant for a registry alone.
fn own(
    around: &Surroundings,
    endpoint: &Endpoint,
    given: Option<ClientPair>,
) -> Arc<OwnCertificates> {
    let folder = certs_folder(around, endpoint);
    Arc::new(OwnCertificates { given, folder })
}

/// The proxies that the environment names.
pub(super) fn proxies(around: &Surroundings) -> Arc<Proxies> {
    Arc::new(Proxies::from_variables(|name| around.first(&[name])))
}

/// Where podman and docker look for certificates of a registry, in that order: the first folder that is there
/// counts (containers/image, `dockerCertDir`; docker without root has one of its own).
fn certs_folder(around: &Surroundings, endpoint: &Endpoint) -> CertsFolder {
    if !endpoint.is_https() {
        return CertsFolder::default();
    }
    let home = around.first(&["HOME"]).map(Path::new);
    let own = home.iter().flat_map(|home| {
        let named = [".config/containers/certs.d", ".config/docker/certs.d"];
        named.map(|place| home.join(place))
    });
    let shared = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    let name = endpoint.name();
    // They are called as people write the registry.
    let with_port = (!endpoint.has_port()).then(|| format!("{name}:443"));
    let names: Vec<_> = [Some(name.to_owned()), with_port]
        .into_iter()
        .flatten()
        .collect();
    let places = own.chain(shared);
    let folders = places.flat_map(|place| names.iter().map(move |name| place.join(name)));
    CertsFolder::read(folders.collect())
}

fn credentials(args: &ConnectionArgs, around: &Surroundings) -> Result<CredentialSource, Error> {
    // Named at last, or nothing of a user would be left here.
    if let Some(path) = &args.authfile {
        return if path.exists() {
            Ok(CredentialSource::Stored(vec![LoginStore::at(path)]))
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
            Ok(CredentialSource::Given {
                // A file or variable often ends with a line end that is no part of it.
                username: username.trim().to_owned(),
                password: client::password(&password),
            })
        }
        (Some(_), None) => Err(Error::option(
            "username",
            "no password for this user: add --password-file, --password-stdin or PROBE_PASSWORD",
        )),
        (None, Some(_)) => Err(Error::Usage(
            "a password without a user name: add --username or PROBE_USERNAME".to_owned(),
        )),
        (None, None) => Ok(CredentialSource::Stored(stored(around))),
    }
}

/// Where docker, podman and skopeo keep logins, those that somebody named before the usual places: in the order of
/// docker/cli (cli/config) and containers/image (pkg/docker/config).
fn stored(around: &Surroundings) -> Vec<LoginStore> {
    let under = |variable: &str, file: &str| {
        let folder = around.first(&[variable])?;
        Some(Path::new(folder).join(file))
    };
    let file = |place: Option<PathBuf>, rules| {
        place.map(|path| LoginStore {
            place: Place::File(path),
            rules,
        })
    };
    let written = around
        .first(&["DOCKER_AUTH_CONFIG"])
        .map(|text| LoginStore {
            place: Place::Variable("DOCKER_AUTH_CONFIG", Secret::new(text)),
            rules: Rules::Docker,
        });
    // Without a variable, as root mostly runs.
    let run = around
        .user_id
        .map(|id| PathBuf::from(format!("/run/containers/{id}/auth.json")));
    let run = under("XDG_RUNTIME_DIR", "containers/auth.json").or(run);
    let own = under("XDG_CONFIG_HOME", "containers/auth.json");
    let stores = [
        around.first(&["REGISTRY_AUTH_FILE"]).map(LoginStore::at),
        written,
        file(under("DOCKER_CONFIG", "config.json"), Rules::Docker),
        file(run, Rules::Podman),
        file(
            own.or(under("HOME", ".config/containers/auth.json")),
            Rules::Podman,
        ),
        file(under("HOME", ".docker/config.json"), Rules::Docker),
    ];
    stores.into_iter().flatten().collect()
}
