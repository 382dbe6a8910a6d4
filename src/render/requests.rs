//! The requests behind an image's tree, as a person repeats them: curl commands that only read, in
//! rows that can be pasted.
//!
//! Credentials are never in them: curl reads `~/.netrc`, and a token is asked for where one is wanted.

use super::lines::command_rows;
use crate::oci::{Digest, MediaKind, Repository};
use crate::registry::{Access, Authentication, Depth};
use crate::report::shell::{Command, quote};
use crate::report::{Image, Kind, Node, Report, token};

/// What makes the requests for the images of one repository.
pub(super) struct Requests<'a> {
    access: &'a Access,
    repository: &'a Repository,
    depth: Depth,
}

/// A request, in words and as the address that they end in.
pub(super) struct Request {
    command: Command,
    url: String,
    /// What the answer is piped into.
    into: Option<&'static str>,
}

impl<'a> Requests<'a> {
    pub(super) fn of(report: &'a Report, image: &'a Image) -> Self {
        Self {
            access: &report.sweep.access,
            repository: &image.repository,
            depth: report.sweep.depth,
        }
    }

    /// What has to be typed once before the others.
    pub(super) fn login(&self) -> Option<Command> {
        let Authentication::Token { realm, service } = &self.access.login else {
            return None;
        };
        let scope = format!(
            "scope=repository:{}:pull",
            self.access.path(self.repository)
        );
        Some(token(realm, service.as_deref(), [scope]))
    }

    /// Where a password comes from; `None` if none is wanted.
    pub(super) fn password(&self) -> Option<String> {
        let host = host(&self.access.host);
        match &self.access.login {
            Authentication::Open => None,
            Authentication::Password => Some(format!(
                "curl takes the login from ~/.netrc: machine {host} login NAME password PASSWORD"
            )),
            Authentication::Token { .. } => Some(
                "the token is good for some minutes; the login for it is taken from ~/.netrc"
                    .to_owned(),
            ),
        }
    }

    /// The request for the root of an image.
    pub(super) fn root(&self, image: &Image) -> Request {
        let accept: &[&str] = match image.root.document {
            Some(MediaKind::Index) => &ACCEPT[..2],
            Some(MediaKind::Manifest) => &ACCEPT[2..],
            _ => &ACCEPT,
        };
        self.manifest(&image.reference.to_string(), accept)
    }

    /// The request for an object below the root.
    pub(super) fn below(&self, node: &Node) -> Option<Request> {
        let digest = node.digest.as_ref()?;
        Some(match (node.kind, node.media_type.as_deref()) {
            (Kind::Config | Kind::Layer, _) => self.blob(digest, node.size),
            (_, Some(media_type)) => self.manifest(&digest.to_string(), &[media_type]),
            (_, None) => self.manifest(&digest.to_string(), &ACCEPT),
        })
    }

    /// Prints the head of the answer, and the manifest, which has no line break at its end.
    fn manifest(&self, reference: &str, accept: &[&str]) -> Request {
        let mut command = self.curl("curl -sSLiw '\\n'");
        for media_type in accept {
            let header = quote(&format!("Accept: {media_type}"));
            command = command.verbatim(&format!("-H {header}"));
        }
        self.request(command, "manifests", reference)
    }

    /// Prints the head of the answer, or the digest of all that came.
    fn blob(&self, digest: &Digest, size: Option<u64>) -> Request {
        let last = size.and_then(|size| size.checked_sub(1));
        let sum = match digest.to_string().split_once(':') {
            Some(("sha256", _)) => Some("sha256sum"),
            Some(("sha512", _)) => Some("sha512sum"),
            _ => None,
        };
        match (self.depth, last, sum) {
            (Depth::Digest | Depth::Unpack, _, Some(sum)) => Request {
                into: Some(sum),
                ..self.request(self.curl("curl -fsSL"), "blobs", &digest.to_string())
            },
            (Depth::Tail | Depth::Digest | Depth::Unpack, Some(last), _) => {
                let range = format!("curl -sSLo /dev/null -D - -r {last}-{last}");
                self.request(self.curl(&range), "blobs", &digest.to_string())
            }
            _ => self.request(self.curl("curl -sSLI"), "blobs", &digest.to_string()),
        }
    }

    fn curl(&self, words: &str) -> Command {
        let mut command = Command::new(words);
        if self.access.is_encrypted && !self.access.is_verified {
            command = command.raw("-k");
        }
        match &self.access.login {
            Authentication::Open => command,
            Authentication::Password => command.raw("--netrc"),
            Authentication::Token { .. } => command.verbatim("-H \"Authorization: Bearer $TOKEN\""),
        }
    }

    fn request(&self, command: Command, place: &str, name: &str) -> Request {
        let url = format!("{}{}/{place}/{name}", self.access.api, self.repository);
        Request {
            command,
            url,
            into: None,
        }
    }
}

/// The name of a host without its port, as `~/.netrc` has it.
fn host(address: &str) -> &str {
    let address = address.split('/').next().unwrap_or_default();
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let without = address.rsplit_once(':').filter(|(_, port)| is_port(port));
    without
        .map_or(address, |(host, _)| host)
        .trim_matches(['[', ']'])
}

