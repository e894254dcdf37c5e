//! Many small objects of a controller's own store in one answer: lines of signed paths in, lengths and bytes out.

use crate::model::SignedUrl;

/// Where signed paths of a controller's own objects begin.
pub const OBJECTS: &str = "/objects/";
/// Objects that one request may ask for.
pub const MAX_OBJECTS: usize = 256;
/// A longer object is not given with others.
pub const MAX_OBJECT_BYTES: u64 = 256 << 10;
/// Bytes of the objects in one answer; what would be more is not given.
pub const MAX_ANSWER_BYTES: u64 = 8 << 20;

/// In place of a length: it is not given.
const NOT_GIVEN: u64 = u64::MAX;

/// The signed path of an object on the controller at `base`; `None` for one that lies elsewhere.
pub fn own_path<'a>(url: &'a SignedUrl, base: &str) -> Option<&'a str> {
    let path = url.expose().strip_prefix(base.trim_end_matches('/'))?;
    (path.starts_with(OBJECTS) && url.headers.is_empty()).then_some(path)
}

/// Each object's length, 8 bytes, the lowest first, and its bytes; or a length of all ones.
pub fn to_bytes(objects: impl Iterator<Item = Option<Vec<u8>>>) -> Vec<u8> {
    let mut out = Vec::new();
    for object in objects {
        out.extend(object.as_ref().map_or(NOT_GIVEN, |bytes| bytes.len() as u64).to_le_bytes());
        out.extend(object.unwrap_or_default());
    }
    out
}

/// The same read back; `None` unless it is an answer about `count` objects.
pub fn from_bytes(mut bytes: &[u8], count: usize) -> Option<Vec<Option<Vec<u8>>>> {
    let mut objects = Vec::with_capacity(count);
    for _ in 0..count {
        let (len, rest) = bytes.split_first_chunk()?;
        let len = u64::from_le_bytes(*len);
        bytes = rest;
        objects.push(if len == NOT_GIVEN {
            None
        } else {
            let (object, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
            bytes = rest;
            Some(object.to_vec())
        });
    }
    bytes.is_empty().then_some(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_back_in_order_and_nothing_else_is_read() {
        let objects = [Some(b"abc".to_vec()), None, Some(Vec::new())];
        let bytes = to_bytes(objects.iter().cloned());
        assert_eq!(bytes.len(), 3 * 8 + 3);
        assert_eq!(from_bytes(&bytes, 3).unwrap(), objects);
        for cut in 0..bytes.len() {
            assert_eq!(from_bytes(&bytes[..cut], 3), None, "{cut}");
        }
        assert_eq!(from_bytes(&bytes, 2), None);
        assert_eq!(from_bytes(&[&bytes[..], b"x"].concat(), 3), None);
        assert_eq!(from_bytes(&(u64::MAX - 1).to_le_bytes(), 1), None);
    }

    #[test]
    fn only_paths_of_that_controller_are_its_own() {
        let own = |url: &str, base: &str| own_path(&SignedUrl::new(url), base).map(str::to_owned);
        let path = "/objects/x.blob?signature=1";
        assert_eq!(own(&format!("http://c:1{path}"), "http://c:1/").as_deref(), Some(path));
        assert_eq!(own(&format!("http://c/ci{path}"), "http://c/ci").as_deref(), Some(path));
        for other in
            ["http://s3/objects/x", "http://c:1/bucket/x", "file:///objects/x", "http://c:12/objects/x"]
        {
            assert_eq!(own(other, "http://c:1"), None, "{other}");
        }
    }
}
