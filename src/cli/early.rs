//! The form of what is said when a start fails: that of the log, which may not be set up yet.

use std::ffi::OsStr;
use std::io::{self, Write as _};

use super::surroundings::Surroundings;

/// Whether the log is to be JSON, as far as that can be told of a command line or a file that may not be usable.
pub(super) fn is_json<W: AsRef<OsStr>>(words: &[W], around: &Surroundings) -> bool {
    let words: Vec<_> = words
        .iter()
        .map(|word| word.as_ref().to_string_lossy())
        .collect();
    let option = |name: &str| {
        let at = words.iter().position(|word| {
            let value = word.strip_prefix(name);
            value.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })?;
        let typed = words[at].split_once('=').map(|(_, value)| value);
        typed.or_else(|| words.get(at + 1).map(AsRef::as_ref))
    };
    let said = option("--log-format").or_else(|| around.first(&["PROBE_LOG_FORMAT"]));
    if let Some(said) = said {
        return said == "json";
    }
    let file = option("--config").or_else(|| around.first(&["PROBE_CONFIG"]));
    // A pipe can be read once, and whoever reads the configuration has to.
    let is_file = |path: &&str| std::fs::metadata(path).is_ok_and(|there| there.is_file());
    let text = file
        .filter(is_file)
        .and_then(|path| std::fs::read_to_string(path).ok());
    let mut lines = text.iter().flat_map(|text| text.lines());
    lines.any(|line| {
        let value = line.strip_prefix("log-format:").unwrap_or_default();
        value
            .split('#')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches(['"', '\''])
            == "json"
    })
}

/// Says why the start failed.
pub(super) fn say(text: &str, is_json: bool) {
    if !is_json {
        let _ = writeln!(io::stderr(), "error: {text}");
        return;
    }
    if !tracing::dispatcher::has_been_set() {
        let log = tracing_subscriber::fmt().with_writer(io::stderr);
        log.with_target(false)
            .json()
            .log_internal_errors(false)
            .init();
    }
    tracing::error!("{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_form_of_the_log_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("probe.yaml");
        // A file that is not usable, too.
        std::fs::write(&file, "oops: [\nlog-format: \"json\" # for the collector\n")
            .expect("written");
        let file = file.to_string_lossy();
        for (words, variable, expected) in [
            ("--log-format json --nonsense", "", true),
            ("sweep --log-format=json", "", true),
            ("--nonsense", "json", true),
            ("--log-format text", "json", false),
            ("--config FILE", "", true),
            ("--config=FILE", "", true),
            ("--config FILE", "text", false),
            ("--log-format", "", false),
            ("--config nowhere", "", false),
            ("sweep", "", false),
        ] {
            let words = words.replace("FILE", &file);
            let words: Vec<_> = words.split(' ').collect();
            let around = Surroundings::with(&[("PROBE_LOG_FORMAT", variable)]);
            assert_eq!(is_json(&words, &around), expected, "{words:?} {variable}");
        }
    }
}
