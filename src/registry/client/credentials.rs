//! Credentials: what was given, or what docker and podman keep in their files and helpers.

use std::fmt;
use std::path::PathBuf;

use super::login_file::{Helper, LoginFile, Rules};
use super::login_helper::{self, NoLogin};
use super::secret::{Credentials, Secret};
use crate::oci::Repository;
use crate::registry::{Unverified, UnverifiedReason};
use crate::words::plain;

/// Where credentials come from. Files and helpers are read anew whenever they are asked, because
/// some (ECR) hold passwords that live for hours only.
#[derive(Clone, Debug, Default)]
pub enum CredentialSource {
    /// There are none: ask anonymously.
    #[default]
    None,
    /// A user and a password, as given.
    Given {
        /// The user's name.
        username: String,
        /// The user's password.
        password: Secret,
    },
    /// What docker and podman have stored; the first that has a login for the registry wins, and what does
    /// not exist is passed over.
    Stored(Vec<LoginStore>),
}

/// One file of docker's or podman's, or a variable that holds such a file.
#[derive(Clone, Debug)]
pub struct LoginStore {
    /// Where it is.
    pub place: Place,
    /// Whose rules it is read by.
    pub rules: Rules,
}

/// Where logins are stored.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// The environment: the name of a variable and what it holds.
    Variable(&'static str, Secret),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name, _) => f.write_str(name),
        }
    }
}

/// A name under which logins for a registry are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredAs {
    pub(crate) registry: String,
    /// What goes before the name of a repository.
    pub(crate) prefix: Option<String>,
}

impl StoredAs {
    fn path(&self, repository: Option<&Repository>) -> Option<Repository> {
        let Some(prefix) = &self.prefix else {
            return repository.cloned();
        };
        let path = repository.map_or(prefix.clone(), |name| format!("{prefix}/{name}"));
        path.parse().ok()
    }
}

/// What became of looking for a login.
#[derive(Default)]
pub(crate) struct Looked {
    /// The login, and where it was found.
    pub(crate) found: Option<(Credentials, String)>,
    /// Why one that may be there could not be had: each with its place.
    pub(crate) troubles: Vec<Trouble>,
}

/// Why a place could not be asked for a login.
#[derive(Clone)]
pub(crate) struct Trouble {
    /// What is wrong, with the place.
    pub(crate) why: String,
    /// Whether the place does speak of the registry.
    pub(crate) is_about_it: bool,
    /// Whether it was asked, and has none.
    pub(crate) has_none: bool,
}

impl CredentialSource {
    /// Looks under one name after the other for the login for `repository`, or for the registry as a whole.
    pub(crate) async fn look_by(
        &self,
        names: &[StoredAs],
        repository: Option<&Repository>,
    ) -> Looked {
        let mut looked = Looked::default();
        for (index, name) in names.iter().enumerate() {
            let by = self
                .look(&name.registry, name.path(repository).as_ref())
                .await;
            looked.troubles.extend(by.troubles);
            if let Some((login, place)) = by.found {
                let of = Some(format!("{place}, for {}", name.registry)).filter(|_| index > 0);
                looked.found = Some((login, of.unwrap_or(place)));
                break;
            }
        }
        looked
    }

    /// Looks for the login for `repository` of the registry named `registry`, or for the registry as a whole.
    pub(crate) async fn look(&self, registry: &str, repository: Option<&Repository>) -> Looked {
        match self {
            Self::None => Looked::default(),
            Self::Given { username, password } => {
                let login = Credentials::Password {
                    username: username.clone(),
                    password: password.clone(),
                };
                Looked {
                    found: Some((login, "the login that was given".to_owned())),
                    troubles: Vec::new(),
                }
            }
            Self::Stored(stores) => {
                let mut looked = Looked::default();
                for store in stores {
                    store.look(registry, repository, &mut looked).await;
                    if looked.found.is_some() {
                        break;
                    }
                }
                looked
            }
        }
    }

    /// The files and variables that are looked at, in their order.
    pub(crate) fn places(&self) -> Vec<String> {
        match self {
            Self::Stored(stores) => stores.iter().map(|store| store.place.to_string()).collect(),
            Self::None | Self::Given { .. } => Vec::new(),
        }
    }

    /// Whether it says anything of the registry, or of a path in it. Asks no helper.
    pub(crate) async fn names(&self, registry: &str) -> bool {
        let Self::Stored(stores) = self else {
            return matches!(self, Self::Given { .. });
        };
        for store in stores {
            if let Ok(Some(file)) = store.read().await
                && file.names(registry)
            {
                return true;
            }
        }
        false
    }
}

