//! Decimal numbers in PAX records: times with a fraction, sizes and ids. Not header fields.

use crate::model::Timestamp;

const NANOS: i128 = 1_000_000_000;

/// Seconds as POSIX pax writes them: `-` if before 1970, whole seconds, and if there is a fraction a point and
/// nine digits less their trailing zeros. One second and a half before 1970 is `-1.5`.
pub(super) fn time_text(time: Timestamp) -> String {
    let total = i128::from(time.secs) * NANOS + i128::from(time.nanos);
    let sign = if total < 0 { "-" } else { "" };
    let (secs, nanos) = (total.unsigned_abs() / NANOS as u128, total.unsigned_abs() % NANOS as u128);
    if nanos == 0 {
        return format!("{sign}{secs}");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{secs}.{}", fraction.trim_end_matches('0'))
}

/// Reads a time; digits beyond the ninth are cut off, towards the past as POSIX asks. `None` if it is no number
/// or out of range.
pub(super) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let (negative, text) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    let (whole, fraction) = text.split_at(point);
    let fraction = fraction.strip_prefix(b".").unwrap_or(fraction);
    let whole = if whole.is_empty() && !fraction.is_empty() { 0 } else { parse(whole)? };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos =
        (0..9).fold(0, |sum, at| sum * 10 + i128::from(fraction.get(at).map_or(0, |digit| digit - b'0')));
    let beyond = fraction.iter().skip(9).any(|&digit| digit != b'0');
    let magnitude = i128::from(whole) * NANOS + nanos;
    let total = if negative { -magnitude - i128::from(beyond) } else { magnitude };
    Some(Timestamp {
        secs: i64::try_from(total.div_euclid(NANOS)).ok()?,
        nanos: u32::try_from(total.rem_euclid(NANOS)).ok()?,
    })
}

/// Reads decimal digits, at least one.
pub(super) fn parse(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, &digit| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn time(secs: i64, nanos: u32) -> Timestamp {
        Timestamp { secs, nanos }
    }

    #[test]
    fn times_are_written_as_posix_decimals() {
        for (time, text) in [
            (time(0, 0), "0"),
            (time(1, 500_000_000), "1.5"),
            (time(1, 1), "1.000000001"),
            (time(-2, 500_000_000), "-1.5"),
            (time(-1, 999_999_999), "-0.000000001"),
            (time(-1, 0), "-1"),
            (time(i64::MIN, 0), "-9223372036854775808"),
        ] {
            assert_eq!(time_text(time), text);
            assert_eq!(parse_time(text.as_bytes()), Some(time));
        }
    }

    #[test]
    fn reads_times_that_are_not_canonical() {
        assert_eq!(parse_time(b"1.50"), Some(time(1, 500_000_000)));
        assert_eq!(parse_time(b"1."), Some(time(1, 0)));
        assert_eq!(parse_time(b".5"), Some(time(0, 500_000_000)));
        assert_eq!(parse_time(b"1.0000000019"), Some(time(1, 1)));
        assert_eq!(parse_time(b"-1.0000000001"), Some(time(-2, 999_999_999)));
        for text in [&b""[..], b"-", b".", b"x", b"1.x", b"1e3", b"99999999999999999999"] {
            assert_eq!(parse_time(text), None, "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_time_comes_back(secs: i64, nanos in 0u32..1_000_000_000) {
            prop_assert_eq!(parse_time(time_text(time(secs, nanos)).as_bytes()), Some(time(secs, nanos)));
        }

        #[test]
        fn any_text_is_read_without_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (parse_time(&text), parse(&text));
        }
    }
}
