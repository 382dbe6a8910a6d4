//! A load generator that asks for addresses one after the other, each with the method that stands before it, over
//! connections that it keeps. It reads what comes and looks at nothing but the status.
//!
//! It is this program, started again with `generate`, so that its time on the processors can be told.

use std::cell::Cell;
use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::rc::Rc;

use hyper::body::Body as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, HOST, RANGE};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::race::ACCEPT as ACCEPTED;

/// The first argument that makes this program a generator.
const WORD: &str = "generate";

/// Starts it for what a file names: `METHOD PATH` in each line, and `bytes=FIRST-LAST` after a blank.
pub(crate) fn command(host: &str, list: &Path, at_a_time: &str) -> Command {
    let own = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(own);
    command.args([WORD, host, at_a_time]).arg(list);
    command
}

/// Generates, if this program was started for it.
pub(crate) fn is_asked_to() -> bool {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [word, host, at_a_time, list] = &arguments[..] else {
        return false;
    };
    if word != WORD {
        return false;
    }
    let text = std::fs::read_to_string(list).expect("a list of addresses");
    let questions: Rc<[Question]> = text.lines().map(Question::read).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let next = Rc::new(Cell::new(0));
    let tasks = LocalSet::new();
    for _ in 0..at_a_time.parse().expect("a number of connections") {
        tasks.spawn_local(ask(host.clone(), Rc::clone(&questions), Rc::clone(&next)));
    }
    runtime.block_on(tasks);
    assert!(next.get() >= questions.len(), "a connection has ended");
    true
}

struct Question {
    method: Method,
    path: String,
    range: Option<String>,
}

impl Question {
    fn read(line: &str) -> Self {
        let mut words = line.split(' ');
        let method = words.next().expect("a method");
        Self {
            method: method.parse().expect("a method"),
            path: words.next().expect("a path").to_owned(),
            range: words.next().map(str::to_owned),
        }
    }
}

/// One connection, which takes the next address whenever it has nothing to do.
async fn ask(host: String, questions: Rc<[Question]>, next: Rc<Cell<usize>>) {
    let stream = TcpStream::connect(&host).await.expect("a server");
    stream.set_nodelay(true).expect("a socket");
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::task::spawn_local(async {
        // It ends with the server's last word.
        let _ = connection.await;
    });
    while let Some(question) = questions.get(next.replace(next.get() + 1)) {
        answer(&mut sender, &host, question).await;
    }
}

async fn answer(sender: &mut SendRequest<String>, host: &str, question: &Question) {
    let mut request = Request::builder()
        .method(&question.method)
        .uri(&question.path)
        .header(HOST, host)
        .header(ACCEPT, ACCEPTED);
    if let Some(range) = &question.range {
        request = request.header(RANGE, range);
    }
    let request = request.body(String::new()).expect("a request");
    sender.ready().await.expect("the connection is kept");
    let response = sender.send_request(request).await.expect("an answer");
    let (head, mut body) = response.into_parts();
    assert!(
        head.status.is_success(),
        "{} {}",
        head.status,
        question.path
    );
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        frame.expect("a whole body");
    }
}
