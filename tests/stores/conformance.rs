//! What every store must hold, as functions of a store under test.

use std::sync::Barrier;

use pannier::controller::store::{
    AnswerHeaders, Finding, PutIntent, StoreError, StoredObject, UploadId, WholeIntent,
};
use pannier::model::{ObjectKind, ObjectName, SignedUrl};
use pannier::protocol::artifact::{PartIntent, SentPart};

use crate::bed::{Bed, blob, intent, name, sha256};
use crate::support::noise;

/// Makes a module of one test for each function of this file, on the beds that `$bed` makes. It answers `None` where
/// its server cannot be had, having said so.
macro_rules! conformance {
    ($bed:path: $($test:ident),* $(,)?) => {
        $(#[test]
        fn $test() {
            if let Some(bed) = $bed(stringify!($test)) {
                $crate::conformance::$test(&bed);
            }
        })*
    };
    ($bed:path) => {
        $crate::conformance::conformance!($bed:
            a_signed_put_puts_exactly_that_object,
            nothing_is_ever_overwritten,
            what_a_late_put_leaves_is_swept,
            one_of_sixteen_puts_wins,
            other_bytes_than_announced_are_refused,
            a_url_is_for_one_object_and_one_method,
            what_was_signed_must_be_sent,
            objects_are_listed_and_deleted,
            a_range_beyond_the_end_is_an_error,
            a_check_finds_all_well_and_leaves_nothing,
            blobs_lie_apart_from_packs,
            a_sha256_is_held_where_the_store_says_so,
            an_answer_says_what_was_signed,
            parts_in_any_order_make_the_whole,
            parts_that_do_not_make_the_whole_are_refused,
            an_aborted_upload_leaves_nothing,
        );
    };
}
pub(crate) use conformance;

/// Proves that what an agent PUTs is what the controller reads and what a signed GET gives, whole and in ranges.
pub(crate) fn a_signed_put_puts_exactly_that_object(bed: &Bed) {
    let bytes = noise(1, 300_000);
    let pack = name();
    let url = bed.store.sign_put(pack, &intent(&bytes)).unwrap();
    assert_eq!(bed.store.head(pack).unwrap(), None);
    bed.put(&url, &bytes).unwrap();
    bed.store.settle(pack).unwrap();
    assert_eq!(bed.store.head(pack).unwrap(), Some(300_000));
    assert_eq!(bed.store.read(pack, 0..300_000).unwrap(), bytes);
    assert_eq!(bed.store.read(pack, 299_990..300_000).unwrap(), bytes[299_990..]);
    assert_eq!(bed.store.read(pack, 5..5).unwrap(), b"");
    if bed.promises.signature {
        let url = bed.sign_get(pack);
        assert!(url.headers.is_empty(), "a GET needs no headers: {:?}", url.headers.keys());
        assert_eq!(bed.get(url.expose(), None), (200, bytes.clone()));
        assert_eq!(
            bed.get(url.expose(), Some("bytes=100000-100999")),
            (206, bytes[100_000..101_000].to_vec())
        );
        assert_eq!(bed.get(url.expose(), Some("bytes=299999-")), (206, bytes[299_999..].to_vec()));
    }
}

/// Proves that a PUT is create-only: neither the same URL nor a new one for the same object changes it.
pub(crate) fn nothing_is_ever_overwritten(bed: &Bed) {
    let (pack, first, second) = (name(), noise(2, 1_000), noise(3, 1_000));
    let url = bed.store.sign_put(pack, &intent(&first)).unwrap();
    bed.store.settle(pack).unwrap();
    assert_eq!(bed.store.head(pack).unwrap(), None, "nothing was put yet");
    bed.put(&url, &first).unwrap();
    bed.store.settle(pack).unwrap();
    bed.put_in_vain(pack, &url, &first);
    let other = bed.store.sign_put(pack, &intent(&second)).unwrap();
    bed.put_in_vain(pack, &other, &second);
    assert_eq!(bed.store.read(pack, 0..1_000).unwrap(), first);
}

