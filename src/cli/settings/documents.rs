//! Images that documents name (`--images-from`): read, mapped, and held against which registries may be asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::cli::args::{DocumentArgs, Map};
use crate::cli::error::Error;
use crate::cli::image::parse_image;
use crate::oci::shorten;
use crate::registry::client::Endpoint;
use crate::report::{self, Unasked};
use crate::sources::{NamedImages, documents};

/// What documents name.
pub(super) struct Documents<T> {
    /// What to ask for, each with how it is written, and where.
    pub(super) images: Vec<(T, report::Named)>,
    pub(super) unasked: Unasked,
}

/// Reads the documents that are named; `None` if none are. `find` gives an image by its name, and the name of its
/// registry.
pub(super) fn read<T>(
    args: &DocumentArgs,
    plain_http: bool,
    find: impl Fn(&str) -> Option<(String, T)>,
) -> Result<Option<Documents<T>>, Error> {
    if args.images_from.is_empty() {
        return match needless(args) {
            Some(option) => Err(Error::option(
                option,
                "is about --images-from, which is missing",
            )),
            None => Ok(None),
        };
    }
    let mut found = NamedImages::default();
    for path in &args.images_from {
        file(path, &mut found)?;
    }
    let NamedImages {
        images,
        mut unasked,
        ..
    } = found;
    unasked.unresolved_allowed = args.allow_unresolved;
    let only = args.only_registries.iter().map(|host| {
        let endpoint = Endpoint::parse(host, plain_http);
        endpoint.map_err(|error| Error::option("only-registry", error))
    });
    let only = only.collect::<Result<Vec<_>, _>>()?;
    let mut asked = Vec::new();
    for written in images {
        let name = mapped(&args.maps, &written.written, plain_http);
        let Some((host, image)) = find(&name).filter(|_| is_name(&written)) else {
            unasked.invalid.push(written);
            continue;
        };
        // By either name of a registry that has two.
        let named = parse_image(&name, plain_http).map(|(endpoint, ..)| endpoint);
        let is_of = |only: &Endpoint| {
            only.name() == host
                || named
                    .as_ref()
                    .is_ok_and(|named| named.name() == only.name())
        };
        if only.is_empty() || only.iter().any(is_of) {
            asked.push((image, written));
        } else {
            *unasked.left_out.entry(host).or_default() += 1;
        }
    }
    if asked.is_empty() {
        return Err(nothing(args, &unasked));
    }
    let images = asked;
    Ok(Some(Documents { images, unasked }))
}

/// Whether a container could be started by what is written: clients take a scheme, and runtimes do not.
fn is_name(written: &report::Named) -> bool {
    let mut origins = written.origins.iter();
    !(written.written.contains("://") && origins.any(|origin| origin.container.is_some()))
}

/// An option that says nothing without documents.
fn needless(args: &DocumentArgs) -> Option<&'static str> {
    let is_given = [
        ("only-registry", !args.only_registries.is_empty()),
        ("map", !args.maps.is_empty()),
        ("allow-unresolved", args.allow_unresolved),
    ];
    let mut given = is_given.into_iter().filter(|(_, is_given)| *is_given);
    given.next().map(|(option, _)| option)
}

fn file(path: &Path, found: &mut NamedImages) -> Result<(), Error> {
    let (name, read) = if path.as_os_str() == "-" {
        let input = io::stdin().lock();
        (
            "standard input".into(),
            documents::read(input, "standard input", found),
        )
    } else {
        let file = File::open(path).map_err(|error| {
            let path = path.display();
            Error::option("images-from", format!("{path} cannot be read: {error}"))
        })?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        (
            path.to_owned(),
            documents::read(file, &name.to_string_lossy(), found),
        )
    };
    read.map_err(|why| Error::File(name, why))
}

/// The name to ask for: by the map of the longest beginning, of the name as docker reads it, or else as it is written.
fn mapped(maps: &[Map], written: &str, plain_http: bool) -> String {
    let full = match parse_image(written, plain_http) {
        Ok((endpoint, repository, reference)) if !written.contains("://") => {
            let image = reference.in_repository(&repository);
            format!("{}/{image}", endpoint.name())
        }
        _ => written.to_owned(),
    };
    let maps = maps.iter().filter_map(|map| map.apply(&[&full, written]));
    let longest = maps.max_by_key(|(length, _)| *length);
    longest.map_or_else(|| written.to_owned(), |(_, asked)| asked)
}

