//! What chunk size, frame size and zstd level cost on a real folder: `docs/benchmarks-formats.md` has the figures.
//! Not a timed test, and not part of any: it does nothing unless `PANNIER_BENCH_DIR` names a folder.
//!
//! `PANNIER_BENCH_DIR=node_modules cargo bench --bench formats`

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fastcdc::v2020::{FastCDC, Normalization};
use walkdir::WalkDir;

use pannier::model::Digest;
use pannier::pack::FrameEncoder;

const AVERAGES: [usize; 3] = [32 << 10, 64 << 10, 128 << 10];
const FRAME_SIZES: [usize; 5] = [256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];
const LEVELS: [i32; 3] = [1, 2, 3];
/// A footer's record of a chunk, and a page's: neither compresses.
const FOOTER_BYTES: usize = 36;
const PAGE_BYTES: usize = 33;

fn main() -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os("PANNIER_BENCH_DIR") else {
        return Ok(writeln!(io::stderr(), "formats: PANNIER_BENCH_DIR is not set, nothing to measure")?);
    };
    let folder = Path::new(&folder);
    let files = read_files(folder)?;
    let bytes: usize = files.iter().map(Vec::len).sum();
    let mut out = io::stdout().lock();
    writeln!(out, "{} files, {:.1} MB", files.len(), mega(bytes))?;
    let mut peers = Vec::new();
    for level in LEVELS {
        let (stored, time) = tar_and_zstd(folder, level)?;
        writeln!(out, "tar c | zstd -{level} -T0: {:.1} MB, {:.2} s", mega(stored), time.as_secs_f64())?;
        peers.push(stored);
    }
    let peer = peers[peers.len() - 1];
    for average in AVERAGES {
        let start = Instant::now();
        let chunks = Chunks::of(&files, average);
        writeln!(
            out,
            "\n{} KiB: {} chunks, {} unique, {:.1} MB unique, {:.1} MB for their names, cut and hashed in {:.2} s\n",
            average >> 10,
            chunks.references,
            chunks.unique.len(),
            mega(chunks.unique.iter().map(|chunk| chunk.len()).sum()),
            mega(chunks.names_bytes()),
            start.elapsed().as_secs_f64()
        )?;
        writeln!(
            out,
            "| frame | level | stored MB | × tar·zstd -3 | compress s | KB read for a small file |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        for (frame, level) in FRAME_SIZES.iter().flat_map(|&size| LEVELS.map(|level| (size, level))) {
            let cost = chunks.pack(frame, level);
            writeln!(
                out,
                "| {} KiB | {level} | {:.1} | {:.3} | {:.2} | {:.0} |",
                frame >> 10,
                mega(cost.stored),
                cost.stored as f64 / peer as f64,
                cost.time.as_secs_f64(),
                cost.read_for_one / 1e3
            )?;
        }
    }
    Ok(())
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// The regular files in the order of a stash; hard links once.
fn read_files(folder: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    use std::os::unix::fs::MetadataExt;
    let mut seen = HashMap::new();
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            let stat = entry.metadata()?;
            if seen.insert((stat.dev(), stat.ino()), ()).is_none() {
                files.push(fs_err::read(entry.path())?);
            }
        }
    }
    Ok(files)
}

struct Chunks<'f> {
    unique: Vec<&'f [u8]>,
    references: usize,
    /// For each file of one chunk: which chunk.
    small_files: Vec<usize>,
}

struct Cost {
    stored: usize,
    time: Duration,
    read_for_one: f64,
}

impl<'f> Chunks<'f> {
    fn of(files: &'f [Vec<u8>], average: usize) -> Self {
        let (mut known, mut references) = (HashMap::new(), 0);
        let (mut unique, mut small_files): (Vec<&[u8]>, _) = (Vec::new(), Vec::new());
        for file in files.iter().filter(|file| !file.is_empty()) {
            for chunk in cut(file, average) {
                let index = *known.entry(Digest::of(chunk)).or_insert_with(|| {
                    unique.push(chunk);
                    unique.len() - 1
                });
                references += 1;
                if chunk.len() == file.len() {
                    small_files.push(index);
                }
            }
        }
        Self { unique, references, small_files }
    }

    fn names_bytes(&self) -> usize {
        self.unique.len() * FOOTER_BYTES + self.references * PAGE_BYTES
    }

    /// Fills frames in order, as the agent does, and compresses them on this thread.
    fn pack(&self, frame_bytes: usize, level: i32) -> Cost {
        let (mut encoder, mut plain) = (FrameEncoder::new(), Vec::new());
        let (mut stored_of_frame, mut frame_of_chunk) = (Vec::new(), Vec::new());
        let mut time = Duration::ZERO;
        let mut close = |plain: &mut Vec<u8>, stored_of_frame: &mut Vec<usize>| {
            let start = Instant::now();
            let (_, stored) = encoder.encode(plain, level);
            time += start.elapsed();
            stored_of_frame.push(stored.len());
            plain.clear();
        };
        for chunk in &self.unique {
            if !plain.is_empty() && plain.len() + chunk.len() > frame_bytes {
                close(&mut plain, &mut stored_of_frame);
            }
            plain.extend_from_slice(chunk);
            frame_of_chunk.push(stored_of_frame.len());
        }
        close(&mut plain, &mut stored_of_frame);
        let read: usize = self.small_files.iter().map(|&chunk| stored_of_frame[frame_of_chunk[chunk]]).sum();
        let stored = stored_of_frame.iter().sum::<usize>() + self.names_bytes();
        Cost { stored, time, read_for_one: read as f64 / self.small_files.len().max(1) as f64 }
    }
}

/// Files of at most the average stay whole; the rest is cut between a quarter of the average and four times it.
fn cut(file: &[u8], average: usize) -> Vec<&[u8]> {
    if file.len() <= average {
        return vec![file];
    }
    FastCDC::with_level(file, average / 4, average, average * 4, Normalization::Level2)
        .map(|chunk| &file[chunk.offset..chunk.offset + chunk.length])
        .collect()
}

/// The peer: one solid stream, with zstd's own threads.
fn tar_and_zstd(folder: &Path, level: i32) -> anyhow::Result<(usize, Duration)> {
    let start = Instant::now();
    let mut tar =
        Command::new("tar").arg("-C").arg(folder).args(["-c", "."]).stdout(Stdio::piped()).spawn()?;
    let archive = tar.stdout.take().ok_or_else(|| anyhow::anyhow!("tar has no output"))?;
    let mut zstd = Command::new("zstd")
        .args([&format!("-{level}"), "-T0", "-c", "-q"])
        .stdin(archive)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut compressed = zstd.stdout.take().ok_or_else(|| anyhow::anyhow!("zstd has no output"))?;
    let stored = io::copy(&mut compressed, &mut io::sink())?;
    anyhow::ensure!(tar.wait()?.success() && zstd.wait()?.success(), "tar or zstd failed");
    Ok((stored as usize, start.elapsed()))
}
