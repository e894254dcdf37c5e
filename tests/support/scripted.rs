//! A server that does what a script says, on plain std threads: a store that refuses, resets, hangs, drips or lies.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(unreachable_pub, reason = "each test program is a crate of its own")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What came in.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn is_put(&self) -> bool {
        self.method == "PUT"
    }
}

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Act {
    /// What a store does: a create-only PUT, a GET with its range.
    Store,
    /// What a store does, but the connection is reset instead of the answer.
    StoreThenReset,
    /// An answer with those headers and that body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A reset before the request was read.
    Reset,
    /// What a store answers, cut after that many bytes of its body by an orderly end.
    Truncate(usize),
    /// The same, cut by a reset.
    ResetAfter(usize),
    /// What a store answers, with one bit of the body's byte at that place flipped.
    Flip(usize),
    /// What the server that the request names answers: this one is a proxy.
    Forward,
    /// No answer.
    Hang,
    /// What a store answers, a byte at a time and never done.
    Drip,
}

impl Act {
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), format!("the server's words about {status}").into_bytes())
    }

    pub fn redirect(status: u16, location: String) -> Self {
        Self::Answer(status, vec![("location", location)], Vec::new())
    }
}

type Script = dyn Fn(&Seen, usize) -> Act + Send + Sync;

/// A server on a port of its own; ends when it is dropped.
pub struct Scripted {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Objects lie beneath `folder`, at the place that [`object`] says. The script is given each request and the number
    /// of those before it.
    pub fn start(folder: &Path, script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (seen, ended) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<AtomicBool>::default());
        let server = Server {
            folder: folder.to_owned(),
            script: Arc::new(script),
            seen: seen.clone(),
            ended: ended.clone(),
        };
        let connections = Arc::<AtomicUsize>::default();
        let accepted = connections.clone();
        let acceptor = std::thread::spawn(move || {
            while !server.ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        accepted.fetch_add(1, Ordering::Relaxed);
                        let server = server.clone();
                        std::thread::spawn(move || drop(server.serve(stream)));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Self { address, seen, connections, ended, acceptor: Some(acceptor) }
    }

    /// Everything that came in so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(self.acceptor.take().unwrap().join());
    }
}

/// Where the object of that request target lies: the store's own layout beneath `folder`.
pub fn object(folder: &Path, target: &str) -> PathBuf {
    let name = target.split('?').next().unwrap().rsplit('/').next().unwrap();
    folder.join(name.get(..2).unwrap_or("--")).join(format!("{name}.pack"))
}

#[derive(Clone)]
struct Server {
    folder: PathBuf,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
    ended: Arc<AtomicBool>,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Server {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        // A keep-alive connection that nobody uses must not outlive the test by much.
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        while !self.ended.load(Ordering::Relaxed) {
            let Some(mut seen) = read_head(&mut stream)? else { return Ok(()) };
            let nth = {
                let mut all = self.seen.lock().unwrap();
                all.push(seen.clone());
                all.len() - 1
            };
            let act = (self.script)(&seen, nth);
            if matches!(act, Act::Reset) {
                return reset(stream);
            }
            let len = seen.header("content-length").map_or(0, |len| len.parse().unwrap());
            let mut body = vec![0; len];
            stream.read_exact(&mut body)?;
            seen.body = body.clone();
            self.seen.lock().unwrap()[nth].body = body;
            self.act(stream.try_clone()?, &seen, act)?;
        }
        Ok(())
    }