impl LoginStore {
    /// A file that somebody named, by the rules of whoever writes files of that name.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let is_dockers = path.file_name().is_some_and(|name| name == "config.json");
        let rules = if is_dockers {
            Rules::Docker
        } else {
            Rules::Podman
        };
        Self {
            place: Place::File(path),
            rules,
        }
    }

    /// What it holds; `None` if it is not there.
    async fn read(&self) -> Result<Option<LoginFile>, String> {
        let bytes = match &self.place {
            Place::File(path) => match tokio::fs::read(path).await {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(format!("cannot be read: {}", plain(&error))),
            },
            Place::Variable(_, text) => text.reveal().as_bytes().to_vec(),
        };
        LoginFile::parse(&bytes).map(Some)
    }

    /// A helper comes before what is written, as it does for both clients.
    async fn look(&self, registry: &str, repository: Option<&Repository>, looked: &mut Looked) {
        let mut trouble = |why: String, is_about_it, has_none| {
            let why = format!("{}: {why}", self.place);
            looked.troubles.push(Trouble {
                why,
                is_about_it,
                has_none,
            });
        };
        let file = match self.read().await {
            Ok(Some(file)) => file,
            Ok(None) => return,
            // What it says of the registry is not known.
            Err(why) => return trouble(why, true, false),
        };
        let mut found = None;
        if let Some(Helper {
            name: helper,
            server,
            is_own,
        }) = file.helper(registry, self.rules)
        {
            let server = match server {
                "docker.io" => "https://index.docker.io/v1/",
                server => server,
            };
            match login_helper::ask(helper, server).await {
                Ok(login) => found = Some((login, format!(", by its helper {helper}"))),
                Err(NoLogin { why, has_none }) => trouble(why, file.names(registry), has_none),
            }
            // A helper for this registry has the last word of its file; a store is for all of them.
            if found.is_none() && is_own {
                return;
            }
        }
        if found.is_none()
            && let Some(entry) = file.entry(registry, repository)
        {
            match entry.credentials() {
                Ok(login) => found = login.map(|login| (login, String::new())),
                Err(why) => trouble(why.to_owned(), true, false),
            }
        }
        looked.found = found.map(|(login, how)| (login, format!("{}{how}", self.place)));
    }
}

