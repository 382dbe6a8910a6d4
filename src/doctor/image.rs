//! One image, as far as a sweep would pull it: a manifest by HEAD and GET, and one small blob.

use reqwest::Method;
use reqwest::header::{ACCEPT_RANGES, ETAG};
use serde::Serialize;
use serde_json::{Value, json};

use super::Outcome::{Fail, Fine, Info, Warn};
use super::subject::Doctor;
use super::{Check, data_of, trouble};
use crate::oci::{
    Descriptor, Digest, Document, Reference, Repository, Tag, manifest_digest, shorten,
};
use crate::registry::client::blobs::is_from_cache;
use crate::registry::client::classify;
use crate::registry::client::exchange::Ask;
use crate::registry::client::reply::{Read, Reply};
use crate::registry::client::transcript::Head;
use crate::registry::{
    Answer, Depth, ManifestBody, Registry as _, Unverified, UnverifiedReason, Way,
};
use crate::render::words::{length, many};

/// Tags that are tried until the manifest of one can be read.
const MOST_TAGS: usize = 3;
/// Children of an index that are tried until one can be read.
const MOST_CHILDREN: usize = 3;

const WRONG_DIGEST: &str = "The digest that it states is not that of the bytes. A sweep goes by the bytes, \
                            and calls that broken.";
const LAST_BYTE: &str = "It reads the last byte of every blob (--depth tail): that shows files that are gone, \
                         empty or cut short, even where HEAD still calls them whole.";
const CUT_SHORT: &str = "The file behind the sample blob is gone or cut short, while HEAD calls it whole. A \
                         sweep will say so.";
const NO_RANGE: &str = "It cannot read the last byte of a large blob alone, and compares its length only. \
                        To see damaged files, say --depth digest, which reads everything.";
const NO_BLOB: &str = "Blobs that answer so will be `unverified`. Give this login the right to pull, or look \
                       at what stands in front of the registry.";

/// What came of pulling an image as far as a sweep does.
pub(super) struct Image {
    /// How many manifests and blobs it has. Those of an index are reckoned from one of its children.
    pub(super) extent: Result<(u64, u64), Unverified>,
    pub(super) sign: CacheSign,
    pub(super) checks: Vec<Check>,
}

/// Signs of a pull-through cache.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CacheSign {
    None,
    /// It fails on a manifest that nobody has, instead of denying it: distribution
    /// (registry/proxy/proxymanifeststore.go wraps the upstream's 404 in an error of its own).
    UnknownFails,
    /// A bare digest for an entity tag, and no ranges: distribution
    /// (registry/proxy/proxyblobstore.go).
    BareEtag,
    /// Nothing would tell: zot that fetches on demand answers as any other, and was not asked for an image.
    Untold,
    /// HEAD does not know a blob that GET then has: a Harbor proxy project (harbor#22609).
    HeadDenies,
}

/// What a header says, held against the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stated {
    /// Nothing.
    Absent,
    /// What is so.
    Agrees,
    /// Something else.
    Differs,
    /// What is so is not known.
    Unchecked,
}

impl Stated {
    fn word(self) -> &'static str {
        match self {
            Self::Absent => "not stated",
            Self::Agrees => "right",
            Self::Differs => "wrong",
            Self::Unchecked => "stated",
        }
    }

    /// `Docker-Content-Digest`.
    fn digest(reply: Option<&Reply>, body: Option<&ManifestBody>) -> Self {
        let Some(stated) = reply.and_then(|reply| reply.header("docker-content-digest")) else {
            return Self::Absent;
        };
        let Ok(stated) = stated.trim().parse::<Digest>() else {
            return Self::Differs;
        };
        match body.and_then(|body| manifest_digest(&body.bytes, &stated)) {
            None => Self::Unchecked,
            Some(computed) if computed == stated => Self::Agrees,
            Some(_) => Self::Differs,
        }
    }

    /// `Content-Length`. A 0 is none: some proxies put it in the place of what they strip.
    fn length(reply: Option<&Reply>, known: Option<u64>) -> Self {
        match (reply.and_then(Reply::content_length), known) {
            (None | Some(0), _) => Self::Absent,
            (Some(_), None) => Self::Unchecked,
            (Some(stated), Some(known)) if stated == known => Self::Agrees,
            (Some(_), Some(_)) => Self::Differs,
        }
    }
}