/// What a manifest may be, indexes first.
const ACCEPT: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// What continues a line of the shell in the next, inside a word.
const CONTINUED: &str = "\\";

impl Request {
    /// The request in one line.
    pub(super) fn line(&self) -> String {
        let line = format!("{} {}", self.command, quote(&self.url));
        match self.into {
            Some(into) => format!("{line} | {into}"),
            None => line,
        }
    }

    /// The request in rows of `room` columns, which are one line to the shell. An address does not fit
    /// a row, so it is broken, and goes on at the margin: what a row begins with would be part of it.
    pub(super) fn rows(&self, room: usize) -> Vec<String> {
        let mut rows = command_rows(
            self.command.words(),
            room - INDENT.len() - CONTINUED.len() - 1,
        );
        for (number, row) in rows.iter_mut().enumerate() {
            let indent = if number == 0 { "" } else { INDENT };
            *row = format!("{indent}{row}");
        }
        if let Some(last) = rows.last_mut() {
            last.push(' ');
            last.push_str(CONTINUED);
        }
        let end = self.url.rfind('/').map_or(0, |slash| slash + 1);
        let (place, name) = self.url.split_at(end);
        let room_of_piece = room - INDENT.len() - CONTINUED.len() - 2;
        let mut pieces = pieces(&self.url, room_of_piece);
        if pieces.len() > 1 {
            // The name stands alone, to be seen at a glance.
            pieces = self::pieces(place, room_of_piece);
            pieces.extend(self::pieces(name, room_of_piece));
        }
        let last = pieces.len() - 1;
        for (number, piece) in pieces.iter().enumerate() {
            let indent = if number == 0 { INDENT } else { "" };
            let mark = if number < last { CONTINUED } else { "" };
            rows.push(format!("{indent}{}{mark}", quote(piece)));
        }
        if let (Some(into), Some(last)) = (self.into, rows.last_mut()) {
            last.push_str(" |");
            rows.push(format!("{INDENT}{into}"));
        }
        rows
    }
}

const INDENT: &str = "  ";

/// `text` in pieces of up to `room` characters.
fn pieces(text: &str, room: usize) -> Vec<String> {
    let characters: Vec<_> = text.chars().collect();
    let pieces = characters.chunks(room).map(|piece| piece.iter().collect());
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use super::*;
    use crate::render::{fixture, lines};

    fn said(script: &str) -> String {
        // What curl would be given, a word a line.
        let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{script}");
        let output = Process::new("sh").args(["-e", "-c", &script]).output();
        let output = output.expect("there is a shell");
        assert!(output.status.success(), "{script}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Whatever a registry has in its answers, a shell reads one request, in rows as in a line.
    #[test]
    fn rows_are_lines_to_the_shell_whatever_is_in_them() {
        let mut report = Report::from(fixture::explained());
        let sweep = &mut report.sweep;
        let hostile = "application/x'; touch /tmp/owned; echo '$(id)`id`\\";
        sweep.images[0].root.children[0].media_type = Some(hostile.into());
        sweep.access.login = Authentication::Password;
        for api in [
            "http://[::1]:5000/v2/".to_owned(),
            format!("https://{}.example/v2/", "very-long-name.".repeat(12)),
        ] {
            report.sweep.access.api = api;
            let image = &report.sweep.images[0];
            let requests = Requests::of(&report, image);
            let below = requests.below(&image.root.children[0]).expect("a child");
            for request in [requests.root(image), below] {
                let rows = request.rows(lines::WIDTH);
                assert!(
                    rows.iter().all(|row| row.len() <= lines::WIDTH),
                    "{rows:#?}"
                );
                let given = said(&rows.join("\n"));
                assert_eq!(given, said(&request.line()));
                assert_eq!(given.lines().last(), Some(request.url.as_str()));
            }
        }
        let image = &report.sweep.images[0];
        let below = Requests::of(&report, image).below(&image.root.children[0]);
        let given = said(&below.expect("a child").line());
        assert!(given.contains(&format!("Accept: {hostile}")), "{given}");
    }

    #[test]
    fn hosts_as_curl_looks_them_up() {
        for (address, expected) in [
            ("registry.example:5050", "registry.example"),
            ("registry.example", "registry.example"),
            ("[::1]:5000", "::1"),
            ("[::1]", "::1"),
            ("registry.example:5050/mirror", "registry.example"),
        ] {
            assert_eq!(host(address), expected);
        }
    }

    #[test]
    fn a_blob_is_asked_for_as_closely_as_the_depth_says() {
        let mut report = Report::from(fixture::explained());
        for (depth, expected) in [
            (Depth::Head, "curl -sSLI --netrc http"),
            (Depth::Tail, "-r 109-109 --netrc http"),
            (Depth::Digest, "| sha256sum"),
        ] {
            report.sweep.depth = depth;
            let image = &report.sweep.images[0];
            let config = &image.root.children[0].children[0];
            let request = Requests::of(&report, image).below(config).expect("a blob");
            assert!(request.line().contains(expected), "{}", request.line());
        }
    }
}
