//! What is attached to a manifest: the registry's own list, page by page, or the one that clients keep under a tag.

use super::HttpRegistry;
use super::classify::{Failure, Stop};
use super::exchange::Ask;
use super::link;
use super::objects::{DOCUMENT, document};
use super::reply::Reply;
use super::scope::Scope;
use crate::oci::{Descriptor, Digest, Document, MediaKind, Reference, Repository, list_tag};
use crate::registry::{BodyEnd, ManifestBody, Software, UnverifiedReason};

/// Pages of one list, and entries in all, at most: an image has a handful of signatures.
const MOST_PAGES: usize = 64;
const MOST_REFERRERS: usize = 4096;

/// Manifests of which the registry has to say that it keeps no list, before it is taken to keep none at all.
const MOST_ABSENT: u8 = 2;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl HttpRegistry {
    /// All that is attached to a manifest. A registry without such lists is asked for [`MOST_ABSENT`] of them: one
    /// 404 may be that of a gateway.
    pub(super) async fn read_referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Failure> {
        if !self.lists.has_only_failed(MOST_ABSENT) {
            if let Some(listed) = self.listed_referrers(repository, digest).await? {
                self.lists.works();
                return Ok(listed);
            }
            self.lists.fails();
        }
        let Some(tag) = list_tag(digest) else {
            return Ok(Vec::new());
        };
        let reference = Reference::Tag(tag);
        match self.read_manifest(repository, &reference).await {
            Ok(body) => entries(&body),
            Err(Stop::Absent(refusal)) if !refusal.is_page => Ok(Vec::new()),
            Err(Stop::Absent(refusal)) => {
                Err(unclear(&refusal.request, "the answer is a web page"))
            }
            Err(Stop::Failed(failure)) => Err(failure),
        }
    }

    /// The registry's own list; `None` if it keeps none.
    async fn listed_referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Failure> {
        let mut url = self.endpoint.referrers(repository, digest);
        let mut listed = Vec::new();
        for page in 0..MOST_PAGES {
            let ask = Ask::get(url.clone(), INDEX, Scope::Pull(repository), DOCUMENT);
            let reply = self.ask_again_if_cut(&ask).await?;
            if page == 0 && self.says_that_there_are_none(&reply) {
                return Ok(None);
            }
            let next = link::next_query(&reply.headers);
            let body = match document(reply) {
                Ok(body) => body,
                Err(Stop::Failed(failure)) => return Err(failure),
                Err(Stop::Absent(refusal)) => {
                    return Err(unclear(
                        &refusal.request,
                        "404 without words, or where other lists were there, tells nothing of it",
                    ));
                }
            };
            listed.extend(entries(&body)?);
            if listed.len() > MOST_REFERRERS {
                break;
            }
            match next {
                Some(next) if url.query() != Some(&*next) => url.set_query(Some(&next)),
                Some(_) => return Err(unclear(&body.request, "its pages lead back to themselves")),
                None => return Ok(Some(listed)),
            }
        }
        let detail = format!(
            "{} has more than {MOST_PAGES} pages or {MOST_REFERRERS} entries",
            url.path()
        );
        Err(Failure::new(UnverifiedReason::TooLarge, detail))
    }

    /// Whether an answer says that the registry keeps no such lists, as 404 does (distribution-spec, "Listing
    /// Referrers"), whatever its words. zot, which keeps them, answers 404 without a word for every image of a repository
    /// that has lost a manifest.
    fn says_that_there_are_none(&self, reply: &Reply) -> bool {
        if reply.status != 404 || self.lists.has_worked() {
            return false;
        }
        let has_words = !reply.body.bytes.is_empty();
        let software = self.software().map(|it| it.name);
        has_words || software.is_some_and(|name| name != Software::Zot)
    }
}

/// What a list names. One that is not whole, or that clients refuse, names nothing that could be relied on.
fn entries(body: &ManifestBody) -> Result<Vec<Descriptor>, Failure> {
    if matches!(body.end, BodyEnd::Cut | BodyEnd::More) {
        return Err(unclear(&body.request, "the answer is cut short"));
    }
    let document = Document::parse(&body.bytes, body.media_type.as_deref());
    let document = document.map_err(|_| unclear(&body.request, "the answer is no image index"))?;
    let problem = document.problems.first().map(String::as_str);
    let problem = problem.or_else(|| (document.left_out > 0).then_some("it has too many entries"));
    match problem {
        _ if document.kind != MediaKind::Index => {
            Err(unclear(&body.request, "the answer is no image index"))
        }
        Some(problem) => Err(unclear(&body.request, problem)),
        None => Ok(document.children),
    }
}

fn unclear(request: &str, what: &str) -> Failure {
    let detail = format!("{request} gives no list of what is attached: {what}");
    Failure::new(UnverifiedReason::Protocol, detail)
}
