//! Writes the small valid inputs under `seeds/` that every run starts from. Run it after a format changes:
//! `cargo run --manifest-path fuzz/Cargo.toml --bin seeds`. Not fuzzing, and not the frozen vectors of the tests.

use std::path::Path;
use std::{fs, io};

use pannier::model::entry::{ChunkRef, Content, Entry, EntryKind, Owner, Timestamp, Xattr};
use pannier::model::manifest::{PageRef, Root, Totals, chunk_list, page};
use pannier::model::pack_layout::{Codec, Footer, Frame};
use pannier::model::{Digest, EntryPath};

fn main() -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(seeds.join(target))?;
        fs::write(seeds.join(target).join(name), bytes)
    };
    write("manifest", "empty-root", &Root::default().encode())?;
    write("manifest", "root", &root().encode())?;
    write("manifest", "page", &page::encode(&entries()))?;
    write("manifest", "chunk-list", &chunk_list::encode(&[chunk(1, 65_536), chunk(2, 100)]))?;
    let end = footer().encode();
    let with = |number: u64, end: &[u8]| [&number.to_le_bytes(), end].concat();
    write("pack", "end", &with(20 + end.len() as u64, &end))?;
    let records = end.len() - pannier::model::pack_layout::TRAILER_BYTES as usize;
    write("pack", "footer", &with(20, &end[..records]))
}

fn chunk(byte: u8, len: u32) -> ChunkRef {
    ChunkRef { digest: Digest::of(&[byte]), len }
}

fn path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).expect("a seed's path is written here, relative and clean")
}

fn root() -> Root {
    let page = |first: &str, entries| PageRef {
        chunk: chunk(first.as_bytes()[0], 100),
        entries,
        first: path(first),
    };
    let totals = Totals { entries: 60, files: 50, directories: 10, bytes: 1 << 40, ..Totals::default() };
    Root { totals, pages: vec![page("a", 10), page("a/b/c", 20), page("a-b", 30)] }
}

fn entries() -> Vec<Entry> {
    let entry = |at: &str, mode, kind| Entry {
        path: path(at),
        mode,
        mtime: Timestamp { secs: 1_700_000_000, nanos: 123_456_789 },
        owner: None,
        xattrs: Box::default(),
        kind,
    };
    let content = |listed, size, chunks: Vec<ChunkRef>| {
        EntryKind::File(Content { size, listed, chunks: chunks.into_boxed_slice() })
    };
    let mut owned = entry("d/owned", 0o4755, content(false, 300, vec![chunk(1, 200), chunk(2, 100)]));
    owned.owner = Some(Owner { uid: 1000, gid: 100 });
    owned.xattrs = Box::new([Xattr { name: b"user.a"[..].into(), value: b"b"[..].into() }]);
    vec![
        entry("d", 0o755, EntryKind::Directory),
        entry("d/empty", 0o644, content(false, 0, vec![])),
        entry("d/link", 0o777, EntryKind::Symlink { target: b"../elsewhere"[..].into() }),
        entry("d/listed", 0o644, content(true, 1 << 30, vec![chunk(3, 500)])),
        owned,
        entry("d/pipe", 0o600, EntryKind::Fifo),
        entry("d/twin", 0o644, EntryKind::HardLink { target: path("d/empty") }),
    ]
}

fn footer() -> Footer {
    Footer {
        frames: vec![
            Frame { offset: 8, stored_len: 5, plain_len: 30, codec: Codec::Zstd, chunks: 0..2 },
            Frame { offset: 13, stored_len: 7, plain_len: 7, codec: Codec::Raw, chunks: 2..3 },
        ],
        chunks: vec![chunk(1, 10), chunk(2, 20), chunk(3, 7)],
    }
}
