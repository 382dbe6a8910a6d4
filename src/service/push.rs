//! Hands the result of a sweep to a Prometheus Pushgateway.
//!
//! A sweep that reached everything replaces its group (PUT); one that did not only adds to it (POST),
//! so that being blind clears no alert. The group is `job` and `instance`, which is the registry.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use parking_lot::Mutex;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, Response, StatusCode};
use url::Url;

use crate::oci::{Repository, shorten};
use crate::registry::client::own_certificates::{authorities, is_special};
use crate::registry::client::trust::{Trust, tls};
use crate::registry::client::way_out::{self, Whose};
use crate::registry::client::{ClientPair, Proxies, classify, crypto};
use crate::render::metrics;
use crate::report::{Record, Shard};

/// The longest wait for a gateway's answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts after the first.
const RETRIES: usize = 2;
/// As much of a gateway's metrics as is read: some hold those of thousands of jobs.
const LARGEST_ANSWER: usize = 64 << 20;

/// Where to push to, and under which name.
#[derive(Clone)]
pub struct Gateway {
    url: Url,
    job: String,
    /// The number of the part that this probe has, where several share the work.
    shard: Option<String>,
    tls: Arc<Mutex<GatewayTls>>,
}

/// How a gateway is reached: whom to trust, what to show, through which proxy.
#[derive(Debug, Default)]
pub struct GatewayTls {
    /// The file of authorities to trust besides the system's, and what is in it.
    pub authorities: Option<(PathBuf, Vec<u8>)>,
    /// The client certificate.
    pub pair: Option<ClientPair>,
    /// Which proxies stand before whom.
    pub proxies: Arc<Proxies>,
}

impl GatewayTls {
    /// Reads the files again. One that is gone or half-written stays as it was.
    fn read_again(&mut self) {
        if let Some((path, pem)) = &mut self.authorities
            && !is_special(path)
            && let Err(why) = reread(path, pem)
        {
            tracing::warn!("{} {why}: what it said before stays in use", path.display());
        }
        let pair = self.pair.as_mut();
        if let Some(Err(why)) = pair.map(ClientPair::read_again) {
            tracing::warn!("{why}: what was there before stays in use");
        }
    }

    /// A client for a gateway that shows a certificate, or one that does not.
    fn client(&self, is_encrypted: bool) -> Result<Client, PushError> {
        crypto::install();
        let unusable = |why: &dyn fmt::Display| {
            PushError::permanent(format!("no HTTP client can be made: {why}"))
        };
        let mut further = Vec::new();
        if let Some((path, pem)) = &self.authorities {
            let found = authorities(pem);
            further = found.map_err(|why| unusable(&format!("{} {why}", path.display())))?;
        }
        let trust = Arc::new(Trust::authorities(further));
        if is_encrypted {
            trust.read().map_err(|why| unusable(&why))?;
        }
        let tls = tls(&trust, self.pair.as_ref()).map_err(|why| unusable(&why))?;
        let builder = Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("registry-probe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls);
        let client = self.proxies.on(builder).build();
        client.map_err(|error| unusable(&classify::cause(&error)))
    }
}

/// Why something could not be pushed, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PushError {
    message: String,
    /// Whether asking again may help.
    is_transient: bool,
}

impl PushError {
    fn permanent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_transient: false,
        }
    }
}

