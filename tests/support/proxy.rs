//! A way to a server of loopback that can be cut and counted: what an agent sees of a store or a controller that is down.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]
#![allow(unreachable_pub, reason = "each test program is a crate of its own")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A proxy of bytes. While it is down, connections are closed as soon as they are made.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    down: AtomicBool,
    stopped: AtomicBool,
    /// Bytes that clients have sent.
    sent: AtomicU64,
    /// Goes down by itself once that many bytes were sent; 0 for never.
    down_after: AtomicU64,
    /// Bytes of answers that still come through; none for all.
    answered: Mutex<Option<u64>>,
    released: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub fn to(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if state.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                if !state.down.load(Ordering::Relaxed)
                    && let Ok(server) = TcpStream::connect(("127.0.0.1", upstream))
                {
                    state.join(client, server);
                }
            }
        });
        Self { port, shared }
    }

    /// Breaks every connection and takes no new one.
    pub fn go_down(&self) {
        self.shared.go_down();
    }

    /// Goes down once `bytes` more have been sent by clients.
    pub fn go_down_after(&self, bytes: u64) {
        let at = self.shared.sent.load(Ordering::Relaxed) + bytes;
        self.shared.down_after.store(at, Ordering::Relaxed);
    }

    pub fn is_down(&self) -> bool {
        self.shared.down.load(Ordering::Relaxed)
    }

    pub fn come_back(&self) {
        self.shared.down_after.store(0, Ordering::Relaxed);
        self.shared.down.store(false, Ordering::Relaxed);
    }

    /// Lets `bytes` more of answers through, and keeps back the rest.
    pub fn hold_after(&self, bytes: u64) {
        *self.shared.answered.lock().unwrap() = Some(bytes);
    }

    /// Lets through what was kept back.
    pub fn release(&self) {
        *self.shared.answered.lock().unwrap() = None;
        self.shared.released.notify_all();
    }

    /// Whether answers are kept back now.
    pub fn is_holding(&self) -> bool {
        *self.shared.answered.lock().unwrap() == Some(0)
    }

    /// Bytes that clients have sent so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.release();
        self.shared.go_down();
        // Wakes the listener, which sees that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn go_down(&self) {
        self.down.store(true, Ordering::Relaxed);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn join(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let copies = (client.try_clone().unwrap(), server.try_clone().unwrap());
        self.open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        let counting = Arc::clone(self);
        let holding = Arc::clone(self);
        thread::spawn(move || pump(client, server, |read| counting.count(read)));
        thread::spawn(move || pump(copies.1, copies.0, |read| holding.wait(read)));
    }

    /// Counts what a client sent; whether it goes on.
    fn count(&self, read: u64) -> bool {
        let sent = self.sent.fetch_add(read, Ordering::Relaxed) + read;
        let limit = self.down_after.load(Ordering::Relaxed);
        let goes_on = limit == 0 || sent < limit;
        if !goes_on {
            self.go_down();
        }
        goes_on
    }

    /// Waits until an answer may go on.
    fn wait(&self, read: u64) -> bool {
        let mut answered = self.answered.lock().unwrap();
        while let Some(left) = answered.as_mut() {
            if *left >= read {
                *left -= read;
                break;
            }
            *left = 0;
            answered = self.released.wait(answered).unwrap();
        }
        true
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, goes_on: impl Fn(u64) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !goes_on(read as u64) {
            return;
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
