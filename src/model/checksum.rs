//! SHA-1 and SHA-256 of an artifact, as other tools want them. Nothing is named or trusted by them but by SHA-256.

use std::fmt;
use std::str::FromStr;

use super::digest::parse_hex;

/// A text that is not a checksum of that kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a {kind}: {digits} hexadecimal digits are needed")]
pub struct ParseChecksumError {
    text: String,
    kind: &'static str,
    digits: usize,
}

macro_rules! checksum {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = ParseChecksumError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let wrong = || ParseChecksumError { text: text.to_owned(), kind: $kind, digits: 2 * $len };
                parse_hex(text).map(Self).ok_or_else(wrong)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

checksum!(
    /// SHA-1: 20 bytes, printed as 40 lower-case hexadecimal digits.
    Sha1, "SHA-1", 20
);
checksum!(
    /// SHA-256: 32 bytes, printed as 64 lower-case hexadecimal digits.
    Sha256, "SHA-256", 32
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_the_published_checksums_of_nothing() {
        let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha1.parse::<Sha1>().unwrap().to_string(), sha1);
        assert_eq!(sha256.parse::<Sha256>().unwrap().to_string(), sha256);
        assert!(sha256.parse::<Sha1>().is_err() && "g".repeat(64).parse::<Sha256>().is_err());
    }
}
