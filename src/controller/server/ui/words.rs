//! Numbers, sizes and times as people read them, the same as the command line's. No HTML.

/// Decimal units, as disks and networks are sold: `1.30 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1_000_000_000_000_000_000, "EB"),
        (1_000_000_000_000_000, "PB"),
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.2} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// `79,012`.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 pack`, `2 packs`; `2 stashes`, `2 entries`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let number_text = count(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{number_text} {noun}"),
        Some(stem) => format!("{number_text} {stem}ies"),
        None if noun.ends_with("sh") => format!("{number_text} {noun}es"),
        None => format!("{number_text} {noun}s"),
    }
}

/// `2026-11-23 21:05` in UTC; seconds since 1970 where a calendar ends.
pub(super) fn time(secs: i64) -> String {
    told(secs, "%Y-%m-%d %H:%M")
}

/// The same for machines: `2026-11-23T21:05:00Z`.
pub(super) fn machine_time(secs: i64) -> String {
    told(secs, "%Y-%m-%dT%H:%M:%SZ")
}

fn told(secs: i64, format: &str) -> String {
    match jiff::Timestamp::from_second(secs) {
        Ok(time) => time.strftime(format).to_string(),
        Err(_) => format!("@{secs}"),
    }
}

/// `76 %`: the share of `bytes` that did not have to be kept; `None` if there is none.
pub(super) fn saved(bytes: u64, kept: u64) -> Option<String> {
    let saved = bytes.checked_sub(kept).filter(|saved| *saved > 0)?;
    Some(format!("{:.0} %", 100.0 * saved as f64 / bytes as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1000, 79_012, 1_234_567].map(count),
            ["0", "999", "1,000", "79,012", "1,234,567"]
        );
        assert_eq!([0, 999, 1_000, 1_300_000_000].map(bytes), ["0 B", "999 B", "1.00 kB", "1.30 GB"]);
        assert_eq!(bytes(u64::MAX), "18.45 EB");
        assert_eq!(
            [(1, "stash"), (2, "stash"), (0, "pack"), (3, "entry")]
                .map(|(number, noun)| counted(number, noun)),
            ["1 stash", "2 stashes", "0 packs", "3 entries"]
        );
    }

    #[test]
    fn times_and_shares_never_fail() {
        assert_eq!((time(0), time(i64::MIN)), ("1970-01-01 00:00".into(), format!("@{}", i64::MIN)));
        assert_eq!(machine_time(1), "1970-01-01T00:00:01Z");
        assert_eq!((saved(100, 24), saved(0, 0), saved(5, 9)), (Some("76 %".into()), None, None));
    }
}
