//! The bytes of format version 1, frozen: every later version must read the files under `tests/data/format/v1`, and
//! must write roots, pages, patches and lists that equal them. Packs are read only: zstd may learn to compress better.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::path::PathBuf;

use pannier::chunk::cdc;
use pannier::model::entry::{Owner, Xattr};
use pannier::model::manifest::{PageRef, Patches, Root, Totals, chunk_list, page, patch};
use pannier::model::pack_layout::Codec;
use pannier::model::{ChunkRef, Content, Digest, Entry, EntryKind, EntryPath, Timestamp};
use pannier::pack::{Builder, FrameDecoder, FrameEncoder, frame, reader};

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/format/v1").join(name)
}

fn frozen(name: &str) -> Vec<u8> {
    fs_err::read(vector(name)).unwrap()
}

fn chunk(bytes: &[u8]) -> ChunkRef {
    ChunkRef { digest: Digest::of(bytes), len: bytes.len() as u32 }
}

fn path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).unwrap()
}

fn entry(text: &str, mode: u32, mtime: (i64, u32), kind: EntryKind) -> Entry {
    let mtime = Timestamp { secs: mtime.0, nanos: mtime.1 };
    Entry { path: path(text), mode, mtime, owner: None, xattrs: Box::default(), kind }
}

fn file(size: u64, listed: bool, chunks: &[ChunkRef]) -> EntryKind {
    EntryKind::File(Content { size, listed, chunks: chunks.into() })
}

/// One entry of each kind, and of each option.
fn entries() -> Vec<Entry> {
    let mut owned = entry("bin/tool", 0o4755, (1_700_000_001, 0), file(6, false, &[chunk(b"binary")]));
    owned.owner = Some(Owner { uid: 1000, gid: 4_000_000_000 });
    let xattr = |name: &[u8], value: &[u8]| Xattr { name: name.into(), value: value.into() };
    owned.xattrs = [xattr(b"user.a", b""), xattr(b"user.b", b"\0\xff")].into();
    let large = ChunkRef { digest: Digest::of(b"first list"), len: 40_000 };
    let cut = [
        ChunkRef { digest: Digest::of(b"1"), len: 70_000 },
        ChunkRef { digest: Digest::of(b"2"), len: 20_000 },
    ];
    vec![
        entry("bin", 0o755, (1_700_000_000, 123_456_789), EntryKind::Directory),
        owned,
        entry(
            "bin/tool-again",
            0o755,
            (-1, 999_999_999),
            EntryKind::Symlink { target: b"../bin/tool"[..].into() },
        ),
        entry("bin.copy", 0o755, (1_700_000_001, 0), EntryKind::HardLink { target: path("bin/tool") }),
        entry("cut", 0o644, (1, 2), file(90_000, false, &cut)),
        entry("empty", 0o600, (0, 0), file(0, false, &[])),
        entry("large", 0o644, (1_700_000_002, 0), file(1 << 40, true, &[large])),
        entry("pipe", 0o622, (1_700_000_003, 1), EntryKind::Fifo),
    ]
}

fn root() -> Root {
    let page_bytes = page::encode(&entries());
    let first = PageRef { chunk: chunk(&page_bytes), entries: 8, first: path("bin") };
    let second = PageRef { chunk: chunk(b"another page"), entries: 4096, first: path("pipe/of") };
    let totals = Totals {
        entries: 4104,
        files: 4098,
        directories: 1,
        symlinks: 1,
        hard_links: 1,
        bytes: (1 << 40) + 90_006,
    };
    Root { totals, pages: vec![first, second] }
}

fn listed_chunks() -> Vec<ChunkRef> {
    (0..20u32).map(|n| ChunkRef { digest: Digest::of(&n.to_le_bytes()), len: 16_384 + n * 12_000 }).collect()
}

/// The first bytes of BLAKE3's extended output over a name: the same everywhere, and no run or period in them.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(b"pannier cut points 1").finalize_xof().fill(&mut bytes);
    bytes
}

/// Two chunks that compress together, one that does not compress.
fn pack_chunks() -> [Vec<u8>; 3] {
    [b"to be, or not to be; ".repeat(20), b"that is the question. ".repeat(20), noise(300)]
}

#[test]
fn the_page_reads_and_is_written_alike() {
    assert_eq!(page::decode(&frozen("page")).unwrap(), entries());
    assert_eq!(page::encode(&entries()), frozen("page"));
}

#[test]
fn the_root_reads_and_is_written_alike() {
    assert_eq!(Root::decode(&frozen("root")).unwrap(), root());
    assert_eq!(root().encode(), frozen("root"));
}

#[test]
fn the_chunk_list_reads_and_is_written_alike() {
    assert_eq!(chunk_list::decode(&frozen("chunk-list")).unwrap(), listed_chunks());
    assert_eq!(chunk_list::encode(&listed_chunks()), frozen("chunk-list"));
}

