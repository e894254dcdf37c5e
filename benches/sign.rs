//! How many URLs a second one core signs for each kind of store. Nothing listens where they lead.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a bench that fails says where by itself")]

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, criterion_group, criterion_main};
use pannier::controller::store::{AnswerHeaders, PutIntent, Store, StoreOptions, Variables, open_store};
use pannier::model::{ObjectName, PackName};

fn sign(c: &mut Criterion) {
    let key_file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(key_file.path(), service_account()).unwrap();
    let key_file = key_file.path().to_str().unwrap();
    let azure = "AccountName=ci;AccountKey=a2V5";
    let variables: Variables = [
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", "S"),
        ("GOOGLE_APPLICATION_CREDENTIALS", key_file),
        ("AZURE_STORAGE_CONNECTION_STRING", azure),
    ]
    .into_iter()
    .collect();
    let mut group = c.benchmark_group("sign");
    for (kind, url) in [("s3", "s3://bucket/ci"), ("gcs", "gs://bucket/ci"), ("azure", "az://bucket/ci")] {
        let options = StoreOptions::with_variables(variables.clone());
        let store = open_store(&url.parse().unwrap(), &options).unwrap();
        let store: &dyn Store = store.as_ref();
        let intent = PutIntent { len: 32 << 20, crc32c: Some(7), sha256: None };
        let plain = AnswerHeaders::default();
        // Another pack each time: a GET that was signed lately is remembered on GCS.
        let mut count = 0u128;
        let mut next = || {
            count += 1;
            ObjectName::from(PackName(count.to_be_bytes()))
        };
        group.bench_function(format!("{kind}/put"), |b| b.iter(|| store.sign_put(next(), &intent).unwrap()));
        group.bench_function(format!("{kind}/get"), |b| b.iter(|| store.sign_get(next(), &plain).unwrap()));
        group.bench_function(format!("{kind}/get again"), |b| {
            b.iter(|| store.sign_get(PackName([9; 16]).into(), &plain).unwrap());
        });
    }
    group.finish();
}

/// A key file with a key of its own, RSA with 2,048 bits as Google makes them.
fn service_account() -> String {
    let der: Pkcs8V1Der<'_> = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    let encoded = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    serde_json::json!({
        "type": "service_account",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")),
        "private_key_id": "k",
        "client_email": "ci@example.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

criterion_group!(benches, sign);
criterion_main!(benches);
