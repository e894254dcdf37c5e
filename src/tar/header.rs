//! One header block as it was read, in whichever old or new layout. Not the records that override it.

use crate::model::entry_path::Printable;
use crate::tar::{BLOCK_BYTES, TarError, number};

/// A header whose checksum is right.
pub(super) struct Header {
    block: ::tar::Header,
    /// Where the block starts in the input.
    pub(super) offset: u64,
}

impl Header {
    /// Checks the sum, unsigned or signed as old tars had it.
    pub(super) fn new(block: [u8; BLOCK_BYTES], offset: u64) -> Result<Self, TarError> {
        let summed = |at: usize| if (148..156).contains(&at) { b' ' } else { block[at] };
        let unsigned: i64 = (0..BLOCK_BYTES).map(|at| i64::from(summed(at))).sum();
        let signed: i64 = (0..BLOCK_BYTES).map(|at| i64::from(summed(at).cast_signed())).sum();
        let header = Self { block: ::tar::Header::from_byte_slice(&block).clone(), offset };
        match number::parse(&header.block.as_old().cksum) {
            Some(sum) if sum == unsigned || sum == signed => Ok(header),
            _ => Err(TarError::Checksum { offset }),
        }
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.block.as_old().linkflag[0]
    }

    /// Prefix (POSIX layout only: the GNU one has other things there) and name. star ends its shorter prefix
    /// with a NUL, so that the times behind it are not taken for names.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = text(&self.block.as_old().name);
        match self.block.as_ustar() {
            Some(ustar) if ustar.prefix[0] != 0 => [text(&ustar.prefix), b"/", name].concat(),
            _ => name.to_vec(),
        }
    }

    pub(super) fn link(&self) -> &[u8] {
        text(&self.block.as_old().linkname)
    }

    pub(super) fn mode(&self) -> Result<u32, TarError> {
        Ok((self.number(&self.block.as_old().mode, "mode")? & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<u32, TarError> {
        self.id(&self.block.as_old().uid, "uid")
    }

    pub(super) fn gid(&self) -> Result<u32, TarError> {
        self.id(&self.block.as_old().gid, "gid")
    }

    pub(super) fn mtime(&self) -> Result<i64, TarError> {
        self.number(&self.block.as_old().mtime, "mtime")
    }

    /// Bytes that follow.
    pub(super) fn size(&self) -> Result<u64, TarError> {
        self.length(&self.block.as_old().size, "size")
    }

    /// The sparse fields of a GNU header, wherever the magic says that they are.
    pub(super) fn gnu(&self) -> Result<&::tar::GnuHeader, TarError> {
        self.block.as_gnu().ok_or_else(|| self.bad("magic for a GNU sparse file"))
    }

    /// A number that cannot be negative.
    pub(super) fn length(&self, field: &[u8], name: &'static str) -> Result<u64, TarError> {
        u64::try_from(self.number(field, name)?).map_err(|_| self.bad(name))
    }

    pub(super) fn bad(&self, field: &'static str) -> TarError {
        TarError::Field { name: self.shown_name(), offset: self.offset, field }
    }

    pub(super) fn record(&self, reason: &'static str) -> TarError {
        TarError::Record { name: self.shown_name(), offset: self.offset, reason }
    }

    fn shown_name(&self) -> Printable {
        Printable(self.path().into())
    }

    /// An id; `nobody` is −2 to some writers.
    fn id(&self, field: &[u8], name: &'static str) -> Result<u32, TarError> {
        let value = self.number(field, name)?;
        u32::try_from(value)
            .or_else(|_| i32::try_from(value).map(i32::cast_unsigned))
            .map_err(|_| self.bad(name))
    }

    fn number(&self, field: &[u8], name: &'static str) -> Result<i64, TarError> {
        number::parse(field).ok_or_else(|| self.bad(name))
    }
}

/// The bytes before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or_default()
}