/// The form of an entity tag (RFC 9110, 8.8.3).
fn etag(text: Option<&str>) -> &'static str {
    match text {
        None => "absent",
        Some(text) if text.starts_with('"') || text.starts_with("W/\"") => "quoted",
        // As distribution's pull-through cache writes it.
        Some(text) if text.parse::<Digest>().is_ok() => "a bare digest",
        Some(_) => "without quotes",
    }
}

impl Doctor<'_> {
    /// Asks for a manifest that nobody has. There is nothing in it to store, so that it does not
    /// change a cache; and distribution in proxy mode fails on it, where a registry says 404.
    pub(super) async fn ask_for_unknown(&mut self, repository: &Repository) -> Option<u16> {
        let digest = Digest::sha256(b"registry-probe: no manifest has this for its bytes");
        let reference = Reference::Digest(digest);
        let ask = Ask {
            method: Method::HEAD,
            read: Read::Nothing,
            ..self.registry.manifest_ask(repository, &reference)
        };
        // A failure is what is asked for, and no reason to ask again: what counts is what was answered.
        let _ = self.registry.exchange.authorized(&ask).await;
        self.heads().last().map(|head| status(&head.reply))
    }

    /// Pulls the first of a few tags that can be pulled, or tells of the first that cannot.
    pub(super) async fn pull(&mut self, repository: &Repository, tags: Vec<Tag>) -> Option<Image> {
        let mut first = None;
        for tag in in_order(tags).iter().take(MOST_TAGS) {
            let image = self.pull_tag(repository, tag).await;
            if image.extent.is_ok() {
                return Some(image);
            }
            first.get_or_insert(image);
        }
        first
    }

    async fn pull_tag(&mut self, repository: &Repository, tag: &Tag) -> Image {
        let answer = self.registry.resolve(repository, tag, Way::Both).await;
        let heads = self.heads();
        let missing = || Unverified::new(UnverifiedReason::Protocol, "no manifest came");
        let body = found(answer).and_then(|resolved| resolved.body.ok_or_else(missing));
        let document = body.as_ref().map_err(Clone::clone).and_then(read);
        let name = format!("{repository}:{tag}");
        let check = manifest(&name, &heads, document.as_ref().and(body.as_ref()));
        let mut image = Image {
            extent: document.as_ref().map(|_| (0, 0)).map_err(Clone::clone),
            sign: CacheSign::None,
            checks: vec![check],
        };
        if let Ok(document) = document {
            let (extent, blob) = self.extent(repository, &document).await;
            image.extent = Ok(extent);
            self.blob(repository, blob, &mut image).await;
        }
        image
    }

    /// Counts the manifests and blobs that a manifest leads to, and chooses the least of the blobs that can
    /// be asked for. Of an index, one child stands for all.
    async fn extent(
        &mut self,
        repository: &Repository,
        document: &Document,
    ) -> ((u64, u64), Option<Descriptor>) {
        let children = document.children.iter().filter(|child| !child.attestation);
        let children: Vec<_> = children.collect();
        let mut leaf = None;
        for child in children.iter().take(MOST_CHILDREN) {
            let reference = Reference::Digest(child.digest.clone());
            let answer = self.registry.manifest(repository, &reference).await;
            leaf = found(answer).and_then(|body| read(&body)).ok();
            if leaf.is_some() {
                break;
            }
        }
        self.heads();
        let image = leaf.as_ref().unwrap_or(document);
        let blobs = image.config.iter().chain(&image.layers);
        let blobs = blobs.filter(|blob| !blob.is_inline && !blob.is_elsewhere());
        let with_bytes = blobs
            .clone()
            .filter(|blob| blob.size.is_some_and(|size| size > 0));
        let smallest = with_bytes.min_by_key(|blob| blob.size).cloned();
        let manifests = 1 + length(document.children.len());
        (
            (manifests, length(blobs.count() * children.len().max(1))),
            smallest,
        )
    }

    /// Looks at a blob by each of the two ways in which a sweep does. What has just been downloaded by a cache at
    /// our asking is left alone from there on.
    async fn blob(&mut self, repository: &Repository, blob: Option<Descriptor>, image: &mut Image) {
        let Some(Descriptor { digest, size, .. }) = blob else {
            let words = "not tried: the image has none that could be asked for";
            let check = Check::new("blob", Warn, words, Value::Null);
            return image.checks.push(check);
        };
        let look = self.registry.blob(repository, &digest, size, Depth::Head);
        let mut look = found(look.await).map(drop);
        let mut heads = self.heads();
        let is_done = by(&heads, &Method::HEAD).is_some_and(is_from_cache)
            || by(&heads, &Method::GET).is_some();
        if !is_done {
            let tail = self.registry.blob(repository, &digest, size, Depth::Tail);
            look = found(tail.await).map(drop);
            heads.extend(self.heads());
        }
        let (head, part) = (by(&heads, &Method::HEAD), by(&heads, &Method::GET));
        let is_had = part.is_some_and(|part| matches!(status(part), 200 | 206));
        if head.is_some_and(is_from_cache) {
            image.sign = CacheSign::BareEtag;
        } else if is_had && head.is_some_and(|head| status(head) == 404) {
            image.sign = CacheSign::HeadDenies;
        }
        image.checks.extend([
            blob_head(head, part, size.unwrap_or_default(), look.is_ok()),
            range(part, &look),
        ]);
        if image.sign != CacheSign::None {
            // A sweep does not ask a cache for any of this.
            image
                .checks
                .iter_mut()
                .for_each(|check| check.advice.clear());
        }
    }
}

