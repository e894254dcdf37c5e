//! One HTTP/1.1 request a connection, spelled out, so that headers and broken bodies are seen as they are. Not a browser.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::served::Served;

/// The address of a served controller with a cookie, as a browser would hold it.
pub(crate) struct Visitor {
    pub(crate) host: String,
    pub(crate) cookie: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as its head said it would.
    pub(crate) is_whole: bool,
}

impl Visitor {
    pub(crate) fn stranger(served: &Served) -> Self {
        Self::at(&served.url)
    }

    pub(crate) fn at(url: &str) -> Self {
        Self { host: url.strip_prefix("http://").unwrap().to_owned(), cookie: None }
    }

    /// Somebody who has signed in with a token.
    pub(crate) fn with(served: &Served, token: &str) -> Self {
        let mut visitor = Self::stranger(served);
        visitor.sign_in(token);
        visitor
    }

    pub(crate) fn sign_in(&mut self, token: &str) {
        let answer = self.post("/ui/sign-in", &format!("token={token}"), &[]);
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        self.cookie = Some(cookie);
    }

    pub(crate) fn get(&self, address: &str) -> Answer {
        self.get_with(address, &[])
    }

    pub(crate) fn get_with(&self, address: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", address, headers, "")
    }

    pub(crate) fn post(&self, address: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let media = ("Content-Type", "application/x-www-form-urlencoded");
        self.send("POST", address, &[&[media], headers].concat(), form)
    }

    pub(crate) fn send(&self, method: &str, address: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut answer = Vec::new();
        let _ = self.ask(method, address, headers, body).read_to_end(&mut answer);
        Answer::read(&answer)
    }

    /// Asks for a page and reads nothing of the answer.
    pub(crate) fn open(&self, address: &str) -> TcpStream {
        self.ask("GET", address, &[], "")
    }

    fn ask(&self, method: &str, address: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut head = format!(
            "{method} {address} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.host,
            body.len()
        );
        let cookie = self.cookie.as_deref().map(|cookie| ("Cookie", cookie));
        for (name, value) in headers.iter().copied().chain(cookie) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        stream
    }
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII");
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
        let mut answer =
            Self { status, headers: lines.filter_map(header).collect(), body: Vec::new(), is_whole: false };
        let rest = &bytes[end + 4..];
        (answer.body, answer.is_whole) = match answer.header("content-length") {
            Some(len) => (rest.to_vec(), len.parse() == Ok(rest.len())),
            None => chunked(rest),
        };
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Every address that the page links to, as a browser reads it.
    pub(crate) fn links(&self) -> Vec<String> {
        let text = self.text();
        let links = text.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        links.map(|link| link.replace("&amp;", "&")).collect()
    }

    /// The address of the first link with that text, as the page spells it.
    #[track_caller]
    pub(crate) fn link_named(&self, name: &str) -> String {
        let text = self.text();
        let at = text.find(&format!(">{name}<")).unwrap_or_else(|| panic!("no {name} in {text}"));
        let from = text[..at].rfind(" href=\"").unwrap() + 7;
        text[from..].split('"').next().unwrap().replace("&amp;", "&")
    }
}

/// A body in chunks; whether its end came.
fn chunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return (body, false) };
        let size =
            std::str::from_utf8(&rest[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(size) = size else { return (body, false) };
        let from = end + 2;
        match rest.get(from..from + size) {
            Some(_) if size == 0 => return (body, true),
            Some(chunk) => body.extend_from_slice(chunk),
            None => return (body, false),
        }
        rest = rest.get(from + size + 2..).unwrap_or_default();
    }
}
