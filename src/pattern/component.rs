//! `*` and `?` within one component of a path. Knows no `/` and no `**`.

/// Whether `glob` covers all of `name`: `*` stands for any characters or none, `?` for exactly one character.
///
/// Characters are UTF-8's; a byte that is part of none counts as a character of its own. The time is at most
/// the product of both lengths: a mismatch goes back to the last `*` only, since an earlier one cannot do better.
pub(super) fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut at_glob, mut at_name) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (glob.get(at_glob), name.get(at_name)) {
            (Some(b'*'), _) => {
                at_glob += 1;
                retry = Some((at_glob, at_name));
                if at_glob == glob.len() {
                    return true;
                }
                continue;
            }
            (Some(b'?'), Some(_)) => {
                at_glob += 1;
                at_name += char_len(&name[at_name..]);
                continue;
            }
            (Some(wanted), Some(byte)) if wanted == byte => {
                at_glob += 1;
                at_name += 1;
                continue;
            }
            (None, None) => return true,
            (_, None) => return false,
            _ => {}
        }
        let Some((after_star, start)) = retry else { return false };
        let start = start + char_len(&name[start..]);
        retry = Some((after_star, start));
        (at_glob, at_name) = (after_star, start);
    }
}

/// Bytes of the first character of `bytes`, which is not empty.
fn char_len(bytes: &[u8]) -> usize {
    let len = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return 1,
    };
    let whole = bytes.get(..len).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
    if whole { len } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("*", b"anything", true),
            ("a*", b"a", true),
            ("a*b*c", b"aXbYbZc", true),
            ("a*b*c", b"aXbYbZ", false),
            ("?", b"", false),
            ("?", "é".as_bytes(), true),
            ("*?", "aé".as_bytes(), true),
            ("??", "é".as_bytes(), false),
            ("*é", "aé".as_bytes(), true),
            ("?", b"\xff", true),
            ("??", b"\xe2\x82", true),
            ("a***b", b"ab", true),
            ("A", b"a", false),
        ];
        for (glob, name, wanted) in cases {
            assert_eq!(matches(glob.as_bytes(), name), *wanted, "{glob} {name:?}");
        }
    }

    /// Exponential backtracking would not end within the life of the machine.
    #[test]
    fn hostile_patterns_end() {
        let glob = "a*".repeat(1000) + "b";
        assert!(!matches(glob.as_bytes(), &[b'a'; 4000]));
    }
}
