//! S3, by SeaweedFS.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use pannier::controller::store::{CloudStore, Encryption, Store, StoreOptions, StoreUrl, open_store};
use pannier::model::ObjectKind;

use crate::bed::{Bed, Promises, blob, intent, name};
use crate::conformance::conformance;
use crate::support::noise;
use crate::support::servers::{BUCKET, Server, other_s3, overwriting_s3, seaweedfs, seaweedfs_variables};

fn promises() -> Promises {
    // Ceph 16 compares no checksums.
    Promises { create_only: true, length: true, checksum: other_s3().is_none(), signature: true }
}

/// A prefix of its own for each test, so that they share a bucket and see nothing of each other.
fn url(test: &str) -> StoreUrl {
    format!("s3://{BUCKET}/tests/{}", test.replace('_', "-")).parse().unwrap()
}

fn options(server: &Server) -> StoreOptions {
    StoreOptions::with_variables(seaweedfs_variables(server).into_iter().collect())
}

fn bed(test: &str) -> Option<Bed> {
    let server: Arc<Server> = seaweedfs(test)?;
    let store = open_store(&url(test), &options(&server)).unwrap();
    Some(Bed::new(store, promises(), server))
}

conformance!(bed);

/// The same with PUTs that may overwrite, and so are staged.
mod staged {
    use super::*;

    fn bed(test: &str) -> Option<Bed> {
        let server: Arc<Server> = seaweedfs(test)?;
        let options = StoreOptions { staging: true, ..options(&server) };
        let store = open_store(&url(&format!("staged/{test}")), &options).unwrap();
        Some(Bed::new(store, Promises { create_only: false, ..promises() }, server))
    }

    conformance!(bed);
}

/// Proves that a URL ends by itself.
#[test]
fn an_old_url_is_refused() {
    let Some(bed) = bed("an_old_url_is_refused") else { return };
    let bytes = noise(1, 100);
    let pack = bed.stored(&bytes);
    let Some(server) = seaweedfs("an_old_url_is_refused") else { return };
    let mut short = options(&server);
    // Less than `open_store` allows: nobody wants to wait a minute for this.
    short.url_life = Duration::from_secs(1);
    let store = CloudStore::open(&url("an_old_url_is_refused"), &short).unwrap();
    let bed = Bed::new(Box::new(store), promises(), server);
    let absent = name();
    let put = bed.store.sign_put(absent, &intent(&bytes)).unwrap();
    let get = bed.sign_get(pack);
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(bed.get(get.expose(), None).0, 403);
    bed.put(&put, &bytes).unwrap_err();
    assert_eq!(bed.store.head(absent).unwrap(), None);
}

/// Proves that a listing goes on behind its first page (1,000 keys).
#[test]
fn a_listing_has_more_than_one_page() {
    let Some(bed) = bed("a_listing_has_more_than_one_page") else { return };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..260 {
                    bed.stored(b"x");
                }
            });
        }
    });
    let mut found = 0;
    bed.store.list(ObjectKind::Pack, &mut |_| found += 1).unwrap();
    assert_eq!(found, 1_040);
}

/// Proves that a store with a prefix sees neither its neighbours nor what is no pack.
#[test]
fn a_prefix_is_a_store_of_its_own() {
    let Some(server) = seaweedfs("a_prefix_is_a_store_of_its_own") else { return };
    let open = |prefix: &str| {
        let url = format!("s3://{BUCKET}/{prefix}").parse().unwrap();
        Bed::new(open_store(&url, &options(&server)).unwrap(), promises(), Arc::clone(&server) as _)
    };
    let (inner, outer) = (open("nested/in"), open("nested"));
    let pack = inner.stored(b"inside");
    assert_eq!(outer.store.head(pack).unwrap(), None);
    let count = |bed: &Bed| {
        let mut found = 0;
        bed.store.list(ObjectKind::Pack, &mut |_| found += 1).unwrap();
        found
    };
    assert_eq!((count(&inner), count(&outer)), (1, 0));
}

