//! Writes the small valid inputs under `seeds/` that every run starts from. Run it after a format changes:
//! `cargo run --manifest-path fuzz/Cargo.toml --bin seeds`. Not fuzzing, and not the frozen vectors of the tests.

#[path = "header_sums.rs"]
mod header_sums;

use std::path::Path;
use std::{fs, io};

use pannier::model::entry::{ChunkRef, Content, Entry, EntryKind, Owner, Timestamp, Xattr};
use pannier::model::manifest::{PageRef, Patches, Root, Totals, chunk_list, page, patch};
use pannier::model::pack_layout::{Codec, Footer, Frame};
use pannier::model::{Digest, EntryPath};
use pannier::tar::Writer;

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
    write("manifest", "patch", &patch::encode(&Digest::of(b"base"), &entries()[..3], &entries()[1..]))?;
    let mut patches = Patches::default();
    patches.insert(root().pages[0].chunk.digest, Digest::of(b"patch"));
    let list = patches.encode(&Digest::of(&root().encode()), &root());
    write("manifest", "patch-list", &list.unwrap_or_default())?;
    let end = footer().encode();
    let with = |number: u64, end: &[u8]| [&number.to_le_bytes(), end].concat();
    write("pack", "end", &with(20 + end.len() as u64, &end))?;
    let records = end.len() - pannier::model::pack_layout::TRAILER_BYTES as usize;
    write("pack", "footer", &with(20, &end[..records]))?;
    for (name, tar) in tars() {
        write("tar_reader", name, &tar)?;
        write("containment", name, &[&[CONTAINMENT_CHOICES][..], &tar].concat())?;
    }
    for (name, operations) in OPERATIONS {
        write("chunk_and_restore", name, operations)?;
    }
    Ok(())
}

/// Everything but the portable back end: see `containment`.
const CONTAINMENT_CHOICES: u8 = 0b0010_1111;

/// A level, then operations: see `chunk_and_restore`.
const OPERATIONS: [(&str, &[u8]); 4] = [
    ("literal", b"\x04\x00\x05\0\0hello\x06\0\0\0\x00\x05\0\0world"),
    ("noise", b"\x02\x42\x00\xf0\x07\x03\0\0\0\x06\0\0\0\x03\0\0\0\x22\x01\x80\x09"),
    ("holes", b"\x03\x22\x01\x40\x01\x44\x01\xf0\0\x12\x09\x40\x02\x41\x01\xf0\0\x05\0\0\0\x44\x01\x80\0"),
    ("runs", b"\x07\x31\x01\x80\x61\x31\x03\x80\x62\x05\0\0\0\x51\x01\x80\x63\x06\0\0\0"),
];

/// One of everything that our writer writes, what only others write, and what would lead out of `containment`'s folder.
fn tars() -> Vec<(&'static str, Vec<u8>)> {
    let contents: [&[u8]; 2] = [b"hello", &[7; 700]];
    let file = |at: &str, content: &[u8]| member(at, b'0', b"", content);
    let link = |at: &str, typeflag, target: &str| member(at, typeflag, target.as_bytes(), b"");
    let with_records = |records: &str, size: u64, stored: &[u8]| {
        let data = [stored, &vec![0; stored.len().next_multiple_of(512) - stored.len()]].concat();
        let head = header("GNUSparseFile.0/s", b'0', b"", size);
        [member("PaxHeaders/s", b'x', b"", records.as_bytes()), head, data].concat()
    };
    let sparse_1_0 =
        "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=s\n28 GNU.sparse.realsize=5000\n";
    let mut map_1_0 = b"2\n0\n5\n4096\n5\n".to_vec();
    map_1_0.resize(512, 0);
    map_1_0.extend_from_slice(b"firstlater");
    let all = [
        ("canonical", canonical(&contents)),
        (
            "through-links",
            [file("link/f", b"x"), file("d/link/f", b"y"), file("absolute/secret", b"z")].concat(),
        ),
        ("over-links", [file("link", b"x"), file("file", b"y"), member("up", b'5', b"", b"")].concat()),
        (
            "own-link",
            [link("l", b'2', "../outside"), file("l/f", b"x"), link("h", b'1', "l/secret")].concat(),
        ),
        (
            "hard-links",
            [link("h", b'1', "link/secret"), link("g", b'1', "file"), file("shared", b"x")].concat(),
        ),
        (
            "hard-link-to-link",
            [link("a", b'2', "../outside/secret"), link("b", b'1', "a"), file("b", b"x")].concat(),
        ),
        (
            "parents",
            [file("../outside/f", b"x"), file("/tmp/f", b"x"), file("d/../../outside/f", b"x")].concat(),
        ),
        ("long-name", [member("././@LongLink", b'L', b"", &[b'n'; 200]), file("short", b"x")].concat()),
        ("sparse-1.0", with_records(sparse_1_0, 522, &map_1_0)),
        (
            "sparse-0.1",
            with_records("24 GNU.sparse.size=5000\n29 GNU.sparse.map=0,5,4096,5\n", 10, b"firstlater"),
        ),
        ("records", with_records("13 mtime=1.5\n25 SCHILY.xattr.user.a=b\n9 size=5\n", 0, b"hello")),
        ("old-gnu-sparse", old_gnu_sparse()),
    ];
    all.into_iter()
        .map(|(name, tar)| (name, header_sums::with_sums(&[tar, vec![0; 1024]].concat())))
        .collect()
}

fn canonical(contents: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut contents = contents.iter().cycle();
    for mut entry in entries() {
        let mut content: &[u8] = b"";
        if let EntryKind::File(of_file) = &mut entry.kind {
            content = contents.next().copied().unwrap_or_default();
            *of_file = Content { size: content.len() as u64, ..Content::default() };
        }
        writer.entry(&entry).and_then(|()| writer.content(content)).expect("memory does not fail");
    }
    writer.finish().expect("memory does not fail")
}

/// A header whose sum is still to be set.
fn header(name: &str, typeflag: u8, link: &[u8], size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000755\0");
    block[108..124].copy_from_slice(b"0000000\0".repeat(2).as_slice());
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"14524770400\0");
    block[156] = typeflag;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    block
}

fn member(name: &str, typeflag: u8, link: &[u8], content: &[u8]) -> Vec<u8> {
    let padding = content.len().next_multiple_of(512) - content.len();
    [&header(name, typeflag, link, content.len() as u64)[..], content, &vec![0; padding]].concat()
}

fn old_gnu_sparse() -> Vec<u8> {
    let mut block = header("s", b'S', b"", 10);
    block[257..265].copy_from_slice(b"ustar  \0");
    for (at, number) in [(386, 0), (398, 5), (410, 4096), (422, 5), (483, 5000)] {
        block[at..at + 12].copy_from_slice(format!("{number:011o}\0").as_bytes());
    }
    let mut data = b"firstlater".to_vec();
    data.resize(512, 0);
    [block, data].concat()
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
