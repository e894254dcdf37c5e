//! S3, Google Cloud Storage and Azure Blob Storage as one kind of store, on the crate `object_store`.
//!
//! Does: requests to the clouds from threads that wait for them (`bridge`), objects and listings (`objects`), what each
//! cloud signs in its own way (`s3`, `gcs`, `azure`).
//! Does not: retry longer than an agent's own request would wait; move packs.
//! May import: `model`, `protocol`.

mod azure;
mod azure_account;
mod bridge;
mod endpoint;
mod error;
mod gcs;
mod keys;
mod objects;
mod probe;
mod s3;
mod signing;
mod sigv4;

pub use error::CloudError;
pub use objects::CloudStore;
