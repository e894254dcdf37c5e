//! What the cache promises: a hit only for the same stat, and never a digest that was not pushed for it.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]

use std::path::PathBuf;

use proptest::prelude::*;

use crate::model::{ChunkRef, Content, Digest, Timestamp};
use crate::workspace::stat::Stat;

use super::{StatCache, StatCacheWriter, cache_file};

const STAMP: Timestamp = Timestamp { secs: 1_000, nanos: 5 };

fn time(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 7 }
}

fn stat(ino: u64, size: u64) -> Stat {
    let (mtime, ctime) = (time(100), time(200));
    Stat { dev: 3, ino, size, blocks: 8, mtime, ctime, mode: 0o100_644, nlink: 1, uid: 0, gid: 0 }
}

fn content(seed: u64, lengths: &[u32], listed: bool) -> Content {
    let chunk = |(index, &len): (usize, &u32)| {
        let digest = Digest::of(&[seed.to_le_bytes(), (index as u64).to_le_bytes()].concat());
        ChunkRef { digest, len }
    };
    let size = lengths.iter().map(|&len| u64::from(len)).sum();
    Content { size, listed, chunks: lengths.iter().enumerate().map(chunk).collect() }
}

fn save(files: &[(Stat, Content)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("deep/er/cache.stat");
    let mut writer = StatCacheWriter::new(STAMP);
    files.iter().for_each(|(stat, content)| writer.push(stat, content));
    writer
        .save(&file, "ledger-1", Digest::of(b"root"), (b"root bytes", b"patches"), Some(Digest::of(b"walk")))
        .unwrap();
    (dir, file)
}

fn some_files() -> Vec<(Stat, Content)> {
    let shapes: [(&[u32], bool); 4] = [(&[], false), (&[77], false), (&[5, 6, 7], false), (&[1000], true)];
    (0..40)
        .map(|ino| {
            let (lengths, listed) = shapes[ino as usize % shapes.len()];
            let content = content(ino, lengths, listed);
            (stat(ino, content.size), content)
        })
        .collect()
}

#[test]
fn gives_back_what_was_pushed() {
    let files = some_files();
    let (_dir, file) = save(&files);
    let cache = StatCache::open(&file);
    assert_eq!((cache.len(), cache.remote(), cache.root_bytes()), (40, "ledger-1", &b"root bytes"[..]));
    assert_eq!(cache.patches_bytes(), b"patches");
    assert_eq!(cache.fingerprint(), Some(Digest::of(b"walk")));
    assert_eq!(cache.root(), Some(Digest::of(b"root")));
    for (stat, content) in &files {
        assert_eq!(cache.lookup(stat).as_ref(), Some(content));
    }
    assert_eq!(cache.lookup(&stat(1_000, 0)), None);
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside");
}

#[test]
fn every_field_that_tells_a_change_makes_a_miss() {
    let (was, content) = (stat(1, 77), content(1, &[77], false));
    let (_dir, file) = save(&[(was, content.clone())]);
    let cache = StatCache::open(&file);
    let nanos = |time: Timestamp| Timestamp { nanos: time.nanos + 1, ..time };
    for changed in [
        Stat { dev: 4, ..was },
        Stat { ino: 2, ..was },
        Stat { size: 78, ..was },
        Stat { mtime: time(101), ..was },
        Stat { mtime: nanos(was.mtime), ..was },
        Stat { ctime: time(201), ..was },
        Stat { ctime: nanos(was.ctime), ..was },
        Stat { mode: 0o120_644, ..was },
    ] {
        assert_eq!(cache.lookup(&changed), None, "{changed:?}");
    }
    assert_eq!(
        cache.lookup(&Stat { mode: 0o100_755, nlink: 2, ..was }),
        Some(content),
        "ctime covers the rest"
    );
}

#[test]
fn racily_clean_files_are_not_written() {
    let content = content(1, &[77], false);
    let before = Timestamp { nanos: STAMP.nanos - 1, ..STAMP };
    let with = |ino, mtime, ctime| (Stat { mtime, ctime, ..stat(ino, 77) }, content.clone());
    let files = [
        with(1, STAMP, time(1)),
        with(2, time(1), STAMP),
        with(3, time(2_000), time(1)),
        with(4, before, before),
        (stat(5, 78), content.clone()),
    ];
    let (_dir, file) = save(&files);
    let cache = StatCache::open(&file);
    let hits: Vec<u64> =
        files.iter().filter(|(stat, _)| cache.lookup(stat).is_some()).map(|(stat, _)| stat.ino).collect();
    assert_eq!((hits, cache.len()), (vec![4], 1));
}

#[test]
fn the_last_push_of_an_inode_counts() {
    let newer = content(2, &[77], false);
    let (_dir, file) = save(&[(stat(1, 77), content(1, &[77], false)), (stat(1, 77), newer.clone())]);
    let cache = StatCache::open(&file);
    assert_eq!((cache.lookup(&stat(1, 77)), cache.len()), (Some(newer), 1));
}

#[test]
fn no_flip_and_no_cut_gives_a_wrong_digest() {
    let files = some_files();
    let (dir, file) = save(&files);
    let bytes = std::fs::read(&file).unwrap();
    let damaged = dir.path().join("damaged");
    let check = |bytes: &[u8], what: &str| {
        std::fs::write(&damaged, bytes).unwrap();
        let cache = StatCache::open(&damaged);
        let hits = files.iter().filter(|(stat, content)| {
            let hit = cache.lookup(stat);
            assert!(hit.is_none() || hit.as_ref() == Some(content), "{what}");
            hit.is_some()
        });
        hits.count()
    };
    assert_eq!(check(&bytes, "whole"), files.len());
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert_eq!(check(&flipped, &format!("flip at {at}")), 0, "one block, so nothing is believed");
    }
    for len in (0..bytes.len()).step_by(7) {
        assert_eq!(check(&bytes[..len], &format!("cut at {len}")), 0);
    }
    let zeroed_tail: Vec<u8> = [&bytes[..bytes.len() / 2], &vec![0; bytes.len() - bytes.len() / 2]].concat();
    assert_eq!(check(&zeroed_tail, "a torn tail"), 0);
}

