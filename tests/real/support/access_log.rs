//! The registry's own access log (combined format on its standard output), parsed and counted.

use std::fmt;
use std::path::Path;

/// How the harness calls itself, so that its own requests are told from the probe's.
pub(crate) const HARNESS: &str = "registry-probe-tests";

/// One answered request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) status: u16,
    pub(crate) agent: String,
}

impl Entry {
    /// Reads `ADDR - USER [TIME] "METHOD TARGET PROTOCOL" STATUS SIZE "REFERER" "AGENT"`.
    fn parse(line: &str) -> Option<Self> {
        let mut quoted = line.split('"');
        let mut request = quoted.nth(1)?.split(' ');
        let method = request.next()?.to_owned();
        let target = request.next()?;
        let status = quoted.next()?.split_whitespace().next()?.parse().ok()?;
        let agent = quoted.nth(2)?.to_owned();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            status,
            agent,
        })
    }

    /// Whether the harness itself asked.
    pub(crate) fn is_of_the_harness(&self) -> bool {
        self.agent == HARNESS
    }
}

/// The whole log; a last line that is only half written is left out.
pub(crate) fn read(path: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    whole
        .lines()
        .map(|line| Entry::parse(line).unwrap_or_else(|| panic!("not a line of the log: {line}")))
        .collect()
}

/// How often each kind of request was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    pub(crate) pings: usize,
    pub(crate) catalog_pages: usize,
    pub(crate) tag_pages: usize,
    pub(crate) manifest_heads: usize,
    pub(crate) manifest_gets: usize,
    pub(crate) blob_heads: usize,
    pub(crate) blob_gets: usize,
    pub(crate) other: usize,
}

impl Tally {
    /// Sorts the requests into kinds.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut tally = Self::default();
        for entry in entries {
            *tally.slot(entry) += 1;
        }
        tally
    }

    /// All requests together.
    pub(crate) fn total(&self) -> usize {
        self.pings
            + self.catalog_pages
            + self.tag_pages
            + self.manifest_heads
            + self.manifest_gets
            + self.blob_heads
            + self.blob_gets
            + self.other
    }

    fn slot(&mut self, entry: &Entry) -> &mut usize {
        let path = entry.path.as_str();
        match entry.method.as_str() {
            "GET" if path == "/v2/" => &mut self.pings,
            "GET" if path == "/v2/_catalog" => &mut self.catalog_pages,
            "GET" if path.ends_with("/tags/list") => &mut self.tag_pages,
            "HEAD" if path.contains("/manifests/") => &mut self.manifest_heads,
            "GET" if path.contains("/manifests/") => &mut self.manifest_gets,
            "HEAD" if path.contains("/blobs/") => &mut self.blob_heads,
            "GET" if path.contains("/blobs/") => &mut self.blob_gets,
            _ => &mut self.other,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests: {self:?}", self.total())
    }
}
