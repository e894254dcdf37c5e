//! Names of what lies in a store: packs and blobs. Not where a store keeps them.

use std::fmt;
use std::str::FromStr;

use super::digest::parse_hex;
use super::pack_layout::PackName;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// Frames of chunks.
    Pack,
    /// The whole content of an artifact.
    Blob,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Pack, Self::Blob];

    /// What people call one; also the ending of its file name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::Blob => "blob",
        }
    }

    /// The folder that a store keeps them in.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Pack => "packs",
            Self::Blob => "blobs",
        }
    }
}

/// An object by its kind and its random 128-bit name. Written once, never overwritten, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name among those of its kind.
    pub name: [u8; 16],
}

impl ObjectName {
    /// The blob of that name.
    pub const fn blob(name: [u8; 16]) -> Self {
        Self { kind: ObjectKind::Blob, name }
    }

    /// The pack that it is, if it is one.
    pub fn pack(self) -> Option<PackName> {
        (self.kind == ObjectKind::Pack).then_some(PackName(self.name))
    }

    /// Two digits by which a store spreads objects over folders.
    pub fn shard(self) -> String {
        let [first, ..] = self.name;
        format!("{first:02x}")
    }

    /// `<32 digits>.pack` or `.blob`; [`str::parse`] leads back.
    pub fn file_name(self) -> String {
        format!("{}.{}", PackName(self.name), self.kind.word())
    }
}

impl From<PackName> for ObjectName {
    fn from(pack: PackName) -> Self {
        Self { kind: ObjectKind::Pack, name: pack.0 }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), PackName(self.name))
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that names no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object is named by 32 hexadecimal digits and .pack or .blob")]
pub struct ParseObjectNameError;

impl FromStr for ObjectName {
    type Err = ParseObjectNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, ending) = text.split_once('.').ok_or(ParseObjectNameError)?;
        let kind = ObjectKind::ALL.into_iter().find(|kind| kind.word() == ending);
        let name = parse_hex(digits).ok_or(ParseObjectNameError)?;
        Ok(Self { kind: kind.ok_or(ParseObjectNameError)?, name })
    }
}

impl<'de> serde::Deserialize<'de> for ObjectName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_leads_back_to_its_object_and_nothing_else_does() {
        for object in [ObjectName::from(PackName([0xab; 16])), ObjectName::blob([7; 16])] {
            assert_eq!(object.file_name().parse(), Ok(object));
        }
        let digits = "ab".repeat(16);
        for text in [&digits[..], &format!("{digits}.part"), &format!("{digits}."), "x.pack", ".blob"] {
            assert_eq!(text.parse::<ObjectName>(), Err(ParseObjectNameError), "{text}");
        }
    }
}
