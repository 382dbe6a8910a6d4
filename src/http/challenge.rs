//! What a 401 asks for: `WWW-Authenticate`, in every form that registries send it.

use http_auth::ChallengeRef;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::model::Authentication;

/// A challenge that this program can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Basic credentials with every request.
    Basic,
    /// A token from a token service (distribution, spec/auth/token.md).
    Bearer(BearerChallenge),
}

/// The parameters of a `Bearer` challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BearerChallenge {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    pub(super) scope: Option<String>,
}

impl From<BearerChallenge> for Authentication {
    fn from(BearerChallenge { realm, service, .. }: BearerChallenge) -> Self {
        Self::Token { realm, service }
    }
}

/// The challenges of a response, over all its headers. What cannot be parsed or answered is left
/// out.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|text| http_auth::parse_challenges(text).ok())
        .flatten()
        .filter_map(|challenge| read(&challenge))
        .collect()
}

fn read(challenge: &ChallengeRef<'_>) -> Option<Challenge> {
    if challenge.scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !challenge.scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameter = |name: &str| {
        let (_, value) = challenge
            .params
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.to_unescaped()).filter(|value| !value.is_empty())
    };
    Some(Challenge::Bearer(BearerChallenge {
        realm: parameter("realm")?,
        service: parameter("service"),
        scope: parameter("scope"),
    }))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn parse(lines: &[&'static str]) -> Vec<Challenge> {
        let lines = lines
            .iter()
            .map(|line| (WWW_AUTHENTICATE, HeaderValue::from_static(line)));
        challenges(&lines.collect())
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer(BearerChallenge {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        })
    }

    #[test]
    fn distribution_with_a_comma_inside_quotes() {
        let line = r#"Bearer realm="https://auth/token",service="registry",scope="repository:a:pull,push",error="invalid_token""#;
        let expected = bearer(
            "https://auth/token",
            Some("registry"),
            Some("repository:a:pull,push"),
        );
        assert_eq!(parse(&[line]), [expected]);
    }

    #[test]
    fn two_headers_and_two_in_one() {
        let expected = [bearer("https://x", None, None), Challenge::Basic];
        assert_eq!(
            parse(&[r#"Bearer realm="https://x""#, r#"Basic realm="x""#]),
            expected
        );
        assert_eq!(
            parse(&[r#"bearer Realm="https://x", BASIC realm="x""#]),
            expected
        );
    }

    #[test]
    fn an_empty_scope_is_none_and_nonsense_is_left_out() {
        assert_eq!(
            parse(&[r#"Bearer realm="https://x",scope="""#]),
            [bearer("https://x", None, None)]
        );
        assert_eq!(parse(&["Negotiate", "Bearer service=\"x\"", "\"", ""]), []);
    }
}
