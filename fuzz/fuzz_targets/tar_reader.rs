//! Any bytes as a tar: an error, or members that our own writer writes and the reader reads back as they were.
#![no_main]

#[path = "../header_sums.rs"]
mod header_sums;
#[path = "../tar_members.rs"]
mod tar_members;

use libfuzzer_sys::fuzz_target;
use pannier::tar::{TarEntry, Writer};

/// Contents that are kept for the way back.
const CONTENT_BYTES: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&header_sums::with_sums(bytes));
});

fn check(bytes: &[u8]) {
    let (members, whole) = tar_members::read(bytes, CONTENT_BYTES);
    if !whole {
        return;
    }
    let kept: Vec<(TarEntry, Vec<u8>)> = members
        .into_iter()
        .filter_map(|(member, content)| Some((member, content?)))
        .filter(|(member, content)| tar_members::entry(member, content).is_some())
        .collect();
    let canonical = written(&kept);
    let (again, whole) = tar_members::read(&canonical, CONTENT_BYTES);
    assert!(whole, "what was written is not read");
    let again: Vec<_> = again.into_iter().filter_map(|(member, content)| Some((member, content?))).collect();
    assert_eq!(again, kept, "what is read is not what was written");
    assert!(written(&again) == canonical, "a canonical tar with two spellings");
}

fn written(members: &[(TarEntry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (member, content) in members {
        let Some(entry) = tar_members::entry(member, content) else { continue };
        writer.entry(&entry).expect("what a tar could say, a tar can say");
        writer.content(content).expect("the content has its entry's size");
    }
    writer.finish().expect("memory does not fail")
}
