//! Holds the house's order: what may name what, how long a file may be, how it begins (`docs/architecture.md`, "Layers").
//!
//! One package has no compiler boundary between its rooms, so this test reads the sources. It knows just enough of
//! Rust to tell code from comments and strings; macros that build paths out of pieces would escape it.
#![allow(clippy::disallowed_methods, reason = "a test that fails says where by itself")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

use std::path::Path;

/// Each room with the rooms that it may name. `cli` may name all; see [`WORLDS`] for its one restriction.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("protocol", &["model"]),
    ("http", &["model"]),
    ("pattern", &["model"]),
    ("workspace", &["model", "pattern"]),
    ("tar", &["model"]),
    ("chunk", &["model"]),
    ("pack", &["model"]),
    ("transfer", &["model", "protocol", "http"]),
    ("agent", &["model", "protocol", "http", "pattern", "workspace", "tar", "chunk", "pack", "transfer"]),
    ("controller", &["model", "protocol", "http", "pattern", "pack", "tar"]),
    (
        "cli",
        &[
            "model",
            "protocol",
            "http",
            "pattern",
            "workspace",
            "tar",
            "chunk",
            "pack",
            "transfer",
            "agent",
            "controller",
        ],
    ),
];
/// The two sides that only [`EMBEDDED`] may bring together.
const WORLDS: [&str; 2] = ["agent", "controller"];
const EMBEDDED: &str = "src/cli/embedded.rs";
const MAX_FILE_LINES: usize = 500;
const MAX_MOD_LINES: usize = 60;

#[test]
fn the_sources_keep_the_order_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for file in walkdir::WalkDir::new(root.join("src")).sort_by_file_name() {
        let file = file.unwrap();
        if file.path().extension().is_some_and(|extension| extension == "rs") {
            let name = file.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            sources.push((name, fs_err::read_to_string(file.path()).unwrap()));
        }
    }
    assert!(sources.len() > ROOMS.len(), "the sources were not found");
    let complaints: Vec<String> = sources.iter().flat_map(|(name, text)| complaints(name, text)).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// What one file does against the rules, each as `file: what`.
fn complaints(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if !text.starts_with("//!") {
        found.push("does not open with a `//!` that says what it is".to_owned());
    }
    if lines > MAX_FILE_LINES {
        found.push(format!("has {lines} lines, more than {MAX_FILE_LINES}"));
    }
    if name.ends_with("/mod.rs") && lines > MAX_MOD_LINES {
        found.push(format!("has {lines} lines, more than a mod.rs may have ({MAX_MOD_LINES})"));
    }
    let paths = paths(name, &tokens(text));
    // A prelude of another crate is made to be imported whole.
    let globs =
        paths.globs.iter().filter(|path| !path.ends_with("::prelude::*") || path.starts_with("crate"));
    found.extend(globs.map(|path| format!("imports by a glob: `{path}`")));
    found.extend(room_complaints(name, &paths.rooms));
    found.into_iter().map(|what| format!("{name}: {what}")).collect()
}

fn room_complaints(name: &str, named: &[String]) -> Vec<String> {
    let Some(room) = module_of(name).first().copied().map(str::to_owned) else { return Vec::new() };
    let Some((_, allowed)) = ROOMS.iter().find(|(known, _)| *known == room) else {
        return vec![format!("stands in `{room}`, which is no room of the house")];
    };
    let mut found = Vec::new();
    for other in named.iter().filter(|other| **other != room && !allowed.contains(&other.as_str())) {
        found.push(format!("`{room}` may not name `{other}`"));
    }
    if name != EMBEDDED
        && WORLDS.iter().all(|world| *world == room || named.iter().any(|other| other == world))
    {
        found.push(format!("names both `{}` and `{}`: only {EMBEDDED} may", WORLDS[0], WORLDS[1]));
    }
    found
}

/// The module path of a file: `src/agent/stash.rs` is `agent`, `stash`; `src/lib.rs` and `src/main.rs` have none.
fn module_of(name: &str) -> Vec<&str> {
    let stem = name.strip_prefix("src/").and_then(|name| name.strip_suffix(".rs")).unwrap_or_default();
    let mut module: Vec<&str> = stem.split('/').collect();
    if matches!(module.last(), Some(&"mod" | &"lib" | &"main")) {
        module.pop();
    }
    module
}

#[derive(Default)]
struct Paths {
    /// First names of the paths that begin at the crate's root, by `crate::` or by enough `super::`.
    rooms: Vec<String>,
    /// Glob imports, but for `use super::*` in an inline `mod tests`.
    globs: Vec<String>,
}

