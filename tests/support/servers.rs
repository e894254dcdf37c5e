//! Real blob stores, started on free ports of 127.0.0.1 and ended with the last test that uses them, also when it
//! panics. `tests/servers` installs them below `target/servers`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use pannier::controller::store::{StoreOptions, open_store};
use pannier::model::ObjectKind;
use tempfile::TempDir;

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Starts until a set of ports is found that nobody else takes meanwhile.
const TRIES: u64 = 5;

/// The bucket, or container, that a started store has.
pub const BUCKET: &str = "bucket";

/// A store that runs; its data goes with it.
pub struct Server {
    /// `None` if it was there before.
    child: Option<Child>,
    /// Where it listens.
    pub port: u16,
    _data: TempDir,
}

impl Server {
    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// SeaweedFS with the bucket [`BUCKET`], the key `A` and the secret `S`; `None`, said in one line, where it is not
/// installed. All tests of a program share one. Where `PANNIER_TESTS_S3_PORT` is set, the service of that kind that listens there.
pub fn seaweedfs(test: &str) -> Option<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    if let Some(port) = other_s3() {
        return Some(Arc::new(Server { child: None, port, _data: tempfile::tempdir().unwrap() }));
    }
    let weed = installed("venv/bin/weed", test)?;
    Some(shared(&SHARED, || start(10_000, 6, |data, port| weed_command(&weed, data, port), is_weed_ready)))
}

/// The port on which `tests/ceph` has its gateway.
pub fn other_s3() -> Option<u16> {
    std::env::var("PANNIER_TESTS_S3_PORT").ok().map(|port| port.parse().unwrap())
}

/// A SeaweedFS of the caller's own, to be killed.
pub fn own_seaweedfs(test: &str) -> Option<Server> {
    let weed = installed("venv/bin/weed", test)?;
    Some(start(10_000, 6, |data, port| weed_command(&weed, data, port), is_weed_ready))
}

/// Ends it as a crash would, waits for `away`, and starts it again on its data and ports.
pub fn kill_and_restart_seaweedfs(server: &mut Server, away: Duration) {
    let mut child = server.child.take().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(away);
    let weed = installed("venv/bin/weed", "restart").unwrap();
    let mut command = weed_command(&weed, server._data.path(), server.port);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    server.child = Some(command.current_dir(server._data.path()).spawn().unwrap());
    let until = Instant::now() + PATIENCE;
    while !is_weed_ready(server) {
        assert!(Instant::now() < until, "it does not answer again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Moto of a version that knows no conditional PUTs, with the bucket [`BUCKET`]; of the caller's own, and deaf to signatures.
pub fn overwriting_s3(test: &str) -> Option<Server> {
    let moto = installed("moto/bin/moto_server", test)?;
    let command = |_: &Path, port: u16| {
        let mut command = Command::new(&moto);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command
    };
    let ready = |server: &Server| status("PUT", server.port, &format!("/{BUCKET}")) == Some(200);
    Some(start(10_000, 1, command, ready))
}

/// The variables with which a store is opened on [`seaweedfs`] and [`overwriting_s3`].
pub fn seaweedfs_variables(server: &Server) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", server.url()),
        ("AWS_ACCESS_KEY_ID", "A".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "S".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
}

fn weed_command(weed: &Path, data: &Path, port: u16) -> Command {
    let identity = r#"{"identities":[{"name":"t","credentials":[{"accessKey":"A","secretKey":"S"}],
        "actions":["Admin","Read","Write","List","Tagging"]}]}"#;
    fs::write(data.join("s3.json"), identity).unwrap();
    let mut command = Command::new(weed);
    command.args(["mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false", "-admin.ui=false"]);
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]).arg(format!("-bucket={BUCKET}"));
    command.arg(format!("-dir={}", data.display()));
    command.arg(format!("-s3.config={}", data.join("s3.json").display()));
    for (at, flag) in ["s3.port", "master.port", "volume.port", "filer.port", "admin.port", "metricsPort"]
        .into_iter()
        .enumerate()
    {
        command.arg(format!("-{flag}={}", port + at as u16));
    }
    command
}

/// It answers, and has its bucket, which is made a moment later. Anybody without credentials is told 403 either way.
fn is_weed_ready(server: &Server) -> bool {
    let variables = seaweedfs_variables(server).into_iter().collect();
    let url = format!("s3://{BUCKET}").parse().unwrap();
    status("GET", server.port, "/") == Some(403)
        && open_store(&url, &StoreOptions::with_variables(variables))
            .unwrap()
            .list(ObjectKind::Pack, &mut |_| ())
            .is_ok()
}

