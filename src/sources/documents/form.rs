//! What a file is, by how it begins.

/// What a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Yaml {
        /// Whether it is what `helm install --dry-run` prints: documents, and notes for people behind them.
        is_release: bool,
    },
    /// An image a line.
    Text,
}

/// What a file that begins like this is.
pub(super) fn of(head: &[u8]) -> Form {
    let text = head.trim_ascii_start();
    let next = text.get(1..).unwrap_or_default().trim_ascii_start().first();
    match (text.first(), next) {
        // Not `{{ .Values.image }}`, and not `[::1]:5000/app`.
        (Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b'"' | b'{' | b'[' | b']')) => {
            return Form::Json;
        }
        _ => {}
    }
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(without_comment);
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let is_yaml = first.starts_with("---")
        || first.starts_with('%')
        || first == "-"
        || first.starts_with("- ")
        || first.contains(": ")
        || first.ends_with(':');
    if is_yaml {
        let is_release = first.starts_with("NAME: ");
        Form::Yaml { is_release }
    } else {
        Form::Text
    }
}

/// A line without a comment, and without the space around it.
pub(super) fn without_comment(line: &str) -> &str {
    let line = line.trim();
    let is_comment = |at: &usize| *at == 0 || line[..*at].ends_with([' ', '\t']);
    let comment = line.match_indices('#').map(|(at, _)| at).find(is_comment);
    line[..comment.unwrap_or(line.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_how_it_begins() {
        let yaml = Form::Yaml { is_release: false };
        for (text, form) in [
            ("{\n  \"kind\": \"List\"", Form::Json),
            ("{}", Form::Json),
            (" [\"nginx\"]", Form::Json),
            ("[]", Form::Json),
            ("[{", Form::Json),
            ("---\n# Source: a/b.yaml\nkind: Pod", yaml),
            ("# comment\n\nservices:\n  web:", yaml),
            ("- nginx:1\n- redis:7", yaml),
            ("--- # comment", yaml),
            ("%YAML 1.2", yaml),
            ("kind: Pod\r\n", yaml),
            (
                "NAME: web\nLAST DEPLOYED: today",
                Form::Yaml { is_release: true },
            ),
            ("", Form::Text),
            ("nginx:1.25\nredis:7", Form::Text),
            ("# list: of images\nnginx:1 # note: old", Form::Text),
            ("[::1]:5000/app:v1", Form::Text),
            ("{{ .Values.image }}", Form::Text),
            ("registry:5000/a@sha256:0", Form::Text),
        ] {
            assert_eq!(of(text.as_bytes()), form, "{text}");
        }
    }
}
