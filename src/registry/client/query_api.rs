//! Prometheus' query API, asked for what is in use: a GET for each question, with the login and the certificates
//! that Prometheus' own configuration has for what it asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, StatusCode};
use url::Url;

use super::own_certificates::{ClientPair, authorities};
use super::proxies::Proxies;
use super::secret::{Secret, basic_header, scheme_header};
use super::trust::{Trust, tls};
use super::way_out::{self, Whose};
use super::{classify, crypto, password};
use crate::oci::shorten;

/// The longest wait for an answer: a query of all pods of a large cluster takes some seconds.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts after the first.
const RETRIES: usize = 2;
/// The longest answer: about 100,000 containers.
const LARGEST_ANSWER: usize = 64 << 20;

/// Where it is, and how it is reached. Files are read when it is asked, since they may be rotated.
#[derive(Clone, Debug)]
pub struct QueryApi {
    /// What stands before `/api/v1/query`, without a login.
    pub url: Url,
    /// As whom it is asked.
    pub login: ApiLogin,
    /// Authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// The client certificate.
    pub pair: Option<ClientPair>,
    /// Whether any certificate is taken.
    pub skip_tls_verify: bool,
    /// Which proxies stand before whom.
    pub proxies: Arc<Proxies>,
}

/// As whom a query API is asked.
#[derive(Clone, Debug, Default)]
pub enum ApiLogin {
    /// Nobody.
    #[default]
    Nobody,
    /// A user with a password.
    User(String, Held),
    /// `Authorization` of this scheme.
    Scheme(String, Held),
}

/// Where a secret is.
#[derive(Clone, Debug)]
pub enum Held {
    /// Here.
    Given(Secret),
    /// In the first line of a file.
    File(PathBuf),
}

impl Held {
    fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(password(&text)),
                Err(error) => Err(format!(
                    "{} cannot be read ({})",
                    path.display(),
                    error.kind()
                )),
            },
        }
    }
}

impl QueryApi {
    /// Has the answers to some queries taken up, each with the number of its query: one after the other, for together
    /// they may be longer than memory has room for.
    ///
    /// # Errors
    ///
    /// If there is no answer to one of them, in a sentence that says what to do, or if it is not taken.
    pub async fn ask(
        &self,
        queries: &[String],
        mut take: impl FnMut(usize, &[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let vetted = self.proxies.vet(&self.url, self.pair.is_some());
        vetted.map_err(|why| format!("it is not asked: {}; {}", why.detail, why.hint()))?;
        let (client, login) = (self.client()?, self.authorization()?);
        for (number, query) in queries.iter().enumerate() {
            let attempt = || self.answer(&client, login.as_ref(), query);
            let delays = ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(500))
                .with_jitter()
                .with_max_times(RETRIES);
            let answer = attempt.retry(delays).when(|refused| refused.is_transient);
            take(number, &answer.await.map_err(|refused| refused.why)?)?;
        }
        Ok(())
    }

    fn client(&self) -> Result<Client, String> {
        crypto::install();
        let mut further = Vec::new();
        if let Some(path) = &self.ca {
            let unusable = |why: &str| format!("{} {why}", path.display());
            let read = std::fs::read(path);
            let pem =
                read.map_err(|error| unusable(&format!("cannot be read ({})", error.kind())))?;
            further = authorities(&pem).map_err(unusable)?;
        }
        let trust = Arc::new(if self.skip_tls_verify {
            Trust::Everybody
        } else {
            Trust::authorities(further)
        });
        let unusable = |why: String| format!("no HTTP client can be made: {why}");
        if self.url.scheme() == "https" {
            trust.read().map_err(|why| unusable(why.to_string()))?;
        }
        let mut pair = self.pair.clone();
        if let Some(Err(why)) = pair.as_mut().map(ClientPair::read_again) {
            return Err(unusable(why));
        }
        let tls = tls(&trust, pair.as_ref()).map_err(|why| unusable(why.to_string()))?;
        let builder = Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("registry-probe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls);
        let client = self.proxies.on(builder).build();
        client.map_err(|error| unusable(classify::cause(&error)))
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let header = match &self.login {
            ApiLogin::Nobody => return Ok(None),
            ApiLogin::User(name, held) => basic_header(name, &held.read()?),
            ApiLogin::Scheme(scheme, held) => scheme_header(scheme, &held.read()?),
        };
        header.map(Some).map_err(|why| why.detail.to_string())
    }

    async fn answer(
        &self,
        client: &Client,
        login: Option<&HeaderValue>,
        query: &str,
    ) -> Result<Vec<u8>, Refused> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1", "query"]);
        }
        url.query_pairs_mut().append_pair("query", query);
        let mut request = client.get(url);
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, login.clone());
        }
        let failed = |error: &reqwest::Error| self.unreachable(error);
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                let why = format!(
                    "its answer is longer than {LARGEST_ANSWER} bytes: --in-use-matcher takes a part"
                );
                return Err(Refused {
                    why,
                    is_transient: false,
                });
            }
        }
        // What is wrong with a query stands in the body of a 400 or a 422.
        if status.is_success() || matches!(status.as_u16(), 400 | 422) {
            return Ok(body);
        }
        let said = shorten(String::from_utf8_lossy(&body).trim(), 200);
        Err(Refused {
            why: format!("it answers {status}: {said}"),
            is_transient: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Refused {
        let through = self.proxies.before(&self.url);
        let through = through.map(|proxy| format!(", through {proxy}"));
        let advice = way_out::advice(error, Whose::Own).unwrap_or("is it up, and --in-use right?");
        let advice = advice
            .replace("--ca-file", "ca_file in --in-use-config")
            .replace(
                "--client-cert and --client-key",
                "cert_file and key_file in --in-use-config",
            );
        let cause = classify::cause(error);
        Refused {
            why: format!("{cause}{}; {advice}", through.unwrap_or_default()),
            is_transient: true,
        }
    }
}

/// Why there is no answer.
struct Refused {
    why: String,
    /// Whether asking again may help.
    is_transient: bool,
}