fn status(reply: &Reply) -> u16 {
    reply.status.as_u16()
}

/// What was found, or why nothing was.
fn found<T>(answer: Answer<T>) -> Result<T, Unverified> {
    match answer {
        Answer::Found(found) => Ok(found),
        Answer::Absent(refusal) | Answer::Failing(refusal) => Err(classify::refused(&refusal).why),
        Answer::Unverified(why) => Err(why),
    }
}

fn read(body: &ManifestBody) -> Result<Document, Unverified> {
    Document::parse(&body.bytes, body.media_type.as_deref()).map_err(|error| {
        let detail = format!("{}: the answer is not a manifest ({error})", body.request);
        Unverified::new(UnverifiedReason::Protocol, shorten(&detail, 300))
    })
}

/// The first answer to a method that is about what was asked for, and not about who asks.
fn by<'a>(heads: &'a [Head], method: &Method) -> Option<&'a Reply> {
    let is_it = |head: &&Head| head.method == *method && status(&head.reply) != 401;
    heads.iter().find(is_it).map(|head| &head.reply)
}

/// What the headers of a manifest say, of which `body` came or did not.
fn manifest(name: &str, heads: &[Head], body: Result<&ManifestBody, &Unverified>) -> Check {
    let head = by(heads, &Method::HEAD);
    let code = head.map_or(0, status);
    let digest = Stated::digest(head, body.ok());
    let get = Stated::digest(by(heads, &Method::GET), body.ok());
    let size = Stated::length(head, body.ok().map(|body| length(body.bytes.len())));
    let mut of_get = json!({ "digest": get.word() });
    let mut got = format!("GET 200, digest {}", get.word());
    if let Err(why) = body {
        (of_get, got) = (data_of(why), trouble(why));
    }
    let said = match code {
        0 => "HEAD without an answer".to_owned(),
        200 => format!("HEAD 200, digest {}, length {}", digest.word(), size.word()),
        code => format!("HEAD {code}"),
    };
    let data = json!({
        "image": name, "get": of_get,
        "head": { "status": code, "digest": digest.word(), "length": size.word() },
    });
    let check = |outcome| Check::new("manifest", outcome, format!("{name}: {said}; {got}"), data);
    match (code, digest, size) {
        _ if body.is_err() => check(Fail).care(format!(
            "The manifest of {name} could not be had: a sweep will tell whether that is a fault."
        )),
        (200, Stated::Differs, _) => check(Fail).care(WRONG_DIGEST),
        _ if get == Stated::Differs => check(Fail).care(WRONG_DIGEST),
        (200, Stated::Absent, _) => {
            check(Warn).will("It reads each tag's manifest and hashes it, as no digest is stated.")
        }
        (200, _, Stated::Agrees) => check(Fine),
        (0 | 200, ..) => check(Warn),
        _ => check(Warn).will(format!(
            "It asks by GET where HEAD says {code}, before it believes that."
        )),
    }
}

