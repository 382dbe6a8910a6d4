//! One request as the registry sees it: which endpoint, which repository, which reference.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags,
    /// `/v2/<name>/manifests/<reference>`
    Manifest,
    /// `/v2/<name>/blobs/<digest>`
    Blob,
    /// `/v2/<name>/blobs/uploads/…`
    Upload,
    /// The token service.
    Token,
    /// The signed address of a blob in the object store behind a registry.
    Storage,
    /// Anything else; there is nothing there.
    Other,
}

/// One request, read completely.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The query as sent, without the question mark; empty when there is none.
    pub query: String,
    /// Lower-case names; the values of a repeated header are joined by a comma and a space.
    pub headers: BTreeMap<String, String>,
    /// The body; empty when there is none.
    pub body: Bytes,
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The repository, where the endpoint has one.
    pub repository: Option<String>,
    /// The tag or digest of a manifest, the digest of a blob, the identifier of an upload.
    pub reference: Option<String>,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
}

impl Request {
    /// Reads what the path asks for; `token_path` is where the token service lives.
    pub(crate) fn new(method: &str, path: &str, query: &str, token_path: Option<&str>) -> Self {
        let (endpoint, repository, reference) = classify(&decode(path), token_path);
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: BTreeMap::new(),
            body: Bytes::new(),
            endpoint,
            repository,
            reference,
            connection: 0,
        }
    }

    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first value of a query parameter, decoded.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params(name).into_iter().next()
    }

    /// All values of a query parameter, decoded, in the order sent.
    pub fn params(&self, name: &str) -> Vec<String> {
        values(&self.query, name)
    }

    /// All values of a field of a form body, decoded, in the order sent.
    pub fn fields(&self, name: &str) -> Vec<String> {
        values(&String::from_utf8_lossy(&self.body), name)
    }

    /// The origin under which the client reached the registry, for absolute links; registries go by
    /// the `Host` header.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or_default())
    }

    /// Whether the answer goes without a body.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether it only reads.
    pub fn is_read(&self) -> bool {
        self.method == "GET" || self.is_head()
    }

    /// The repository; the empty name where the endpoint has none.
    pub(crate) fn repository(&self) -> &str {
        self.repository.as_deref().unwrap_or_default()
    }

    /// The reference; empty where the endpoint has none.
    pub(crate) fn reference(&self) -> &str {
        self.reference.as_deref().unwrap_or_default()
    }
}

type Asked = (Endpoint, Option<String>, Option<String>);

fn classify(path: &str, token_path: Option<&str>) -> Asked {
    if token_path == Some(path) {
        return (Endpoint::Token, None, None);
    }
    if let Some(digest) = path.strip_prefix("/storage/") {
        return (Endpoint::Storage, None, Some(digest.to_owned()));
    }
    match path.strip_prefix("/v2/") {
        Some("") => (Endpoint::Ping, None, None),
        Some("_catalog") => (Endpoint::Catalog, None, None),
        Some(rest) => within_repository(rest).unwrap_or((Endpoint::Other, None, None)),
        None => (Endpoint::Other, None, None),
    }
}

/// Splits from the right, because `tags`, `manifests` and `blobs` are allowed in the names of
/// repositories too.
fn within_repository(rest: &str) -> Option<Asked> {
    let (endpoint, name, reference) = if let Some(name) = rest.strip_suffix("/tags/list") {
        (Endpoint::Tags, name, None)
    } else if let Some((name, id)) = rest.rsplit_once("/blobs/uploads/") {
        (Endpoint::Upload, name, Some(id))
    } else if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        (Endpoint::Upload, name, Some(""))
    } else if let Some((name, digest)) = rest.rsplit_once("/blobs/") {
        (
            Endpoint::Blob,
            name,
            digest.contains(':').then_some(digest).map(Some)?,
        )
    } else {
        let (name, reference) = rest.rsplit_once("/manifests/")?;
        (
            Endpoint::Manifest,
            name,
            (!reference.is_empty()).then_some(reference).map(Some)?,
        )
    };
    is_name(name).then(|| {
        (
            endpoint,
            Some(name.to_owned()),
            reference.map(str::to_owned),
        )
    })
}

/// The grammar of repository names; an upper-case name has no route at all.
fn is_name(name: &str) -> bool {
    name.split('/').all(|component| {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        component.starts_with(edge)
            && component.ends_with(edge)
            && component
                .chars()
                .all(|c| edge(c) || matches!(c, '.' | '_' | '-'))
    })
}

fn values(query: &str, name: &str) -> Vec<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('=').or(Some((pair, ""))))
        .filter(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(&value.replace('+', " ")))
        .collect()
}

/// Resolves percent escapes; a broken escape stands for itself.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Escapes everything that may not stand in a query value.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str) -> (Endpoint, String, String) {
        let request = Request::new("GET", path, "", Some("/token"));
        (
            request.endpoint,
            request.repository().to_owned(),
            request.reference().to_owned(),
        )
    }

    #[test]
    fn paths_are_endpoints() {
        let cases = [
            ("/v2/", Endpoint::Ping, "", ""),
            ("/v2/_catalog", Endpoint::Catalog, "", ""),
            ("/v2/a/b/tags/list", Endpoint::Tags, "a/b", ""),
            ("/v2/a/manifests/v1", Endpoint::Manifest, "a", "v1"),
            (
                "/v2/a/manifests/manifests/v1",
                Endpoint::Manifest,
                "a/manifests",
                "v1",
            ),
            ("/v2/a/blobs/sha256%3Aab", Endpoint::Blob, "a", "sha256:ab"),
            ("/v2/a/blobs/uploads/", Endpoint::Upload, "a", ""),
            ("/v2/a/blobs/uploads/7", Endpoint::Upload, "a", "7"),
            ("/token", Endpoint::Token, "", ""),
            ("/storage/sha256:ab", Endpoint::Storage, "", "sha256:ab"),
            ("/v2/A/tags/list", Endpoint::Other, "", ""),
            ("/v2/a/referrers/sha256:ab", Endpoint::Other, "", ""),
            ("/v2", Endpoint::Other, "", ""),
        ];
        for (path, endpoint, name, reference) in cases {
            assert_eq!(
                asked(path),
                (endpoint, name.to_owned(), reference.to_owned()),
                "{path}"
            );
        }
    }

    #[test]
    fn parameters_are_decoded_and_may_repeat() {
        let request = Request::new(
            "GET",
            "/token",
            "scope=repository%3Aa%3Apull&scope=x+y&n",
            Some("/token"),
        );
        assert_eq!(request.params("scope"), ["repository:a:pull", "x y"]);
        assert_eq!(request.param("n").as_deref(), Some(""));
        assert_eq!(decode(&encode("foo/x y")), "foo/x y");
    }
}
