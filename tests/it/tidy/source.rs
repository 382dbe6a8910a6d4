//! Reads Rust source as far as the rules need it: words and signs in their order, without comments,
//! literals and test code.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// A source file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its path below the package, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A word, a sign (`::` is one), or `""` in place of a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From its `fn` to its last brace.
    pub(crate) lines: usize,
}

/// All Rust files below a folder of the package, by path.
pub(crate) fn read_all(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(root).expect("it is below the package");
                found.push(Source {
                    path: below.to_string_lossy().replace('\\', "/"),
                    text: fs::read_to_string(&path).expect("a source is text"),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl Source {
    /// The module that the file is, as a path from the crate's root: empty for `lib.rs`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let bare = below.strip_suffix(".rs").unwrap_or(below);
        let mut parts: Vec<_> = bare.split('/').collect();
        if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
            parts.pop();
        }
        parts
    }

    /// The tokens, without those of `#[cfg(test)]` items.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let mut tokens = tokens(&self.text);
        for part in test_parts(&tokens).into_iter().rev() {
            tokens.drain(part);
        }
        tokens
    }

    /// The lines, without those of `#[cfg(test)]` items.
    pub(crate) fn lines(&self) -> usize {
        let tokens = tokens(&self.text);
        let of_tests = test_parts(&tokens)
            .into_iter()
            .map(|part| tokens[part.end - 1].line - tokens[part.start].line + 1);
        self.text.lines().count() - of_tests.sum::<usize>()
    }

    /// The names of the tests: of functions behind an attribute that ends in `test`.
    pub(crate) fn tests(&self) -> Vec<Token> {
        let tokens = tokens(&self.text);
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        let is_mark = |at: &usize| {
            let is_before = matches!(text(at.wrapping_sub(1)), "[" | "::");
            text(*at) == "test" && is_before && matches!(text(at + 1), "]" | "(")
        };
        let marks = (0..tokens.len()).filter(is_mark);
        let named = marks.filter_map(|mark| {
            let start = (mark..tokens.len()).find(|at| text(*at) == "fn")?;
            tokens.get(start + 1).cloned()
        });
        named.collect()
    }

    /// The modules that this file declares for tests alone, as paths of files.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let tokens = tokens(&self.text);
        let folder = self.path.trim_end_matches("mod.rs").trim_end_matches(".rs");
        let declared = test_parts(&tokens).into_iter().filter_map(|part| {
            let part = &tokens[part];
            let at = part.iter().position(|token| token.text == "mod")?;
            let is_file = part.get(at + 2).is_some_and(|token| token.text == ";");
            is_file.then(|| format!("{}/{}.rs", folder.trim_end_matches('/'), part[at + 1].text))
        });
        declared.collect()
    }
}

/// The functions in some tokens, those within others included.
pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        // `fn(u8)` is a type.
        let Some(name) = tokens.get(at + 1).filter(|name| is_word(&name.text)) else {
            continue;
        };
        if token.text != "fn" {
            continue;
        }
        let Some(end) = end_of_item(tokens, at) else {
            continue;
        };
        if tokens[end - 1].text == "}" {
            found.push(Function {
                name: name.text.clone(),
                line: token.line,
                lines: tokens[end - 1].line - token.line + 1,
            });
        }
    }
    found
}

/// Whether this is a name or a keyword, and not a sign, a number or a literal.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Where the items are that exist in tests only: from `#[cfg(test)]` to the last brace.
fn test_parts(tokens: &[Token]) -> Vec<Range<usize>> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (at, window) in tokens.windows(MARK.len()).enumerate() {
        let is_mark = window.iter().map(|token| &*token.text).eq(MARK);
        let is_inside = parts.last().is_some_and(|part| part.contains(&at));
        if is_mark
            && !is_inside
            && let Some(end) = end_of_item(tokens, at + MARK.len())
        {
            parts.push(at..end);
        }
    }
    parts
}

/// The position behind the item that begins here: behind its `;`, or its last brace.
fn end_of_item(tokens: &[Token], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.checked_sub(1)?,
            "}" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            ";" if depth == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// All tokens of a text.
fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text;
    let mut line = 1;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (kind, length) = next(rest, first);
        let (taken, after) = rest.split_at(length);
        let text = match kind {
            Kind::Nothing => None,
            Kind::Literal => Some("\"\""),
            Kind::Written => Some(taken),
        };
        found.extend(text.map(|text| Token {
            text: text.to_owned(),
            line,
        }));
        line += taken.matches('\n').count();
        rest = after;
    }
    found
}

