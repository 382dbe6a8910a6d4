//! The login: how the registry wants to be told who we are, and what came of telling it.

use serde::Serialize;
use serde_json::json;
use url::Url;

use super::Outcome::{Fail, Fine, Info, Warn};
use super::lists::host_of;
use super::subject::Doctor;
use super::{Check, LONGEST_HEADER, trouble};
use crate::oci::{printable, shorten};
use crate::registry::client::CredentialSource;
use crate::registry::client::auth::Scheme;
use crate::registry::{Unverified, UnverifiedReason};

/// What came of telling the registry who we are.
#[derive(PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "detail", rename_all = "snake_case")]
pub(super) enum Login {
    /// It did not ask.
    NotWanted,
    /// It asked, and there was nothing to tell.
    Missing,
    /// It knows us.
    Accepted,
    /// It does not take these credentials.
    Refused(String),
    /// They could not be read, or not be put to the test, for this reason.
    Untried(String),
}

impl Doctor<'_> {
    pub(super) fn scheme(&self) -> Scheme {
        self.registry.exchange.auth.scheme()
    }

    /// Shows the token service who we are, or goes by what the registry just answered to the login.
    pub(super) async fn log_in(&self, answer: Result<(), Unverified>) -> Login {
        let auth = &self.registry.exchange.auth;
        if !auth.login.is_there(self.named.first()).await {
            let failure = auth.login.failure(self.named.first());
            return failure.map_or(Login::Missing, |why| Login::Untried(why.detail.to_string()));
        }
        let answer = match self.scheme() {
            Scheme::Bearer(_) => match auth.try_token_service(self.named.first()).await {
                Ok(None) => {
                    return Login::Untried("they are a token, which is sent as it is".into());
                }
                tried => tried.map(drop),
            },
            Scheme::Open | Scheme::Basic => answer,
        };
        match answer {
            Ok(()) => Login::Accepted,
            // A token service answers 403 and 400 to what it does not give, and 401 to whom it does not
            // know.
            Err(why) if why.reason == UnverifiedReason::Unauthorized => {
                Login::Refused(trouble(&why))
            }
            Err(why) => Login::Untried(why.detail.to_string()),
        }
    }

    /// The user whose password was given, if one was.
    pub(super) fn given_user(&self) -> Option<&str> {
        match self.registry.exchange.auth.login.source() {
            CredentialSource::Given { username, .. } => Some(username),
            CredentialSource::Stored(_) | CredentialSource::None => None,
        }
    }

    /// What to say of the login, by what came of asking: whether it is asked for, and whether something can be
    /// pulled.
    pub(super) async fn login(&self, login: &Login, is_asked: bool, is_open: bool) -> Check {
        let known = &self.registry.exchange.auth.login;
        let is_there = known.is_there(self.named.first()).await;
        let user = self.given_user().map(printable);
        let who = match &user {
            Some(user) => format!("{user}, by the login that was given"),
            None if is_there => format!("the login in {}", known.found_at().unwrap_or_default()),
            None if matches!(login, Login::Untried(_)) => "nobody".into(),
            None => {
                let trouble = known.trouble(self.named.first());
                let why = trouble.map(|why| why.detail.to_string());
                let why = why.unwrap_or_else(|| "no login for it was given or is stored".into());
                format!("nobody: {why}")
            }
        };
        let mut data = json!(login);
        data["user"] = user.into();
        data["is_known"] = is_there.into();
        data["found_at"] = known.found_at().into();
        data["looked_at"] = known.source().places().into();
        let (kind, wanted) = match self.scheme() {
            Scheme::Open if is_asked => ("other", "of a kind that the probe does not know".into()),
            Scheme::Open => ("nothing", "none is asked for".into()),
            Scheme::Basic => ("password", "a password with every request (Basic)".into()),
            Scheme::Bearer(challenge) => {
                let url = Url::parse(&challenge.realm).ok();
                let host = url.as_ref().map_or("an unreadable address".into(), host_of);
                let service = challenge.service.map(|name| shorten(&name, LONGEST_HEADER));
                let of = service
                    .iter()
                    .map(|name| format!(" for the service {name}"));
                let wanted = format!("a token (Bearer) from {host}{}", of.collect::<String>());
                data["token_service"] = service.into();
                data["token_host"] = host.into();
                ("token", wanted)
            }
        };
        let as_nobody = kind == "token" || is_open;
        data["wanted"] = kind.into();
        let (outcome, what) = match login {
            Login::NotWanted if is_there => (Fine, format!("; not sent: {who}")),
            Login::NotWanted => (Fine, String::new()),
            Login::Accepted => (Fine, format!("; accepted: {who}")),
            Login::Missing if as_nobody => (Info, format!("; asked for as {who}")),
            Login::Missing => (Fail, format!("; you are {who}")),
            Login::Refused(why) => (Fail, format!("; refused to {who}: {why}")),
            Login::Untried(why) => (Warn, format!("; {who}, not tried: {why}")),
        };
        self.advised(
            Check::new("login", outcome, wanted + &what, data),
            login,
            kind,
            as_nobody,
        )
    }

    fn advised(&self, check: Check, login: &Login, wanted: &str, as_nobody: bool) -> Check {
        let how = format!(
            "--username with --password-file, PROBE_USERNAME with PROBE_PASSWORD, or `docker login {}` \
             as the user that runs the probe",
            self.registry.endpoint.name()
        );
        match login {
            Login::NotWanted | Login::Accepted => check,
            Login::Missing if as_nobody => {
                check.will(format!("It asks as nobody, and sees what is public. For more: {how}."))
            }
            Login::Missing if wanted == "other" => {
                check.care("It cannot log in: the registry must offer Basic or Bearer.")
            }
            Login::Missing => check.care(format!("It needs a login: {how}.")),
            Login::Refused(_) => check.care(format!(
                "The login is wrong, or has expired. Nothing more was asked, so as not to lock it. Set \
                 another: {how}."
            )),
            Login::Untried(_) => check.care(format!("Look at the login. It can be set by {how}.")),
        }
    }
}
