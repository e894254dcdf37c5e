//! Extended attributes as PAX keys: GNU tar's and star's `SCHILY.xattr.NAME`, libarchive's `LIBARCHIVE.xattr.NAME`.
//! Not which attributes a stash keeps.

/// Key prefix of a record whose value is the attribute's bytes as they are.
const SCHILY: &[u8] = b"SCHILY.xattr.";
/// Key prefix of a record whose name is URL-encoded and whose value is base64.
const LIBARCHIVE: &[u8] = b"LIBARCHIVE.xattr.";

/// An attribute found in a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// From `SCHILY.xattr`; libarchive writes it too, and its names are then ambiguous.
    Schily(Vec<u8>, Vec<u8>),
    /// From `LIBARCHIVE.xattr`.
    Libarchive(Vec<u8>, Vec<u8>),
}

/// The key for an attribute. A key ends at its first `=`, so `=` is `%3D` and `%` is `%25`, as GNU tar has it.
pub(super) fn key(name: &[u8]) -> Vec<u8> {
    let mut key = SCHILY.to_vec();
    for &byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            _ => key.push(byte),
        }
    }
    key
}

/// The attribute in a record, if it holds one; `Err` if it should and cannot be read.
pub(super) fn parse(key: &[u8], value: &[u8]) -> Result<Option<Found>, &'static str> {
    if let Some(name) = key.strip_prefix(SCHILY) {
        let name = percent_decoded(name, |byte| matches!(byte, b'=' | b'%'));
        return Ok(Some(Found::Schily(name, value.to_vec())));
    }
    if let Some(name) = key.strip_prefix(LIBARCHIVE) {
        let value = base64_decoded(value).ok_or("an extended attribute that is not base64")?;
        return Ok(Some(Found::Libarchive(percent_decoded(name, |_| true), value)));
    }
    Ok(None)
}

/// Replaces `%XX` wherever `known` takes the byte it stands for.
fn percent_decoded(text: &[u8], known: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
            && known(high << 4 | low)
        {
            out.push(high << 4 | low);
            rest = after;
            continue;
        }
        out.push(first);
        rest = after;
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8) // below 16
}

/// Standard alphabet; `=` and what follows is padding, which libarchive leaves out.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0u32, 0u32);
    for &digit in text.iter().take_while(|&&b| b != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8); // the eight bits above those still held
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_libarchives_names_and_values() {
        let found = parse(b"LIBARCHIVE.xattr.user.a%3Db%20c", b"aGVsbG8").unwrap();
        assert_eq!(found, Some(Found::Libarchive(b"user.a=b c".to_vec(), b"hello".to_vec())));
        assert!(parse(b"LIBARCHIVE.xattr.user.a", b"a b").is_err());
        assert_eq!(parse(b"mtime", b"1").unwrap(), None);
    }

    #[test]
    fn only_what_gnu_tar_escapes_is_unescaped() {
        assert_eq!(key(b"user.a=%b"), b"SCHILY.xattr.user.a%3D%25b");
        let found = parse(b"SCHILY.xattr.user.%41%3d%2", b"").unwrap();
        assert_eq!(found, Some(Found::Schily(b"user.%41=%2".to_vec(), Vec::new())));
    }

    proptest! {
        #[test]
        fn any_name_comes_back(name in prop::collection::vec(any::<u8>(), 1..40)) {
            let key = key(&name);
            prop_assert!(!key.contains(&b'='));
            prop_assert_eq!(parse(&key, b"v").unwrap(), Some(Found::Schily(name, b"v".to_vec())));
        }
    }
}
