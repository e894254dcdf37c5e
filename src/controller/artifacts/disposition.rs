//! The name of a file in a `Content-Disposition`.

use std::fmt::Write;

/// A `Content-Disposition` (RFC 6266): `kind` is `inline` or `attachment`. Nothing in a name can end or split it.
pub(in crate::controller) fn disposition(kind: &str, name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let mut value = format!("{kind}; filename=\"");
    for letter in text.chars() {
        let plain = letter.is_ascii_graphic() || letter == ' ';
        value.push(if plain && !matches!(letter, '"' | '\\' | '%' | ';' | '/') { letter } else { '_' });
    }
    value.push_str("\"; filename*=UTF-8''");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            // Writing to a string fails for no reason.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_a_header() {
        let name = "a\r\nSet-Cookie: x=\"1\";\\%\u{10d}/b";
        assert_eq!(
            disposition("attachment", name.as_bytes()),
            "attachment; filename=\"a__Set-Cookie: x=_1______b\"; \
             filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x%3D%221%22%3B%5C%25%C4%8D%2Fb"
        );
        assert!(axum::http::HeaderValue::from_str(&disposition("inline", &Vec::from_iter(0..=255))).is_ok());
    }
}
