//! The `Link` header that leads to the next page of a list.

use reqwest::header::{HeaderMap, LINK};

/// The query of the `rel="next"` link, if there is one.
///
/// Only the query is taken: registries state other host names (Quay, ECR), wrong paths
/// (nexus-public#1011) and lost prefixes (renovate#15080), and the page that follows is always the
/// same list on the same registry. So a link can lead nowhere else, whoever wrote it.
pub(crate) fn next_query(headers: &HeaderMap) -> Option<String> {
    let target = next(headers)?;
    let query = target.split_once('?').map_or("", |(_, query)| query);
    Some(query.split('#').next().unwrap_or_default().to_owned())
}

/// The target of the `rel="next"` link as it is written, if there is one.
pub(crate) fn next(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(LINK).iter();
    lines
        .filter_map(|value| value.to_str().ok())
        .find_map(next_target)
}

/// The target of the first link in a header line whose relation is `next`.
fn next_target(line: &str) -> Option<&str> {
    if !line.contains(['<', '>']) {
        // Quay left the brackets out for years (docker-registry-client#11).
        let (target, parameters) = line.split_once(';')?;
        return parameters.split(';').any(is_next).then(|| target.trim());
    }
    let mut rest = line;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        // Targets are in angle brackets, so the next link begins at the next of them.
        let parameters = after.split('<').next().unwrap_or_default();
        if parameters.split([';', ',']).any(is_next) {
            return Some(target);
        }
        rest = after;
    }
}

fn is_next(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .trim()
                .trim_matches('"')
                .split_whitespace()
                .any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn next(lines: &[&'static str]) -> Option<String> {
        next_query(
            &lines
                .iter()
                .map(|line| (LINK, HeaderValue::from_static(line)))
                .collect(),
        )
    }

    #[test]
    fn every_way_in_which_registries_write_it() {
        for (line, query) in [
            ("</v2/_catalog?last=a&n=100>; rel=\"next\"", "last=a&n=100"),
            (
                "<https://quay.example/v2/_catalog?n=9&next_page=x%3D>; rel=next",
                "n=9&next_page=x%3D",
            ),
            (
                "</v2/o/r/tags/list?last=v1&n=0>;REL=\"Next\"",
                "last=v1&n=0",
            ),
            (
                "</v2/?x>; rel=\"prev\", </v2/?y,z>; title=\"t\"; rel=\"last next\"",
                "y,z",
            ),
            ("<file:///etc/passwd?n=1>; rel=next", "n=1"),
            ("</v2/x>; rel=next", ""),
            (
                "/v2/a/tags/list?n=50&next_page=x; rel=\"next\"",
                "n=50&next_page=x",
            ),
        ] {
            assert_eq!(next(&[line]).as_deref(), Some(query), "{line}");
        }
        assert_eq!(
            next(&["</a?1>; rel=first", "</a?2>; rel=next"]).as_deref(),
            Some("2")
        );
    }

    #[test]
    fn no_next_page() {
        for line in [
            "",
            "rel=next",
            "</v2/?x>; rel=\"prev\"",
            "</v2/?x>",
            "/v2/?x",
            "/v2/?x; rel=\"prev\"",
            "<",
            "<>; rel",
        ] {
            assert_eq!(next(&[line]), None, "{line}");
        }
    }
}
