//! Who may ask: nothing, Basic, or Bearer tokens from a token service, in the ways of the
//! registries of this world.

mod bearer;
mod gate;
mod token;

use std::collections::BTreeMap;
use std::time::Duration;

pub use bearer::{Bearer, CatalogAccess, ScopeShown, TokenField};
pub(crate) use gate::Gate;
pub(crate) use token::issue;

use crate::reply::Reply;

/// What a registry asks for. Made of a [`Basic`] or a [`Bearer`].
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Nothing.
    #[default]
    Open,
    /// A user and a password with each request.
    Basic(Basic),
    /// A token from a token service.
    Bearer(Box<Bearer>),
}

/// HTTP Basic authentication: every user may do everything.
#[derive(Clone, Debug)]
pub struct Basic {
    pub(crate) realm: String,
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) expiry: Option<(Duration, Reply)>,
}

impl Basic {
    /// This user with this password.
    pub fn new(user: &str, password: &str) -> Self {
        let users = BTreeMap::from([(user.to_owned(), password.to_owned())]);
        Self {
            realm: "Registry Realm".to_owned(),
            users,
            expiry: None,
        }
    }

    /// Another user.
    pub fn user(mut self, user: &str, password: &str) -> Self {
        self.users.insert(user.to_owned(), password.to_owned());
        self
    }

    /// The realm of the challenge.
    pub fn realm(mut self, realm: &str) -> Self {
        realm.clone_into(&mut self.realm);
        self
    }

    /// The passwords are good only for this time after
    /// [`Registry::require`](crate::Registry::require), then the right password gets this answer:
    /// ECR's tokens are passwords that expire with a 403 and no challenge.
    pub fn expiring(mut self, lifetime: Duration, answer: Reply) -> Self {
        self.expiry = Some((lifetime, answer));
        self
    }
}

impl From<Basic> for Auth {
    fn from(basic: Basic) -> Self {
        Self::Basic(basic)
    }
}

impl From<Bearer> for Auth {
    fn from(bearer: Bearer) -> Self {
        Self::Bearer(Box::new(bearer))
    }
}
