//! What a browser is told of a file: its type by its name. Content is never looked into.

/// Endings with the types that a report needs; scripts and styles are refused by browsers without the right one.
const TYPES: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/plain; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xml", "application/xml"),
];

/// Further endings of what people read as text.
const TEXTS: &[&str] = &[
    "bash",
    "c",
    "cc",
    "cfg",
    "conf",
    "cpp",
    "diff",
    "env",
    "gitignore",
    "go",
    "gradle",
    "groovy",
    "h",
    "hpp",
    "ini",
    "java",
    "jsonl",
    "kt",
    "lock",
    "log",
    "lua",
    "mk",
    "out",
    "patch",
    "pl",
    "properties",
    "proto",
    "py",
    "rb",
    "rs",
    "scala",
    "sh",
    "sql",
    "swift",
    "tap",
    "toml",
    "ts",
    "tsx",
    "yaml",
    "yml",
];
/// Names without an ending that are text.
const TEXT_NAMES: &[&str] =
    &["changelog", "containerfile", "dockerfile", "jenkinsfile", "license", "makefile", "notice", "readme"];

/// Anything, to be kept rather than shown.
pub(super) const UNKNOWN: &str = "application/octet-stream";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The type of a file within a report.
pub(super) fn of_report(name: &[u8]) -> &'static str {
    let ending = ending(name);
    let known = TYPES.iter().find(|(known, _)| *known == ending).map(|(_, media)| *media);
    known.or_else(|| is_text(name).then_some(PLAIN)).unwrap_or(UNKNOWN)
}

/// The type under which a single file can be shown: text as text whatever it is, pictures, sound; `None` to keep it.
pub(super) fn to_show(name: &[u8]) -> Option<&'static str> {
    let media = of_report(name);
    let texts = ["text/", "application/json", "application/xml", "application/xhtml", "application/manifest"];
    if texts.iter().any(|text| media.starts_with(text)) {
        return Some(PLAIN);
    }
    ["image/", "audio/", "video/"].iter().any(|shown| media.starts_with(shown)).then_some(media)
}

/// Whether it is a page of a report.
pub(super) fn is_page(name: &[u8]) -> bool {
    matches!(&ending(name)[..], "html" | "htm" | "xhtml")
}

fn is_text(name: &[u8]) -> bool {
    let whole = String::from_utf8_lossy(name).to_ascii_lowercase();
    TEXTS.contains(&&ending(name)[..]) || TEXT_NAMES.contains(&&whole[..])
}

fn ending(name: &[u8]) -> String {
    let dot = name.iter().rposition(|&byte| byte == b'.');
    let ending = dot.and_then(|dot| name.get(dot + 1..)).unwrap_or_default();
    String::from_utf8_lossy(ending).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_run_is_shown_as_text_or_kept() {
        for name in ["a.html", "a.JS", "a.xml", "a.xhtml", "Makefile", "a.b.log", "README"] {
            assert_eq!(to_show(name.as_bytes()), Some(PLAIN), "{name}");
        }
        assert_eq!((to_show(b"a.png"), to_show(b"a.pdf"), to_show(b"a")), (Some("image/png"), None, None));
        assert_eq!((of_report(b"a.CSS"), of_report(b"css")), ("text/css; charset=utf-8", UNKNOWN));
        assert!(is_page(b"index.HTML") && !is_page(b"html") && !is_page(b"a.html.gz"));
    }
}
