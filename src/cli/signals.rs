//! SIGINT and SIGTERM while the agent works: the first asks the run to end, the second ends the process. What ending
//! means is the run's own business (release the session, remove what is half-written).

use std::process::ExitCode;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::model::Stop;

use super::ui;

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

/// Shared by everything in the process that can end early.
static STOP: LazyLock<Stop> = LazyLock::new(Stop::default);
/// The signal that came, or 0.
static CAUGHT: AtomicU8 = AtomicU8::new(0);

/// The wish that a signal makes, whether signals are watched or not.
pub(super) fn stop() -> Stop {
    STOP.clone()
}

/// From now on a signal makes the wish instead of ending the process.
pub(super) fn watch() -> anyhow::Result<Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _in_it = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new()
        .name("pannier-signals".into())
        .spawn(move || runtime.block_on(follow(signals)))?;
    Ok(stop())
}

/// How a run ends that a signal cut short: 128 and the signal's number, as shells say it.
pub(super) fn cut_short() -> Option<ExitCode> {
    let number = CAUGHT.load(Relaxed);
    let name = match number {
        0 => return None,
        SIGINT => "SIGINT",
        _ => "SIGTERM",
    };
    ui::note(&format!("stopped by {name}"));
    Some(ExitCode::from(128 + number))
}

async fn follow((mut interrupt, mut terminate): (Signal, Signal)) {
    CAUGHT.store(next(&mut interrupt, &mut terminate).await, Relaxed);
    STOP.stop();
    let number = next(&mut interrupt, &mut terminate).await;
    std::process::exit(128 + i32::from(number));
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> u8 {
    tokio::select! {
        _ = interrupt.recv() => SIGINT,
        _ = terminate.recv() => SIGTERM,
    }
}
