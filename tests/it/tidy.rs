//! The invariants of ARCHITECTURE.md, held by reading `src/**`. Each rule is also shown a source
//! that breaks it, so that none of them can go blind unnoticed.

mod circles;
pub(crate) mod source;

use source::{Source, Token, functions, is_word};

/// The layers, from the lowest: each top-level module and those that it may import. What a module may
/// import stands above it, so that the imports cannot go round in a circle.
const LAYERS: &[(&str, &[&str])] = &[
    ("words", &[]),
    ("yaml", &[]),
    ("oci", &[]),
    ("registry", &["words", "oci"]),
    ("report", &["words", "oci", "registry"]),
    ("sources", &["yaml", "oci", "report"]),
    ("sweep", &["oci", "registry", "report"]),
    ("content", &["words", "oci", "report", "sweep"]),
    ("render", &["oci", "registry", "report", "content"]),
    (
        "doctor",
        &["words", "oci", "registry", "report", "sources", "render"],
    ),
    (
        "service",
        &[
            "words", "yaml", "oci", "registry", "report", "sources", "sweep", "render",
        ],
    ),
    (
        "cli",
        &[
            "yaml", "oci", "registry", "report", "sources", "sweep", "content", "render", "doctor",
            "service",
        ],
    ),
];

/// Names that belong into one part of the program, and where that is. A part that is not there yet is
/// named already, so that it cannot begin in the wrong place.
const AT_HOME: &[(&str, &[&str])] = &[
    // The Distribution API is spoken in one place.
    (
        "reqwest",
        &["src/registry/client/", "src/doctor/", "src/service/push"],
    ),
    // Files that people write know their lines.
    (
        "saphyr_parser",
        &["src/yaml.rs", "src/sources/documents/yaml.rs"],
    ),
    // A secret is only ever opened where it is sent.
    ("reveal", &["src/registry/client/"]),
    // The finished value is its own JSON; the walk that makes it knows nothing of that.
    (
        "Serialize",
        &[
            "src/oci/",
            "src/content/",
            "src/registry/access.rs",
            "src/registry/software.rs",
            "src/registry/unverified.rs",
            "src/report/",
            "src/render/json.rs",
            "src/doctor/",
            "src/words.rs",
        ],
    ),
    (
        "prometheus",
        &[
            "src/render/metrics",
            "src/registry/client/meter",
            "src/service/process_metrics",
        ],
    ),
    // What was typed is resolved into settings before any other part sees it.
    ("clap", &["src/cli/"]),
    ("tracing_subscriber", &["src/cli/"]),
];

/// Who names the trait's one implementation: all else knows the trait alone.
const KNOW_CLIENT: &[&str] = &[
    "src/registry/client/",
    "src/doctor/",
    "src/service/",
    "src/cli/",
];

/// Pure code: it does not wait, and it does not look at a clock.
const PURE: &[&str] = &[
    "src/oci/",
    "src/report/",
    "src/content/",
    "src/render/",
    "src/sources/",
    "src/sweep/judge.rs",
];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 60;
const LONGEST_MAIN: usize = 40;
/// The most characters of a test's name.
const LONGEST_NAME: usize = 59;

#[test]
fn the_source_is_tidy() {
    let sources = source::read_all("src");
    assert!(sources.len() > 20, "the sources were found");
    let violations = violations(&sources);
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let circles = circles::circles(&source::read_all("src"));
    assert!(circles.is_empty(), "\n{}\n", circles.join("\n"));
}

#[test]
fn a_circle_of_files_is_caught() {
    let files = |texts: &[(&str, &str)]| -> Vec<_> {
        let source = |(path, text): &(&str, &str)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        circles::circles(&texts.iter().map(source).collect::<Vec<_>>())
    };
    let both = [
        ("src/a/mod.rs", "mod b; mod c; pub(crate) use b::{B, D};"),
        ("src/a/b.rs", "use super::c::{self, C};"),
        ("src/a/c.rs", "use std::fmt; use crate::{a::{D, E}, o};"),
        ("src/e.rs", "use crate::a::D;"),
    ];
    assert_eq!(files(&both).len(), 2, "{:?}", files(&both));
    let inline = (
        "src/a/c.rs",
        "fn f(x: u8) { let y: crate::a::D = x; super::b::f(y) }",
    );
    assert_eq!(files(&[both[0], both[1], inline]).len(), 2);
    let one_way = [both[0], both[1], ("src/a/c.rs", "use std::a::D;"), both[3]];
    assert_eq!(files(&one_way), [""; 0]);
    let with_test = ("src/a/c.rs", "#[cfg(test)] mod tests { use crate::a::D; }");
    assert_eq!(files(&[both[0], both[1], with_test]), [""; 0]);
}

