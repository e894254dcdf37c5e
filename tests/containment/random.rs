//! Random small trees over random other trees.

use pannier::model::EntryKind;
use pannier::workspace::restore::RestoreError;
use proptest::prelude::*;

use crate::tree::{BACK_ENDS, Tree, expectation, oracle, path, restore};
use crate::unprivileged::is_root;

/// A tree over a few names, so that two of them collide in every way.
fn any_tree() -> impl Strategy<Value = Tree> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let at = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    let node = (at, 0..6u8, prop::sample::select(vec![0o400, 0o644, 0o755, 0o700]), 0..3i64, 0..3u8);
    prop::collection::vec(node, 0..12).prop_map(|nodes| {
        let mut tree = Tree::default();
        for (at, kind, mode, secs, fill) in nodes {
            add(&mut tree, &at, kind, mode, secs, fill);
        }
        tree.0.sort_by(|a, b| a.0.path.cmp(&b.0.path));
        tree
    })
}

fn add(tree: &mut Tree, at: &str, kind: u8, mode: u32, secs: i64, fill: u8) {
    let at = path(at);
    let taken = |p| tree.0.iter().find(|e| e.0.path == p).map(|e| e.0.kind == EntryKind::Directory);
    let mut missing = Vec::new();
    let mut parent = at.parent();
    while let Some(folder) = parent {
        match taken(folder.clone()) {
            None => missing.push(folder.clone()),
            Some(true) => {}
            Some(false) => return,
        }
        parent = folder.parent();
    }
    if taken(at.clone()).is_some() {
        return;
    }
    for folder in missing.iter().rev() {
        tree.dir(folder.as_bytes(), 0o755);
    }
    let first = tree.0.iter().map(|e| &e.0).find(|e| e.content().is_some()).map(|e| e.path.to_string());
    match (kind, first) {
        // A folder that its owner may not search can only be looked into by root.
        (0, _) if !is_root() => tree.add(at.as_bytes(), mode | 0o100, (secs, 1), EntryKind::Directory),
        (0, _) => tree.add(at.as_bytes(), mode, (secs, 1), EntryKind::Directory),
        (1, _) => tree.link(at.as_bytes(), ["a", "b/c", ".."][fill as usize]),
        (2, Some(first)) => tree.hard(at.as_bytes(), &first),
        _ => tree.file(at.as_bytes(), mode, (secs, 1), &vec![fill + 1; 3 + fill as usize]),
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// With mirror the target becomes the second tree; without, the second tree with the first one's extras.
    #[test]
    fn any_tree_over_any_other(old in any_tree(), new in any_tree(), mirror: bool, portable: bool) {
        let open = BACK_ENDS[usize::from(portable)];
        let dir = tempfile::tempdir().unwrap();
        restore(open(dir.path()), &old, false).unwrap();
        let before = oracle(dir.path());
        prop_assert_eq!(&before, &expectation(&old));
        let wanted = expectation(&new);
        let is_dir = |line: &String| line.starts_with("dir");
        let blocked = wanted.iter().any(|(name, line)| !is_dir(line) && before.get(name).is_some_and(is_dir));
        let result = restore(open(dir.path()), &new, mirror);
        let mut after = oracle(dir.path());
        if mirror {
            result.unwrap();
            prop_assert_eq!(after, wanted);
        } else if blocked {
            let refused = matches!(result, Err(RestoreError::FolderInTheWay { .. }));
            prop_assert!(refused);
            prop_assert_eq!(after, before);
        } else {
            result.unwrap();
            for (name, line) in before.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
                let kept = after.remove(name);
                // An extra folder keeps its names, an extra file its bytes; which name comes first may differ.
                prop_assert_eq!(kept.map(|line| without_name(&line)), Some(without_name(line)));
            }
            let lines = |map: std::collections::BTreeMap<Vec<u8>, String>| -> Vec<_> {
                map.into_iter().map(|(name, line)| (name, without_name(&line))).collect()
            };
            prop_assert_eq!(lines(after), lines(wanted));
        }
    }
}

fn without_name(line: &str) -> String {
    line.split(" as ").next().unwrap().to_owned()
}
