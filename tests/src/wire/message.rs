//! Requests and answers of HTTP/1.1, read whole and written again without a byte changed that a signature covers.

use std::io::{self, BufRead, Read};

use serde_json::Value;

/// A request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The request line or the status line.
    pub start: String,
    /// Names and values as they were sent, without `Transfer-Encoding`.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Message {
    /// An answer with this status, content type and body.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut answer =
            Self { start: format!("HTTP/1.1 {status} Said"), headers: Vec::new(), body: Vec::new() };
        answer.set("Content-Type", content_type);
        answer.set_body(body.into());
        answer
    }

    /// The request after this one on the connection; none where it was closed.
    pub fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(mut message) = Self::read_head(stream)? else { return Ok(None) };
        message.read_body(stream, false)?;
        Ok(Some(message))
    }

    /// The answer to `request`.
    pub(super) fn read_answer(stream: &mut impl BufRead, request: &Self) -> io::Result<Self> {
        let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut message = Self::read_head(stream)?.ok_or_else(closed)?;
        let without_body =
            request.start.starts_with("HEAD ") || matches!(message.status(), 100..=199 | 204 | 304);
        if !without_body {
            message.read_body(stream, true)?;
        }
        Ok(message)
    }

    fn read_head(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let start = line.trim_end().to_owned();
        let mut headers = Vec::new();
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Some(Self { start, headers, body: Vec::new() }))
    }

    fn read_body(&mut self, stream: &mut impl BufRead, until_closed: bool) -> io::Result<()> {
        if self.header("transfer-encoding").is_some_and(|e| e.eq_ignore_ascii_case("chunked")) {
            let body = chunks(stream)?;
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("transfer-encoding"));
            self.set_body(body);
        } else if let Some(length) = self.header("content-length").and_then(|l| l.parse().ok()) {
            self.body = vec![0; length];
            stream.read_exact(&mut self.body)?;
        } else if until_closed {
            let mut body = Vec::new();
            stream.read_to_end(&mut body)?;
            self.set_body(body);
        }
        Ok(())
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sets a header.
    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn set_body(&mut self, body: Vec<u8>) {
        self.set("Content-Length", &body.len().to_string());
        self.body = body;
    }

    /// The status of an answer.
    #[track_caller]
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line")
    }

    /// The path of a request, with its query.
    #[track_caller]
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).expect("a request line")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Puts another body of JSON.
    pub fn set_json(&mut self, body: &Value) {
        self.set_body(body.to_string().into_bytes());
    }

    /// All bytes, and how many of them are the head.
    pub fn bytes(&self) -> (Vec<u8>, usize) {
        let headers: String = self.headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let mut bytes = format!("{}\r\n{headers}\r\n", self.start).into_bytes();
        let head = bytes.len();
        bytes.extend(&self.body);
        (bytes, head)
    }
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let digits = line.trim_end().split(';').next().unwrap_or_default();
        let length = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
        stream.by_ref().take(length).read_to_end(&mut body)?;
        line.clear();
        // After the last chunk stand trailers, which nobody here sends, and an empty line.
        stream.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}