impl Gateway {
    /// A gateway at `HOST[:PORT]` or a URL, http where it does not say, to which results are pushed
    /// as those of `job`, and of a shard, if the work is shared.
    ///
    /// # Errors
    ///
    /// If that is no web address.
    pub fn new(
        address: &str,
        job: &str,
        shard: Option<Shard>,
        tls: GatewayTls,
    ) -> Result<Self, PushError> {
        let text = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let url = Url::parse(&text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.query().is_none()
                && url.fragment().is_none()
        });
        let Some(url) = url else {
            let example = "http://pushgateway.example:9091";
            let why = format!("no web address such as {example}");
            return Err(PushError::permanent(why));
        };
        Ok(Self {
            url,
            job: job.to_owned(),
            shard: shard.map(|shard| shard.index().to_string()),
            tls: Arc::new(Mutex::new(tls)),
        })
    }

    /// Pushes what is known of a registry after its last sweep, which is nothing if there was none.
    ///
    /// # Errors
    ///
    /// If the gateway cannot be reached, or refuses.
    pub async fn push(&self, record: &Record) -> Result<(), PushError> {
        let Some(report) = &record.last else {
            return Ok(());
        };
        let client = self.client()?;
        if report.complete {
            let mut text = metrics::render(&[record]);
            if metrics::lacks_in_use(record) {
                let key = self.key(&record.registry);
                let held = self.held(&client).await?;
                metrics::recall_in_use(&mut text, record, &held, &key);
            }
            return self
                .send(&client, Method::PUT, &record.registry, text)
                .await;
        }
        let mut record = record.clone();
        let held = self.held(&client).await?;
        let registry = record.registry.clone();
        metrics::recall(&mut record, &held, &self.key(&registry));
        let text = metrics::render_partial(&record);
        self.send(&client, Method::POST, &record.registry, text)
            .await
    }

    /// Pushes metrics of something else, under a name of its own: in place of those that were there, or besides.
    ///
    /// # Errors
    ///
    /// If the gateway cannot be reached, or refuses.
    pub async fn push_text(
        &self,
        instance: &str,
        is_whole: bool,
        text: String,
    ) -> Result<(), PushError> {
        let method = if is_whole { Method::PUT } else { Method::POST };
        self.send(&self.client()?, method, instance, text).await
    }

    /// The repositories in which something is broken, as far as the gateway holds what an earlier run pushed.
    ///
    /// # Errors
    ///
    /// If the gateway cannot be reached, or refuses.
    pub(super) async fn failing(&self, registry: &str) -> Result<BTreeSet<Repository>, PushError> {
        let held = self.held(&self.client()?).await?;
        Ok(metrics::failing(registry, &held, &self.key(registry)))
    }

    fn client(&self) -> Result<Client, PushError> {
        let mut tls = self.tls.lock();
        tls.read_again();
        let vetted = tls.proxies.vet(&self.url, tls.pair.is_some());
        vetted.map_err(|why| {
            let (detail, hint) = (&why.detail, why.hint());
            PushError::permanent(format!("--push-gateway is not asked: {detail}; {hint}"))
        })?;
        tls.client(self.url.scheme() == "https")
    }

    fn key<'a>(&'a self, registry: &'a str) -> Vec<(&'a str, &'a str)> {
        let shard = self.shard.iter().map(|shard| ("shard", shard.as_str()));
        let group = [("job", self.job.as_str()), ("instance", registry)];
        group.into_iter().chain(shard).collect()
    }

    /// Everything that the gateway holds.
    async fn held(&self, client: &Client) -> Result<String, PushError> {
        let what = format!("the metrics of {self}");
        let attempt = async || {
            let url = self.path(&["metrics"]);
            let mut response = self.answered(client.get(url), &what).await?;
            let mut text = Vec::new();
            while let Some(chunk) = response
                .chunk()
                .await
                .map_err(|e| self.unreachable(&what, &e))?
            {
                text.extend_from_slice(&chunk);
                if text.len() > LARGEST_ANSWER {
                    let message = format!("{what} are longer than {LARGEST_ANSWER} bytes");
                    return Err(PushError::permanent(message));
                }
            }
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        attempt
            .retry(delays())
            .when(|error: &PushError| error.is_transient)
            .await
    }

    async fn send(
        &self,
        client: &Client,
        method: Method,
        instance: &str,
        text: String,
    ) -> Result<(), PushError> {
        let key = self.key(instance);
        let mut words = vec!["metrics".to_owned()];
        words.extend(key.iter().flat_map(|(label, value)| words_of(label, value)));
        let url = self.path(&words);
        let what = format!("the push of {instance} to {self}");
        let attempt = async || {
            let request = client.request(method.clone(), url.clone());
            let request = request.header(CONTENT_TYPE, "text/plain; version=0.0.4");
            self.answered(request.body(text.clone()), &what)
                .await
                .map(drop)
        };
        let pushed = attempt
            .retry(delays())
            .when(|error: &PushError| error.is_transient);
        let mut error = match pushed.await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !error.is_transient
            && let Ok(held) = self.held(client).await
        {
            error.message += &self.advice(&metrics::foreign_groups(&held, &key));
        }
        Err(error)
    }

    /// What to do where an older job's metrics of the same names are in the way.
    fn advice(&self, groups: &std::collections::BTreeSet<String>) -> String {
        if groups.is_empty() {
            return String::new();
        }
        let command = |group: &String| {
            let words: Vec<_> = group.split('/').skip(1).collect();
            let group = self.path(&words);
            format!("\n  curl -X DELETE '{group}'")
        };
        let commands: String = groups.iter().map(command).collect();
        format!(
            "\nThe gateway holds metrics of the same names from another job. Stop that job, delete what it \
             left, and this push will be taken:{commands}"
        )
    }

    async fn answered(
        &self,
        request: reqwest::RequestBuilder,
        what: &str,
    ) -> Result<Response, PushError> {
        let sent = request.send().await;
        let mut response = sent.map_err(|error| self.unreachable(what, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // A sentence about what does not fit, or a page of something in between.
        let said = response.chunk().await.ok().flatten().unwrap_or_default();
        let said = shorten(String::from_utf8_lossy(&said).trim(), 300);
        Err(PushError {
            message: format!("{what} was refused: {status}: {said}"),
            is_transient: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        })
    }

    /// The innermost cause says most; none of them names a password.
    fn unreachable(&self, what: &str, error: &reqwest::Error) -> PushError {
        let cause = classify::cause(error);
        let tls = self.tls.lock();
        let through = tls.proxies.before(&self.url);
        let through = through.map(|proxy| format!(", through {proxy}"));
        let through = through.unwrap_or_default();
        let advice = way_out::advice(error, Whose::Own)
            .unwrap_or("is the gateway up, and --push-gateway right?");
        let advice = advice.replace("--c", "--push-c");
        PushError {
            message: format!("{what} failed: {cause}{through}; {advice}"),
            is_transient: true,
        }
    }

    fn path<T: AsRef<str>>(&self, words: &[T]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(words);
        }
        url
    }
}

/// The address without a password that may be in it.
impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => write!(f, "{host}:{port}"),
            None => f.write_str(host),
        }
    }
}

/// A label of the key in the path. What would end a segment, or be an empty one, is encoded (README of
/// the Pushgateway, "URL").
fn words_of(label: &str, value: &str) -> [String; 2] {
    if value.is_empty() || value.contains('/') {
        [format!("{label}@base64"), URL_SAFE.encode(value)]
    } else {
        [label.to_owned(), value.to_owned()]
    }
}

fn delays() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_jitter()
        .with_max_times(RETRIES)
}

/// What is in a file now, if that is whole.
fn reread(path: &Path, pem: &mut Vec<u8>) -> Result<(), String> {
    let read = std::fs::read(path);
    let new = read.map_err(|error| format!("cannot be read ({})", error.kind()))?;
    authorities(&new)?;
    *pem = new;
    Ok(())
}
