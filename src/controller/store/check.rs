//! What `pannier serve --check` says about a store: one finding for each thing that it must be able to do. Not the
//! trying itself, which each kind of store does in its own way.

use std::fmt;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was tried and what came of it, in one line; no URL, no secret.
    pub what: String,
    /// What to do about it; `None` if all is well.
    pub mend: Option<String>,
}

impl Finding {
    /// Something that works.
    pub fn fine(what: impl Into<String>) -> Self {
        Self { what: what.into(), mend: None }
    }

    /// Something that must be mended before agents may come.
    pub fn wrong(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: Some(mend.into()) }
    }

    /// Whether all is well.
    pub const fn is_fine(&self) -> bool {
        self.mend.is_none()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mend {
            None => write!(f, "ok: {}", self.what),
            Some(mend) => write!(f, "wrong: {}\nhint: {mend}", self.what),
        }
    }
}
