//! The names in one folder, in one allocation. Not their `stat`.

use std::ffi::CStr;

use rustix::fs::FileType as RawType;

/// What a listing says of a name's type; only a hint, since the name may be another's by the time it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypeHint {
    Folder,
    Other,
    Unknown,
}

impl From<RawType> for TypeHint {
    fn from(listed: RawType) -> Self {
        match listed {
            RawType::Directory => Self::Folder,
            RawType::Unknown => Self::Unknown,
            _ => Self::Other,
        }
    }
}

/// Names, each followed by its NUL in one buffer.
#[derive(Debug, Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    names: Vec<Name>,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    start: usize,
    /// Without the NUL.
    len: u32,
    hint: TypeHint,
}

impl Names {
    /// Adds a name, unless it is `.` or `..`.
    pub(super) fn push(&mut self, name: &CStr, hint: TypeHint) {
        let bytes = name.to_bytes_with_nul();
        if !matches!(name.to_bytes(), b"." | b"..") {
            let len = u32::try_from(bytes.len() - 1).unwrap_or(u32::MAX);
            self.names.push(Name { start: self.bytes.len(), len, hint });
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Sorts by the names' bytes: the order of siblings in a manifest.
    pub(super) fn sort(&mut self) {
        let Self { bytes, names } = self;
        names.sort_unstable_by(|a, b| slice(bytes, *a).cmp(slice(bytes, *b)));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is such a name; the names must be sorted.
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.names.binary_search_by(|at| slice(&self.bytes, *at).cmp(name)).is_ok()
    }

    /// The names from `range`, which is cut to what there is.
    pub(super) fn iter(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = (&CStr, TypeHint)> {
        let (start, end) = (range.start.min(self.len()), range.end.min(self.len()));
        self.names[start..end].iter().filter_map(|name| {
            let with_nul = self.bytes.get(name.start..=name.start + name.len as usize)?;
            Some((CStr::from_bytes_with_nul(with_nul).ok()?, name.hint))
        })
    }
}

fn slice(bytes: &[u8], name: Name) -> &[u8] {
    bytes.get(name.start..name.start + name.len as usize).unwrap_or_default()
}
