//! Answers as bytes: a registry behind any stream, whose every answer can be changed in its head, in its
//! body and in how it is framed, also into what no HTTP library would write.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::io::{AsyncWriteExt as _, BufReader};

use crate::registry::Registry;
use crate::reply::Reply;
use crate::request::Request;

/// An answer before it is written. What is here is written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status code; 0 closes the connection without an answer.
    pub status: u16,
    /// Names and values, in the order in which they are written.
    pub headers: Vec<(String, String)>,
    /// What follows the head, except in an answer to HEAD or one that has no body by its status.
    pub body: Vec<u8>,
    /// How the body is framed.
    pub framing: Framing,
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As it is. Where no `Content-Length` tells its end, the connection is closed behind it.
    Plain,
    /// In chunks, and `Transfer-Encoding` says so.
    Chunked,
    /// In chunks, and the connection is closed before the last one.
    ChunkedWithoutEnd,
}

/// The longest chunk that is written.
const CHUNK: usize = 16 * 1024;

impl RawAnswer {
    fn of(reply: &Reply) -> Self {
        let mut answer = Self {
            status: reply.status,
            headers: reply.headers.clone(),
            body: reply.body.to_vec(),
            framing: Framing::Plain,
        };
        match reply.content_length() {
            _ if has_no_body(reply.status) => {}
            Some(length) => {
                answer.set_header("Content-Length", &length.to_string());
                answer
                    .body
                    .truncate(usize::try_from(length).unwrap_or(usize::MAX));
            }
            None => answer.framing = Framing::Chunked,
        }
        answer
    }

    /// The first value of a header, by name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Sets a header in place of those of that name.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.drop_header(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Takes away the headers of that name.
    pub fn drop_header(&mut self, name: &str) {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Replaces the body, and says its length.
    pub fn set_body(&mut self, body: impl Into<Vec<u8>>) {
        self.body = body.into();
        self.set_header("Content-Length", &self.body.len().to_string());
    }

    /// Whether whoever reads it knows where it ends, so that another one can follow.
    fn is_framed(&self, is_head: bool) -> bool {
        let length = self
            .header("Content-Length")
            .and_then(|length| length.parse().ok());
        match self.framing {
            Framing::Chunked => true,
            _ if is_head || has_no_body(self.status) => true,
            Framing::Plain => {
                length == Some(self.body.len()) && self.header("Transfer-Encoding").is_none()
            }
            Framing::ChunkedWithoutEnd => false,
        }
    }

    fn written(mut self, is_head: bool) -> Vec<u8> {
        if self.framing != Framing::Plain {
            self.drop_header("Content-Length");
            self.set_header("Transfer-Encoding", "chunked");
        }
        let mut bytes = format!("HTTP/1.1 {} Answer\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        if is_head || has_no_body(self.status) {
            return bytes;
        }
        if self.framing == Framing::Plain {
            bytes.extend(self.body);
            return bytes;
        }
        for chunk in self.body.chunks(CHUNK) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        if self.framing == Framing::Chunked {
            bytes.extend(b"0\r\n\r\n");
        }
        bytes
    }
}

fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 304)
}

/// Changes an answer to a request.
pub type RawEdit = dyn Fn(&Request, &mut RawAnswer) + Send + Sync;

impl Registry {
    /// What it answers, before anybody changes it.
    pub fn raw_answer(&self, request: &Request) -> RawAnswer {
        RawAnswer::of(&self.answer(request))
    }

    /// Answers the requests of one connection, each changed by `edit`, until either side has enough.
    /// The stream is flushed and not shut down: how it ends is the caller's business.
    pub async fn converse(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        edit: &RawEdit,
    ) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await? {
            let is_head = request.is_head();
            let mut answer = self.raw_answer(&request);
            edit(&request, &mut answer);
            if answer.status == 0 {
                return Ok(());
            }
            let is_framed = answer.is_framed(is_head);
            stream.get_mut().write_all(&answer.written(is_head)).await?;
            stream.get_mut().flush().await?;
            if !is_framed {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Reads a request; nothing where the connection has ended, or where it is none.
async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request::new(method, path, query, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let values = request
            .headers
            .entry(name.to_ascii_lowercase())
            .or_default();
        if !values.is_empty() {
            values.push_str(", ");
        }
        values.push_str(value.trim());
    }
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    from.read_exact(&mut body).await?;
    request.body = body.into();
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(framing: Framing) -> String {
        let mut answer = RawAnswer::of(&Reply::text(200, "abc"));
        answer.framing = framing;
        String::from_utf8(answer.written(false)).expect("text")
    }

    #[test]
    fn what_is_written_is_what_was_asked_for() {
        let plain = written(Framing::Plain);
        assert!(
            plain.starts_with("HTTP/1.1 200 ") && plain.ends_with("Content-Length: 3\r\n\r\nabc")
        );
        let chunked = written(Framing::Chunked);
        assert!(
            chunked.ends_with("chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            "{chunked}"
        );
        let cut = written(Framing::ChunkedWithoutEnd);
        assert!(
            cut.ends_with("\r\n3\r\nabc\r\n") && !cut.contains("Content-Length"),
            "{cut}"
        );
    }

    #[test]
    fn a_length_that_is_not_the_bodys_ends_the_connection() {
        let mut answer = RawAnswer::of(&Reply::text(200, "abc"));
        assert!(answer.is_framed(false));
        answer.set_header("Content-Length", "4");
        assert!(!answer.is_framed(false) && answer.is_framed(true));
        answer.drop_header("content-length");
        assert!(!answer.is_framed(false));
    }
}
