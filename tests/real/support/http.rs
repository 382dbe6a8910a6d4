//! A plain HTTP client on loopback: what the harness pushes with, and how it looks at a registry itself.

use std::future::Future;
use std::sync::{LazyLock, Once};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use tokio::runtime::Runtime;

use super::access_log::HARNESS;
use super::process::PATIENCE;
use super::registry::Login;

/// Every manifest type that the tests push.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Runs a future to its end on the runtime of the harness.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// What came back, down to whether the body was as long as it was promised to be.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended where it was promised to end.
    pub(crate) whole: bool,
}

impl Answer {
    /// A header as text, empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("headers are text"))
    }
}

/// A client of one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    base: String,
    login: Option<Login>,
    inner: reqwest::Client,
}

impl Client {
    /// A client for `http://host:port`, with or without a login.
    pub(crate) fn new(base: &str, login: Option<&Login>) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Somebody may have been faster; one is enough.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let inner = reqwest::Client::builder()
            .no_proxy()
            .user_agent(HARNESS)
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        Self {
            base: base.to_owned(),
            login: login.cloned(),
            inner,
        }
    }

    /// HEAD.
    pub(crate) fn head(&self, path: &str) -> Answer {
        block_on(self.ask(self.request(Method::HEAD, path)))
    }

    /// GET, the whole body.
    pub(crate) fn get(&self, path: &str) -> Answer {
        block_on(self.ask(self.request(Method::GET, path)))
    }

    /// GET of one range, such as `bytes=0-0`.
    pub(crate) fn get_range(&self, path: &str, range: &str) -> Answer {
        let range = HeaderValue::from_str(range).expect("a range is ASCII");
        let request = self.request(Method::GET, path);
        block_on(self.ask(request.header(reqwest::header::RANGE, range)))
    }

    /// DELETE.
    pub(crate) fn delete(&self, path: &str) -> Answer {
        block_on(self.ask(self.request(Method::DELETE, path)))
    }

    /// Whether anything answers there at all.
    pub(crate) fn answers(&self, path: &str) -> bool {
        block_on(async { self.request(Method::GET, path).send().await.is_ok() })
    }

    /// POST without a body.
    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.ask(self.request(Method::POST, path)).await
    }

    /// PUT with a body; `target` is a path or a whole URL.
    pub(crate) async fn put(&self, target: &str, media_type: &str, body: Bytes) -> Answer {
        let content_type = HeaderName::from_static("content-type");
        let request = self
            .request(Method::PUT, target)
            .header(content_type, media_type)
            .body(body);
        self.ask(request).await
    }

    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        let url = if target.starts_with('/') {
            format!("{}{target}", self.base)
        } else {
            target.to_owned()
        };
        let request = self
            .inner
            .request(method, url)
            .header(reqwest::header::ACCEPT, ACCEPT);
        match &self.login {
            Some(login) => request.basic_auth(&login.user, Some(&login.password)),
            None => request,
        }
    }

    async fn ask(&self, request: RequestBuilder) -> Answer {
        let mut response = request.send().await.expect("the server answers");
        let mut body = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
            whole,
        }
    }
}