#[test]
fn what_is_no_cache_is_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    for path in [dir.path().join("absent"), empty, dir.path().to_owned()] {
        let cache = StatCache::open(&path);
        assert!(cache.is_empty() && cache.root().is_none() && cache.remote().is_empty());
        assert!(cache.lookup(&stat(1, 0)).is_none() && cache.root_bytes().is_empty());
    }
    let (_saved, file) = save(&[]);
    assert!(StatCache::open(&file).root().is_some(), "a cache of no files still names its stash");
}

#[test]
fn every_spelling_of_a_workspace_has_one_cache_file() {
    let dir = tempfile::tempdir().unwrap();
    let caches = PathBuf::from("caches");
    let file = cache_file(&caches, dir.path());
    assert_eq!(file, cache_file(&caches, &dir.path().join("../").join(dir.path().file_name().unwrap())));
    assert!(file.starts_with(&caches) && file.to_str().unwrap().ends_with(".stat"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_files_round_trip(inodes in prop::collection::btree_map(
        (0u64..3, any::<u64>()),
        (prop::collection::vec(1u32..100_000, 0..6), any::<bool>()),
        0..200,
    )) {
        let files: Vec<(Stat, Content)> = inodes.iter().map(|((dev, ino), (lengths, listed))| {
            let content = content(dev ^ ino, lengths, *listed && !lengths.is_empty());
            (Stat { dev: *dev, ..stat(*ino, content.size) }, content)
        }).collect();
        let (_dir, file) = save(&files);
        let cache = StatCache::open(&file);
        for (stat, content) in &files {
            prop_assert_eq!(cache.lookup(stat), Some(content.clone()));
            prop_assert_eq!(cache.lookup(&Stat { ino: stat.ino ^ 1, size: stat.size + 1, ..*stat }), None);
        }
    }
}