/// What HEAD says of a blob of which `size` bytes are promised, and who gave the answer.
fn blob_head(head: Option<&Reply>, part: Option<&Reply>, size: u64, is_had: bool) -> Check {
    let code = head.map_or(0, status);
    let stated = Stated::length(head, Some(size));
    let etag = etag(head.and_then(|head| head.header(ETAG)));
    let ranges = head.and_then(|head| head.header(ACCEPT_RANGES));
    let offers = ranges.map(str::trim) == Some("bytes");
    let last = part.or(head);
    let origin = last.and_then(|reply| reply.redirected_to.as_deref());
    let outcome = match (code, stated) {
        (200, Stated::Agrees) => Fine,
        (200, Stated::Differs) => Fail,
        _ => Warn,
    };
    let offered = ["not offered", "offered"][usize::from(offers)];
    let said = match (code, stated.word()) {
        (0, _) => "HEAD without an answer".to_owned(),
        (200, length) => format!("HEAD 200, length {length}, Etag {etag}, ranges {offered}"),
        _ => format!("HEAD {code}"),
    };
    let redirect = origin.map(|origin| format!("by redirect from {origin}"));
    let from = redirect.unwrap_or_else(|| "from the registry itself".to_owned());
    let words = format!("{}: {said}; {from}", many(size, "byte", "bytes"));
    let data = json!({
        "size": size, "status": code, "length": stated.word(), "etag": etag, "accepts_ranges": offers,
        "redirected_to": origin,
    });
    let mut check = Check::new("blob", outcome, words, data);
    if is_had && (code != 200 || stated == Stated::Absent) {
        check =
            check.will("It asks for blobs by GET, too, as HEAD does not tell how long they are.");
    }
    let Some(origin) = origin else { return check };
    check.will(format!(
        "It follows to {origin} for blobs, without a login: that host, too, must be reachable from where \
         the probe runs."
    ))
}

/// What came of asking for the end of a blob alone. Of a small one, that is all of it.
fn range(part: Option<&Reply>, look: &Result<(), Unverified>) -> Check {
    let is_empty = part.is_some_and(|part| part.body.raw.received == 0);
    let code = part.filter(|part| !part.is_html()).map(status);
    let why = look.as_ref().err().map(trouble).unwrap_or_default();
    let (answer, outcome, words) = match (code, look) {
        (Some(206), _) if is_empty => ("empty", Fail, "promised (206), and did not come"),
        (Some(206), _) => ("honoured", Fine, "what was asked for came alone (206)"),
        (Some(200), _) => ("ignored", Warn, "the whole blob comes instead (200)"),
        (_, Err(_)) => ("refused", Fail, &*why),
        (None, Ok(())) => ("not_asked", Info, "a cache is asked no more"),
        (Some(_), Ok(())) => ("refused", Warn, "the whole blob comes without it"),
    };
    let data = json!({ "answer": answer, "status": code });
    let check = Check::new("range", outcome, words, data);
    match outcome {
        Fine => check.will(LAST_BYTE),
        Info => check,
        Warn => check.care(NO_RANGE),
        Fail if answer == "empty" => check.care(CUT_SHORT),
        Fail => check.care(NO_BLOB),
    }
}

/// `latest` first, then from the last name back, which is where the newest versions mostly are.
/// Signatures and the like stand under the digest of what they belong to, and come after images.
fn in_order(mut tags: Vec<Tag>) -> Vec<Tag> {
    let rank = |tag: &Tag| match tag.as_str() {
        "latest" => 0,
        name if name.starts_with("sha256-") => 2,
        _ => 1,
    };
    tags.sort_unstable_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| b.cmp(a)));
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_tried_before_what_belongs_to_them() {
        let tags = ["sha256-ab.sig", "v1", "latest", "v2"];
        let tags = tags.iter().map(|tag| tag.parse().expect("a tag")).collect();
        let order = in_order(tags);
        let order: Vec<_> = order.iter().map(Tag::as_str).collect();
        assert_eq!(order, ["latest", "v2", "v1", "sha256-ab.sig"]);
    }

    #[test]
    fn every_form_of_entity_tag() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        for (text, expected) in [
            (None, "absent"),
            (Some(format!("\"{digest}\"").as_str()), "quoted"),
            (Some("W/\"x\""), "quoted"),
            (Some(digest), "a bare digest"),
            (Some("x"), "without quotes"),
        ] {
            assert_eq!(etag(text), expected, "{text:?}");
        }
    }
}
