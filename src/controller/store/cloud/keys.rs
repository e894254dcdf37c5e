//! Names of objects in a bucket: `<prefix>/packs/ab/<32 digits>.pack` and `<prefix>/blobs/ab/<32 digits>.blob`, as in a folder. No
//! request is made here.

use object_store::path::Path;

use crate::model::{ObjectKind, ObjectName};

/// The part of a bucket that is the store's.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// `<prefix>/` or nothing, without a slash in front.
    prefix: String,
}

impl Keys {
    /// `prefix` as a [`super::super::Place`] holds it.
    pub(super) fn new(prefix: &str) -> Self {
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self { prefix: format!("{prefix}{slash}") }
    }

    /// What the key of every object of that kind begins with.
    pub(super) fn of_kind(&self, kind: ObjectKind) -> String {
        format!("{}{}/", self.prefix, kind.folder())
    }

    /// An object's key.
    pub(super) fn key(&self, object: ObjectName) -> Path {
        Path::from(format!("{}{}/{}", self.of_kind(object.kind), object.shard(), object.file_name()))
    }

    /// The object of a key; `None` for what is none of ours.
    pub(super) fn parse(&self, key: &Path) -> Option<ObjectName> {
        let (folder, rest) = key.as_ref().strip_prefix(&self.prefix)?.split_once('/')?;
        let (shard, name) = rest.split_once('/')?;
        let object: ObjectName = name.parse().ok()?;
        (shard == object.shard() && folder == object.kind.folder()).then_some(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PackName;

    #[test]
    fn a_key_leads_back_to_its_pack_and_nothing_else_does() {
        let pack = PackName([0xab; 16]);
        let object = ObjectName::from(pack);
        for prefix in ["", "ci", "ci/main"] {
            let keys = Keys::new(prefix);
            let key = keys.key(object);
            assert!(
                key.as_ref().ends_with(&format!("packs/ab/{pack}.pack")) && !key.as_ref().starts_with('/')
            );
            assert_eq!(keys.parse(&key), Some(object));
            let blob = ObjectName::blob([0xcd; 16]);
            assert_eq!(keys.parse(&keys.key(blob)), Some(blob));
            let others = [
                format!("packs/cd/{pack}.pack"),
                format!("blobs/ab/{pack}.pack"),
                format!("packs/ab/{pack}.part"),
                "packs/notes".into(),
            ];
            for other in others {
                let other = Path::from(format!("{}{other}", keys.prefix));
                assert_eq!(keys.parse(&other), None, "{other}");
            }
        }
        assert_eq!(Keys::new("ci").parse(&Keys::new("other").key(object)), None);
    }
}
