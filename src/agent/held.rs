//! A file's content as it is held for a million files: almost all of them are one chunk, which then needs no list.

use crate::model::{ChunkRef, Content, Digest};

/// A [`Content`], without an allocation where it is one chunk as long as the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The whole file is this chunk.
    One(Digest),
    /// Anything else.
    Other(Content),
}

impl From<Content> for Held {
    fn from(content: Content) -> Self {
        match *content.chunks {
            [chunk] if !content.listed && u64::from(chunk.len) == content.size => Self::One(chunk.digest),
            _ => Self::Other(content),
        }
    }
}

impl Held {
    /// The content again; `size` is the file's.
    pub(super) fn content(&self, size: u64) -> Content {
        match self {
            // One chunk is at most a few MiB, so the length of a file that is one fits.
            Self::One(digest) => {
                let chunk = ChunkRef { digest: *digest, len: size as u32 };
                Content { size, listed: false, chunks: Box::new([chunk]) }
            }
            Self::Other(content) => content.clone(),
        }
    }

    /// The chunks that it names: the file's, or its chunk lists.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        let (one, others) = match self {
            Self::One(digest) => (Some(*digest), &[][..]),
            Self::Other(content) => (None, &content.chunks[..]),
        };
        one.into_iter().chain(others.iter().map(|chunk| chunk.digest))
    }

    /// Whether it names chunk lists.
    pub(super) const fn is_listed(&self) -> bool {
        matches!(self, Self::Other(content) if content.listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_survives_being_held() {
        let chunk = |len| ChunkRef { digest: Digest::of(&[len as u8]), len };
        let content = |size, listed, chunks: &[ChunkRef]| Content { size, listed, chunks: chunks.into() };
        for content in [
            Content::default(),
            content(5, false, &[chunk(5)]),
            content(9, false, &[chunk(4), chunk(5)]),
            content(5, true, &[chunk(5)]),
        ] {
            let held = Held::from(content.clone());
            assert_eq!(held.content(content.size), content);
            assert!(held.digests().eq(content.chunks.iter().map(|chunk| chunk.digest)));
        }
    }
}