/// The page's entries with one file changed, one replaced, one gone and two more.
fn later_entries() -> Vec<Entry> {
    let mut later = entries();
    later.retain(|entry| entry.path != path("empty"));
    for entry in &mut later {
        if entry.path == path("cut") {
            (entry.mtime, entry.kind) =
                (Timestamp { secs: 1_800_000_000, nanos: 5 }, file(9, false, &[chunk(b"one chunk")]));
        }
        if entry.path == path("large") {
            entry.mode = 0o600;
        }
    }
    later.push(entry("pipf", 0o644, (1_800_000_001, 0), file(4, false, &[chunk(b"more")])));
    later.push(entry("pipg", 0o755, (1_800_000_002, 0), EntryKind::Directory));
    later
}

fn page_patch() -> Vec<u8> {
    patch::encode(&Digest::of(&frozen("page")), &entries(), &later_entries())
}

fn patches() -> Patches {
    let mut patches = Patches::default();
    patches.insert(root().pages[1].chunk.digest, Digest::of(&page_patch()));
    patches
}

#[test]
fn the_patch_reads_and_is_written_alike() {
    let later = page::encode(&later_entries());
    assert_eq!(patch::base(&frozen("page-patch")).unwrap(), Digest::of(&frozen("page")));
    assert_eq!(patch::apply(&Digest::of(&later), &frozen("page-patch"), &frozen("page")).unwrap(), later);
    assert_eq!(page_patch(), frozen("page-patch"));
}

#[test]
fn the_list_of_patches_reads_and_is_written_alike() {
    let id = Digest::of(&root().encode());
    assert_eq!(Patches::decode(&frozen("patch-list"), &id, &root()).unwrap(), patches());
    assert_eq!(patches().encode(&id, &root()).unwrap(), frozen("patch-list"));
}

#[test]
fn the_pack_reads() {
    let bytes = frozen("pack");
    let verified = reader::verify(&mut std::io::Cursor::new(&bytes)).unwrap();
    assert!(verified.damaged.is_empty());
    let footer = verified.footer;
    assert_eq!(footer.frames.iter().map(|frame| frame.codec).collect::<Vec<_>>(), [Codec::Zstd, Codec::Raw]);
    let mut read = Vec::new();
    for frame in &footer.frames {
        let (chunks, mut plain) = (&footer.chunks[frame.chunks.clone()], Vec::new());
        let range = frame.stored_range();
        let stored = &bytes[range.start as usize..range.end as usize];
        FrameDecoder::new().decode(frame, stored, chunks, &mut plain).unwrap();
        read.extend(frame::slices(chunks, &plain).map(|(_, bytes)| bytes.to_vec()));
    }
    assert_eq!(read, pack_chunks());
}

#[test]
fn noise_and_zeros_are_cut_at_the_frozen_places() {
    let expected: Vec<usize> =
        String::from_utf8(frozen("cuts.txt")).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lengths(), expected);
}

/// Lengths of the chunks of 4 MiB of noise, 600,001 zeros and 100,000 bytes of noise, one after another.
fn lengths() -> Vec<usize> {
    let data = [noise(4 << 20), vec![0; 600_001], noise(100_000)].concat();
    let (mut rest, mut lengths) = (&data[..], Vec::new());
    while !rest.is_empty() {
        let len = cdc::cut(rest);
        lengths.push(len);
        rest = &rest[len..];
    }
    lengths
}

/// Writes the files that the tests above read and that are not there: what is there is frozen.
#[test]
#[ignore = "writes tests/data"]
fn write_vectors() {
    let [first, second, third] = pack_chunks();
    let mut builder = Builder::new();
    let (codec, stored) = FrameEncoder::new().encode(&[&first[..], &second].concat(), 3);
    builder.push_frame(codec, stored, &[chunk(&first), chunk(&second)]);
    let (codec, stored) = FrameEncoder::new().encode(&third, 3);
    builder.push_frame(codec, stored, &[chunk(&third)]);
    let cuts: String = lengths().iter().map(|len| format!("{len}\n")).collect();
    for (name, bytes) in [
        ("page", page::encode(&entries())),
        ("root", root().encode()),
        ("chunk-list", chunk_list::encode(&listed_chunks())),
        ("pack", builder.finish().parts.concat()),
        ("cuts.txt", cuts.into_bytes()),
        ("page-patch", page_patch()),
        ("patch-list", patches().encode(&Digest::of(&root().encode()), &root()).unwrap()),
    ] {
        if vector(name).exists() {
            continue;
        }
        let file = fs_err::OpenOptions::new().write(true).create_new(true).open(vector(name));
        std::io::Write::write_all(&mut file.unwrap(), &bytes).unwrap();
    }
}
