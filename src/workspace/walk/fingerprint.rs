//! One digest of all that a walk found: if it is the same again, and every content was known, the manifest is the same. Reads nothing.
//!
//! Each folder is hashed by the thread that looked at it, while its entries are at hand; the walk's digest is that of
//! the folders' in order.

use crate::model::Digest;
use crate::model::wire::Writer;

use super::found::Found;

/// Bytes that an entry is written down in, more or less.
const ENTRY_BYTES: usize = 96;

/// A digest of everything that a manifest of these entries follows from, and of what the cache knows their contents by. `folder`: the path of the folder
/// that holds them, empty for the workspace.
pub(super) fn of_folder(folder: &[u8], entries: &[Found]) -> Digest {
    let mut out = Writer(Vec::with_capacity(folder.len() + entries.len() * ENTRY_BYTES));
    out.bytes(folder);
    for Found { path, stat, target, xattrs } in entries {
        out.bytes(path.file_name());
        [stat.dev, stat.ino, stat.size].into_iter().for_each(|number| out.u64(number));
        for time in [stat.mtime, stat.ctime] {
            out.u64(time.secs as u64);
            out.u32(time.nanos);
        }
        [stat.mode, stat.nlink, stat.uid, stat.gid].into_iter().for_each(|number| out.u32(number));
        out.u8(u8::from(target.is_some()));
        out.bytes(target.as_deref().unwrap_or_default());
        out.varint(xattrs.len() as u64);
        for xattr in xattrs {
            out.bytes(&xattr.name);
            out.bytes(&xattr.value);
        }
    }
    Digest::of(&out.0)
}

/// A digest of a whole walk, from those of its folders. `xattrs`: whether it looked for extended attributes.
pub(super) fn of_walk(folders: &[Digest], xattrs: bool) -> Digest {
    let mut all = Writer(Vec::with_capacity(1 + folders.len() * Digest::LEN));
    all.u8(u8::from(xattrs));
    folders.iter().for_each(|digest| all.raw(digest.as_bytes()));
    Digest::of(&all.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EntryPath, Timestamp, Xattr};
    use crate::workspace::stat::Stat;

    fn found(number: u64) -> Found {
        let time = Timestamp { secs: 1_700_000_000, nanos: number as u32 };
        let stat = Stat {
            dev: 1,
            ino: number,
            size: 7,
            blocks: 8,
            mtime: time,
            ctime: time,
            mode: 0o100_644,
            nlink: 1,
            uid: 2,
            gid: 3,
        };
        let path = EntryPath::new(format!("{number:05}").into_bytes()).unwrap();
        Found { path, stat, target: None, xattrs: Box::default() }
    }

    /// Proves that nothing that a manifest or a cached content follows from can change unnoticed.
    #[test]
    fn whatever_changes_makes_another() {
        let all: Vec<Found> = (0..100).map(found).collect();
        let same = of_folder(b"folder", &all);
        assert_eq!(of_folder(b"folder", &all), same);
        assert_ne!(of_folder(b"folders", &all), same);
        assert_ne!(of_folder(b"folder", &all[1..]), same);
        let changes: [fn(&mut Found); 14] = [
            |found| found.path = EntryPath::new(b"zzz".to_vec()).unwrap(),
            |found| found.stat.dev += 1,
            |found| found.stat.ino += 1 << 40,
            |found| found.stat.size += 1,
            |found| found.stat.mtime.secs += 1,
            |found| found.stat.mtime.nanos += 1,
            |found| found.stat.ctime.secs += 1,
            |found| found.stat.ctime.nanos += 1,
            |found| found.stat.mode ^= 0o100,
            |found| found.stat.nlink += 1,
            |found| found.stat.uid += 1,
            |found| found.stat.gid += 1,
            |found| found.target = Some(Box::default()),
            |found| found.xattrs = Box::new([Xattr { name: b"user.a"[..].into(), value: Box::default() }]),
        ];
        for at in [0, 50, all.len() - 1] {
            for (number, change) in changes.iter().enumerate() {
                let mut other = all.clone();
                change(&mut other[at]);
                assert_ne!(of_folder(b"folder", &other), same, "change {number} at {at}");
            }
        }
    }

    #[test]
    fn a_walk_is_its_folders_in_order() {
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        let same = of_walk(&[a, b], false);
        assert_eq!(of_walk(&[a, b], false), same);
        for other in [of_walk(&[b, a], false), of_walk(&[a], false), of_walk(&[a, b], true)] {
            assert_ne!(other, same);
        }
    }
}