#[test]
fn every_exception_from_a_lint_has_a_reason() {
    let sources: Vec<_> = ["src", "tests", "fuzz/checks", "examples"]
        .into_iter()
        .flat_map(source::read_all)
        .collect();
    let violations: Vec<_> = sources.iter().flat_map(exceptions).collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn names_of_tests_are_short() {
    let folders = ["src", "tests", "fuzz/checks", "benches"];
    let sources: Vec<_> = folders.into_iter().flat_map(source::read_all).collect();
    assert!(sources.iter().map(|s| s.tests().len()).sum::<usize>() > 900);
    let violations: Vec<_> = sources.iter().flat_map(long_names).collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn the_layers_only_point_downwards() {
    for (position, (module, imports)) in LAYERS.iter().enumerate() {
        for import in *imports {
            assert!(
                LAYERS[..position].iter().any(|(below, _)| below == import),
                "{module} imports {import}, which does not stand below it"
            );
        }
    }
}

/// Everything that is wrong with some sources, a line each.
fn violations(sources: &[Source]) -> Vec<String> {
    let for_tests: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| !for_tests.contains(&s.path)) {
        let tokens = source.tokens();
        found.extend(opening(source));
        found.extend(too_long(source, &tokens));
        found.extend(imports(source, &tokens));
        found.extend(homeless(source, &tokens));
        found.extend(client(source, &tokens));
        found.extend(surroundings(source, &tokens));
        found.extend(impure(source, &tokens));
        found.extend(writes(source, &tokens));
    }
    found
}

/// A module says in a sentence what it is responsible for.
fn opening(source: &Source) -> Option<String> {
    let lines = source.text.lines();
    let opening: Vec<_> = lines
        .map_while(|line| line.strip_prefix("//! "))
        .map(str::trim)
        .collect();
    let is_sentence = opening
        .first()
        .is_some_and(|first| first.starts_with(char::is_uppercase))
        && opening
            .last()
            .is_some_and(|last| last.ends_with(['.', '?']));
    (!is_sentence).then(|| format!("{}: does not open with a `//!` sentence", source.path))
}

fn too_long(source: &Source, tokens: &[Token]) -> Vec<String> {
    let most = match source.path.as_str() {
        "src/main.rs" => LONGEST_MAIN,
        _ => LONGEST_FILE,
    };
    let lines = source.lines();
    let file = (lines > most).then(|| {
        format!(
            "{}: {lines} lines without its tests, {most} is the most",
            source.path
        )
    });
    let functions = functions(tokens);
    let functions = functions.iter().filter(|f| f.lines > LONGEST_FUNCTION);
    let functions = functions.map(|f| {
        format!(
            "{}:{}: `{}` has {} lines, {LONGEST_FUNCTION} is the most",
            source.path, f.line, f.name, f.lines
        )
    });
    file.into_iter().chain(functions).collect()
}

/// Imports go downwards: what a module may import stands in [`LAYERS`].
fn imports(source: &Source, tokens: &[Token]) -> Vec<String> {
    let module = source.module();
    // `lib.rs` declares the layers, and `main.rs` is another crate.
    let Some(own) = module.first() else {
        return Vec::new();
    };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| name == own) else {
        return vec![format!(
            "{}: `{own}` stands in no layer: give it one in tests/it/tidy.rs and ARCHITECTURE.md",
            source.path
        )];
    };
    let named = named_modules(&module, tokens);
    let upward = named
        .iter()
        .filter(|(name, _)| name != own && !allowed.contains(&name.as_str()));
    upward
        .map(|(name, line)| format!("{}:{line}: {own} must not import {name}", source.path))
        .collect()
}

/// The top-level modules that some tokens of `module` name, by way of `crate` or `super`.
fn named_modules(module: &[&str], tokens: &[Token]) -> Vec<(String, usize)> {
    let mut named = Vec::new();
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    for (at, token) in tokens.iter().enumerate() {
        let is_start = matches!(token.text.as_str(), "crate" | "super")
            && text(at + 1) == "::"
            && (at == 0 || text(at - 1) != "::");
        if !is_start {
            continue;
        }
        let mut height = if token.text == "crate" {
            0
        } else {
            module.len() - 1
        };
        let mut next = at + 2;
        while text(next) == "super" {
            height = height.saturating_sub(1);
            next += 2;
        }
        if height > 0 {
            named.push((module[0].to_owned(), token.line));
        } else if text(next) == "{" {
            named.extend(first_words(&tokens[next..]));
        } else {
            named.push((text(next).to_owned(), token.line));
        }
    }
    named
}

