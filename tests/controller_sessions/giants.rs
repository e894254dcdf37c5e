//! Packs that claim or unpack to far more than a reader has room for: giant footers and zip bombs. Each is refused in
//! words that name the pack, and never unpacked or made room for.

use pannier::controller::ledger::PackState;
use pannier::controller::{Caller, ControllerError};
use pannier::model::limits::{MAX_FRAME_BYTES, MAX_PACK_BYTES};
use pannier::model::pack_layout::Codec;
use pannier::model::{ChunkRef, Digest};
use pannier::protocol::PackIntent;

use crate::crafted::{BLOCK_BYTES, Header, Part, bomb, crafted, ending_in};
use crate::liars::{Scene, contents};
use crate::scene::{Writer, build, manifest, manifest_of, name, pack};

fn reasons(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(reasons).unwrap_or_default();
    format!("{error}: {cause}")
}

/// Footers that claim more than can be there, in a pack of `len` bytes, with what is said about each.
fn giants(len: usize) -> Vec<(&'static str, (Vec<u8>, PackIntent))> {
    let claims = |frames: u32, chunks: u32| [frames.to_le_bytes(), chunks.to_le_bytes()].concat();
    let (most, too_long) = (u32::MAX, MAX_FRAME_BYTES as u32 + 1);
    let giant = ChunkRef { digest: Digest::of(b"b"), len: too_long };
    let bytes = vec![b'b'; len - 8 - 8 - 13 - 36 - 64];
    let frame = Part { stored: bytes, codec: Codec::Zstd, claimed: vec![giant] };
    vec![
        ("points outside the pack", ending_in(&claims(0, 0), most, len)),
        ("points outside the pack", ending_in(&claims(0, 0), MAX_PACK_BYTES as u32, len)),
        ("contradicts itself", ending_in(&claims(most, most), 8, len)),
        ("contradicts itself", ending_in(&claims(0, most), 8, len)),
        ("contradicts itself", ending_in(&claims(most, 0), 8, len)),
        ("contradicts itself", crafted(vec![frame])),
    ]
}

/// Proves that a footer which claims more than its pack can hold is refused by a commit, in words that name the pack, and
/// that no URL is signed for a pack which is too long.
#[test]
fn a_giant_footer_is_refused_at_commit() {
    for (words, (bytes, intent)) in giants(1000) {
        let scene = Scene::new();
        let (root, chunks) = manifest("abc");
        let mut liar = scene.writer("lie", root, chunks);
        let giant = scene.send(&mut liar, &bytes, intent);
        let error = liar.step(&scene.controller).unwrap_err();
        assert!(matches!(error, ControllerError::Pack { pack, .. } if pack == giant), "{error}");
        assert!(reasons(&error).contains(words) && error.outside().contains(&giant.to_string()), "{error}");
        scene.is_unchanged(&liar, words);
    }
    let longest = PackIntent { len: MAX_PACK_BYTES + 1, footer_digest: Digest::of(b""), crc32c: 0 };
    let scene = Scene::new();
    let writer = scene.writer("x", manifest("abc").0, manifest("abc").1);
    let error = scene.controller.sign(&Caller::local(), writer.session, &[longest]).unwrap_err();
    assert!(matches!(error, ControllerError::TooMuch { .. }), "{error}");
}

/// Proves that a reader and `verify` refuse a pack whose end became giant behind the commit, say which it is, and do not
/// make room for what it claims.
#[test]
fn an_end_that_became_giant_is_refused_in_little_memory() {
    for command in [&["unstash", "x", "-C", "out"][..], &["verify"]] {
        let len = pack(&manifest("abc").1).0.len();
        for (words, (bytes, _)) in giants(len) {
            let scene = Scene::new();
            Writer::new("x", "abc").run(&scene.controller).unwrap();
            let giant =
                scene.controller.resolve(&Caller::local(), &build(), &name("x")).unwrap().packs[0].name;
            assert_eq!(bytes.len(), len);
            fs_err::write(scene.path(giant), bytes).unwrap();
            let (code, said) = scene.in_little_memory(command);
            assert_eq!(code, Some(if command == ["verify"] { 3 } else { 1 }), "{command:?}: {said}");
            assert!(said.contains(&giant.to_string()), "{command:?}: {said}");
            assert!(said.contains(words), "{command:?}: {said}");
            assert_eq!(scene.state(giant), Some(PackState::Quarantined), "{command:?}: {said}");
            assert!(contents(&scene.folder.path().join("out")).is_empty());
        }
    }
}

/// Bytes of the file that a bomb claims to be, more than the bomb's own, and blocks that come to 1.25 GiB.
const CLAIMED_BYTES: u32 = 64 << 10;
const BLOCKS: u64 = 10_000;

/// Bombs in the place of `len` bytes.
fn bombs(len: u32) -> [(Header, Vec<u8>); 3] {
    let headers = [Header::Says(BLOCKS * BLOCK_BYTES), Header::Says(u64::from(len)), Header::SaysNothing];
    headers.map(|header| (header, bomb(header, BLOCKS)))
}

/// Proves that a frame which unpacks to far more than its footer says is refused by a reader and by `verify`, whatever
/// its own header says, in a fraction of the memory that it would fill; and that the pack is set aside.
#[test]
fn a_bomb_is_refused_in_little_memory() {
    for (header, bytes) in bombs(CLAIMED_BYTES) {
        for command in [&["unstash", "x", "-C", "out"][..], &["verify"]] {
            let scene = Scene::new();
            let (root, chunks) = manifest_of("ab", CLAIMED_BYTES);
            let mut liar = scene.writer("x", root, chunks.clone());
            let parts = vec![
                Part::honest(&chunks[..1]),
                Part::honest(&chunks[1..2]).keeping(bytes.clone(), Codec::Zstd),
                Part::honest(&chunks[2..]),
            ];
            let (sent, intent) = crafted(parts);
            let bombed = scene.send(&mut liar, &sent, intent);
            liar.step(&scene.controller).unwrap();
            let (code, said) = scene.in_little_memory(command);
            let what = format!("{header:?}, {command:?}: {said}");
            assert_eq!(code, Some(if command == ["verify"] { 3 } else { 1 }), "{what}");
            assert!(said.contains(&bombed.to_string()) && said.contains("frame at byte"), "{what}");
            assert_eq!(scene.state(bombed), Some(PackState::Quarantined), "{what}");
            assert!(contents(&scene.folder.path().join("out")).is_empty(), "{what}");
        }
    }
}

/// Proves that a bomb in the place of a manifest is refused by the commit.
#[test]
fn a_bomb_in_the_manifests_place_is_refused_at_commit() {
    let (root, chunks) = manifest("abc");
    let len = CLAIMED_BYTES + chunks[3..].concat().len() as u32;
    for (header, bytes) in bombs(len) {
        let scene = Scene::new();
        let mut liar = scene.writer("x", root, chunks.clone());
        let mut manifest = Part::honest(&chunks[3..]).keeping(bytes, Codec::Zstd);
        manifest.claimed.push(ChunkRef { digest: Digest::of(b"padding"), len: CLAIMED_BYTES });
        let (sent, intent) = crafted(vec![Part::honest(&chunks[..3]), manifest]);
        let bombed = scene.send(&mut liar, &sent, intent);
        let error = liar.step(&scene.controller).unwrap_err();
        assert!(matches!(error, ControllerError::Pack { pack, .. } if pack == bombed), "{header:?}: {error}");
        scene.is_unchanged(&liar, &format!("{header:?}"));
    }
}