fn paths(name: &str, tokens: &[String]) -> Paths {
    let depth = module_of(name).len();
    let mut found = Paths::default();
    // One element for each open brace: the inline module's name, or None for any other block.
    let mut open: Vec<Option<&str>> = Vec::new();
    for at in 0..tokens.len() {
        let back = |count: usize| at.checked_sub(count).map_or("", |before| tokens[before].as_str());
        match tokens[at].as_str() {
            "{" => open.push((back(2) == "mod").then(|| back(1))),
            "}" => drop(open.pop()),
            "crate" if back(1) != "$" => found.rooms.extend(roots(&tokens[at + 1..])),
            "super" if back(1) != "::" || back(2) == "self" => {
                let inline = open.iter().flatten().count();
                let supers =
                    1 + tokens[at + 1..].chunks(2).take_while(|next| *next == ["::", "super"]).count();
                if supers >= depth + inline && depth > 0 {
                    found.rooms.extend(roots(&tokens[at + 2 * supers - 1..]));
                }
            }
            // `use<'a>` captures lifetimes and imports nothing.
            "use" if tokens.get(at + 1).is_some_and(|next| next != "<") => {
                let import: Vec<&str> =
                    tokens[at + 1..].iter().map(String::as_str).take_while(|token| *token != ";").collect();
                let in_tests = open.iter().flatten().any(|module| *module == "tests");
                if import.contains(&"*") && !(in_tests && import == ["super", "::", "*"]) {
                    found.globs.push(import.concat());
                }
            }
            _ => {}
        }
    }
    found.rooms.sort();
    found.rooms.dedup();
    found
}

/// The first names after the crate's root, where `rest` is what follows it: `::a::b` or `::{a, b::{c, d}}`.
fn roots(rest: &[String]) -> Vec<String> {
    let token = |at: usize| rest.get(at).map_or("", String::as_str);
    match (token(0), token(1)) {
        ("::", "{") => {
            let (mut names, mut depth, mut first) = (Vec::new(), 0, false);
            for token in &rest[1..] {
                match token.as_str() {
                    "{" => (depth, first) = (depth + 1, depth == 0),
                    "}" => depth -= 1,
                    "," => first = depth == 1,
                    name if first => {
                        names.push(name.to_owned());
                        first = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            names
        }
        ("::", name) => vec![name.to_owned()],
        // The root itself under another name would hide what is named through it.
        ("as", _) => vec!["crate as".to_owned()],
        _ => Vec::new(), // `pub(crate)`
    }
}

/// Names, `::` and single characters of the code, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = trivia_len(rest);
        if skipped > 0 {
            rest = &rest[skipped..];
        } else if first.is_alphanumeric() || first == '_' {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(rest[..len].to_owned());
            rest = &rest[len..];
        } else {
            let len = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            found.push(rest[..len].to_owned());
            rest = &rest[len..];
        }
    }
    found
}

/// Length of the white space, comment, string or character at the front of `rest`; 0 if there is none.
fn trivia_len(rest: &str) -> usize {
    let white = rest.len() - rest.trim_start().len();
    if white > 0 {
        return white;
    }
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_len(rest);
    }
    let prefix = rest.len() - rest.trim_start_matches(['b', 'c', 'r']).len();
    let (before, literal) = rest.split_at(prefix.min(2));
    let hashes = literal.len() - literal.trim_start_matches('#').len();
    if before.ends_with('r') && literal[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = &literal[hashes + 1..];
        return before.len() + hashes + 1 + body.find(&end).map_or(body.len(), |at| at + end.len());
    }
    match literal.chars().next() {
        Some('"') => before.len() + quoted_len(literal, '"'),
        // `'a'` and `'\n'` are characters; `'a` is a lifetime or a label.
        Some('\'') if literal[1..].starts_with('\\') || literal.chars().nth(2) == Some('\'') => {
            before.len() + quoted_len(literal, '\'')
        }
        _ => 0,
    }
}

fn quoted_len(literal: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in literal.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    literal.len()
}

