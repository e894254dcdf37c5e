//! Each stage of the data's way alone, with its throughput, beside a plain peer where there is one.
//! Not whole stashes against other tools: that is `benches/peers`.
//!
//! `cargo bench --bench stages` takes under three minutes; `cargo bench --bench stages -- cdc` one stage.

use std::hint::black_box;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use fastcdc::v2020::{FastCDC, Normalization};
use rayon::prelude::*;

use pannier::chunk::{Chunker, cdc};
use pannier::model::limits::{
    AVERAGE_CHUNK_BYTES, FRAME_BYTES, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, PAGE_AVERAGE_ENTRIES,
};
use pannier::model::manifest::page;
use pannier::model::pack_layout::Frame;
use pannier::model::progress::Progress;
use pannier::model::{ChunkRef, Content, Digest, Entry, EntryKind, EntryPath, Timestamp};
use pannier::pack::{FrameDecoder, FrameEncoder};
use pannier::tar::{Piece, Reader, Writer};
use pannier::workspace::select::Selection;
use pannier::workspace::stat::Stat;
use pannier::workspace::stat_cache::{StatCache, StatCacheWriter};
use pannier::workspace::walk::{self, WalkOptions};

/// The tree that is walked: so many folders of so many files, two levels deep.
const FOLDERS: usize = 400;
const FILES_OF_A_FOLDER: usize = 50;
const STREAM_BYTES: usize = 32 << 20;

criterion_group! {
    name = stages;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = walk_tree, cut, chunk, look_up, frames, tar, pages
}
criterion_main!(stages);

fn group<'c>(
    criterion: &'c mut Criterion,
    name: &str,
    throughput: Throughput,
) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(throughput);
    group
}

fn walk_tree(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    make_tree(dir.path());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let selection = Selection::everything();
    let options = WalkOptions { threads, ..WalkOptions::default() };
    let progress = Progress::default();
    let entries = FOLDERS + FOLDERS.div_ceil(20) + FOLDERS * FILES_OF_A_FOLDER;
    let mut group = group(criterion, "walk", Throughput::Elements(entries as u64));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            let found =
                walk::walk(dir.path(), &selection, &options, &progress).expect("the tree is readable");
            assert_eq!(found.found.len(), entries);
        });
    });
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    group.bench_function("readdir and lstat", |bencher| {
        bencher.iter(|| assert_eq!(pool.install(|| readdir_and_lstat(dir.path())), entries));
    });
    group.finish();
}

fn make_tree(dir: &Path) {
    for folder in 0..FOLDERS {
        let folder = dir.join(format!("group-{:02}", folder / 20)).join(format!("folder-{folder:03}"));
        fs_err::create_dir_all(&folder).expect("a temporary folder can be written to");
        for file in 0..FILES_OF_A_FOLDER {
            fs_err::write(folder.join(format!("file-{file:02}.txt")), b"x").expect("there is room");
        }
    }
}

/// The least that any walk does; neither sorted nor kept.
fn readdir_and_lstat(dir: &Path) -> usize {
    let entries: Vec<_> = fs_err::read_dir(dir).expect("the tree is readable").collect();
    let count = |entry: &std::io::Result<fs_err::DirEntry>| {
        let entry = entry.as_ref().expect("the tree is readable");
        let stat = entry.metadata().expect("nothing vanishes");
        black_box(stat.mtime_nsec());
        1 + if stat.is_dir() { readdir_and_lstat(&entry.path()) } else { 0 }
    };
    entries.par_iter().map(count).sum()
}

fn cut(criterion: &mut Criterion) {
    let data = noise(1, STREAM_BYTES);
    let mut group = group(criterion, "cdc", Throughput::Bytes(data.len() as u64));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            let (mut rest, mut chunks) = (&data[..], 0);
            while !rest.is_empty() {
                rest = &rest[cdc::cut(rest)..];
                chunks += 1;
            }
            chunks
        });
    });
    group.bench_function("fastcdc crate", |bencher| {
        let (min, average, max) = (MIN_CHUNK_BYTES, AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES);
        bencher.iter(|| FastCDC::with_level(&data, min, average, max, Normalization::Level2).count());
    });
    group.finish();
}

fn chunk(criterion: &mut Criterion) {
    let data = noise(2, STREAM_BYTES);
    let mut group = group(criterion, "chunker with BLAKE3", Throughput::Bytes(data.len() as u64));
    for (name, piece) in [("one large file", data.len()), ("files of 4 KiB", 4 << 10)] {
        group.bench_function(name, |bencher| {
            let mut sink = |digest: Digest, _: &[u8]| _ = black_box(digest);
            bencher.iter(|| {
                let mut chunker = Chunker::new();
                for file in data.chunks(piece) {
                    file.chunks(256 << 10).for_each(|bytes| chunker.push(bytes, &mut sink));
                    black_box(chunker.finish(&mut sink));
                }
            });
        });
    }
    group.finish();
    // An import's way for the holes of a sparse tar.
    let hole = 64 << 30;
    let mut group = self::group(criterion, "chunker of a hole", Throughput::Bytes(hole));
    group.bench_function("64 GiB", |bencher| {
        let mut sink = |digest: Digest, _: &[u8]| _ = black_box(digest);
        bencher.iter(|| {
            let mut chunker = Chunker::new();
            chunker.push_zeros(hole, &mut sink);
            chunker.finish(&mut sink)
        });
    });
    group.finish();
}

