//! Names of objects in a bucket: `<prefix>/packs/ab/<32 digits>.pack`, as in a folder. No request is made here.

use object_store::path::Path;

use crate::model::PackName;

const SUFFIX: &str = ".pack";

/// The part of a bucket that is the store's.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// `<prefix>/packs/`, without a slash in front.
    packs: String,
}

impl Keys {
    /// `prefix` as a [`super::super::Place`] holds it.
    pub(super) fn new(prefix: &str) -> Self {
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self { packs: format!("{prefix}{slash}packs/") }
    }

    /// What every pack's key begins with.
    pub(super) fn packs(&self) -> &str {
        &self.packs
    }

    /// A pack's key.
    pub(super) fn pack(&self, pack: PackName) -> Path {
        Path::from(format!("{}{:02x}/{pack}{SUFFIX}", self.packs, pack.0[0]))
    }

    /// The pack that an object is; `None` for what is none of ours.
    pub(super) fn parse(&self, key: &Path) -> Option<PackName> {
        let (shard, name) = key.as_ref().strip_prefix(&self.packs)?.split_once('/')?;
        let pack: PackName = name.strip_suffix(SUFFIX)?.parse().ok()?;
        (shard == format!("{:02x}", pack.0[0])).then_some(pack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_back_to_its_pack_and_nothing_else_does() {
        let pack = PackName([0xab; 16]);
        for prefix in ["", "ci", "ci/main"] {
            let keys = Keys::new(prefix);
            let key = keys.pack(pack);
            assert!(
                key.as_ref().ends_with(&format!("packs/ab/{pack}.pack")) && !key.as_ref().starts_with('/')
            );
            assert_eq!(keys.parse(&key), Some(pack));
            let others =
                [format!("packs/cd/{pack}.pack"), format!("packs/ab/{pack}.part"), "packs/notes".into()];
            for other in others {
                let other = Path::from(format!("{}{other}", keys.packs().trim_end_matches("packs/")));
                assert_eq!(keys.parse(&other), None, "{other}");
            }
        }
        assert_eq!(Keys::new("ci").parse(&Keys::new("other").pack(pack)), None);
    }
}