impl Looked {
    /// What is to be said where there is no login and one was wanted.
    pub(crate) fn trouble(&self) -> Option<Unverified> {
        let why: Vec<_> = self
            .troubles
            .iter()
            .map(|trouble| trouble.why.as_str())
            .collect();
        let is_none = self.found.is_some() || why.is_empty();
        (!is_none).then(|| {
            let detail = format!("no login could be had: {}", why.join("; "));
            Unverified::new(UnverifiedReason::Unauthorized, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn look(json: &str, registry: &str, repository: &str) -> Looked {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("config.json");
        std::fs::write(&path, json).expect("written");
        let missing = LoginStore::at(dir.path().join("missing.json"));
        let source = CredentialSource::Stored(vec![missing, LoginStore::at(path)]);
        source
            .look(registry, repository.parse().ok().as_ref())
            .await
    }

    async fn load(json: &str, registry: &str, repository: &str) -> Option<Credentials> {
        let found = look(json, registry, repository).await.found;
        found.map(|(login, _)| login)
    }

    fn login(username: &str, password: &str) -> Credentials {
        Credentials::Password {
            username: username.into(),
            password: Secret::new(password),
        }
    }

    #[tokio::test]
    async fn entries_in_every_spelling_of_the_key() {
        for (keys, registry) in [
            (
                &[
                    "r.example:5000",
                    "https://r.example:5000",
                    "http://r.example:5000",
                    "https://r.example:5000/v2/",
                    "https://r.example:5000/some/path",
                    "r.example:5000/",
                    "R.Example:5000",
                ][..],
                "r.example:5000",
            ),
            (&["r.example:443", "https://r.example:443"], "r.example"),
            (
                &[
                    "docker.io",
                    "https://index.docker.io/v1/",
                    "index.docker.io",
                    "registry-1.docker.io",
                    "https://registry-1.docker.io",
                ],
                "docker.io",
            ),
        ] {
            for key in keys {
                let json = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpwOnE="}}}}}}"#);
                assert_eq!(
                    load(&json, registry, "a").await,
                    Some(login("u", "p:q")),
                    "{key}"
                );
                assert_eq!(load(&json, "s.example", "a").await, None, "{key}");
            }
        }
    }

    #[tokio::test]
    async fn of_several_keys_the_same_is_taken_each_time() {
        let json = |keys: &[&str]| {
            let entry = |key: &&str| {
                let auth = base64::Engine::encode(
                    &base64::engine::general_purpose::STANDARD,
                    format!("{key}:x"),
                );
                format!(r#""{}":{{"auth":"{auth}"}}"#, key.replace('~', "://"))
            };
            let entries: Vec<_> = keys.iter().map(entry).collect();
            format!(r#"{{"auths":{{{}}}}}"#, entries.join(","))
        };
        for (keys, expected) in [
            (&["https~r", "r"][..], "r"),
            (&["http~r", "https~r"], "https~r"),
            (&["http~r", "r:443", "https~r"], "https~r"),
            (&["R", "https~r"], "R"),
        ] {
            let json = json(keys);
            assert_eq!(
                load(&json, "r", "a").await,
                Some(login(expected, "x")),
                "{json}"
            );
        }
    }

    #[tokio::test]
    async fn the_most_specific_path_wins() {
        let json = r#"{"auths":{"r":{"auth":"YTph"},"r/team":{"auth":"Yjpi"},"r/team/app":{"auth":"Yzpj"}}}"#;
        for (repository, user) in [
            ("x", "a"),
            ("team/x", "b"),
            ("team/app", "c"),
            ("team2", "a"),
        ] {
            assert_eq!(
                load(json, "r", repository).await,
                Some(login(user, user)),
                "{repository}"
            );
        }
        assert_eq!(load(json, "r", "Not a name").await, Some(login("a", "a")));
    }

    #[tokio::test]
    async fn entries_in_every_form() {
        use Credentials::{IdentityToken, RegistryToken};
        let token = || Secret::new("t");
        for (entry, expected) in [
            (r#"{"auth":"dTpw"}"#, Some(login("u", "p"))),
            (r#"{"auth":"dTpwOnE"}"#, Some(login("u", "p:q"))),
            (r#"{"auth":"dTpw\nOnE=\n"}"#, Some(login("u", "p:q"))),
            (r#"{"auth":"dTpwAAA="}"#, Some(login("u", "p"))),
            (r#"{"username":"u","password":"p"}"#, Some(login("u", "p"))),
            (
                r#"{"auth":"dTpw","username":"x","password":"y"}"#,
                Some(login("u", "p")),
            ),
            (
                r#"{"auth":"dTpw","identitytoken":"t"}"#,
                Some(IdentityToken {
                    token: token(),
                    beside: Some(("u".into(), Secret::new("p"))),
                }),
            ),
            (
                r#"{"auth":"???","identitytoken":"t"}"#,
                Some(IdentityToken {
                    token: token(),
                    beside: None,
                }),
            ),
            (r#"{"AUTH":"dTpw","Email":7}"#, Some(login("u", "p"))),
            (
                r#"{"auth":"eDp4","Auth":"dTpw","auTH":null}"#,
                Some(login("u", "p")),
            ),
            (r#"{"registrytoken":"t"}"#, Some(RegistryToken(token()))),
            (r#"{"auth":"","username":null}"#, None),
            (r#"{"auth":null}"#, None),
            ("{}", None),
            ("null", None),
        ] {
            let looked = look(&format!(r#"{{"auths":{{"r":{entry}}}}}"#), "r", "a").await;
            assert!(looked.troubles.is_empty(), "{entry}");
            assert_eq!(looked.found.map(|(login, _)| login), expected, "{entry}");
        }
    }

    #[tokio::test]
    async fn what_says_nothing_is_no_login_and_no_trouble() {
        for json in [
            "",
            " \n",
            "null",
            "{}",
            "\u{feff}{}",
            r#"{"auths":null,"credsStore":null,"credHelpers":null}"#,
            r#"{"auths":{},"credsStore":""}"#,
            r#"{"credHelpers":{"r":null}}"#,
        ] {
            let looked = look(json, "r", "a").await;
            assert!(
                looked.found.is_none() && looked.troubles.is_empty(),
                "{json:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_bad_file_is_told_without_its_content() {
        for (json, is_about_it) in [
            ("{hunter2", true),
            (r#"{"auths":{"r":{"auth":"hunter2"}}}"#, true),
            (r#"{"auths":{"r":{"auth":"OmE="}}}"#, true),
            (r#"{"auths":{"r":{"auth":7}}}"#, true),
            (r#"{"credsStore":"../x"}"#, false),
        ] {
            let looked = look(json, "r", "a").await;
            let why = looked.trouble().expect(json);
            assert_eq!(why.reason, UnverifiedReason::Unauthorized);
            assert!(!why.detail.contains("hunter2"), "{why}");
            assert_eq!(looked.troubles[0].is_about_it, is_about_it, "{json}");
        }
        for helper in ["../x", "a b", "/bin/sh"] {
            let json = format!(r#"{{"credsStore":"{helper}"}}"#);
            assert!(look(&json, "r", "a").await.trouble().is_some(), "{helper}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let text = format!(
            "{:?} {:?}",
            Some(login("u", "hunter2")),
            Secret::new("hunter2")
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}
