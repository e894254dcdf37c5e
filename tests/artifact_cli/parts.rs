//! Files of more than one part: up, killed in the middle, and on again without sending a part twice.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::bed::Bed;
use crate::support::noise;
use crate::support::served::files;

const MIB: u64 = 1 << 20;
const PART: u64 = 64 * MIB;

/// 150 MiB that are never the same twice in a row, made of a little noise.
fn large(bed: &Bed, name: &str) {
    let mut file = fs::File::create(bed.sandbox.work().join(name)).unwrap();
    let piece = noise(5, MIB as usize);
    for number in 0..150u64 {
        file.write_all(&number.to_le_bytes()).unwrap();
        file.write_all(&piece[8..]).unwrap();
    }
}

fn same(bed: &Bed, folder: &str) -> bool {
    let read = |folder: &str| fs::read(bed.sandbox.path(folder).join("large.bin")).unwrap();
    read("work") == read(folder)
}

/// Starts an upload, and kills it once a part is written down.
fn kill_after_a_part(bed: &Bed) {
    let mut command = bed.command(&["upload", "large.bin", "-C", "work", "--concurrency", "1"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    let journals = bed.sandbox.path("cache/artifacts");
    let has_part = || {
        let lines = |path: &std::path::PathBuf| fs::read_to_string(path).unwrap_or_default().lines().count();
        files(&journals).iter().any(|path| lines(path) > 1)
    };
    while !has_part() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before a part was written down");
        assert!(Instant::now() < until, "no part was written down");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn parts_make_the_whole_on_every_store() {
    for bed in Bed::all("artifact-parts") {
        large(&bed, "large.bin");
        let mark = bed.mark();
        let up = bed.upload(&["large.bin"]);
        assert_eq!((&up["sent_files"], &up["sent_bytes"]), (&1.into(), &(150 * MIB).into()));
        if bed.served.is_some() {
            let parts = bed.requests(mark).iter().filter(|request| request.contains("/parts")).count();
            assert_eq!(parts, 3, "each part is signed when it is sent");
        }
        bed.download("large.bin", "out", &[]);
        assert!(same(&bed, "out"));
        assert!(files(&bed.sandbox.path("cache/artifacts")).is_empty(), "no journal is left");
    }
}

#[test]
fn a_killed_upload_goes_on_where_it_was() {
    let mut beds = vec![Bed::served()];
    beds.extend(Bed::on_seaweedfs("artifact-killed"));
    for bed in beds {
        large(&bed, "large.bin");
        kill_after_a_part(&bed);
        assert_eq!(bed.found("*", &[]), Vec::<String>::new(), "nothing is visible before it is whole");
        let (mark, sent) = (bed.mark(), bed.sent());
        let up = bed.upload(&["large.bin"]);
        assert_eq!(up["artifacts"].as_array().unwrap().len(), 1, "{up}");
        let parts = bed.requests(mark).iter().filter(|request| request.contains("/parts")).count();
        assert!(parts <= 2, "{parts} parts were sent again");
        let again = bed.sent() - sent;
        assert!(again < 150 * MIB - PART + MIB, "{again} bytes went to the store");
        assert_eq!(bed.found("*", &[]), ["large.bin"], "it is the same artifact");
        bed.download("large.bin", "out", &[]);
        assert!(same(&bed, "out"));
    }
}

/// Proves that an upload that was killed before the file changed does not mix two states of it.
#[test]
fn a_file_that_changed_since_the_kill_is_another_artifact() {
    let bed = Bed::served();
    large(&bed, "large.bin");
    kill_after_a_part(&bed);
    let mut file = fs::OpenOptions::new().append(true).open(bed.sandbox.work().join("large.bin")).unwrap();
    file.write_all(b"more").unwrap();
    drop(file);
    let up = bed.upload(&["large.bin"]);
    assert_eq!(up["sent_bytes"], 150 * MIB + 4);
    bed.download("large.bin", "out", &[]);
    assert!(same(&bed, "out"));
}

/// Proves that an upload lasts while the controller still reads it, that nobody finds it meanwhile, that a signal ends the waiting, and that the
/// command then sends nothing again.
#[test]
fn an_upload_lasts_until_it_was_read() {
    let Some(bed) = Bed::on_seaweedfs("artifact-unread") else { return };
    let proxy = bed.proxy.as_ref().unwrap();
    large(&bed, "large.bin");
    proxy.hold_after(MIB);
    let mut command = bed.command(&["upload", "large.bin", "-C", "work"]);
    let mut upload = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    while !proxy.is_holding() {
        assert!(Instant::now() < until, "it is not read");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Longer than one answer is kept back.
    std::thread::sleep(Duration::from_secs(12));
    assert!(upload.try_wait().unwrap().is_none(), "it ended before it was read");
    assert_eq!(bed.found("*", &[]), Vec::<String>::new());
    let killed =
        std::process::Command::new("kill").args(["-INT", &upload.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let done = upload.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", String::from_utf8_lossy(&done.stderr));
    proxy.release();
    let sent = bed.sent();
    let up = bed.upload(&["large.bin"]);
    assert_eq!(up["artifacts"].as_array().unwrap().len(), 1, "{up}");
    assert!(bed.sent() - sent < MIB, "content went to the store again");
    bed.download("large.bin", "out", &[]);
    assert!(same(&bed, "out"));
}