enum Kind {
    /// White space or a comment.
    Nothing,
    Literal,
    Written,
}

/// What stands at the beginning of `rest`, and how many bytes of it that is.
fn next(rest: &str, first: char) -> (Kind, usize) {
    if first.is_whitespace() {
        return (Kind::Nothing, first.len_utf8());
    }
    if rest.starts_with("//") {
        return (Kind::Nothing, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Nothing, block_comment(rest));
    }
    if let Some(length) = string(rest).or_else(|| character(rest)) {
        return (Kind::Literal, length);
    }
    if rest.starts_with("::") {
        return (Kind::Written, 2);
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    if is_part(first) {
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        return (Kind::Written, length);
    }
    (Kind::Written, first.len_utf8())
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of the string literal that `rest` begins with: `"…"`, `b"…"`, `r#"…"#`, and so on.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix))?;
    let after = &rest[prefix.len()..];
    let is_raw = prefix.ends_with('r');
    let fence = after.chars().take_while(|&c| c == '#').count();
    if !after[fence..].starts_with('"') || (fence > 0 && !is_raw) {
        return None;
    }
    let start = prefix.len() + fence + 1;
    if is_raw {
        let end = format!("\"{}", "#".repeat(fence));
        return Some(start + rest[start..].find(&end)? + end.len());
    }
    let mut is_escaped = false;
    for (at, c) in rest[start..].char_indices() {
        match c {
            '"' if !is_escaped => return Some(start + at + 1),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

/// The length of the character literal that `rest` begins with; `'a` alone is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("b'").or(rest.strip_prefix('\''))?;
    let before = rest.len() - after.len();
    let mut chars = after.char_indices();
    if chars.next()?.1 == '\\' {
        // What is escaped may be a quote itself.
        chars.next()?;
        let (end, _) = chars.find(|(_, c)| *c == '\'')?;
        return Some(before + end + 1);
    }
    let (end, quote) = chars.next()?;
    (quote == '\'').then_some(before + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.into(),
        }
    }

    fn texts(text: &str) -> Vec<String> {
        let tokens = source("src/x.rs", text).tokens();
        tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_literals_say_nothing() {
        let text = r##"a // b "c
            /* d /* e */ f */ g("h\"i", r#"j " k"#, b'\'', '"', 'l', &'m n, b"o\\", "p
            q", '\u{1f}', r"\", 7..8, s::t)"##;
        let expected = [
            "a", "g", "(", "\"\"", ",", "\"\"", ",", "\"\"", ",", "\"\"", ",", "\"\"", ",", "&",
            "'", "m", "n", ",", "\"\"", ",", "\"\"", ",", "\"\"", ",", "\"\"", ",", "7", ".", ".",
            "8", ",", "s", "::", "t", ")",
        ];
        assert_eq!(texts(text), expected);
    }

    #[test]
    fn test_code_says_nothing() {
        let text = "a; #[cfg(test)] #[expect(x)] mod b { c { d } } #[cfg(test)] mod e; \
                    #[cfg(unix)] mod f {}\n";
        assert_eq!(
            texts(text),
            [
                "a", ";", "#", "[", "cfg", "(", "unix", ")", "]", "mod", "f", "{", "}"
            ]
        );
    }

    #[test]
    fn lines_of_test_code_do_not_count() {
        let text = "a\nb\n#[cfg(test)]\nmod tests {\n    c\n}\nd\n";
        assert_eq!(source("src/x.rs", text).lines(), 3);
    }

    #[test]
    fn modules_of_files_and_files_of_test_modules() {
        let text = "#[cfg(test)]\nmod fixture;\n#[cfg(test)]\nmod tests {}\nmod b;";
        for (path, module, fixture) in [
            ("src/lib.rs", vec![], "src/lib/fixture.rs"),
            ("src/a/mod.rs", vec!["a"], "src/a/fixture.rs"),
            ("src/a/b.rs", vec!["a", "b"], "src/a/b/fixture.rs"),
        ] {
            let source = source(path, text);
            assert_eq!(source.module(), module);
            assert_eq!(source.test_modules(), [fixture]);
        }
    }

    #[test]
    fn functions_with_bodies_and_their_lengths() {
        let text = "trait A { fn b(&self, c: [u8; 3]); }\nfn d<T>(e: fn(T))\nwhere\n{\n  \
                    let f = || { };\n  fn g() {}\n}\n";
        let found = functions(&source("src/x.rs", text).tokens());
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.name.as_str(), f.line, f.lines))
            .collect();
        assert_eq!(found, [("d", 2, 6), ("g", 6, 1)]);
    }
}
