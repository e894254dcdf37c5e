//! A folder as a store: nothing is signed there, a file's mode is the permission.

use std::sync::Arc;

use pannier::controller::store::{StoreOptions, Variables, open_store};

use crate::bed::{Bed, Promises};
use crate::conformance::conformance;

fn bed(_test: &str) -> Option<Bed> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}", folder.path().join("store").display()).parse().unwrap();
    let store = open_store(&url, &StoreOptions::with_variables(Variables::default())).unwrap();
    let promises = Promises { create_only: true, length: false, checksum: false, signature: false };
    Some(Bed::new(store, promises, Arc::new(folder)))
}

conformance!(bed);
