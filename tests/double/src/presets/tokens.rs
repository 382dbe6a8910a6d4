//! Credentials that run out in the middle of a walk.

use std::time::Duration;

use crate::Double;
use crate::auth::{Basic, Bearer, ScopeShown};
use crate::presets::ecr;
use crate::reply::Reply;

/// Tokens live two seconds, and say so (row 21): the expired one gets a 401 with
/// `error="invalid_token"`.
pub async fn short_tokens() -> Double {
    let double = Double::start().await;
    double.require(Bearer::anonymous().lifetime(Duration::from_secs(2)));
    double
}

/// ECR Public (row 21): one scope for everything, and an expired token gets `400 DENIED` and no
/// challenge.
pub async fn ecr_public() -> Double {
    let double = Double::start().await;
    let expired = Reply::error(400, "DENIED", "Your Authorization Token is invalid.");
    let bearer = Bearer::anonymous()
        .service("public.ecr.aws")
        .scope(ScopeShown::Fixed("aws".to_owned()));
    double.require(bearer.saying_lifetime(None).expired(expired));
    double
}

/// ECR with the password `token` running out after this time (row 21): `403 DENIED` and no
/// challenge. A new `double.require(Basic::new("AWS", "…"))` is the next password.
pub async fn ecr_expiring(lifetime: Duration) -> Double {
    let double = ecr().await;
    let expired = Reply::error(
        403,
        "DENIED",
        "Your authorization token has expired. Reauthenticate and try again.",
    );
    double.require(Basic::new("AWS", "token").expiring(lifetime, expired));
    double
}
