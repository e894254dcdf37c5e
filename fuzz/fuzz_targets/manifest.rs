//! Any bytes as a root, a page and a chunk list: an error, or a value whose bytes are these and no others.
//!
//! A stash's id is the digest of its root's bytes, so a value with two spellings would be a stash with two ids.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pannier::model::manifest::{Root, chunk_list, page};

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
    if let Ok(chunks) = chunk_list::decode(bytes) {
        assert_eq!(chunk_list::encode(&chunks), bytes, "a chunk list with two spellings");
    }
});
