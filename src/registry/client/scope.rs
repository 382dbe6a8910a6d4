//! What a token is to be for: what a request is about, and what the registry calls that.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::challenge::BearerChallenge;
use crate::oci::Repository;

/// What a request is about to do, which decides the token that it needs.
#[derive(Clone, Debug)]
pub(crate) enum Scope<'a> {
    /// Nothing in particular: the ping.
    None,
    /// List the catalog.
    Catalog,
    /// Pull from a repository.
    Pull(&'a Repository),
}

impl Scope<'_> {
    pub(crate) fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Pull(repository) => Some(repository),
            Self::None | Self::Catalog => None,
        }
    }

    /// The token scope that this needs unless a challenge names another one.
    fn token_scope(&self) -> Option<String> {
        match self {
            Self::Pull(repository) => Some(format!("repository:{repository}:pull")),
            // Some token services refuse a request that names the catalog (Quay), so it is named
            // only where a challenge does.
            Self::None | Self::Catalog => None,
        }
    }

    /// What this is about, as far as a challenge's scope is remembered for it.
    fn subject(&self) -> Option<&str> {
        match self {
            Self::Pull(repository) => Some(repository.as_str()),
            Self::Catalog => Some(""),
            Self::None => None,
        }
    }
}

/// What challenges called repositories, and the catalog (under no name), where that is not what we would call
/// them: a gateway may hide a part of the path from the registry behind it.
#[derive(Default)]
pub(super) struct Scopes(Mutex<HashMap<String, String>>);

/// Scopes remembered before they are learned anew, one refused request each.
const MOST: usize = 4096;

impl Scopes {
    /// Takes note of what a challenge calls what a request is about.
    pub(super) fn note(&self, challenge: &BearerChallenge, scope: &Scope<'_>) {
        let named = challenge
            .scope
            .as_ref()
            .filter(|named| is_particular(named));
        let (Some(subject), Some(named)) = (scope.subject(), named) else {
            return;
        };
        let mut scopes = self.0.lock();
        if scope.token_scope().as_ref() == Some(named) {
            scopes.remove(subject);
            return;
        }
        if scopes.len() >= MOST {
            scopes.clear();
        }
        scopes.insert(subject.to_owned(), named.clone());
    }

    /// The scope to ask a token for: the registry's way of naming it, what it called this before, or what the
    /// request needs.
    pub(super) fn name(&self, challenge: &BearerChallenge, scope: &Scope<'_>) -> Option<String> {
        let remembered = || self.0.lock().get(scope.subject()?).cloned();
        let named = challenge.scope.clone().or_else(remembered);
        named.or_else(|| scope.token_scope())
    }
}

/// Whether a challenge's scope is about what was asked for, and no way of the registry's to name everything.
pub(super) fn is_particular(named: &str) -> bool {
    named.starts_with("repository:") || named.starts_with("registry:")
}
