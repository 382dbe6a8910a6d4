//! Circles of files: each uses names of the next, and the last those of the first. A name that is
//! re-exported counts for the file that it comes from.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// The files on circles, each with what it uses.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let sources = sources.iter().filter(|source| source.path != "src/main.rs");
    let files: BTreeMap<_, _> = sources.map(|source| (source.module(), source)).collect();
    let (mut uses, mut reexported) = (Vec::new(), BTreeMap::new());
    let tokens: Vec<_> = files
        .iter()
        .map(|(module, source)| (module, source.tokens()))
        .collect();
    for (module, tokens) in &tokens {
        let words: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
        let inline = inline_paths(&words);
        let inline = inline.iter();
        uses.extend(inline.filter_map(|path| Some((module, absolute(module, path, &files)?))));
        for at in (0..words.len()).filter(|at| words[*at] == "use") {
            let mut paths = Vec::new();
            expand(&mut words[at + 1..].iter().copied(), &[], &mut paths);
            for path in paths
                .iter()
                .filter_map(|path| absolute(module, path, &files))
            {
                if at > 0 && matches!(words[at - 1], "pub" | ")") {
                    let name = [&module[..], &path[path.len() - 1..]].concat();
                    reexported.insert(name, path);
                } else {
                    uses.push((module, path));
                }
            }
        }
    }
    let mut imports = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (module, mut path) in uses {
        for _ in 0..8 {
            path = reexported.get(&path).cloned().unwrap_or(path);
        }
        let home = (1..=path.len())
            .rev()
            .find_map(|length| files.get(&path[..length]));
        let file = files[*module].path.as_str();
        if let Some(home) = home.filter(|home| home.path != file) {
            imports.entry(file).or_default().insert(&home.path);
        }
    }
    let is_on_circle = |start: &&str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![*start]);
        while let Some(file) = left.pop() {
            let next = imports.get(file).into_iter().flatten();
            left.extend(next.filter(|next| seen.insert(**next)));
        }
        seen.contains(start)
    };
    let found = imports.keys().filter(|file| is_on_circle(file));
    found
        .map(|file| {
            format!(
                "{file} is on a circle of files: it uses {:?}",
                imports[file]
            )
        })
        .collect()
}

/// The paths that begin with `crate` or `super` and stand in no `use`.
fn inline_paths<'a>(words: &[&'a str]) -> Vec<Vec<&'a str>> {
    let begins = |at: &usize| {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        matches!(words[*at], "crate" | "super")
            && !matches!(before, "::" | "in" | "use" | "{" | ",")
    };
    let path = |at: usize| {
        let links = words[at..].chunks(2);
        let links = links.map_while(|link| match link {
            [word, "::"] => Some((*word, true)),
            [word, ..] => Some((*word, false)),
            [] => None,
        });
        let mut is_open = true;
        let links = links.take_while(|(_, goes_on)| std::mem::replace(&mut is_open, *goes_on));
        links.map(|(word, _)| word).collect()
    };
    let paths = (0..words.len()).filter(begins).map(path);
    // `pub(super)` names nothing.
    paths.filter(|path: &Vec<_>| path.len() > 1).collect()
}

/// The paths in a tree of them: `a::b` and `a::c` of `a::{b, c}`.
fn expand<'a>(
    words: &mut impl Iterator<Item = &'a str>,
    above: &[&'a str],
    found: &mut Vec<Vec<&'a str>>,
) {
    let mut path = above.to_vec();
    while let Some(word) = words.next() {
        match word {
            "::" => {}
            "as" => drop(words.next()),
            "," | "}" | ";" | "{" => {
                if word == "{" {
                    expand(words, &path, found);
                } else if path.len() > above.len() {
                    found.push(path);
                }
                path = above.to_vec();
                if matches!(word, "}" | ";") {
                    return;
                }
            }
            _ => path.push(word),
        }
    }
}

/// A path from the crate's root; `None` if it leads into another crate.
fn absolute<'a>(
    module: &[&'a str],
    path: &[&'a str],
    files: &BTreeMap<Vec<&str>, &Source>,
) -> Option<Vec<&'a str>> {
    let ups = path.iter().take_while(|word| **word == "super").count();
    match path.first()? {
        &"crate" => Some(path[1..].to_vec()),
        &"super" => Some([&module[..module.len().checked_sub(ups)?], &path[ups..]].concat()),
        &"self" => Some([module, &path[1..]].concat()),
        first if files.contains_key(&[module, &[*first]].concat()) => Some([module, path].concat()),
        _ => None,
    }
}