/// Why no image is asked for.
fn nothing(args: &DocumentArgs, unasked: &Unasked) -> Error {
    let files = args.images_from.iter().map(|path| match path.to_str() {
        Some("-") => "standard input".into(),
        _ => path.display().to_string(),
    });
    let files = shorten(&files.collect::<Vec<_>>().join(", "), 200);
    if !unasked.left_out.is_empty() {
        let left_out = said(
            unasked
                .left_out
                .iter()
                .map(|(host, count)| format!("{host} ({count})")),
        );
        let why = format!("leaves nothing to ask for: {files} names images of {left_out}");
        return Error::option("only-registry", why);
    }
    if !unasked.invalid.is_empty() {
        let names = said(unasked.invalid.iter().map(first));
        return Error::Usage(format!(
            "{files} names no image; no names of images: {names}"
        ));
    }
    if !unasked.unresolved.is_empty() {
        let names = said(unasked.unresolved.iter().map(first));
        let text =
            format!("{files} names no image that can be asked for; still to be resolved: {names}");
        return if unasked.unresolved_allowed {
            Error::Usage(text)
        } else {
            Error::Unresolved(text)
        };
    }
    let mut text = format!("no image is named in {files}");
    let rest = [
        ("built where they run", &unasked.built),
        ("not taken for images", &unasked.not_taken),
    ];
    for (what, names) in rest.iter().filter(|(_, names)| !names.is_empty()) {
        let _ = write!(text, "; {what}: {}", said(names.iter().map(first)));
    }
    Error::Usage(text)
}

/// A name, and where it stands first.
fn first(named: &report::Named) -> String {
    let place = named.origins.first().map(ToString::to_string);
    let written = shorten(&named.written, 80);
    format!("`{written}` ({})", place.unwrap_or_default())
}

/// The first few, and how many more there are.
fn said(all: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = all.collect();
    let shown = all[..all.len().min(10)].join(", ");
    match all.len().saturating_sub(10) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What each registry's report says of documents: its images, and in the last what was not asked for.
pub(super) fn reported(
    mut images: Vec<Vec<report::NamedImage>>,
    unasked: Unasked,
) -> Vec<report::Documents> {
    let last = images.pop();
    let of = |images| report::Documents {
        images,
        unasked: None,
    };
    let mut all: Vec<_> = images.into_iter().map(of).collect();
    all.extend(last.map(|images| report::Documents {
        images,
        unasked: Some(unasked),
    }));
    all
}

/// Which images of a registry are named where: those that are the same are one.
pub(super) fn joined(
    named: impl Iterator<Item = (String, report::Named)>,
) -> Vec<report::NamedImage> {
    let mut all = BTreeMap::<String, report::NamedImage>::new();
    for (image, named) in named {
        if let Some(known) = all.get_mut(&image) {
            known.named.origins.extend(named.origins);
            known.named.more += named.more;
            continue;
        }
        let (outcome, why) = (report::ImageOutcome::Unverified, None);
        let new = report::NamedImage {
            image: image.clone(),
            named,
            outcome,
            why,
        };
        all.insert(image, new);
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_docker_hub_are_mapped_by_their_whole_names() {
        let map = |map: &str, written: &str| mapped(&[map.parse().expect("a map")], written, false);
        for (rule, written, asked) in [
            (
                "docker.io=m.example/hub",
                "busybox:1",
                "m.example/hub/library/busybox:1",
            ),
            (
                "docker.io=m.example/hub",
                "docker.io/busybox:1",
                "m.example/hub/library/busybox:1",
            ),
            (
                "docker.io=m.example/hub",
                "index.docker.io/a/b:1",
                "m.example/hub/a/b:1",
            ),
            ("docker.io/a=m.example", "a/b:1", "m.example/b:1"),
            (
                "busybox=m.example/busybox",
                "busybox:1",
                "m.example/busybox:1",
            ),
            (
                "docker.io=m.example",
                "r.example/busybox:1",
                "r.example/busybox:1",
            ),
        ] {
            assert_eq!(map(rule, written), asked, "{rule} {written}");
        }
    }
}