fn look_up(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let file = dir.path().join("cache");
    let stats: Vec<Stat> = (0..100_000).map(stat).collect();
    let mut writer = StatCacheWriter::new(Timestamp { secs: 2_000_000_000, nanos: 0 });
    stats.iter().for_each(|stat| writer.push(stat, &content(stat.ino, stat.size as u32)));
    writer.save(&file, "bench", Digest::of(b"root"), (b"root", b""), None).expect("there is room");
    let cache = StatCache::open(&file);
    let mut group = group(criterion, "stat cache", Throughput::Elements(stats.len() as u64));
    group.bench_function("look up 100,000 files", |bencher| {
        bencher.iter(|| assert!(stats.iter().all(|stat| cache.lookup(stat).is_some())));
    });
    group.bench_function("open and look up 100,000 files", |bencher| {
        bencher.iter(|| {
            let cache = StatCache::open(&file);
            assert!(stats.iter().all(|stat| cache.lookup(stat).is_some()));
        });
    });
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let plain = text(FRAME_BYTES);
    let chunk = ChunkRef { digest: Digest::of(&plain), len: plain.len() as u32 };
    let mut group = group(criterion, "frame", Throughput::Bytes(plain.len() as u64));
    let mut encoder = FrameEncoder::new();
    for level in [1, 3] {
        group.bench_function(format!("encode at level {level}"), |bencher| {
            bencher.iter(|| encoder.encode(black_box(&plain), level));
        });
    }
    let random = noise(3, FRAME_BYTES);
    group.bench_function("encode what does not compress", |bencher| {
        bencher.iter(|| encoder.encode(black_box(&random), 3));
    });
    let (codec, stored) = encoder.encode(&plain, 3);
    let frame = Frame {
        offset: 8,
        stored_len: stored.len() as u32,
        plain_len: plain.len() as u32,
        codec,
        chunks: 0..1,
    };
    let (mut decoder, mut out) = (FrameDecoder::new(), Vec::new());
    group.bench_function("decode and verify", |bencher| {
        bencher.iter(|| decoder.decode(&frame, &stored, &[chunk], &mut out).expect("our own frame is one"));
    });
    group.finish();
}

fn tar(criterion: &mut Criterion) {
    let small = (0..4000).map(|index| entry(index, 4 << 10)).collect::<Vec<_>>();
    let large = (0..4).map(|index| entry(index, 4 << 20)).collect::<Vec<_>>();
    let bytes = noise(4, 4 << 20);
    for (name, entries) in [("4,000 files of 4 KiB", small), ("4 files of 4 MiB", large)] {
        let written = || -> Vec<u8> {
            let mut writer = Writer::new(Vec::with_capacity(20 << 20));
            for entry in &entries {
                writer.entry(entry).expect("memory does not fail");
                let size = entry.content().map_or(0, |content| content.size);
                writer.content(&bytes[..size as usize]).expect("the size is the entry's");
            }
            writer.finish().expect("memory does not fail")
        };
        let tar = written();
        let mut group = group(criterion, "tar", Throughput::Bytes(tar.len() as u64));
        group.bench_function(format!("write {name}"), |bencher| {
            bencher.iter_batched(|| (), |()| written(), BatchSize::PerIteration);
        });
        let mut buf = vec![0; 256 << 10];
        group.bench_function(format!("read {name}"), |bencher| {
            bencher.iter(|| {
                let mut reader = Reader::new(&tar[..]);
                while reader.next_entry().expect("our own tar is one").is_some() {
                    while reader.read_piece(&mut buf).expect("our own tar is one") != Piece::End {}
                }
            });
        });
        group.finish();
    }
}

fn pages(criterion: &mut Criterion) {
    let entries: Vec<Entry> =
        (0..PAGE_AVERAGE_ENTRIES as u64).map(|index| entry(index, 1 + index as u32)).collect();
    let bytes = page::encode(&entries);
    let mut group = group(criterion, "page", Throughput::Elements(entries.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| page::encode(black_box(&entries))));
    group.bench_function("decode", |bencher| bencher.iter(|| page::decode(black_box(&bytes))));
    group.finish();
}

fn entry(index: u64, size: u32) -> Entry {
    let path = format!("package-{:04}/src/module-{index:08}.rs", index / 30);
    Entry {
        path: EntryPath::new(path.as_bytes()).expect("the path is relative and clean"),
        mode: 0o644,
        mtime: Timestamp { secs: 1_700_000_000 + index as i64, nanos: index as u32 * 1000 },
        owner: None,
        xattrs: Box::default(),
        kind: EntryKind::File(content(index, size)),
    }
}

fn content(seed: u64, size: u32) -> Content {
    let chunk = ChunkRef { digest: Digest::of(&seed.to_le_bytes()), len: size };
    Content { size: size.into(), listed: false, chunks: Box::new([chunk]) }
}

fn stat(index: u64) -> Stat {
    let time = Timestamp { secs: 1_700_000_000 + index as i64, nanos: 1 };
    Stat {
        dev: 1,
        ino: 1_000_000 + index,
        size: 1 + index % 60_000,
        blocks: 8,
        mtime: time,
        ctime: time,
        mode: 0o100_644,
        nlink: 1,
        uid: 0,
        gid: 0,
    }
}

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// Words in random order: compresses as source code does, to about a quarter.
fn text(len: usize) -> Vec<u8> {
    const WORDS: [&str; 32] = [
        "let ",
        "fn ",
        "return ",
        "self.",
        "(",
        ")",
        " = ",
        ";\n",
        "    ",
        "match ",
        "if ",
        "else {\n",
        "}\n",
        "value",
        "index",
        "entry",
        "path",
        "bytes",
        "&",
        "?",
        "Some(",
        "None",
        "Ok(",
        "Err(",
        "0",
        "1",
        "u64",
        ".len()",
        "impl ",
        "struct ",
        "pub ",
        "// what it is and why\n",
    ];
    let words = noise(5, len).into_iter().map(|byte| WORDS[usize::from(byte) % WORDS.len()]);
    words.flat_map(str::bytes).take(len).collect()
}
