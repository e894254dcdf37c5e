//! Any bytes as a root, a page, a chunk list and a list of patches: an error, or a value whose bytes are these and no others. As a patch of a
//! page: an error, or the page that was asked for.
//!
//! A stash's id is the digest of its root's bytes, so a value with two spellings would be a stash with two ids.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pannier::model::manifest::{PageRef, Patches, Root, Totals, chunk_list, page, patch};
use pannier::model::{ChunkRef, Content, Digest, Entry, EntryKind, EntryPath, Timestamp};

/// A page of a few files for patches to apply to, and a root that names it three times over.
static BASE: LazyLock<(Vec<u8>, Root)> = LazyLock::new(|| {
    let file = |at: u8| {
        let chunk = ChunkRef { digest: Digest::of(&[at]), len: u32::from(at) + 1 };
        let content = Content { size: chunk.len.into(), listed: false, chunks: Box::new([chunk]) };
        let path = EntryPath::new(vec![b'a' + at]).expect("a letter is a path");
        let mtime = Timestamp { secs: i64::from(at), nanos: 0 };
        Entry {
            path,
            mode: 0o644,
            mtime,
            owner: None,
            xattrs: Box::default(),
            kind: EntryKind::File(content),
        }
    };
    let bytes = page::encode(&(0..9).map(file).collect::<Vec<_>>());
    let page = |at: u8| PageRef {
        chunk: ChunkRef { digest: Digest::of(&[at]), len: 9 },
        entries: 9,
        first: EntryPath::new(vec![b'a' + at]).expect("a letter is a path"),
    };
    let totals = Totals { entries: 27, ..Totals::default() };
    (bytes, Root { totals, pages: (0..3).map(page).collect() })
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(root) = Root::decode(bytes) {
        assert_eq!(root.encode(), bytes, "a root with two spellings");
        for page in &root.pages {
            let within = root.pages_within(&page.first);
            assert!(within.end <= root.pages.len(), "pages beyond the root's");
        }
    }
    if let Ok(entries) = page::decode(bytes) {
        assert_eq!(page::encode(&entries), bytes, "a page with two spellings");
        let mut cutter = page::Cutter::default();
        for run in entries.split_inclusive(|entry| cutter.ends_after(entry)) {
            assert_eq!(page::decode(&page::encode(run)).as_deref(), Ok(run), "a cut page that is none");
        }
    }
    let (base, root) = &*BASE;
    if patch::base(bytes).is_ok() {
        let asked = Digest::of(base);
        if let Ok(made) = patch::apply(&asked, bytes, base) {
            assert_eq!(&made, base, "a patch that makes another page");
        }
    }
    if let Some(id) = Patches::root(bytes)
        && let Ok(patches) = Patches::decode(bytes, &id, root)
    {
        assert_eq!(patches.encode(&id, root).as_deref(), Some(bytes), "a list with two spellings");
    }
    if let Ok(chunks) = chunk_list::decode(bytes) {
        assert_eq!(chunk_list::encode(&chunks), bytes, "a chunk list with two spellings");
    }
});
