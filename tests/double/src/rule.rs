//! Rules: how a registry departs from what a healthy one answers, and when.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::locked;
use crate::on::Matcher;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::Request;
use crate::serve::storage;

/// A matcher and what happens where it matches.
pub(crate) struct Rule {
    matcher: Matcher,
    behaviour: Behaviour,
    counts: Mutex<HashMap<String, usize>>,
}

type Answer = dyn Fn(&Registry, &Request) -> Reply + Send + Sync;
type Edit = dyn Fn(&Request, Reply) -> Reply + Send + Sync;
type Act = dyn Fn(&Registry, &Request) + Send + Sync;

enum Behaviour {
    /// Speaks in place of the registry.
    Answer(Box<Answer>),
    /// Changes what the registry said.
    Edit(Box<Edit>),
    /// Happens after the answer was made, whatever it is.
    Then(Box<Act>),
}

impl Rule {
    pub(crate) fn is_before_auth(&self) -> bool {
        self.matcher.before_auth
    }

    /// Whether it is this rule's turn; counts the request.
    pub(crate) fn applies(&self, request: &Request) -> bool {
        if !self.matcher.selects(request) {
            return false;
        }
        let key = if self.matcher.per_path {
            format!("{} {}", request.method, request.path)
        } else {
            String::new()
        };
        let mut counts = locked(&self.counts);
        let count = counts.entry(key).or_default();
        *count += 1;
        self.matcher.turns.include(*count - 1)
    }

    pub(crate) fn answer(&self, registry: &Registry, request: &Request) -> Option<Reply> {
        match &self.behaviour {
            Behaviour::Answer(answer) => Some(answer(registry, request)),
            Behaviour::Edit(_) | Behaviour::Then(_) => None,
        }
    }

    pub(crate) fn edit(&self, request: &Request, reply: Reply) -> Reply {
        match &self.behaviour {
            Behaviour::Edit(edit) => edit(request, reply),
            Behaviour::Answer(_) | Behaviour::Then(_) => reply,
        }
    }

    pub(crate) fn afterwards(&self, registry: &Registry, request: &Request) {
        if let Behaviour::Then(act) = &self.behaviour {
            act(registry, request);
        }
    }
}

/// The first half of a rule; each method is a second half and completes it.
#[derive(Debug)]
pub struct When<'a> {
    registry: &'a Registry,
    matcher: Matcher,
}

impl<'a> When<'a> {
    pub(crate) fn new(registry: &'a Registry, matcher: Matcher) -> Self {
        Self { registry, matcher }
    }

    /// Answers this in place of the registry.
    pub fn reply(self, reply: Reply) {
        self.answer(move |_, _| reply.clone());
    }

    /// Answers what the closure says in place of the registry.
    pub fn answer(self, answer: impl Fn(&Registry, &Request) -> Reply + Send + Sync + 'static) {
        self.rule(Behaviour::Answer(Box::new(answer)));
    }

    /// Answers with this status and the registry's error envelope.
    pub fn error(self, status: u16, code: &str) {
        self.reply(Reply::error(
            status,
            code,
            &code.to_lowercase().replace('_', " "),
        ));
    }

    /// Closes the connection without an answer.
    pub fn hang_up(self) {
        self.reply(Reply::hang_up());
    }

    /// Redirects there, whatever is asked.
    pub fn redirect(self, status: u16, location: &str) {
        self.reply(Reply::redirect(status, location));
    }

    /// Redirects to the same path and query at another registry.
    pub fn redirect_to(self, status: u16, elsewhere: &Registry) {
        let url = elsewhere.url();
        self.answer(move |_, request| {
            let mark = if request.query.is_empty() { "" } else { "?" };
            Reply::redirect(
                status,
                &format!("{url}{}{mark}{}", request.path, request.query),
            )
        });
    }

    /// Redirects blobs that the registry believes to have to signed addresses at an object store: a
    /// double made with [`Double::beside`](crate::Double::beside), or the registry itself. A
    /// signature is bound to a method and expires (`Quirks::signed_for` of the object store); what
    /// is missing is still refused by the registry.
    pub fn redirect_to_storage(self, status: u16, object_store: &Registry) {
        let object_store = object_store.clone();
        self.edit(move |request, reply| match reply.status {
            200 | 206 | 416 => storage::redirect(status, request, &object_store),
            _ => reply,
        });
    }

    /// Changes the answer.
    pub fn edit(self, edit: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) {
        self.rule(Behaviour::Edit(Box::new(edit)));
    }

    /// Sets a header of the answer.
    pub fn set_header(self, name: &str, value: &str) {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.edit(move |_, reply| reply.with_header(&name, &value));
    }

    /// Takes a header away from the answer; `Content-Length` too.
    pub fn drop_header(self, name: &str) {
        let name = name.to_owned();
        self.edit(move |_, reply| reply.without_header(&name));
    }

    /// Closes the connection after so many bytes of the body.
    pub fn cut_after(self, bytes: usize) {
        self.edit(move |_, reply| reply.cut_after(bytes));
    }

    /// Sends so many bytes of the body and then nothing more, with the connection open.
    pub fn stall_after(self, bytes: usize) {
        self.edit(move |_, reply| reply.stalled_after(bytes));
    }

    /// Sends the body in pieces of so many bytes with a pause after each.
    pub fn trickle(self, bytes: usize, pause: Duration) {
        self.edit(move |_, reply| reply.trickled(bytes, pause));
    }

    /// Answers only after this time.
    pub fn delay(self, pause: Duration) {
        self.edit(move |_, reply| reply.delayed(pause));
    }

    /// Does something to the registry right after the answer was made: a push or a clean-up between
    /// two requests.
    pub fn then(self, act: impl Fn(&Registry, &Request) + Send + Sync + 'static) {
        self.rule(Behaviour::Then(Box::new(act)));
    }

    fn rule(self, behaviour: Behaviour) {
        let rule = Rule {
            matcher: self.matcher,
            behaviour,
            counts: Mutex::default(),
        };
        self.registry.add_rule(rule);
    }
}

/// The rule's parts are closures; what can be shown is when it applies.
impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule")
            .field("matcher", &self.matcher)
            .finish_non_exhaustive()
    }
}