/// A file below `target/servers`; `None`, said in one line, where it is not.
pub fn installed(file: &str, test: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers").join(file);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("PANNIER_TESTS_MUST_RUN").is_none(), "tests/servers did not install {file}");
    #[allow(clippy::print_stderr, reason = "a test that cannot run here says so")]
    {
        eprintln!("skipped: {test}: {file} is not installed; tests/servers does that");
    }
    None
}

fn shared(place: &Mutex<Weak<Server>>, start: impl FnOnce() -> Server) -> Arc<Server> {
    // A test that panicked while it held the lock has started nothing.
    let mut weak = place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(server) = weak.upgrade() {
        return server;
    }
    let server = Arc::new(start());
    *weak = Arc::downgrade(&server);
    server
}

/// Starts a server on `ports` free ports in a row, and as many `offset` higher; waits until it is ready.
fn start(
    offset: u16,
    ports: u16,
    command: impl Fn(&Path, u16) -> Command,
    ready: impl Fn(&Server) -> bool,
) -> Server {
    for attempt in 0..TRIES {
        let data = tempfile::tempdir().unwrap();
        let port = free_ports(attempt, ports, offset);
        let log = fs::File::create(data.path().join("server.log")).unwrap();
        let mut command = command(data.path(), port);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir(data.path());
        let mut server = Server { child: Some(command.spawn().unwrap()), port, _data: data };
        let until = Instant::now() + PATIENCE;
        // One that ended lost a port to somebody else: try others.
        while server.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none()) {
            if ready(&server) {
                return server;
            }
            let log = || fs::read_to_string(server._data.path().join("server.log")).unwrap_or_default();
            assert!(Instant::now() < until, "{command:?} does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    panic!("no server could be started in {TRIES} attempts");
}

/// The first of `count` ports in a row that are free, and free again `offset` higher.
fn free_ports(attempt: u64, count: u16, offset: u16) -> u16 {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).unwrap();
    let mut place = u64::from_le_bytes(seed).wrapping_add(attempt);
    for _ in 0..1_000 {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Below the ports that Linux gives to outgoing connections, 10,000 higher included.
        let port = 11_000 + (place >> 33) as u16 % 10_000;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (port..port + count).all(|port| is_free(port) && is_free(port + offset)) {
            return port;
        }
    }
    panic!("no {count} free ports in a row");
}

/// The status of a request without headers or body.
fn status(method: &str, port: u16, path: &str) -> Option<u16> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\n").ok()?;
    write!(stream, "Connection: close\r\n\r\n").ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

/// The account that [`azurite`] has, and its key: base64 of a text, good for nothing else.
pub const AZURE_ACCOUNT: &str = "pannier";
pub const AZURE_KEY: &str = "YSBrZXkgb2YgdGhlIHRlc3RzLCBmb3IgYXp1cml0ZSBhbG9uZQ==";

/// azurite with the container [`BUCKET`]; `None`, said in one line, where it is not installed.
pub fn azurite(test: &str) -> Option<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let azurite = installed("azurite/node_modules/.bin/azurite-blob", test)?;
    let command = |_: &Path, port: u16| {
        let mut command = Command::new(&azurite);
        command.args(["--inMemoryPersistence", "--blobHost", "127.0.0.1", "--silent", "--disableTelemetry"]);
        command.args(["--skipApiVersionCheck", "--blobPort", &port.to_string()]);
        command.env("AZURITE_ACCOUNTS", format!("{AZURE_ACCOUNT}:{AZURE_KEY}"));
        command
    };
    // An account's SAS makes the container; 409 if an earlier try already has.
    let ready = |server: &Server| {
        let path = format!("/{AZURE_ACCOUNT}/{BUCKET}?restype=container&{}", account_sas());
        matches!(status("PUT", server.port, &path), Some(201 | 409))
    };
    Some(shared(&SHARED, || start(0, 1, command, ready)))
}

/// The variables with which a store is opened on [`azurite`].
pub fn azurite_variables(server: &Server) -> Vec<(&'static str, String)> {
    let endpoint = format!("{}/{AZURE_ACCOUNT}", server.url());
    let text = format!("AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={endpoint};");
    vec![("AZURE_STORAGE_CONNECTION_STRING", text)]
}

/// A SAS that may make containers, for a test's own preparations.
fn account_sas() -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let (version, end) = ("2023-11-03", "2099-01-01T00:00:00Z");
    let to_sign = format!("{AZURE_ACCOUNT}\nrwc\nb\nc\n\n{end}\n\nhttps,http\n{version}\n\n");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &STANDARD.decode(AZURE_KEY).unwrap());
    let signature = STANDARD.encode(aws_lc_rs::hmac::sign(&key, to_sign.as_bytes()));
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("sv={version}&ss=b&srt=c&sp=rwc&se={end}&spr=https,http&sig={signature}")
}
