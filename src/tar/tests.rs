//! Writer and reader against each other, frozen bytes, and input that means harm.

use std::io::Read;

use proptest::prelude::*;

use crate::model::limits::MAX_FILE_BYTES;
use crate::model::{Content, Entry, EntryKind, EntryPath, Owner, Timestamp, Xattr};
use crate::tar::{BLOCK_BYTES, Piece, Reader, TarEntry, TarError, TarKind, Writer};

type Sample = (Entry, Vec<u8>);

fn entry(path: &[u8], kind: EntryKind) -> Entry {
    let path = EntryPath::new(path).unwrap();
    let mtime = Timestamp { secs: 1_700_000_000, nanos: 0 };
    Entry { path, mode: 0o644, mtime, owner: None, xattrs: Box::default(), kind }
}

fn file(path: &[u8], content: &[u8]) -> Sample {
    let size = content.len() as u64;
    (entry(path, EntryKind::File(Content { size, ..Content::default() })), content.to_vec())
}

fn written(samples: &[Sample]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in samples {
        writer.entry(entry).unwrap();
        content.chunks(300).for_each(|piece| writer.content(piece).unwrap());
    }
    writer.finish().unwrap()
}

/// Entries and content up to the end or the first error.
fn read(bytes: impl Read) -> (Vec<(TarEntry, Vec<u8>)>, Option<TarError>) {
    let mut reader = Reader::new(bytes);
    let mut found = Vec::new();
    let mut buf = [0; 700];
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return (found, None),
            Err(error) => return (found, Some(error)),
        };
        let mut content = Vec::new();
        loop {
            match reader.read_piece(&mut buf) {
                Ok(Piece::Bytes(read)) => content.extend_from_slice(&buf[..read]),
                Ok(Piece::Zeros(zeros)) if zeros <= 1 << 20 => {
                    content.resize(content.len() + zeros as usize, 0);
                }
                // What damage claims is not spread out.
                Ok(Piece::End | Piece::Zeros(_)) => break,
                Err(error) => return (found, Some(error)),
            }
            if content.len() > 1 << 20 {
                break;
            }
        }
        found.push((entry, content));
    }
}

fn expected(samples: &[Sample]) -> Vec<(TarEntry, Vec<u8>)> {
    let one = |(entry, content): &Sample| {
        let kind = match entry.kind.clone() {
            EntryKind::Directory => TarKind::Directory,
            EntryKind::File(content) => TarKind::File { size: content.size },
            EntryKind::Symlink { target } => TarKind::Symlink { target },
            EntryKind::HardLink { target } => TarKind::HardLink { target },
            EntryKind::Fifo => TarKind::Fifo,
        };
        let Entry { path, mode, mtime, xattrs, owner, .. } = entry.clone();
        let owner = owner.unwrap_or(Owner { uid: 0, gid: 0 });
        (TarEntry { path, mode, mtime, owner, xattrs, kind }, content.clone())
    };
    samples.iter().map(one).collect()
}

/// One of everything, with every reason for a PAX record.
fn rich() -> Vec<Sample> {
    let long = [b"folder/".repeat(40), b"\xff\xfename".to_vec()].concat();
    let mut odd = file(b"odd\n\xff", b"hello");
    odd.0.mtime = Timestamp { secs: -2, nanos: 500_000_000 };
    odd.0.owner = Some(Owner { uid: 3_000_000, gid: 7 });
    odd.0.mode = 0o6755;
    odd.0.xattrs = Box::new([Xattr { name: b"user.a=b%"[..].into(), value: b"\0\n\xff"[..].into() }]);
    let link =
        |path: &[u8], target: &[u8]| (entry(path, EntryKind::Symlink { target: target.into() }), vec![]);
    let target = odd.0.path.clone();
    vec![
        (entry(b"dir", EntryKind::Directory), vec![]),
        file(b"dir/empty", b""),
        file(b"dir/full", &[7; 1024]),
        odd,
        (entry(b"hard", EntryKind::HardLink { target }), vec![]),
        (entry(b"pipe", EntryKind::Fifo), vec![]),
        link(b"soft", b"../\xff nowhere"),
        link(b"soft-long", &b"x/".repeat(90)),
        file(&long, b"deep"),
        file(&[vec![b'p'; 120], b"/".to_vec(), vec![b'n'; 90]].concat(), b"split"),
    ]
}

