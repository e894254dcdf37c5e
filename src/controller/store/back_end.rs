//! What every store does, wherever its objects lie.

use std::ops::Range;
use std::path::PathBuf;

use crate::model::{PackName, SignedUrl};
use crate::protocol::PackIntent;

use super::check::Finding;
use super::error::StoreError;

/// A place for packs.
pub trait Store: Send + Sync {
    /// A create-only PUT of exactly the intended bytes. When this returns, the PUT can succeed (its folder exists).
    fn sign_put(&self, pack: PackName, intent: &PackIntent) -> Result<SignedUrl, StoreError>;

    /// A GET that honours ranges.
    fn sign_get(&self, pack: PackName) -> Result<SignedUrl, StoreError>;

    /// The object's length in bytes; `None` if there is none.
    fn head(&self, pack: PackName) -> Result<Option<u64>, StoreError>;

    /// Exactly the bytes of `range`.
    fn read(&self, pack: PackName, range: Range<u64>) -> Result<Vec<u8>, StoreError>;

    /// Deletes an object; bytes freed, 0 if it was gone already.
    fn delete(&self, object: &StoredObject) -> Result<u64, StoreError>;

    /// Calls `each` for every object, in no order.
    fn list(&self, each: &mut dyn FnMut(StoredObject)) -> Result<(), StoreError>;

    /// Tries everything above on a probe object that it deletes again, for `pannier serve --check`.
    fn check(&self) -> Vec<Finding>;

    /// Whether there is any pack.
    fn holds_packs(&self) -> Result<bool, StoreError> {
        let mut any = false;
        self.list(&mut |object| any |= object.unfinished.is_none())?;
        Ok(any)
    }
}

/// Something that lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The pack that it is, or was to become.
    pub pack: PackName,
    /// The unfinished upload's own name, if it is one.
    pub unfinished: Option<PathBuf>,
}

impl StoredObject {
    /// A finished pack.
    pub const fn pack(pack: PackName) -> Self {
        Self { pack, unfinished: None }
    }
}
