//! A plain client: what was answered, and whether the body came whole.

use registry_double::Registry;
use reqwest::header::HeaderMap;

/// What all manifest requests accept.
pub(crate) const ACCEPT: (&str, &str) = (
    "accept",
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json",
);

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// What came, and whether that was all.
    pub(crate) body: Vec<u8>,
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("headers are text"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A client that follows no redirects.
pub(crate) fn client() -> reqwest::Client {
    // Built together with the probe, reqwest comes without a TLS provider of its own and wants one even for
    // plain HTTP. Another test may have installed it already, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // It speaks plain HTTP; reading the system's certificates for each client takes longer than a test.
        .tls_certs_only([])
        .build()
        .expect("a client can be built")
}

/// Sends a request and reads what comes; fails where nothing is answered.
pub(crate) async fn try_send(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let mut response = request.send().await?;
    let mut answer = Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: Vec::new(),
        whole: true,
    };
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => answer.body.extend_from_slice(&chunk),
            Ok(None) => return Ok(answer),
            Err(_) => {
                answer.whole = false;
                return Ok(answer);
            }
        }
    }
}

/// Sends a request with these headers to a path, or to a URL.
pub(crate) async fn send(
    method: &str,
    registry: &Registry,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let url = if path.starts_with("http") {
        path.to_owned()
    } else {
        format!("{}{path}", registry.url())
    };
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = client().request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    try_send(request).await.expect("an answer")
}

pub(crate) async fn get(registry: &Registry, path: &str) -> Answer {
    send("GET", registry, path, &[ACCEPT]).await
}

pub(crate) async fn head(registry: &Registry, path: &str) -> Answer {
    send("HEAD", registry, path, &[ACCEPT]).await
}

pub(crate) async fn range(registry: &Registry, path: &str, range: &str) -> Answer {
    send("GET", registry, path, &[("range", range)]).await
}
