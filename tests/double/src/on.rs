//! Which requests a rule or a count is about: `on::blob().head().repository("app").first(2)`.

use std::fmt;
use std::sync::Arc;

use crate::request::{Endpoint, Request};

type Predicate = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// Selects requests, and of the requests that it selects those whose turn it is.
#[derive(Clone)]
pub struct Matcher {
    predicates: Vec<Predicate>,
    pub(crate) turns: Turns,
    pub(crate) per_path: bool,
    pub(crate) before_auth: bool,
}

/// Of all selected requests, counted from 0, those whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turns {
    Every,
    First(usize),
    After(usize),
    Only(usize),
    Alternate,
}

impl Turns {
    pub(crate) fn include(self, count: usize) -> bool {
        match self {
            Self::Every => true,
            Self::First(n) => count < n,
            Self::After(n) => count >= n,
            Self::Only(n) => count == n,
            Self::Alternate => count.is_multiple_of(2),
        }
    }
}

/// Every request.
pub fn any() -> Matcher {
    Matcher {
        predicates: Vec::new(),
        turns: Turns::Every,
        per_path: false,
        before_auth: false,
    }
}

/// Requests for this endpoint.
pub fn endpoint(endpoint: Endpoint) -> Matcher {
    any().matching(move |request| request.endpoint == endpoint)
}

/// `/v2/`
pub fn ping() -> Matcher {
    endpoint(Endpoint::Ping)
}

/// `/v2/_catalog`
pub fn catalog() -> Matcher {
    endpoint(Endpoint::Catalog)
}

/// `/v2/<name>/tags/list`
pub fn tags() -> Matcher {
    endpoint(Endpoint::Tags)
}

/// `/v2/<name>/manifests/<reference>`
pub fn manifest() -> Matcher {
    endpoint(Endpoint::Manifest)
}

/// `/v2/<name>/blobs/<digest>`
pub fn blob() -> Matcher {
    endpoint(Endpoint::Blob)
}

/// The token service.
pub fn token() -> Matcher {
    endpoint(Endpoint::Token)
}

/// The signed addresses of the object store.
pub fn storage() -> Matcher {
    endpoint(Endpoint::Storage)
}

impl Matcher {
    /// Of these, the ones that the closure accepts.
    pub fn matching(mut self, accepts: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.predicates.push(Arc::new(accepts));
        self
    }

    /// Of these, the ones with this method.
    pub fn method(self, method: &'static str) -> Self {
        self.matching(move |request| request.method == method)
    }

    /// Of these, the GETs.
    pub fn get(self) -> Self {
        self.method("GET")
    }

    /// Of these, the HEADs.
    pub fn head(self) -> Self {
        self.method("HEAD")
    }

    /// Of these, the ones for this repository.
    pub fn repository(self, name: &str) -> Self {
        let name = name.to_owned();
        self.matching(move |request| request.repository() == name)
    }

    /// Of these, the ones for this tag or digest, as it stands in the path.
    pub fn reference(self, reference: &str) -> Self {
        let reference = reference.to_owned();
        self.matching(move |request| request.reference() == reference)
    }

    /// Of these, the ones by digest.
    pub fn by_digest(self) -> Self {
        self.matching(|request| request.reference().contains(':'))
    }

    /// Of these, the ones by tag.
    pub fn by_tag(self) -> Self {
        self.matching(|request| !request.reference().contains(':'))
    }

    /// Of these, the ones with this header.
    pub fn header(self, name: &'static str) -> Self {
        self.matching(move |request| request.header(name).is_some())
    }

    /// Of these, the ones without this header.
    pub fn without_header(self, name: &'static str) -> Self {
        self.matching(move |request| request.header(name).is_none())
    }

    /// Of these, the ones whose header has this text in it.
    pub fn header_with(self, name: &'static str, text: &str) -> Self {
        let text = text.to_owned();
        self.matching(move |request| {
            request
                .header(name)
                .is_some_and(|value| value.contains(&text))
        })
    }

    /// Of these, the ones where a value of this query parameter has this text in it.
    pub fn param_with(self, name: &'static str, text: &str) -> Self {
        let text = text.to_owned();
        self.matching(move |request| {
            request
                .params(name)
                .iter()
                .any(|value| value.contains(&text))
        })
    }

    /// Only the first so many of these.
    pub fn first(self, count: usize) -> Self {
        self.taking(Turns::First(count))
    }

    /// All of these but the first so many.
    pub fn after(self, count: usize) -> Self {
        self.taking(Turns::After(count))
    }

    /// Only the one of these with this number, counted from 1.
    pub fn nth(self, number: usize) -> Self {
        self.taking(Turns::Only(
            number.checked_sub(1).expect("numbers begin at 1"),
        ))
    }

    /// Every other one of these, beginning with the first: replicas that disagree.
    pub fn alternate(self) -> Self {
        self.taking(Turns::Alternate)
    }

    /// Counts for each method and path on its own: `first(1).per_path()` is the first look at every
    /// object.
    pub fn per_path(mut self) -> Self {
        self.per_path = true;
        self
    }

    /// Also sees requests that authentication is about to refuse, and speaks before it does. Rules
    /// otherwise see only what has passed it.
    pub fn before_auth(mut self) -> Self {
        self.before_auth = true;
        self
    }

    /// Whether the request is one of these, turns aside.
    pub(crate) fn selects(&self, request: &Request) -> bool {
        self.predicates.iter().all(|accepts| accepts(request))
    }

    fn taking(mut self, turns: Turns) -> Self {
        self.turns = turns;
        self
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher")
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}
