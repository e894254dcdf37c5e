//! The floor under "stash again, unchanged": read every folder of a tree and lstat every entry, on all cores.
//! A peer for `benches/peers/run`, not a benchmark itself: `lstat FOLDER` prints how many entries it saw.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, io, process::ExitCode};

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own: printing is its output")]
fn main() -> ExitCode {
    let Some(root) = env::args_os().nth(1) else {
        eprintln!("usage: lstat FOLDER");
        return ExitCode::from(2);
    };
    let (entries, failures) = (AtomicU64::new(0), AtomicU64::new(0));
    rayon::scope(|scope| visit(scope, Path::new(&root), &entries, &failures));
    println!("{}", entries.into_inner());
    ExitCode::from(u8::from(failures.into_inner() > 0))
}

fn visit<'a>(scope: &rayon::Scope<'a>, folder: &Path, entries: &'a AtomicU64, failures: &'a AtomicU64) {
    let each = || -> io::Result<()> {
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            // Relative to the open folder and without following links, like the walk that it is compared with.
            let metadata = entry.metadata()?;
            entries.fetch_add(1, Ordering::Relaxed);
            if metadata.is_dir() {
                let inner = entry.path();
                scope.spawn(move |scope| visit(scope, &inner, entries, failures));
            }
        }
        Ok(())
    };
    if each().is_err() {
        failures.fetch_add(1, Ordering::Relaxed);
    }
}
