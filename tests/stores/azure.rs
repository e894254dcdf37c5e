//! Azure Blob Storage, by azurite.

use std::sync::Arc;
use std::time::Duration;

use pannier::controller::store::{CloudStore, Encryption, StoreOptions, StoreUrl, open_store};

use crate::bed::{Bed, Promises, intent, name};
use crate::conformance::conformance;
use crate::support::noise;
use crate::support::servers::{BUCKET, Server, azurite, azurite_variables};

/// A SAS signs neither headers nor lengths: the commit finds a wrong length, a reader wrong bytes.
const PROMISES: Promises = Promises { create_only: true, length: false, checksum: false, signature: true };

fn url(test: &str) -> StoreUrl {
    format!("az://{BUCKET}/tests/{}", test.replace('_', "-")).parse().unwrap()
}

fn options(server: &Server) -> StoreOptions {
    StoreOptions::with_variables(azurite_variables(server).into_iter().collect())
}

fn bed(test: &str) -> Option<Bed> {
    let server: Arc<Server> = azurite(test)?;
    let store = open_store(&url(test), &options(&server)).unwrap();
    Some(Bed::new(store, PROMISES, server))
}

conformance!(bed);

/// Proves that a URL ends by itself.
#[test]
fn an_old_url_is_refused() {
    let Some(bed) = bed("an_old_url_is_refused") else { return };
    let bytes = noise(1, 100);
    let pack = bed.stored(&bytes);
    let Some(server) = azurite("an_old_url_is_refused") else { return };
    let mut short = options(&server);
    // Less than `open_store` allows: nobody wants to wait a minute for this.
    short.url_life = Duration::from_secs(1);
    let store = CloudStore::open(&url("an_old_url_is_refused"), &short).unwrap();
    let bed = Bed::new(Box::new(store), PROMISES, server);
    let absent = name();
    let put = bed.store.sign_put(absent, &intent(&bytes)).unwrap();
    let get = bed.sign_get(pack);
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(bed.get(get.expose(), None).0, 403);
    let refused = bed.put(&put, &bytes).unwrap_err();
    assert!(
        refused.contains("<Code>AuthenticationFailed</Code>") || refused.contains("AuthorizationFailure"),
        "{refused}"
    );
    assert_eq!(bed.store.head(absent).unwrap(), None);
}

/// Proves what an agent sees when its pack stands there already, whether or not it sends the condition: a 403 with a
/// code of its own, since the SAS allows a new blob and no other. It must not be taken for a URL that has ended.
#[test]
fn a_second_put_is_told_apart_from_an_old_url() {
    let Some(bed) = bed("a_second_put_is_told_apart_from_an_old_url") else { return };
    let pack = bed.stored(b"first");
    let url = bed.store.sign_put(pack, &intent(b"other")).unwrap();
    let mut bare = url.clone();
    bare.headers.remove("if-none-match");
    // The service itself says UnauthorizedBlobOverwrite.
    for url in [&url, &bare] {
        let refused = bed.put(url, b"other").unwrap_err();
        assert!(
            refused.starts_with("403") && refused.contains("AuthorizationPermissionMismatch"),
            "{refused}"
        );
    }
    assert_eq!(bed.store.read(pack, 0..5).unwrap(), b"first");
}

/// Proves that the operator's encryption scope is part of the SAS of a PUT: without it, the signature is another.
#[test]
fn an_encryption_scope_is_signed_into_the_put() {
    let Some(server) = azurite("an_encryption_scope_is_signed_into_the_put") else { return };
    let mut options = options(&server);
    options.encryption = Some(Encryption::Scope("ci".into()));
    let bed = Bed::new(open_store(&url("scope"), &options).unwrap(), PROMISES, server);
    let put = bed.store.sign_put(name(), &intent(b"x")).unwrap();
    assert!(put.expose().contains("&ses=ci&"));
    let without = put.expose().replace("&ses=ci&", "&");
    let (status, _) = bed.request("PUT", &put, &without, b"x");
    assert_eq!(status, 403);
    assert!(!bed.store.has_parts(), "blocks would be committed without the scope");
    options.encryption = Some(Encryption::S3Managed);
    assert!(open_store(&url("scope"), &options).err().unwrap().hint().unwrap().contains("scope:NAME"));
}