fn block_comment_len(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(mark) = rest[at..].find(['/', '*']) {
        at += mark;
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

mod broken_on_purpose {
    //! Made-up sources, each of which breaks one rule: the test above must not be one that cannot fail.

    use super::complaints;

    #[track_caller]
    fn complains(name: &str, code: &str, expected: &str) {
        let found = complaints(name, &format!("//! What it is.\n{code}\n"));
        assert!(found.len() == 1 && found[0].contains(expected), "expected `{expected}`, got {found:#?}");
    }

    #[track_caller]
    fn agrees(name: &str, code: &str) {
        assert_eq!(complaints(name, &format!("//! What it is.\n{code}\n")), Vec::<String>::new());
    }

    #[test]
    fn a_lower_layer_that_names_a_higher_one() {
        complains("src/model/digest.rs", "use crate::workspace::stat;", "`model` may not name `workspace`");
        complains(
            "src/protocol/session.rs",
            "fn f() -> crate::transfer::Remote {}",
            "may not name `transfer`",
        );
        complains("src/transfer/put.rs", "use crate::agent::stash;", "`transfer` may not name `agent`");
        complains("src/controller/mod.rs", "use crate::cli::ui;", "`controller` may not name `cli`");
        agrees(
            "src/agent/stash.rs",
            "use crate::model::Digest; use crate::{pack::builder, transfer::Remote};",
        );
        agrees("src/model/manifest/page.rs", "use crate::model::wire::Reader; use super::ManifestError;");
    }

    #[test]
    fn neighbours_that_name_each_other() {
        complains(
            "src/tar/writer.rs",
            "use crate::{model::Entry, chunk::{cdc, chunker}};",
            "may not name `chunk`",
        );
        complains("src/pack/builder.rs", "use crate::{\n  chunk::Chunk,\n};", "`pack` may not name `chunk`");
        complains("src/controller/sweep.rs", "use crate::workspace::walk;", "may not name `workspace`");
        agrees("src/controller/verify.rs", "use crate::pack::reader;");
    }

    #[test]
    fn the_two_sides_meet_in_one_place_only() {
        let both = "use crate::agent::stash; use crate::controller::Controller;";
        agrees("src/cli/embedded.rs", both);
        complains("src/cli/stash.rs", both, "only src/cli/embedded.rs may");
        agrees("src/cli/stash.rs", "use crate::agent::stash;");
        let found = complaints("src/agent/stash.rs", "//! x\nuse crate::controller::ledger;\n").join("\n");
        assert!(found.contains("`agent` may not name `controller`"), "{found}");
        let found = complaints("src/controller/mod.rs", "//! x\nuse crate::agent::stash;\n").join("\n");
        assert!(found.contains("`controller` may not name `agent`"), "{found}");
    }

    #[test]
    fn ways_around_the_crate_path() {
        complains("src/tar/reader.rs", "use super::super::pack::reader;", "`tar` may not name `pack`");
        complains("src/tar/mod.rs", "use super::pack;", "`tar` may not name `pack`");
        complains("src/tar/reader.rs", "mod tests { use super::super::super::pack; }", "may not name `pack`");
        complains("src/tar/reader.rs", "use super::super::{model, pack::reader};", "may not name `pack`");
        complains("src/tar/reader.rs", "use crate as house;", "may not name `crate as`");
        complains("src/tar/reader.rs", "use crate::{self as house};", "may not name `self`");
        agrees(
            "src/tar/reader.rs",
            "mod tests { use super::super::header; } use super::header; pub(crate) fn f() {}",
        );
    }

    #[test]
    fn comments_and_strings_name_nothing() {
        agrees(
            "src/tar/reader.rs",
            r##"
            // crate::pack
            /* crate::pack /* crate::pack */ crate::pack */
            const A: &str = "crate::pack \" crate::pack"; const B: &[u8] = br#"crate::pack " crate::pack"#;
            fn f<'a>(quote: char) -> &'a str { if quote == '"' || quote == '\'' { "crate::pack" } else { "" } }
            "##,
        );
        complains(
            "src/tar/reader.rs",
            "const A: char = '\"'; use crate::pack::reader;",
            "may not name `pack`",
        );
        complains("src/tar/reader.rs", "fn f<'a>() {} const A: &str = r\"\\\"; use crate::pack;", "`pack`");
    }

    #[test]
    fn globs() {
        complains("src/tar/reader.rs", "use crate::model::*;", "glob: `crate::model::*`");
        complains("src/tar/reader.rs", "use std::{io::*, fmt};", "glob");
        complains("src/tar/reader.rs", "use super::*;", "glob: `super::*`");
        complains("src/tar/reader.rs", "mod tests { use crate::model::*; }", "glob");
        complains("src/tar/reader.rs", "mod other { use super::*; }", "glob");
        complains("src/lib.rs", "pub use model::*;", "glob");
        complains("src/lib.rs", "use crate::prelude::*;", "glob");
        agrees("src/tar/reader.rs", "fn f() -> impl Sized + use<'_> { 2 * 3 }\nmod tests { use super::*; }");
    }

    #[test]
    fn rooms_that_the_house_does_not_have() {
        complains("src/utils/mod.rs", "", "`utils`, which is no room");
        complains("src/helpers.rs", "", "`helpers`, which is no room");
        complains("src/agent/stash.rs", "use crate::utils::join;", "`agent` may not name `utils`");
    }

    #[test]
    fn lengths_and_beginnings() {
        let lines = |count: usize| "\n".repeat(count - 2);
        agrees("src/tar/mod.rs", &lines(60));
        complains("src/tar/mod.rs", &lines(61), "61 lines, more than a mod.rs may have");
        agrees("src/tar/reader.rs", &lines(500));
        complains("src/tar/reader.rs", &lines(501), "501 lines, more than 500");
        let found = complaints("src/tar/reader.rs", "use std::io;\n");
        assert!(found.len() == 1 && found[0].contains("does not open with"), "{found:#?}");
    }
}