#[test]
fn the_bytes_of_a_rich_archive_are_frozen() {
    let bytes = written(&rich());
    if std::env::var_os("PANNIER_TESTS_BLESS").is_some() {
        fs_err::write("tests/data/format/v1/tar/rich.tar", &bytes).unwrap();
    }
    assert!(bytes == fs_err::read("tests/data/format/v1/tar/rich.tar").unwrap(), "canonical tar has changed");
    let (found, error) = read(&bytes[..]);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(found, expected(&rich()));
}

#[test]
fn sizes_of_8_gib_stand_in_both_places() {
    let mut big = file(b"big", b"");
    big.0.kind = EntryKind::File(Content { size: 8 << 30, ..Content::default() });
    let mut writer = Writer::new(Vec::new());
    writer.entry(&big.0).unwrap();
    assert!(
        matches!(writer.finish(), Err(TarError::ContentSize { announced_bytes, .. }) if announced_bytes == 8 << 30)
    );
    let mut out = Vec::new();
    Writer::new(&mut out).entry(&big.0).unwrap();
    assert_eq!(&out[512..528], b"19 size=85899345");
    assert_eq!(&out[1024 + 124..1024 + 136], [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    // The claim costs nothing, and the error names the entry.
    let (_, error) = read(&out[..]);
    assert!(
        matches!(&error, Some(TarError::Truncated { path, .. }) if path.as_bytes() == b"big"),
        "{error:?}"
    );
}

#[test]
fn the_writer_holds_files_to_their_size() {
    let mut writer = Writer::new(Vec::new());
    writer.entry(&file(b"a", b"four").0).unwrap();
    assert!(matches!(writer.content(b"five!"), Err(TarError::ContentSize { given_bytes: 5, .. })));
    assert!(matches!(Writer::new(Vec::new()).content(b"x"), Err(TarError::NoFile { given_bytes: 1 })));
}

#[test]
fn every_truncation_gives_a_prefix_and_an_error() {
    let bytes = written(&rich());
    let all = expected(&rich());
    let end = bytes.len() - 2 * BLOCK_BYTES;
    for len in (0..bytes.len()).filter(|len| matches!(len % BLOCK_BYTES, 0 | 1 | 100 | 511)) {
        let (found, error) = read(&bytes[..len]);
        assert_eq!(found[..], all[..found.len()], "{len}");
        // What ends with a whole entry cannot be told from an archive without end marker.
        let whole = written(&rich()[..found.len()]).len() - 2 * BLOCK_BYTES == len && len > 0;
        let ends_well = whole || len == end || len == end + BLOCK_BYTES;
        assert_eq!(error.is_none(), ends_well, "{len}: {error:?}");
    }
}

#[test]
fn flipped_header_bits_never_panic_and_never_pass_unseen() {
    let bytes = written(&[file(b"a", b"x")]);
    for bit in 0..BLOCK_BYTES * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (_, error) = read(&bytes[..]);
        // The last two bytes of the checksum's field say nothing.
        assert!(error.is_some() || (148..156).contains(&(bit / 8)), "bit {bit}");
    }
}

#[test]
fn names_that_lead_out_are_errors_that_name_them() {
    let bytes = written(&[file(b"xx/etc", b"")]);
    for name in [&b"../etc"[..], b"//etc\0", b"a/../b"] {
        let mut block = bytes[..512].to_vec();
        block[..6].copy_from_slice(name);
        let (_, error) = read(&summed(block)[..]);
        assert!(matches!(error, Some(TarError::Name { .. })), "{error:?}");
    }
    let mut link =
        written(&[(entry(b"h", EntryKind::HardLink { target: EntryPath::new(*b"xxx").unwrap() }), vec![])]);
    link.truncate(512);
    link[157..160].copy_from_slice(b"../");
    let (_, error) = read(&summed(link)[..]);
    assert!(matches!(error, Some(TarError::HardLinkTarget { .. })), "{error:?}");
}

#[test]
fn other_formats_are_named() {
    for (start, word) in [(&b"\x1f\x8b\x08"[..], "gzip"), (b"070701", "cpio"), (b"\xfd7zXZ\0", "xz")] {
        assert!(read(start).1.unwrap().to_string().contains(word));
        assert!(read(&[start, &[1; 600]].concat()[..]).1.unwrap().to_string().contains(word));
    }
    assert!(matches!(read(&b""[..]).1, Some(TarError::Empty)));
    assert!(matches!(read(&[b'x'; 512][..]).1, Some(TarError::Checksum { offset: 0 })));
}

#[test]
fn what_follows_the_end_is_ignored_and_a_lone_zero_block_is_damage() {
    let mut bytes = written(&[file(b"a", b"x")]);
    bytes.extend_from_slice(&[0xee; 700]);
    assert!(read(&bytes[..]).1.is_none());
    let lone = [&bytes[..1536], &bytes[..1024]].concat();
    assert!(matches!(read(&lone[..]).1, Some(TarError::LoneZeroBlock { offset: 1024 })));
}

#[test]
fn long_records_and_bad_sparse_maps_are_refused() {
    for (typeflag, size) in [(b'x', 2 << 20), (b'g', 2 << 20), (b'L', 100 << 10), (b'x', 10_u64 << 30)] {
        let block = raw_header(typeflag, size);
        assert!(matches!(read(&block[..]).1, Some(TarError::Record { .. })), "{}", char::from(typeflag));
    }
    for map in ["5,5,0,1", "0,20", "0", "0,1,x,2", "18446744073709551615,1", "0,9"] {
        let record = format!("GNU.sparse.map={map}\n");
        let mut body = Vec::new();
        for (key, value) in [("GNU.sparse.size", "10"), ("GNU.sparse.map", map)] {
            crate::tar::records::push(&mut body, key.as_bytes(), value.as_bytes());
        }
        let mut bytes = raw_header(b'x', body.len() as u64);
        body.resize(512, 0);
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&raw_header(b'0', 1));
        bytes.extend_from_slice(&[1; 512]);
        assert!(read(&bytes[..]).1.is_some(), "{record}");
    }
}

