//! Names of objects in a bucket: `<prefix>/packs/ab/<32 digits>.pack` and `<prefix>/blobs/ab/<32 digits>.blob`, as in a folder; the
//! same in `staged-packs` and `staged-blobs` for what agents PUT where a store overwrites. No request is made here.

use object_store::path::Path;

use crate::model::{ObjectKind, ObjectName};

/// The part of a bucket that is the store's.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// `<prefix>/` or nothing, without a slash in front.
    prefix: String,
    /// What the folder of a kind begins with: `staged-` or nothing. No prefix of another store can end so that its keys are these.
    stage: &'static str,
}

impl Keys {
    /// `prefix` as a [`super::super::Place`] holds it.
    pub(super) fn new(prefix: &str) -> Self {
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self { prefix: format!("{prefix}{slash}"), stage: "" }
    }

    /// What the key of every object of that kind begins with.
    pub(super) fn of_kind(&self, kind: ObjectKind) -> String {
        format!("{}{}{}/", self.prefix, self.stage, kind.folder())
    }

    /// An object's key.
    pub(super) fn key(&self, object: ObjectName) -> Path {
        Path::from(format!("{}{}/{}", self.of_kind(object.kind), object.shard(), object.file_name()))
    }

    /// The same for what was put and is no object yet.
    pub(super) fn staged(&self) -> Self {
        Self { stage: "staged-", ..self.clone() }
    }

    /// The object of a key; `None` for what is none of ours.
    pub(super) fn parse(&self, key: &Path) -> Option<ObjectName> {
        let below = key.as_ref().strip_prefix(&self.prefix)?.strip_prefix(self.stage)?;
        let (folder, rest) = below.split_once('/')?;
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
            let staged = keys.staged().key(object);
            assert_eq!((keys.parse(&staged), keys.staged().parse(&staged)), (None, Some(object)));
            assert_eq!(keys.staged().parse(&key), None);
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
        for nested in ["ci/staged-packs", "ci/packs", "ci/staged-"] {
            let key = Keys::new(nested).key(object);
            assert_eq!((Keys::new("ci").parse(&key), Keys::new("ci").staged().parse(&key)), (None, None));
        }
    }
}
