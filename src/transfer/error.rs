//! Why a pack could not be sent or read. Never names a URL: a pack's name says which object it was.

use std::io;

use crate::http::HttpError;
use crate::model::PackName;

use super::remote::RemoteError;
use super::store_words::is_damage;

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
    /// A pack could not be sent by HTTP.
    #[error("could not store pack {pack}")]
    Send {
        /// The pack.
        pack: PackName,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// A range of a pack could not be read by HTTP.
    #[error("could not read pack {pack}")]
    Read {
        /// The pack.
        pack: PackName,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// A pack's URL ended, and the controller gave no other.
    #[error("the URL of pack {pack} has ended, and there is no other")]
    Renew {
        /// The pack.
        pack: PackName,
        /// Why.
        #[source]
        source: RemoteError,
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
            Self::Put { pack, .. }
            | Self::Get { pack, .. }
            | Self::Send { pack, .. }
            | Self::Read { pack, .. }
            | Self::Renew { pack, .. }
            | Self::Scheme { pack, .. } => *pack,
        }
    }

    /// Whether the pack itself is at fault: it is not there, or not as long as it should be.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Get { .. } => true,
            Self::Read { source, .. } => is_damage(source),
            Self::Put { .. } | Self::Send { .. } | Self::Renew { .. } | Self::Scheme { .. } => false,
        }
    }

    /// Whether the same run may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Send { source, .. } | Self::Read { source, .. } => source.is_retryable(),
            Self::Renew { source, .. } => source.is_retryable(),
            Self::Put { .. } | Self::Get { .. } | Self::Scheme { .. } => false,
        }
    }
}
