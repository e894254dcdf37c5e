//! Numbers in header fields: octal text, and base-256 where octal is too short. Not PAX decimals.

/// Writes `value` in canonical form: octal digits with leading zeros and a NUL at the end where that fits,
/// else base-256: big-endian two's complement over the whole field, with the top bit set.
pub(super) fn put(field: &mut [u8], value: i64) {
    let digits = field.len().saturating_sub(1);
    if fits_octal(value, digits) {
        let mut rest = value;
        for (at, byte) in field.iter_mut().enumerate().rev() {
            if at >= digits {
                *byte = 0;
                continue;
            }
            *byte = b'0' + (rest & 7) as u8; // three bits
            rest >>= 3;
        }
        return;
    }
    let bytes = i128::from(value).to_be_bytes();
    let kept = &bytes[bytes.len() - field.len().min(bytes.len())..];
    field.copy_from_slice(kept);
    field[0] |= 0x80;
}

/// Whether `value` has at most `digits` octal digits and no sign.
pub(super) const fn fits_octal(value: i64, digits: usize) -> bool {
    value >= 0 && value >> (3 * digits) == 0
}

/// Reads octal (spaces before, NUL or space after; nothing at all is 0) or base-256; `None` when it is neither
/// or beyond 64 bits.
pub(super) fn parse(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => parse_base_256(field),
        _ => parse_octal(field),
    }
}

fn parse_base_256(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    // The top bit is the mark; the next one is the sign.
    let mut value = i128::from(first & 0x7f);
    if first & 0x40 != 0 {
        value -= 0x80;
    }
    for &byte in rest {
        value = (value << 8) | i128::from(byte);
    }
    i64::try_from(value).ok()
}

fn parse_octal(field: &[u8]) -> Option<i64> {
    let text = field.trim_ascii_start();
    let mut value: i64 = 0;
    for &byte in text {
        match byte {
            b'0'..=b'7' => value = value.checked_mul(8)?.checked_add(i64::from(byte - b'0'))?,
            0 | b' ' => break,
            _ => return None,
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(len: usize, value: i64) -> Vec<u8> {
        let mut field = vec![b'?'; len];
        put(&mut field, value);
        field
    }

    #[test]
    fn canonical_forms_at_the_edges() {
        assert_eq!(written(8, 0o644), b"0000644\0");
        assert_eq!(written(8, 0o7_777_777), b"7777777\0");
        assert_eq!(written(8, 0o10_000_000), [0x80, 0, 0, 0, 0, 0x20, 0, 0]);
        assert_eq!(written(12, (8 << 30) - 1), b"77777777777\0");
        assert_eq!(written(12, 8 << 30), [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(written(12, -2), [[0xff; 11].as_slice(), &[0xfe]].concat());
    }

    #[test]
    fn reads_what_other_tools_write() {
        for (field, value) in [
            (&b"  644 \0\0"[..], Some(0o644)),
            (b"0000644 ", Some(0o644)),
            (b"77777777", Some(0o77_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"0000648\0", None),
            (b"-1\0\0\0\0\0\0", None),
            (b"777777777777777777777777777", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(parse(field), value, "{field:?}");
        }
    }

    proptest! {
        #[test]
        fn twelve_bytes_hold_any_number(value: i64) {
            prop_assert_eq!(parse(&written(12, value)), Some(value));
        }

        #[test]
        fn eight_bytes_hold_any_id(value: u32) {
            prop_assert_eq!(parse(&written(8, value.into())), Some(value.into()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(field in prop::collection::vec(any::<u8>(), 0..16)) {
            let _ = parse(&field);
        }
    }
}
