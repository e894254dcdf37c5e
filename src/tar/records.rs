//! PAX records, `LENGTH KEY=VALUE\n`, as bytes. Not what a key means.

use super::decimal;

/// Adds one record to `out`; `LENGTH` counts itself (POSIX pax, "pax Extended Header").
pub(super) fn push(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let body = key.len() + value.len() + 3; // space, `=`, newline
    let mut len = body + 1;
    while body + len.to_string().len() != len {
        len = body + len.to_string().len();
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// The records of extended headers, in their order: GNU sparse 0.0 repeats keys.
#[derive(Default)]
pub(super) struct Records(Vec<Record>);

/// Key and value.
type Record = (Box<[u8]>, Box<[u8]>);

impl Records {
    /// Adds the records in `bytes`; the error says what is wrong with them.
    pub(super) fn parse(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            // GNU tar and libarchive both take NULs after the last record as padding.
            if bytes.iter().all(|&b| b == 0) {
                break;
            }
            let (key, value, rest) = split_record(bytes).ok_or("a malformed PAX record")?;
            self.0.push((key.into(), value.into()));
            bytes = rest;
        }
        Ok(())
    }

    /// The last value of `key`, which may be empty: "no such thing", POSIX says.
    pub(super) fn last(&self, key: &[u8]) -> Option<&[u8]> {
        self.iter().rev().find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// Every record in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Adds `other`, whose records override those here, and drops what they replace.
    pub(super) fn override_with(&mut self, other: Self) {
        self.0.retain(|(key, _)| other.last(key).is_none());
        self.0.extend(other.0);
    }

    /// Bytes of keys and values.
    pub(super) fn weight(&self) -> usize {
        self.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|&b| b == b' ')?;
    let len = usize::try_from(decimal::parse(bytes.get(..space)?)?).ok()?;
    let body = bytes.get(space + 1..len)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&b| b == b'=')?;
    if equals == 0 {
        return None;
    }
    Some((&body[..equals], &body[equals + 1..], &bytes[len..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, key, value);
        out
    }

    #[test]
    fn the_length_counts_itself() {
        assert_eq!(one(b"mtime", b"1.5"), b"13 mtime=1.5\n");
        assert_eq!(one(b"k", &[b'v'; 4]), b"9 k=vvvv\n");
        assert_eq!(one(b"k", &[b'v'; 5]), b"11 k=vvvvv\n");
        for len in 80..110 {
            let record = one(b"path", &vec![b'a'; len]);
            assert!(record.starts_with(format!("{} path=", record.len()).as_bytes()), "{len}");
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        for bytes in [
            &b"13 mtime=1.5"[..],
            b"12 mtime=1.5\n",
            b"99999999999999999999 a=b\n",
            b"0 a=b\n",
            b" a=b\n",
            b"6 ab\n\n",
            b"5 =b\n",
            b"x",
            b"3 \n",
        ] {
            assert!(Records::default().parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_record_comes_back(key in "[a-zA-Z.]{1,20}", value in prop::collection::vec(any::<u8>(), 0..1200)) {
            let mut records = Records::default();
            records.parse(&one(key.as_bytes(), &value)).unwrap();
            prop_assert_eq!(records.last(key.as_bytes()), Some(&value[..]));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in "[0-9 a=\n\0]{0,40}") {
            let _ = Records::default().parse(bytes.as_bytes());
        }
    }
}
