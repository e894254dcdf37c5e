//! Why a pack could not be sent or read. Never names a URL: a pack's name says which object it was.

use std::io;

use crate::model::PackName;

/// A failed PUT or GET of a pack.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store took only part of a pack, or refused it.
    #[error("could not store pack {pack}")]
    Put {
        /// The pack.
        pack: PackName,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A range of a pack could not be read.
    #[error("could not read pack {pack}")]
    Get {
        /// The pack.
        pack: PackName,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The URL is of a kind that this program cannot follow.
    #[error("pack {pack} is at {place}, which this pannier cannot reach")]
    Scheme {
        /// The pack.
        pack: PackName,
        /// The redacted URL.
        place: String,
    },
}

impl TransferError {
    /// The pack that it is about.
    pub const fn pack(&self) -> PackName {
        match self {
            Self::Put { pack, .. } | Self::Get { pack, .. } | Self::Scheme { pack, .. } => *pack,
        }
    }
}