    fn act(&self, mut stream: TcpStream, seen: &Seen, act: Act) -> io::Result<()> {
        match act {
            Act::Store => send(&mut stream, &self.store(seen)),
            Act::Answer(status, headers, body) => send(&mut stream, &Answer { status, headers, body }),
            Act::StoreThenReset => {
                self.store(seen);
                reset(stream)
            }
            Act::Forward => forward(&mut stream, seen),
            Act::Reset => reset(stream),
            Act::Truncate(at) => {
                cut(&mut stream, &self.store(seen), at)?;
                stream.shutdown(std::net::Shutdown::Both)
            }
            Act::ResetAfter(at) => {
                cut(&mut stream, &self.store(seen), at)?;
                // What was sent is to arrive before the reset.
                std::thread::sleep(Duration::from_millis(30));
                reset(stream)
            }
            Act::Flip(at) => {
                let mut answer = self.store(seen);
                answer.body[at] ^= 1;
                send(&mut stream, &answer)
            }
            Act::Hang => self.until_ended(&mut stream, |_| Ok(())),
            Act::Drip => {
                let answer = self.store(seen);
                cut(&mut stream, &answer, 0)?;
                let mut bytes = answer.body.into_iter();
                self.until_ended(&mut stream, |stream| {
                    // All but the last byte, or an answer would be whole after all.
                    let byte = bytes.next().filter(|_| bytes.len() > 1);
                    byte.map_or(Ok(()), |byte| stream.write_all(&[byte]))
                })
            }
        }
    }

    /// Does something every few milliseconds until the client goes away or the server ends; then there is no answer.
    fn until_ended(
        &self,
        stream: &mut TcpStream,
        mut each: impl FnMut(&mut TcpStream) -> io::Result<()>,
    ) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_millis(5)))?;
        while !self.ended.load(Ordering::Relaxed) {
            each(stream)?;
            match stream.read(&mut [0; 64]) {
                Ok(0) => break,
                Err(error)
                    if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    break;
                }
                _ => {}
            }
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn store(&self, seen: &Seen) -> Answer {
        let answer = |status, headers, body| Answer { status, headers, body };
        let path = object(&self.folder, &seen.target);
        match seen.method.as_str() {
            "PUT" => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                // As stores do it: the object is there whole, or not at all.
                let mut part = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
                part.write_all(&seen.body).unwrap();
                match part.persist_noclobber(&path) {
                    Ok(_) => answer(200, vec![], vec![]),
                    Err(_) => answer(412, vec![], b"<Error><Code>PreconditionFailed</Code></Error>".to_vec()),
                }
            }
            "GET" => match (std::fs::read(&path), range(seen)) {
                (Err(_), _) => answer(404, vec![], b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
                (Ok(all), None) => answer(200, vec![], all),
                (Ok(all), Some((start, last))) if last < all.len() => {
                    let named = format!("bytes {start}-{last}/{}", all.len());
                    answer(206, vec![("content-range", named)], all[start..=last].to_vec())
                }
                _ => answer(416, vec![], vec![]),
            },
            _ => answer(200, vec![], seen.body.clone()),
        }
    }
}

/// First and last byte of a request's range.
pub fn range(seen: &Seen) -> Option<(usize, usize)> {
    let (start, last) = seen.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    Some((start.parse().ok()?, last.parse().ok()?))
}

fn send(stream: &mut TcpStream, answer: &Answer) -> io::Result<()> {
    cut(stream, answer, answer.body.len())
}

/// The whole head and the beginning of the body.
fn cut(stream: &mut TcpStream, answer: &Answer, at: usize) -> io::Result<()> {
    let mut head =
        format!("HTTP/1.1 {} Scripted\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    stream.write_all(&answer.body[..at.min(answer.body.len())])?;
    stream.flush()
}

/// Sends the request on to the host that its target names, and the answer back.
fn forward(stream: &mut TcpStream, seen: &Seen) -> io::Result<()> {
    let (host, path) = seen.target.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut head = format!("{} /{path} HTTP/1.1\r\nconnection: close\r\n", seen.method);
    for (name, value) in seen.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        head += &format!("{name}: {value}\r\n");
    }
    let mut server = TcpStream::connect(host)?;
    server.write_all((head + "\r\n").as_bytes())?;
    server.write_all(&seen.body)?;
    io::copy(&mut server, stream)?;
    stream.shutdown(std::net::Shutdown::Both)?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Ends the connection with a reset: data that was received and not read, or no lingering.
fn reset(stream: TcpStream) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _in_it = runtime.enter();
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)?.set_zero_linger()?;
    Err(io::ErrorKind::ConnectionReset.into())
}

fn read_head(stream: &mut TcpStream) -> io::Result<Option<Seen>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).unwrap();
    let mut lines = text.lines();
    let mut words = lines.next().unwrap().split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Some(Seen { method, target, headers: lines.filter_map(header).collect(), body: Vec::new() }))
}