/// The first words of the paths in a group: `a` and `c` of `{a::{b}, c}`.
fn first_words(group: &[Token]) -> Vec<(String, usize)> {
    let mut depth = 0_usize;
    let mut words = Vec::new();
    for pair in group.windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(pair[0].text.as_str(), "{" | ",") && is_word(&pair[1].text) {
            words.push((pair[1].text.clone(), pair[1].line));
        }
    }
    words
}

/// Some names belong into one part of the program.
fn homeless(source: &Source, tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, homes) in AT_HOME {
        if homes.iter().any(|home| source.path.starts_with(home)) {
            continue;
        }
        let strays = tokens.iter().filter(|token| token.text == *name);
        found.extend(strays.map(|token| {
            format!(
                "{}:{}: `{name}` belongs into {}",
                source.path,
                token.line,
                homes.join(" and ")
            )
        }));
    }
    found
}

/// The walk and the reports do not know how a registry is asked.
fn client(source: &Source, tokens: &[Token]) -> Vec<String> {
    if KNOW_CLIENT.iter().any(|home| source.path.starts_with(home)) {
        return Vec::new();
    }
    let names = tokens.windows(3).filter(|three| {
        let text = |at: usize| three[at].text.as_str();
        text(0) == "registry" && text(1) == "::" && text(2) == "client"
    });
    names
        .map(|three| {
            let line = three[0].line;
            format!(
                "{}:{line}: only cli, service and doctor know registry::client",
                source.path
            )
        })
        .collect()
}

/// Nothing below the command line reads the environment or arguments, prints, or ends the process.
fn surroundings(source: &Source, tokens: &[Token]) -> Vec<String> {
    if source.path.starts_with("src/cli/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |at| tokens[at].text.as_str());
        let after = tokens.get(at + 1).map_or("", |next| next.text.as_str());
        let reaches_out = match token.text.as_str() {
            "print" | "println" | "eprint" | "eprintln" | "dbg" => after == "!",
            // `env!` is read by the compiler.
            "env" => before == "::" || after == "::",
            // A child process has these, too, as fields.
            "stdin" | "stdout" | "stderr" => before == "::" || (before != "." && after == "("),
            "exit" => before == "::",
            _ => false,
        };
        if reaches_out {
            found.push(format!(
                "{}:{}: `{}` belongs into src/cli/",
                source.path, token.line, token.text
            ));
        }
    }
    found
}

/// The judge, the reports and the vocabulary are functions of their arguments.
fn impure(source: &Source, tokens: &[Token]) -> Vec<String> {
    if !PURE.iter().any(|pure| source.path.starts_with(pure)) {
        return Vec::new();
    }
    let is_clock = |at: usize| at > 0 && tokens[at - 1].text == "::";
    let impure = tokens.iter().enumerate().filter(|(at, token)| {
        matches!(
            token.text.as_str(),
            "async" | "await" | "tokio" | "Registry"
        ) || (token.text == "now" && is_clock(*at))
    });
    impure
        .map(|(_, token)| {
            format!(
                "{}:{}: `{}` in code that is pure",
                source.path, token.line, token.text
            )
        })
        .collect()
}

/// A registry is only read. Its token service and a Pushgateway are sent something.
fn writes(source: &Source, tokens: &[Token]) -> Vec<String> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let writes = tokens.iter().enumerate().filter(|(at, token)| {
        let is_method = text(at + 1) == "::"
            && token.text == "Method"
            && !matches!(text(at + 2), "GET" | "HEAD");
        let is_call = matches!(token.text.as_str(), "post" | "put" | "patch" | "delete")
            && *at > 0
            && text(at - 1) == ".";
        let is_elsewhere = matches!(
            source.path.as_str(),
            "src/registry/client/token.rs" | "src/service/push.rs"
        );
        !is_elsewhere && (is_method || is_call)
    });
    writes
        .map(|(_, token)| format!("{}:{}: a request that may write", source.path, token.line))
        .collect()
}

