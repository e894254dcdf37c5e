//! `pannier import FILE NAME`

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use fs_err as fs;

use crate::agent::{self, ImportRequest, UploadOptions};
use crate::model::Stop;
use crate::model::progress::Progress;
use crate::tar;

use super::args::{Global, ImportArgs};
use super::stdin::Stdin;
use super::{Outcome, signals, summary, ui};

pub(super) fn run(global: &Global, args: &ImportArgs) -> Outcome {
    let started = Instant::now();
    let stop = signals::watch()?;
    let input = open(args, &stop)?;
    let request = ImportRequest {
        build: global.build_id()?,
        name: args.name.clone(),
        owner: args.owner,
        xattrs: args.xattrs,
        upload: UploadOptions { level: args.compression.level, threads: global.threads() },
    };
    let remote = global.connect()?;
    let progress = Arc::new(Progress { stop, ..Progress::default() });
    let line = ui::ProgressLine::start("Importing", &progress, !global.quiet);
    let imported = agent::import(remote.as_ref(), input, &request, &progress);
    drop(line);
    let imported = imported.with_context(|| format!("cannot import {}", shown(args)))?;
    summary::of_upload(
        global,
        "Imported",
        &imported.committed,
        imported.stats,
        (0, 0),
        &imported.problems,
        started,
    )
}

/// The tar as errors name it.
fn shown(args: &ImportArgs) -> String {
    match args.file.as_os_str() == "-" {
        true => "from stdin".to_owned(),
        false => format!("`{}`", args.file.display()),
    }
}

/// The tar's bytes; zstd is taken off when the first bytes say so.
fn open(args: &ImportArgs, stop: &Stop) -> anyhow::Result<Box<dyn Read>> {
    let file: Box<dyn Read> = match args.file.as_os_str() == "-" {
        true => Box::new(Stdin::new(stop.clone())?),
        false => Box::new(fs::File::open(&args.file)?),
    };
    let mut input = BufReader::with_capacity(1 << 20, file);
    match tar::is_zstd(input.fill_buf()?) {
        true => Ok(Box::new(zstd::Decoder::with_buffer(input)?)),
        false => Ok(Box::new(input)),
    }
}