/// One sparse file of `size` bytes: one byte of data at its start, and all else a hole.
fn sparse_claim(size: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in [("GNU.sparse.map", "0,1"), ("GNU.sparse.size", &size.to_string())] {
        crate::tar::records::push(&mut body, key.as_bytes(), value.as_bytes());
    }
    let mut bytes = raw_header(b'x', body.len() as u64);
    body.resize(512, 0);
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(&raw_header(b'0', 1));
    bytes.extend_from_slice(&[[7].as_slice(), &[0; 511]].concat());
    bytes
}

#[test]
fn a_hole_of_terabytes_is_one_piece() {
    let size = 8 << 40;
    let bytes = sparse_claim(size);
    let mut reader = Reader::new(&bytes[..]);
    assert_eq!(reader.next_entry().unwrap().unwrap().kind, TarKind::File { size });
    let mut buf = [0; 100];
    let pieces: Vec<Piece> = (0..3).map(|_| reader.read_piece(&mut buf).unwrap()).collect();
    assert_eq!(pieces, [Piece::Bytes(1), Piece::Zeros(size - 1), Piece::End]);
    assert_eq!(buf[0], 7);
    assert!(reader.next_entry().unwrap().is_none());
}

#[test]
fn sizes_that_no_file_has_are_errors_that_name_the_entry() {
    assert!(Reader::new(&sparse_claim(MAX_FILE_BYTES)[..]).next_entry().is_ok());
    let mut old_gnu = raw_header(b'S', 0);
    old_gnu[257..265].copy_from_slice(b"ustar  \0");
    crate::tar::number::put(&mut old_gnu[483..495], i64::MAX);
    let too_large = [
        sparse_claim(MAX_FILE_BYTES + 1),
        sparse_claim(8 << 60),
        sparse_claim(u64::MAX),
        summed(old_gnu),
        raw_header(b'0', MAX_FILE_BYTES + 1),
    ];
    for bytes in too_large {
        let error = Reader::new(&bytes[..]).next_entry().unwrap_err();
        assert!(matches!(error, TarError::FileSize { .. }), "{error:?}");
        assert!(error.to_string().contains("`name`") && error.to_string().contains("16 TiB"), "{error}");
    }
    for (size, fits) in [(MAX_FILE_BYTES, true), (MAX_FILE_BYTES + 1, false), (u64::MAX, false)] {
        let mut big = file(b"big", b"").0;
        big.kind = EntryKind::File(Content { size, ..Content::default() });
        let error = Writer::new(Vec::new()).entry(&big).err();
        assert_eq!(error.is_none(), fits, "{size}: {error:?}");
    }
}

