//! The token service: who asks, what they get, and in which words.

use serde_json::{Value, json};

use super::gate::password;
use super::{Bearer, CatalogAccess, ScopeShown, TokenField};
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::Request;

/// Who asks for a token.
enum Asker {
    Anonymous,
    User(String),
}

/// `GET` with Basic, or `POST` with a form.
pub(crate) fn issue(registry: &Registry, request: &Request) -> Reply {
    let settings = registry.gate().bearer(Bearer::clone);
    let Some(bearer) = settings else {
        return Reply::text(404, "404 page not found\n");
    };
    let is_post = request.method == "POST";
    if let Some(status) = bearer.post_refused.filter(|_| is_post) {
        return Reply::text(status, "404 page not found\n");
    }
    let sender = if is_post {
        by_form(&bearer, request)
    } else {
        by_password(&bearer, request)
    };
    let asker = match sender {
        Some(Asker::Anonymous) if !bearer.anonymous => None,
        sender => sender,
    };
    let Some(asker) = asker else {
        return Reply::error(401, "UNAUTHORIZED", "authentication required");
    };
    let scopes = if is_post {
        request.fields("scope")
    } else {
        request.params("scope")
    };
    let wanted: Vec<_> = scopes
        .iter()
        .flat_map(|scopes| scopes.split(' '))
        .filter(|scope| !scope.is_empty())
        .collect();
    let granted: Vec<_> = wanted
        .iter()
        .filter_map(|scope| grant(&bearer, &asker, scope))
        .collect();
    match &bearer.denial {
        Some(denial) if granted.len() < wanted.len() => denial.clone(),
        _ => Reply::json(200, &response(registry, &bearer, request, &asker, granted)),
    }
}

fn by_password(bearer: &Bearer, request: &Request) -> Option<Asker> {
    if request.header("authorization").is_none() {
        return Some(Asker::Anonymous);
    }
    let (user, password) = password(request)?;
    (bearer.users.get(&user) == Some(&password)).then_some(Asker::User(user))
}

fn by_form(bearer: &Bearer, request: &Request) -> Option<Asker> {
    let field = |name: &str| request.fields(name).into_iter().next();
    match field("grant_type")?.as_str() {
        "refresh_token" => bearer
            .refresh_tokens
            .get(&field("refresh_token")?)
            .cloned()
            .map(Asker::User),
        "password" => {
            let user = field("username")?;
            (bearer.users.get(&user) == Some(&field("password")?)).then_some(Asker::User(user))
        }
        _ => None,
    }
}

/// What remains of a scope: as asked, with fewer actions, or nothing.
fn grant(bearer: &Bearer, asker: &Asker, scope: &str) -> Option<String> {
    if bearer.scope_shown == ScopeShown::Fixed(scope.to_owned()) {
        return Some(scope.to_owned());
    }
    let (resource, actions) = scope.rsplit_once(':')?;
    if resource == "registry:catalog" {
        return (bearer.catalog == CatalogAccess::Granted).then(|| scope.to_owned());
    }
    let name = resource.strip_prefix("repository:")?;
    let is_user = matches!(asker, Asker::User(_));
    if bearer.denied.contains(name) || (bearer.private.contains(name) && !is_user) {
        return None;
    }
    let actions: Vec<_> = actions
        .split(',')
        .filter(|action| is_user || *action == "pull")
        .collect();
    (!actions.is_empty()).then(|| format!("{resource}:{}", actions.join(",")))
}

fn response(
    registry: &Registry,
    bearer: &Bearer,
    request: &Request,
    asker: &Asker,
    granted: Vec<String>,
) -> Value {
    let token = registry.gate().grant(granted, bearer.lifetime);
    let mut response = json!({});
    if bearer.field != TokenField::AccessToken {
        response["token"] = json!(token);
    }
    // The POST flow is OAuth 2, which knows no `token`.
    if bearer.field != TokenField::Token || request.method == "POST" {
        response["access_token"] = json!(token);
    }
    if let Some(seconds) = bearer.lifetime_said {
        response["expires_in"] = json!(seconds);
    }
    let wants_refresh = request.param("offline_token").as_deref() == Some("true");
    if let (true, Asker::User(user)) = (wants_refresh, asker) {
        let known = bearer
            .refresh_tokens
            .iter()
            .find(|(_, owner)| *owner == user);
        response["refresh_token"] = json!(known.map(|(token, _)| token));
    }
    response
}
