//! What fails in a store, and what to do about it. Not what that means for a request.

use std::path::PathBuf;

use crate::model::ObjectName;

use super::cloud::CloudError;

/// What failed in the store. Names the object or the bucket, never a URL.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An object could not be read, deleted or its folder made.
    #[error("cannot {doing} {object}")]
    Object {
        /// The verb.
        doing: &'static str,
        /// The object.
        object: ObjectName,
        /// Why.
        source: std::io::Error,
    },
    /// The object ends before the range does.
    #[error("{object} ends before byte {end}")]
    Range {
        /// The object.
        object: ObjectName,
        /// End of the range that was asked for.
        end: u64,
    },
    /// The store's folder could not be listed or made.
    #[error("cannot use the store's folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A cloud did not do what was asked with one object.
    #[error("cannot {doing} {object}")]
    Cloud {
        /// The verb.
        doing: &'static str,
        /// The object.
        object: ObjectName,
        /// Why.
        source: CloudError,
    },
    /// A cloud did not do what was asked with the whole store.
    #[error("cannot {doing} {place}")]
    Place {
        /// The verb.
        doing: &'static str,
        /// The store, as its operator names it.
        place: String,
        /// Why.
        source: CloudError,
    },
    /// Something that the operator set does not fit.
    #[error("{problem}")]
    Setting {
        /// What does not fit.
        problem: String,
        /// What to set instead.
        mend: &'static str,
    },
    /// The parts of an upload do not make the object that was announced.
    #[error("the parts of {object} do not make it: {why}")]
    Parts {
        /// The object.
        object: ObjectName,
        /// What is wrong with them.
        why: String,
    },
    /// No threads could be had for requests to a cloud.
    #[error("no threads could be started for the store's requests")]
    Threads(#[source] std::io::Error),
}

impl StoreError {
    pub(super) const fn setting(problem: String, mend: &'static str) -> Self {
        Self::Setting { problem, mend }
    }

    /// Whether what was asked can never be done: asking again cannot help.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Parts { .. } | Self::Range { .. })
    }

    /// What to do next, where that is known.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Cloud { source, .. } | Self::Place { source, .. } => source.hint(),
            Self::Setting { mend, .. } => Some(mend),
            Self::Object { .. } | Self::Folder { .. } => Some(
                "check that the store's folder can be read and written by this user, and its disk is not full",
            ),
            Self::Range { .. } | Self::Parts { .. } | Self::Threads(_) => None,
        }
    }
}
