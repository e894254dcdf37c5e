//! What a tar holds, as two targets need it: entries and small contents in memory. Not a target itself.

use pannier::model::{ChunkRef, Content, Digest, Entry, EntryKind};
use pannier::tar::{Piece, Reader, TarEntry, TarKind};

/// A member with its content, which is `None` where it is larger than what is kept.
type Member = (TarEntry, Option<Vec<u8>>);

/// The members of a tar up to its end or the first error, and whether the end was reached. Keeps contents of at most
/// `content_bytes` together.
pub(crate) fn read(bytes: &[u8], mut content_bytes: u64) -> (Vec<Member>, bool) {
    let mut reader = Reader::new(bytes);
    let mut found = Vec::new();
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return (found, true),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return (found, false);
            }
        };
        let TarKind::File { size } = entry.kind else {
            found.push((entry, Some(Vec::new())));
            continue;
        };
        let keep = size <= content_bytes;
        content_bytes -= if keep { size } else { 0 };
        let (mut content, mut given, mut buf) = (Vec::new(), 0, [0; 700]);
        loop {
            match reader.read_piece(&mut buf) {
                Ok(Piece::Bytes(read)) => {
                    assert!(read > 0, "a piece of nothing");
                    given += read as u64;
                    if keep {
                        content.extend_from_slice(&buf[..read]);
                    }
                }
                Ok(Piece::Zeros(zeros)) => {
                    assert!(zeros > 0, "a hole of nothing");
                    given += zeros;
                    if keep {
                        content.resize(given as usize, 0);
                    }
                }
                Ok(Piece::End) => break,
                Err(_) => return (found, false),
            }
            assert!(given <= size, "more content than the entry has");
        }
        assert_eq!(given, size, "less content than the entry has");
        found.push((entry, keep.then_some(content)));
    }
}

/// The entry that a stash would keep of a member; `None` for a device.
pub(crate) fn entry(member: &TarEntry, content: &[u8]) -> Option<Entry> {
    let kind = match &member.kind {
        TarKind::Directory => EntryKind::Directory,
        TarKind::Symlink { target } => EntryKind::Symlink { target: target.clone() },
        TarKind::HardLink { target } => EntryKind::HardLink { target: target.clone() },
        TarKind::Fifo => EntryKind::Fifo,
        TarKind::Device => return None,
        TarKind::File { .. } => {
            let chunk = ChunkRef { digest: Digest::of(content), len: content.len() as u32 };
            let chunks = if content.is_empty() { Box::default() } else { Box::from([chunk]) };
            EntryKind::File(Content { size: content.len() as u64, listed: false, chunks })
        }
    };
    let TarEntry { path, mode, mtime, owner, xattrs, .. } = member.clone();
    Some(Entry { path, mode, mtime, owner: Some(owner), xattrs, kind })
}
