//! `pannier export NAME`

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use fs_err as fs;

use crate::agent;
use crate::model::progress::Progress;
use crate::protocol::StashInfo;
use crate::tar::seekable;

use super::args::{ExportArgs, Global};
use super::exit::Exit;
use super::{Outcome, signals, ui};

pub(super) fn run(global: &Global, args: &ExportArgs) -> Outcome {
    let started = Instant::now();
    // Before the part file is made, or a signal could leave it behind.
    signals::watch()?;
    if args.output.as_os_str() == "-" {
        if io::stdout().is_terminal() {
            bail!("a tarball does not belong on a terminal: name a file with -o, or pipe it on");
        }
        write(global, args, &mut io::BufWriter::new(io::stdout().lock()))?;
        return Ok(Exit::Done);
    }
    let info = to_file(global, args)?;
    if !global.quiet {
        let (name, files, bytes) = (&info.name, ui::count(info.totals.files), ui::bytes(info.totals.bytes));
        let file = args.output.display();
        ui::note(&format!("Exported `{name}` to {file}: {files} files, {bytes}, {}", ui::seconds(started)));
    }
    Ok(Exit::Done)
}

/// Writes beside the file and renames, so that a failure leaves neither half a tarball nor a lost old one.
fn to_file(global: &Global, args: &ExportArgs) -> anyhow::Result<StashInfo> {
    let part = beside(&args.output)?;
    let mut file = io::BufWriter::with_capacity(1 << 20, fs::File::create(&part)?);
    let written = write(global, args, &mut file).and_then(|info| {
        file.flush().with_context(|| format!("could not write {}", args.output.display()))?;
        fs::rename(&part, &args.output)?;
        Ok(info)
    });
    if written.is_err() {
        // The error that is reported already says why; what is left of the part file is only a leftover.
        let _ = fs::remove_file(&part);
    }
    written
}

fn beside(file: &Path) -> anyhow::Result<std::path::PathBuf> {
    let name = file.file_name().with_context(|| format!("`{}` names no file", file.display()))?;
    let mut part = name.to_owned();
    part.push(format!(".{}.part", std::process::id()));
    Ok(file.with_file_name(part))
}

fn write(global: &Global, args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<StashInfo> {
    let (remote, build) = (global.connect()?, global.build_id()?);
    let progress = Arc::new(Progress { stop: signals::stop(), ..Progress::default() });
    let _line = ui::ProgressLine::start("Exporting", &progress, !global.quiet);
    if !args.zstd {
        let info = agent::export(remote.as_ref(), &build, &args.name, out, &progress)?;
        out.flush()?;
        return Ok(info);
    }
    let mut compressed = seekable::Writer::new(out);
    let info = agent::export(remote.as_ref(), &build, &args.name, &mut compressed, &progress)?;
    compressed.finish()?.flush()?;
    Ok(info)
}