/// Proves that a refusal says what to mend, and neither URL nor key.
#[test]
fn what_is_wrong_with_the_credentials_or_the_bucket_is_said() {
    let Some(server) = seaweedfs("what_is_wrong_with_the_credentials_or_the_bucket_is_said") else { return };
    let mut variables = seaweedfs_variables(&server);
    variables.retain(|(name, _)| *name != "AWS_SECRET_ACCESS_KEY");
    variables.push(("AWS_SECRET_ACCESS_KEY", "wrong-secret".to_owned()));
    let wrong = StoreOptions::with_variables(variables.into_iter().collect());
    let said = |store: &dyn Store| {
        let error = store.list(ObjectKind::Pack, &mut |_| ()).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let text = format!("{error}: {source}; hint: {}", error.hint().unwrap_or_default());
        assert!(!text.contains("wrong-secret") && !text.contains("http://"), "{text}");
        text
    };
    let denied = said(&*open_store(&url("x"), &wrong).unwrap());
    assert!(denied.contains("403") && denied.contains("check the credentials"), "{denied}");
    let absent = said(&*open_store(&"s3://no-such-bucket".parse().unwrap(), &options(&server)).unwrap());
    assert!(absent.contains("404") && absent.contains("bucket's name"), "{absent}");
}

/// Proves that a service is believed to compare a SHA-256 only where it was seen to: one of them takes any bytes.
#[test]
fn only_a_service_that_compares_is_believed_to() {
    let Some(server) = seaweedfs("only_a_service_that_compares_is_believed_to") else { return };
    let Some(deaf) = overwriting_s3("only_a_service_that_compares_is_believed_to") else { return };
    let compares = |server: &Server| {
        let bed = open_store(&url("believed"), &options(server)).unwrap();
        let answers = [bed.checks_sha256(), bed.checks_sha256()];
        bed.list(ObjectKind::Pack, &mut |object| panic!("{object:?} was left")).unwrap();
        answers
    };
    assert_eq!((compares(&server), compares(&deaf)), ([promises().checksum; 2], [false; 2]));
    // Nobody knows yet, so the content is read.
    let gone = StoreOptions::with_variables(seaweedfs_variables(&deaf).into_iter().collect());
    drop(deaf);
    assert!(!open_store(&url("believed"), &gone).unwrap().checks_sha256());
}

/// Proves that the operator's encryption is part of what is signed: an agent can neither leave it out nor change it.
#[test]
fn encryption_is_signed_into_the_put() {
    let Some(server) = seaweedfs("encryption_is_signed_into_the_put") else { return };
    let kms = |key: &str| ("x-amz-server-side-encryption-aws-kms-key-id", key.to_owned());
    let kinds = [
        (Encryption::S3Managed, vec![("x-amz-server-side-encryption", "AES256".to_owned())]),
        (Encryption::Kms("k".into()), vec![("x-amz-server-side-encryption", "aws:kms".to_owned()), kms("k")]),
    ];
    for (encryption, headers) in kinds {
        let mut options = options(&server);
        options.encryption = Some(encryption);
        let store = open_store(&url("encryption"), &options).unwrap();
        let bed = Bed::new(store, promises(), Arc::clone(&server) as _);
        let url = bed.store.sign_put(name(), &intent(b"x")).unwrap();
        for (header, value) in headers {
            assert_eq!(url.headers[header], value);
            let mut less = url.clone();
            less.headers.remove(header);
            let refused = bed.put(&less, b"x").unwrap_err();
            assert!(refused.starts_with("403") || refused.starts_with("400"), "{refused}");
        }
    }
    let mut scope = options(&server);
    scope.encryption = Some(Encryption::Scope("s".into()));
    assert!(open_store(&url("encryption"), &scope).err().unwrap().hint().unwrap().contains("aes256"));
}

/// Proves that the controller's own requests that make objects ask for the operator's encryption too: an upload in parts begins with it.
#[test]
fn encryption_holds_for_uploads_in_parts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        while !asked.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut asked).unwrap() > 0, "{asked}");
        }
        let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{begun}", begun.len()).unwrap();
        asked.to_ascii_lowercase()
    });
    let credentials =
        [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S"), ("AWS_ENDPOINT_URL", &endpoint)];
    let mut options = StoreOptions::with_variables(credentials.into_iter().collect());
    options.encryption = Some(Encryption::Kms("k".into()));
    let store = open_store(&"s3://bucket/parts".parse().unwrap(), &options).unwrap();
    assert_eq!(store.begin_parts(blob(), 1 << 30).unwrap().0, "u");
    let asked = service.join().unwrap();
    assert!(asked.starts_with("post /bucket/parts/blobs/"), "{asked}");
    for header in ["x-amz-server-side-encryption: aws:kms", "x-amz-server-side-encryption-aws-kms-key-id: k"]
    {
        assert!(asked.contains(header), "{asked}");
    }
}
