//! Sizes that are not there, and tars that end early or have a flipped byte.

use std::fs;

use crate::Scene;
use crate::archive::{file, folder, header, link_to, pax, tar};
use crate::support::Run;

/// Proves that a tar of two blocks that claims gigabytes is refused with the member named, in memory that has nothing
/// to do with the claim.
#[test]
fn sizes_that_are_not_there() {
    let scene = Scene::new();
    let octal = format!("{:011o}\0", (8u64 << 30) - 1).into_bytes();
    let claim = |size: &[u8]| header(b"claim", b'0', b"", size);
    let sparse = |size: &[u8]| [pax("GNU.sparse.realsize", size), file(b"claim", b"")].concat();
    let (truncated, size) = ("the tar ends within `claim`", "`claim` at byte 0 has a bad size");
    let (record, tebibytes) = ("`claim` at byte 0 has too many bytes", "`claim` claims to be");
    let claims: [(Vec<u8>, &str); 12] = [
        (claim(&octal), truncated),
        (claim(b"\x80\0\0\0\0\0\0\x02\x80\0\0\0"), truncated), // 10 GiB
        (claim(b"\x80\0\0\0\x40\0\0\0\0\0\0\0"), tebibytes),
        (claim(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), size),
        (claim(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), size),
        (claim(b"abcdefghijk\0"), size),
        ([pax("size", b"10737418240"), file(b"claim", b"x")].concat(), truncated),
        (
            [pax("size", b"10737418240000000000000"), file(b"claim", b"x")].concat(),
            "`claim` at byte 1024 has a bad",
        ),
        (header(b"claim", b'x', b"", &octal), record),
        (header(b"claim", b'g', b"", &octal), record),
        (header(b"claim", b'L', b"", &octal), record),
        (sparse(b"10995116277760000"), tebibytes),
    ];
    for (bytes, text) in claims {
        let archive = [bytes, vec![b'x'; 600]].concat();
        scene.refuses(&archive, &[text]);
        // The same with 512 MiB of addresses: a buffer of the claimed size would not fit.
        let mut shell = std::process::Command::new("sh");
        let limited = scene.sandbox.command(["import", "hostile.tar", "hostile"]);
        shell.args(["-c", "ulimit -v 524288 && exec \"$@\"", "sh"]).arg(limited.get_program());
        shell.args(limited.get_args()).current_dir(scene.sandbox.dir.path()).env_clear();
        shell.envs(limited.get_envs().filter_map(|(key, value)| Some((key, value?))));
        Run(shell.output().unwrap()).exits(1).says(text);
    }
}

/// Where a cut tar ends, and what is said of it.
fn said_of(cut: usize) -> Result<&'static [&'static str], String> {
    let header = |at: usize| Err(format!("the tar ends within the header at byte {at}"));
    let content =
        |path: &str, end: usize| Err(format!("the tar ends within `{path}`, {} bytes early", end - cut));
    match cut {
        0 => Err("the input is empty".to_owned()),
        512 => Ok(&["d"]),
        2048 => Ok(&["d", "d/a"]),
        4096 | 4608 | 5120 => Ok(&["d", "d/a", "d/b"]),
        1..=511 => header(0),
        513..=1023 => header(512),
        1024..=2047 => content("d/a", 2048),
        2049..=3071 => header(2048),
        // Its records are whole, and the entry that they are about is not there.
        3072..=3583 => header(3072),
        3584..=4095 => content("d/b", 4096),
        4097..=4607 => header(4096),
        _ => header(4608),
    }
}

/// Proves that a tar that ends early is refused with the entry or the place of the cut, and that one that ends between
/// two entries is whole to there.
#[test]
fn a_tar_cut_anywhere_is_refused_or_whole_to_the_cut() {
    let scene = Scene::new();
    let whole = tar(&[folder(b"d"), file(b"d/a", &[1; 700]), pax("mtime", b"1.5"), file(b"d/b", &[2; 100])]);
    assert_eq!(whole.len(), 5120);
    let edges = (0..=whole.len()).step_by(512).flat_map(|edge| [edge.saturating_sub(1), edge, edge + 1]);
    let cuts = (0..whole.len()).step_by(177).chain(edges).chain([1724, 1725]);
    for cut in cuts.filter(|&cut| cut <= whole.len()) {
        match said_of(cut) {
            Err(text) => scene.refuses(&whole[..cut], &[&text]),
            Ok(paths) => scene.restores(&whole[..cut], paths),
        }
    }
}

/// Proves that a flipped bit anywhere in a header is a checksum that is wrong, with the place named. (Flipped content
/// is what the tar says: a tar has no sum for it.)
#[test]
fn a_flipped_bit_of_a_header_is_refused_and_said() {
    let scene = Scene::new();
    let whole = tar(&[file(b"a", &[1; 700]), link_to(b"b", b"a")]);
    for at in (1536..2048).step_by(37) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        scene.refuses(&flipped, &["the block at byte 1536 is not a tar header", "checksum"]);
    }
    let mut flipped = whole;
    flipped[2048 + 100] ^= 1;
    scene.refuses(&flipped, &["the block at byte 2048 is not a tar header"]);
    fs::remove_file(scene.sandbox.path("hostile.tar")).unwrap();
}
