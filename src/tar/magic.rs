//! What the first bytes of an input say when they are no tar. Not a decompressor.

use super::TarError;

/// First bytes, the format with its article, and a hint.
const FOREIGN: &[(&[u8], &str, Option<&str>)] = &[
    (b"\x1f\x8b", "gzip data", Some("decompress first: gunzip -c FILE | pannier import - NAME")),
    (b"\x1f\x9d", "compress data", Some("decompress first: gunzip -c FILE | pannier import - NAME")),
    (b"\xfd7zXZ\0", "xz data", Some("decompress first: xz -dc FILE | pannier import - NAME")),
    (b"BZh", "bzip2 data", Some("decompress first: bunzip2 -c FILE | pannier import - NAME")),
    (b"\x04\x22\x4d\x18", "lz4 data", Some("decompress first: lz4 -dc FILE | pannier import - NAME")),
    (ZSTD, "zstd data", Some("decompress first: zstd -dc FILE | pannier import - NAME")),
    (b"PK\x03\x04", "a zip archive", None),
    (b"070701", "a cpio archive", None),
    (b"070702", "a cpio archive", None),
    (b"070707", "a cpio archive", None),
    (b"\xc7\x71", "a cpio archive", None),
    (b"!<arch>\n", "an ar archive", None),
];

const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Whether `start`, the first four bytes or more of an input, begins a zstd frame or a skippable frame
/// (RFC 8878 §3.1), as pzstd and an empty seekable file do.
pub fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(ZSTD) || matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The error that names the format which `start` begins, if it is one that people mistake for a tar.
pub(super) fn foreign(start: &[u8]) -> Option<TarError> {
    let &(_, format, hint) = FOREIGN.iter().find(|(magic, ..)| start.starts_with(magic))?;
    Some(TarError::Foreign { format, hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_both_kinds_of_zstd_frame() {
        assert!(is_zstd(b"\x28\xb5\x2f\xfd..."));
        assert!(is_zstd(b"\x5e\x2a\x4d\x18..."));
        assert!(!is_zstd(b"\x28\xb5\x2f"));
        assert!(!is_zstd(b"ustar"));
    }

    #[test]
    fn gzip_and_xz_come_with_a_way_out() {
        for (start, tool) in [(&b"\x1f\x8b\x08\0"[..], "gunzip"), (b"\xfd7zXZ\0", "xz -dc")] {
            let error = foreign(start).unwrap();
            assert!(error.hint().unwrap().contains(tool), "{error}");
        }
        assert!(foreign(b"a/b/c").is_none());
    }
}
