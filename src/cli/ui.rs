//! What people see: text on stdout, progress, errors and hints on stderr. Decides nothing.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;

use crate::model::progress::Progress;

use super::exit::Exit;
use super::hint;

/// How often the progress line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// Warnings; but what the controller logs of a request reaches people as the request's error.
const DEFAULT_LOG: &str = "warn,pannier::controller=off";
/// A run that is done sooner draws nothing.
const QUIET_FOR: Duration = Duration::from_millis(300);

/// Writes to stdout. A reader that went away (`pannier show … | head`) is no failure.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Writes `value` to stdout as JSON on one line.
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string(value)? + "\n"))
}

/// Writes a line to stderr; that nobody may read it is no failure.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints an error with its causes, each once, and what to do about it.
pub(super) fn fail(error: &anyhow::Error) -> Exit {
    note(&format!("error: {error}"));
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !said.contains(&text) {
            note(&format!("  because: {text}"));
            said = text;
        }
    }
    if let Some(hint) = hint::of(error) {
        note(&format!("hint: {hint}"));
    }
    hint::exit_of(error)
}

/// Logs go to stderr when `PANNIER_LOG` asks for them (`PANNIER_LOG=debug`), warnings always.
pub(super) fn start_logging() {
    let filter = EnvFilter::try_from_env("PANNIER_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .without_time()
        .with_target(false)
        .init();
}

/// Decimal units, as disks and networks are sold: `1.30 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// `79,012`.
pub(super) fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

/// `1 pack`, `2 packs`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// `0.6 s`.
pub(super) fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}

/// A line on a terminal's stderr that follows a [`Progress`] until this value is dropped.
pub(super) struct ProgressLine {
    stop: Arc<AtomicBool>,
    drawer: Option<JoinHandle<()>>,
}

impl ProgressLine {
    /// Starts drawing, unless stderr is no terminal or nothing is wanted.
    pub(super) fn start(verb: &'static str, progress: &Arc<Progress>, wanted: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let drawer = (wanted && io::stderr().is_terminal()).then(|| {
            let (stop, progress) = (stop.clone(), progress.clone());
            std::thread::spawn(move || draw(verb, &progress, &stop))
        });
        Self { stop, drawer }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(drawer) = self.drawer.take() {
            drawer.thread().unpark();
            // A drawer that panicked has drawn its last line; the run itself is not touched by it.
            let _ = drawer.join();
        }
    }
}

fn draw(verb: &'static str, progress: &Progress, stop: &AtomicBool) {
    let started = Instant::now();
    while started.elapsed() < QUIET_FOR {
        if stop.load(Relaxed) {
            return;
        }
        std::thread::park_timeout(QUIET_FOR.saturating_sub(started.elapsed()));
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    // The template is a constant that a test draws; a mistake in it leaves the plain default.
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar:.dim} {percent:>3} %  {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(verb);
    while !stop.load(Relaxed) {
        bar.set_length(progress.found_bytes.sum().max(1));
        bar.set_position(progress.done_bytes.sum());
        bar.set_message(message(progress, started));
        std::thread::park_timeout(DRAW_EVERY);
    }
    bar.finish_and_clear();
}

fn message(progress: &Progress, started: Instant) -> String {
    let done = progress.done_bytes.sum();
    let rate = done as f64 / started.elapsed().as_secs_f64().max(0.001);
    format!(
        "{}/{} entries  {}  {}/s  {} new, {} moved",
        count(progress.done_entries.sum()),
        count(progress.found_entries.sum()),
        bytes(done),
        bytes(rate as u64),
        bytes(progress.new_bytes.sum()),
        bytes(progress.moved_bytes.sum()),
    )
}
