//! What every request must be like, whatever the registry: held against the whole log after each
//! sweep.

use registry_double::{Endpoint, Registry, Seen};

/// The types of manifests that must be named in every request for one.
const TYPES: [&str; 7] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.oci.artifact.manifest.v1+json",
];

/// Panics on the first request in the log that is ill-mannered.
pub(super) fn hold(registry: &Registry) {
    for seen in registry.requests() {
        if let Err(why) = judge(&seen) {
            panic!("{seen}: {why}");
        }
    }
}

fn judge(seen: &Seen) -> Result<(), String> {
    let header = |name: &str| seen.header(name).unwrap_or_default().to_owned();
    let must = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
    let accept = header("accept");
    let has_types = accept.contains("manifest") || accept.contains("index");
    must(
        header("accept-encoding") == "identity",
        "compression would change lengths and digests",
    )?;
    must(
        header("user-agent").starts_with("registry-probe/"),
        "it does not say who asks",
    )?;
    must(
        seen.header("cookie").is_none(),
        "a cookie that nobody gave us",
    )?;
    let range = seen.header("range");
    must(
        range.is_none_or(is_absolute),
        "a range that is not absolute",
    )?;
    must(
        range.is_none() || matches!(seen.endpoint(), Endpoint::Blob | Endpoint::Storage),
        "a range of what is no blob",
    )?;
    let reads = matches!(seen.method(), "GET" | "HEAD");
    match seen.endpoint() {
        Endpoint::Manifest => {
            let named: Vec<_> = accept.split(',').map(str::trim).collect();
            must(reads, "it writes")?;
            must(
                TYPES.iter().all(|wanted| named.contains(wanted)),
                "not every manifest type is named",
            )
        }
        Endpoint::Catalog | Endpoint::Tags => {
            must(seen.method() == "GET", "lists are there for GET")?;
            must(!has_types, "manifest types are no business of a list")?;
            let n = seen.request.param("n").map(|n| n.parse::<u32>());
            must(
                n.is_none_or(|n| n.is_ok_and(|n| n <= 1000)),
                "more than 1000 a page",
            )
        }
        Endpoint::Blob => must(reads && !has_types, "a blob is read, and is no manifest"),
        Endpoint::Storage => {
            must(reads, "it writes")?;
            must(
                seen.header("authorization").is_none(),
                "our credentials are not the storage's business",
            )
        }
        Endpoint::Token => must(
            matches!(seen.method(), "GET" | "POST"),
            "tokens are had by GET and POST",
        ),
        Endpoint::Ping => must(seen.method() == "GET", "the ping is a GET"),
        Endpoint::Upload => Err("it writes".to_owned()),
        Endpoint::Other if seen.request.path.contains("/referrers/") => must(
            seen.method() == "GET" && accept == TYPES[0],
            "what is attached is read, and is an index",
        ),
        Endpoint::Other => Err("nothing is there, and we know it".to_owned()),
    }
}

/// `bytes=FIRST-LAST`, both given.
fn is_absolute(range: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .is_some_and(|(first, last)| is_number(first) && is_number(last))
}