/// Proves that what a PUT leaves behind an object that is settled is listed as unfinished, and can be deleted without the object.
pub(crate) fn what_a_late_put_leaves_is_swept(bed: &Bed) {
    let bytes = noise(27, 1_000);
    let pack = bed.stored(&bytes);
    bed.put_in_vain(pack, &bed.store.sign_put(pack, &intent(&bytes)).unwrap(), &bytes);
    let listed = bed.listed(ObjectKind::Pack);
    let left: Vec<&StoredObject> = listed.iter().filter(|object| object.unfinished.is_some()).collect();
    assert_eq!(left.len(), usize::from(!bed.promises.create_only), "{listed:?}");
    for object in left {
        assert_eq!((object.object, bed.store.delete(object).unwrap()), (pack, 1_000));
        assert_eq!(bed.store.delete(object).unwrap(), 0);
    }
    assert_eq!(bed.listed(ObjectKind::Pack), [StoredObject::finished(pack)]);
    assert_eq!(bed.store.read(pack, 0..1_000).unwrap(), bytes);
}

/// Proves that create-only holds when everybody comes at once: one wins, everybody sees the winner's object, and it stays.
pub(crate) fn one_of_sixteen_puts_wins(bed: &Bed) {
    for round in 0..4 {
        let pack = name();
        let contents: Vec<Vec<u8>> = (0..16).map(|seed| noise(100 + round * 16 + seed, 50_000)).collect();
        let urls: Vec<SignedUrl> =
            contents.iter().map(|bytes| bed.store.sign_put(pack, &intent(bytes)).unwrap()).collect();
        let start = Barrier::new(contents.len());
        let won: Vec<Option<Vec<u8>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = contents
                .iter()
                .zip(&urls)
                .map(|(bytes, url)| {
                    scope.spawn(|| {
                        start.wait();
                        bed.put(url, bytes).ok()?;
                        bed.store.settle(pack).unwrap();
                        Some(bed.store.read(pack, 0..50_000).unwrap())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let object = bed.store.read(pack, 0..50_000).unwrap();
        assert!(won.iter().flatten().all(|seen| *seen == object), "round {round}: it changed");
        if bed.promises.create_only {
            let winners: Vec<&Vec<u8>> =
                contents.iter().zip(&won).filter_map(|(bytes, won)| won.is_some().then_some(bytes)).collect();
            assert_eq!(winners, [&object], "round {round}");
        } else {
            assert!(won.iter().all(Option::is_some) && contents.contains(&object), "round {round}");
        }
    }
}

/// Proves that a PUT takes the announced length and, where the store checks it, the announced checksum, alone.
pub(crate) fn other_bytes_than_announced_are_refused(bed: &Bed) {
    let bytes = noise(4, 10_000);
    let mut flipped = bytes.clone();
    flipped[5_000] ^= 1;
    // The checksum alone would not notice these.
    let longer = with_the_same_checksum(&bytes);
    assert_eq!(intent(&longer).crc32c, intent(&bytes).crc32c);
    let wrong = [
        (bed.promises.length, longer),
        (bed.promises.length, bytes[..9_999].to_vec()),
        (bed.promises.length, [&bytes[..], b"x"].concat()),
        (bed.promises.length, Vec::new()),
        (bed.promises.checksum, flipped),
    ];
    for (_, sent) in wrong.iter().filter(|(promised, _)| *promised) {
        let pack = name();
        let url = bed.store.sign_put(pack, &intent(&bytes)).unwrap();
        bed.put(&url, sent).unwrap_err();
        assert_eq!(bed.store.head(pack).unwrap(), None, "{} bytes", sent.len());
        bed.put(&url, &bytes).unwrap();
    }
}

/// `bytes` and four more that leave the CRC-32C as it is: the checksum's steps, taken backwards.
fn with_the_same_checksum(bytes: &[u8]) -> Vec<u8> {
    let register = !intent(bytes).crc32c.unwrap();
    let back = |value: u32| {
        if value >> 31 == 1 { (value ^ 0x82F6_3B78) << 1 | 1 } else { value << 1 }
    };
    let before = (0..32).fold(register, |value, _| back(value));
    [bytes, &(register ^ before).to_le_bytes()].concat()
}

/// Proves that a URL opens one object by one method, and nothing once a character of it is another.
pub(crate) fn a_url_is_for_one_object_and_one_method(bed: &Bed) {
    if !bed.promises.signature {
        return;
    }
    let bytes = noise(5, 100);
    let (pack, other) = (bed.stored(&bytes), bed.stored(&bytes));
    let absent = name();
    let get = bed.sign_get(pack);
    let put = bed.store.sign_put(absent, &intent(&bytes)).unwrap();
    let elsewhere = |url: &SignedUrl, from: ObjectName, to: ObjectName| {
        let shard = |object: ObjectName| format!("/{}/{}", object.shard(), object.file_name());
        url.expose().replace(&shard(from), &shard(to))
    };
    let refused = |method: &str, url: &SignedUrl, text: &str| {
        let (status, _) = bed.request(method, url, text, &bytes);
        assert!(
            matches!(status, 400 | 403 | 404 | 405 | 409 | 412),
            "{method} by {url} was answered {status}"
        );
    };
    refused("GET", &get, &elsewhere(&get, pack, other));
    refused("PUT", &put, &elsewhere(&put, absent, name()));
    for method in ["PUT", "DELETE", "POST"] {
        refused(method, &get, get.expose());
    }
    refused("DELETE", &put, &elsewhere(&put, absent, pack));
    let (status, _) = bed.get(&elsewhere(&put, absent, pack), None);
    assert!((400..500).contains(&status), "a PUT's URL reads: {status}");
    refused("DELETE", &put, put.expose());
    for at in (get.expose().len() - 8)..get.expose().len() {
        let mut altered = get.expose().to_owned().into_bytes();
        altered[at] = if altered[at] == b'a' { b'b' } else { b'a' };
        let (status, _) = bed.get(std::str::from_utf8(&altered).unwrap(), None);
        // azurite answers 500 where the signature is no base64 any more.
        assert!(status >= 400, "altered at {at}: {status}");
    }
    let bare = get.expose().split('?').next().unwrap();
    let (status, _) = bed.get(bare, None);
    assert!(matches!(status, 401 | 403 | 404), "without a signature: {status}");
    assert_eq!(bed.get(get.expose(), None), (200, bytes.clone()), "the URL itself still reads");
    bed.put(&put, &bytes).unwrap();
    bed.store.settle(absent).unwrap();
    assert_eq!(bed.store.head(absent).unwrap(), Some(100));
}

/// Proves that no signed header may be left out or changed.
pub(crate) fn what_was_signed_must_be_sent(bed: &Bed) {
    if !bed.promises.signature {
        return;
    }
    let bytes = noise(6, 100);
    let pack = name();
    let url = bed.store.sign_put(pack, &intent(&bytes)).unwrap();
    // An Azure SAS signs no headers, but create-only itself.
    for left_out in url.headers.keys().filter(|_| bed.promises.length) {
        let mut less = url.clone();
        less.headers.remove(left_out);
        bed.put(&less, &bytes).unwrap_err();
        let mut changed = url.clone();
        changed.headers.insert(left_out.clone(), "other".into());
        bed.put(&changed, &bytes).unwrap_err();
    }
    bed.put(&url, &bytes).unwrap();
    bed.store.settle(pack).unwrap();
    let mut overwriting = url;
    overwriting.headers.retain(|name, _| !name.contains("match"));
    let refused = bed.put(&overwriting, &noise(7, 100)).is_err();
    assert!(refused || !(bed.promises.create_only || bed.promises.checksum));
    assert_eq!(bed.store.read(pack, 0..100).unwrap(), bytes);
}

/// Proves that a listing finds every pack and that a deleted one is gone, once.
pub(crate) fn objects_are_listed_and_deleted(bed: &Bed) {
    let mut packs: Vec<_> = (0..5).map(|seed| bed.stored(&noise(10 + seed, 100))).collect();
    packs.sort();
    let listed = || bed.listed(ObjectKind::Pack);
    let all: Vec<StoredObject> = packs.iter().copied().map(StoredObject::finished).collect();
    assert_eq!(listed(), all);
    assert_eq!(bed.store.delete(&all[2]).unwrap(), 100);
    assert_eq!(bed.store.delete(&all[2]).unwrap(), 0);
    assert_eq!(bed.store.head(packs[2]).unwrap(), None);
    assert!(bed.store.read(packs[2], 0..1).is_err());
    assert_eq!(listed().len(), 4);
}

/// Proves that a pack that is shorter than its row says is an error of its own, and never fewer bytes.
pub(crate) fn a_range_beyond_the_end_is_an_error(bed: &Bed) {
    let pack = bed.stored(&noise(20, 100));
    for range in [90..101, 100..101, 500..600] {
        let read = bed.store.read(pack, range.clone());
        assert!(matches!(read, Err(StoreError::Range { .. })), "{range:?}: {read:?}");
    }
}

/// Proves that a store that works is found to, and that the probe is gone afterwards.
pub(crate) fn a_check_finds_all_well_and_leaves_nothing(bed: &Bed) {
    let findings = bed.store.check();
    assert!(!findings.is_empty() && findings.iter().all(Finding::is_fine), "{findings:#?}");
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(!said.join("\n").contains("http://"), "{said:?}");
    if bed.promises.signature {
        let kept = if bed.promises.create_only {
            "second PUT of the same object is refused"
        } else {
            "staging was chosen"
        };
        for what in ["reached and listed", "clock", "PUT is taken", kept, "GET reads ranges", "deleted"] {
            assert!(said.iter().any(|line| line.contains(what)), "nothing about “{what}” in {said:#?}");
        }
        assert_eq!(said.iter().any(|line| line.contains("other bytes")), bed.promises.checksum, "{said:#?}");
    }
    ObjectKind::ALL.into_iter().for_each(|kind| assert_eq!(bed.listed(kind), []));
}

/// Proves that a blob and a pack of one name are two objects, and that each kind has its own listing.
pub(crate) fn blobs_lie_apart_from_packs(bed: &Bed) {
    let pack = bed.stored(b"of the pack");
    let blob = ObjectName::blob(pack.name);
    assert_eq!(bed.store.head(blob).unwrap(), None);
    let bytes = noise(21, 1_000);
    let url = bed.store.sign_put(blob, &blob_intent(&bytes)).unwrap();
    bed.put(&url, &bytes).unwrap();
    bed.store.settle(blob).unwrap();
    assert_eq!(bed.store.read(blob, 0..1_000).unwrap(), bytes);
    assert_eq!(bed.store.read(pack, 0..11).unwrap(), b"of the pack");
    assert_eq!(bed.listed(ObjectKind::Blob), [StoredObject::finished(blob)]);
    assert_eq!(bed.listed(ObjectKind::Pack), [StoredObject::finished(pack)]);
    assert_eq!(bed.store.delete(&StoredObject::finished(blob)).unwrap(), 1_000);
    assert_eq!((bed.store.head(blob).unwrap(), bed.store.head(pack).unwrap()), (None, Some(11)));
}

fn blob_intent(bytes: &[u8]) -> PutIntent {
    PutIntent { sha256: Some(sha256(bytes)), ..intent(bytes) }
}

/// Proves that a store which claims to check SHA-256 takes no other bytes of the same length.
pub(crate) fn a_sha256_is_held_where_the_store_says_so(bed: &Bed) {
    let bytes = noise(22, 1_000);
    let url = bed.store.sign_put(blob(), &blob_intent(&bytes)).unwrap();
    let refused = bed.put(&url, &noise(23, 1_000)).is_err();
    assert!(refused || !bed.store.checks_sha256(), "other bytes were taken");
}

/// Proves that a browser is told the type and the name that were signed, and that nobody can change them.
pub(crate) fn an_answer_says_what_was_signed(bed: &Bed) {
    if !bed.promises.signature {
        return;
    }
    let object = bed.stored(b"<p>");
    let answer = AnswerHeaders {
        content_type: Some("text/html; charset=utf-8".into()),
        disposition: Some("attachment; filename=\"a b.html\"; filename*=UTF-8''%C4%8D%27.html".into()),
    };
    let url = bed.store.sign_get(object, &answer).unwrap();
    assert!(url.headers.is_empty());
    assert_eq!(bed.answered(url.expose(), "content-type"), answer.content_type);
    assert_eq!(bed.answered(url.expose(), "content-disposition"), answer.disposition);
    let altered = url.expose().replace("html", "xhtm");
    assert!(altered != url.expose() && bed.get(&altered, None).0 >= 400);
}

/// S3 wants 5 MiB of every part but the last.
const PART: usize = 5 << 20;

fn sign_part(bed: &Bed, object: ObjectName, upload: &UploadId, number: u32, bytes: &[u8]) -> SignedUrl {
    let crc32c = intent(bytes).crc32c.unwrap();
    let part = PartIntent { number, len: bytes.len() as u64, crc32c };
    bed.store.sign_part(object, upload, &part, u64::from(number - 1) * PART as u64, true).unwrap()
}

/// Proves that parts that are sent in any order, and one of them twice, make one object, that nothing is there before, and that
/// nobody can change it afterwards.
pub(crate) fn parts_in_any_order_make_the_whole(bed: &Bed) {
    if !bed.store.has_parts() {
        return;
    }
    let (object, bytes) = (blob(), noise(24, 2 * PART + 1_000));
    let upload = bed.store.begin_parts(object, bytes.len() as u64).unwrap();
    let pieces: Vec<&[u8]> = bytes.chunks(PART).collect();
    let urls: Vec<SignedUrl> = pieces
        .iter()
        .zip(1..)
        .map(|(bytes, number)| sign_part(bed, object, &upload, number, bytes))
        .collect();
    let mut etags = vec![String::new(); 3];
    for at in [2, 0, 1, 0] {
        etags[at] = bed.put_part(&urls[at], pieces[at]).unwrap();
    }
    assert_eq!(bed.store.head(object).unwrap(), None, "nothing is there before the end");
    let parts: Vec<SentPart> =
        etags.into_iter().zip(1..).map(|(etag, number)| SentPart { number, etag }).collect();
    let whole = WholeIntent { len: bytes.len() as u64, sha256: sha256(&bytes) };
    bed.store.complete_parts(object, &upload, &whole, &parts).unwrap();
    assert_eq!(bed.store.head(object).unwrap(), Some(whole.len));
    assert_eq!(bed.store.read(object, 0..whole.len).unwrap(), bytes);
    // A part of an upload that is over changes nothing, whatever the store answers.
    let _ = bed.put_part(&urls[0], pieces[0]);
    assert_eq!(bed.store.read(object, 0..whole.len).unwrap(), bytes);
    assert_eq!(bed.store.delete(&StoredObject::finished(object)).unwrap(), whole.len);
}

/// Proves that an upload with a part that nobody sent makes no object, and that this is final.
pub(crate) fn parts_that_do_not_make_the_whole_are_refused(bed: &Bed) {
    if !bed.store.has_parts() {
        return;
    }
    let (object, bytes) = (blob(), noise(25, PART + 1_000));
    let upload = bed.store.begin_parts(object, bytes.len() as u64).unwrap();
    let first = sign_part(bed, object, &upload, 1, &bytes[..PART]);
    let etag = bed.put_part(&first, &bytes[..PART]).unwrap();
    let parts = [
        SentPart { number: 1, etag },
        SentPart { number: 2, etag: "\"d41d8cd98f00b204e9800998ecf8427e\"".into() },
    ];
    let whole = WholeIntent { len: bytes.len() as u64, sha256: sha256(&bytes) };
    let refused = bed.store.complete_parts(object, &upload, &whole, &parts).unwrap_err();
    assert!(refused.is_final(), "{refused:?}");
    assert_eq!(bed.store.head(object).unwrap(), None);
    bed.store.abort_parts(object, &upload).unwrap();
}

/// Proves that an upload can be given up, twice too, and leaves no object.
pub(crate) fn an_aborted_upload_leaves_nothing(bed: &Bed) {
    if !bed.store.has_parts() {
        return;
    }
    let (object, bytes) = (blob(), noise(26, 1_000));
    let upload = bed.store.begin_parts(object, 1_000).unwrap();
    bed.put_part(&sign_part(bed, object, &upload, 1, &bytes), &bytes).unwrap();
    bed.store.abort_parts(object, &upload).unwrap();
    bed.store.abort_parts(object, &upload).unwrap();
    assert_eq!(bed.store.head(object).unwrap(), None);
    assert_eq!(bed.listed(ObjectKind::Blob), []);
}