fn raw_header(typeflag: u8, size: u64) -> Vec<u8> {
    let mut block = written(&[file(b"name", b"")])[..512].to_vec();
    crate::tar::number::put(&mut block[124..136], size.cast_signed());
    block[156] = typeflag;
    summed(block)
}

fn summed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

prop_compose! {
    fn any_path()(bytes in prop_oneof![
        prop::collection::vec(1u8.., 1..30),
        prop::collection::vec(prop::sample::select(&b"ab/\xff\xc3\xa9"[..]), 90..700),
    ]) -> EntryPath {
        let parts = bytes.split(|&b| b == b'/').filter(|part| !matches!(*part, b"" | b"." | b".."));
        let path = parts.collect::<Vec<_>>().join(&b'/');
        EntryPath::new(path).unwrap_or_else(|_| EntryPath::new(*b"x").unwrap())
    }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let content = prop::collection::vec(any::<u8>(), 0..2000);
    let kind = (0..5, content, any_path(), prop::collection::vec(1u8.., 1..300));
    let owner = prop::option::of((any::<u32>(), any::<u32>()).prop_map(|(uid, gid)| Owner { uid, gid }));
    let xattrs = prop::collection::btree_map(
        prop::collection::vec(1u8.., 1..20),
        prop::collection::vec(any::<u8>(), 0..50),
        0..3,
    );
    (any_path(), 0u32..0o10000, any::<i64>(), 0u32..1_000_000_000, owner, xattrs, kind, any::<[bool; 2]>())
        .prop_map(
            |(path, mode, secs, nanos, owner, xattrs, (choice, content, target, symlink), [whole, near])| {
                let kind = match choice {
                    0 => EntryKind::Directory,
                    1 => EntryKind::Fifo,
                    2 => EntryKind::HardLink { target },
                    3 => EntryKind::Symlink { target: symlink.into() },
                    _ => EntryKind::File(Content { size: content.len() as u64, ..Content::default() }),
                };
                let content = if choice == 4 { content } else { Vec::new() };
                let mtime = Timestamp {
                    secs: if near { secs >> 28 } else { secs },
                    nanos: if whole { 0 } else { nanos },
                };
                let xattrs =
                    xattrs.into_iter().map(|(name, value)| Xattr { name: name.into(), value: value.into() });
                (Entry { path, mode, mtime, owner, xattrs: xattrs.collect(), kind }, content)
            },
        )
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(samples in prop::collection::vec(any_sample(), 0..6)) {
        let (found, error) = read(&written(&samples)[..]);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(found, expected(&samples));
    }

    #[test]
    fn damage_never_panics(at in 0usize..8192, byte: u8, resum: bool) {
        let mut bytes = written(&rich());
        bytes[at] = byte;
        let start = at / 512 * 512;
        if resum {
            let block = summed(bytes[start..start + 512].to_vec());
            bytes[start..start + 512].copy_from_slice(&block);
        }
        let _ = read(&bytes[..]);
    }
}