/// `allow` and `expect` say why.
fn exceptions(source: &Source) -> Vec<String> {
    let tokens = source.tokens();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_attribute = matches!(token.text.as_str(), "allow" | "expect")
            && at >= 2
            && tokens[at - 1].text == "["
            && matches!(tokens[at - 2].text.as_str(), "#" | "!");
        if !is_attribute {
            continue;
        }
        let mut inside = tokens[at..].iter().take_while(|token| token.text != "]");
        if !inside.any(|token| token.text == "reason") {
            found.push(format!(
                "{}:{}: `{}` without a reason",
                source.path, token.line, token.text
            ));
        }
    }
    found
}

/// The name of a test is read in lists of tests.
fn long_names(source: &Source) -> Vec<String> {
    let tests = source.tests().into_iter();
    let long = tests.filter(|test| test.text.len() > LONGEST_NAME);
    long.map(|test| {
        format!(
            "{}:{}: `{}` has {} characters, {LONGEST_NAME} is the most",
            source.path,
            test.line,
            test.text,
            test.text.len()
        )
    })
    .collect()
}

/// Shows the rules one file, and checks that they say of it what they should, or nothing for `""`.
fn assert_caught(path: &str, text: &str, expected: &str) {
    let source = Source {
        path: path.into(),
        text: format!("//! A module.\n{}\n", text.trim_end()),
    };
    let mut found = violations(std::slice::from_ref(&source));
    found.extend(exceptions(&source));
    found.extend(long_names(&source));
    let found = found.join("\n");
    if expected.is_empty() {
        assert_eq!(found, "", "{path}: {text}");
    } else {
        assert!(found.contains(expected), "{path}: {text}\ngave {found:?}");
    }
}

#[test]
fn an_upward_import_is_caught() {
    for (path, text, expected) in [
        (
            "src/sweep/walk.rs",
            "use crate::registry::client::Config;",
            "know registry::client",
        ),
        (
            "src/registry/client/mod.rs",
            "use crate::sweep;",
            "registry must not import sweep",
        ),
        (
            "src/render/text.rs",
            "use crate::sweep::Policy;",
            "render must not import sweep",
        ),
        (
            "src/oci/name.rs",
            "type A = crate::render::B;",
            "oci must not import render",
        ),
        (
            "src/registry/mod.rs",
            "use crate::{oci::Tag, cli};",
            "registry must not import cli",
        ),
        (
            "src/sweep/judge.rs",
            "use super::super::render::X;",
            "sweep must not import render",
        ),
        (
            "src/sweep/mod.rs",
            "use super::render::X;",
            "sweep must not import render",
        ),
        (
            "src/registry/mod.rs",
            "use super::{oci, sweep::X};",
            "registry must not import sweep",
        ),
        ("src/extra.rs", "", "`extra` stands in no layer"),
        (
            "src/sweep/judge.rs",
            "use super::walk; use crate::sweep::scope;",
            "",
        ),
        (
            "src/sweep/mod.rs",
            "use crate::{oci::{Tag, Digest}, registry};",
            "",
        ),
        (
            "src/oci/name.rs",
            "// use crate::cli;\n#[cfg(test)] mod t { use crate::cli; }",
            "",
        ),
    ] {
        assert_caught(path, text, expected);
    }
}

#[test]
fn a_name_away_from_home_is_caught() {
    for (path, text, expected) in [
        (
            "src/sweep/visit.rs",
            "use reqwest::Client;",
            "`reqwest` belongs into src/registry/client/",
        ),
        (
            "src/sweep/walk.rs",
            "#[derive(Serialize)] struct A;",
            "`Serialize` belongs into",
        ),
        (
            "src/registry/client/mod.rs",
            "use prometheus::Gauge;",
            "`prometheus` belongs into src/render",
        ),
        (
            "src/sweep/scope.rs",
            "#[derive(clap::Args)] struct A;",
            "`clap` belongs into src/cli/",
        ),
        (
            "src/cli/run.rs",
            "fn a() { password.reveal(); }",
            "`reveal` belongs into src/registry/client/",
        ),
        (
            "src/registry/client/token.rs",
            "use reqwest::Client; fn a() { b.reveal(); }",
            "",
        ),
        ("src/render/json.rs", "#[derive(Serialize)] struct A;", ""),
    ] {
        assert_caught(path, text, expected);
    }
}

