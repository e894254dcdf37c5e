//! The media type of a file, by its name alone.

/// What a browser is told where nothing is known.
const UNKNOWN: &str = "binary/octet-stream";

/// The media type that the extension of `path` stands for, `binary/octet-stream` for an unknown one. Text is said to be UTF-8.
pub(super) fn content_type(path: &str) -> String {
    match mime_guess::from_path(path).first_raw() {
        None => UNKNOWN.to_owned(),
        Some(text) if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        Some(other) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_speak_and_nothing_else_does() {
        for (path, expected) in [
            ("a/b.html", "text/html; charset=utf-8"),
            ("a.LOG", "text/plain; charset=utf-8"),
            ("shot.png", "image/png"),
            ("a.json", "application/json"),
            ("a.tar.gz", "application/gzip"),
            ("core", "binary/octet-stream"),
            ("a.unknown-extension", "binary/octet-stream"),
            (".html", "binary/octet-stream"),
        ] {
            assert_eq!(content_type(path), expected, "{path}");
        }
    }
}
