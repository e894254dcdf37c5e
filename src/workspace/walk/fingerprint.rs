//! One digest of all that a walk found: if it is the same again, and every content was known, the manifest is the same. Reads nothing.

use rayon::prelude::*;

use crate::model::Digest;
use crate::model::wire::Writer;

use super::found::Found;

/// Entries that are written down and hashed together: some 100 KB.
const ENTRIES_AT_ONCE: usize = 1024;

/// A digest of everything that the manifest of `found` follows from, and of what the cache knows its contents by. `owner` and `xattrs`: whether the
/// manifest has them.
pub fn fingerprint(found: &[Found], owner: bool, xattrs: bool) -> Digest {
    let digests: Vec<Digest> = found.par_chunks(ENTRIES_AT_ONCE).map(digest).collect();
    let mut all = Writer::default();
    all.u8(u8::from(owner) | u8::from(xattrs) << 1);
    all.u64(found.len() as u64);
    digests.iter().for_each(|digest| all.raw(digest.as_bytes()));
    Digest::of(&all.0)
}

fn digest(found: &[Found]) -> Digest {
    let mut out = Writer(Vec::with_capacity(found.len() * 160));
    for Found { path, stat, target, xattrs } in found {
        out.bytes(path.as_bytes());
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

    /// Proves that nothing that a manifest or a cached content follows from can change unnoticed, at the ends and the seams of what is hashed together.
    #[test]
    fn whatever_changes_makes_another() {
        let all: Vec<Found> = (0..2 * ENTRIES_AT_ONCE as u64 + 5).map(found).collect();
        let same = fingerprint(&all, false, false);
        assert_eq!(fingerprint(&all, false, false), same);
        assert_ne!(fingerprint(&all, true, false), same);
        assert_ne!(fingerprint(&all, false, true), same);
        assert_ne!(fingerprint(&all[1..], false, false), same);
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
        for at in [0, ENTRIES_AT_ONCE - 1, ENTRIES_AT_ONCE, all.len() - 1] {
            for (number, change) in changes.iter().enumerate() {
                let mut other = all.clone();
                change(&mut other[at]);
                assert_ne!(fingerprint(&other, false, false), same, "change {number} at {at}");
            }
        }
    }
}