#[test]
fn a_look_around_is_caught() {
    for (path, text, expected) in [
        (
            "src/registry/client/rate_limiter.rs",
            "fn a() { std::env::var(b); }",
            "`env` belongs into src/cli/",
        ),
        (
            "src/registry/client/rate_limiter.rs",
            "use std::env;",
            "`env` belongs",
        ),
        (
            "src/sweep/mod.rs",
            "fn a() { println!(b); }",
            "`println` belongs into src/cli/",
        ),
        (
            "src/sweep/mod.rs",
            "fn a() { std::io::stderr().write(b); }",
            "`stderr` belongs",
        ),
        (
            "src/main.rs",
            "fn main() { std::process::exit(1) }",
            "`exit` belongs",
        ),
        (
            "src/registry/client/mod.rs",
            "const A: &str = env!(\"B\");",
            "",
        ),
        (
            "src/registry/client/credentials.rs",
            "fn a() { b.stdout(c); d.stdin.take(); }",
            "",
        ),
        (
            "src/cli/mod.rs",
            "fn a() { std::env::var(b); println!(c); }",
            "",
        ),
    ] {
        assert_caught(path, text, expected);
    }
}

#[test]
fn impure_judgement_is_caught() {
    for (path, text, expected) in [
        (
            "src/sweep/judge.rs",
            "async fn a() {}",
            "`async` in code that is pure",
        ),
        (
            "src/sweep/judge.rs",
            "fn a<R: Registry>() {}",
            "`Registry` in code that is pure",
        ),
        (
            "src/render/text.rs",
            "fn a() { SystemTime::now(); }",
            "`now` in code that is pure",
        ),
        ("src/sweep/visit.rs", "async fn a() { Instant::now(); }", ""),
    ] {
        assert_caught(path, text, expected);
    }
}

#[test]
fn a_write_is_caught() {
    for (path, text, expected) in [
        (
            "src/registry/client/objects.rs",
            "const A: Method = Method::DELETE;",
            "may write",
        ),
        (
            "src/registry/client/objects.rs",
            "fn a() { client.put(url); }",
            "may write",
        ),
        (
            "src/registry/client/objects.rs",
            "const A: Method = Method::HEAD;",
            "",
        ),
        (
            "src/registry/client/token.rs",
            "fn a() { client.post(realm); }",
            "",
        ),
    ] {
        assert_caught(path, text, expected);
    }
}

#[test]
fn untidiness_is_caught() {
    let long = |lines: usize| format!("fn a() {{\n{}}}", "    b();\n".repeat(lines - 2));
    let many = |lines: usize| "use a;\n".repeat(lines - 1);
    let tested = format!("#[cfg(test)]\nmod tests {{\n{}}}", "    a();\n".repeat(500));
    for (path, text, expected) in [
        (
            "src/registry/client/a.rs",
            long(61).as_str(),
            "src/registry/client/a.rs:2: `a` has 61 lines",
        ),
        ("src/registry/client/a.rs", &long(60), ""),
        (
            "src/registry/client/a.rs",
            &many(401),
            "401 lines without its tests",
        ),
        ("src/registry/client/a.rs", &many(400), ""),
        ("src/registry/client/a.rs", &tested, ""),
        (
            "src/main.rs",
            &many(41),
            "41 lines without its tests, 40 is the most",
        ),
        (
            "src/registry/client/a.rs",
            "#[allow(dead_code)] fn a() {}",
            "`allow` without a reason",
        ),
        (
            "src/registry/client/a.rs",
            "#![expect(dead_code)]",
            "`expect` without a reason",
        ),
        (
            "src/registry/client/a.rs",
            "#[expect(dead_code, reason = \"b\")] fn a() { c.expect(d) }",
            "",
        ),
    ] {
        assert_caught(path, text, expected);
    }
    for text in [
        "use a;",
        "//! no sentence",
        "//! Not whole\n\nuse a;",
        "\n//! Too late.",
    ] {
        let source = Source {
            path: "src/registry/client/a.rs".into(),
            text: text.into(),
        };
        assert!(opening(&source).is_some(), "{text}");
    }
}

#[test]
fn a_long_name_of_a_test_is_caught() {
    let test = |attribute: &str, length: usize| {
        let name = "a".repeat(length);
        format!("#[cfg(test)] mod tests {{\n{attribute}\npub async fn {name}() {{}} fn b() {{}} }}")
    };
    for (text, expected) in [
        (test("#[test]", 60), "src/registry/client/a.rs:4: `aaa"),
        (
            test("#[tokio::test(start_paused = true)]", 60),
            "60 characters, 59 is",
        ),
        (
            test("#[test] #[should_panic(expected = \"b\")]", 60),
            "60 characters",
        ),
        (test("#[test]", 59), ""),
        (test("#[inline]", 60), ""),
    ] {
        assert_caught("src/registry/client/a.rs", &text, expected);
    }
}
