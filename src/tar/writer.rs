//! Canonical tar, `tar_format = 1` of `docs/format.md`: a pure function of entries and content.
//! Not what order entries come in, nor where content comes from.

use std::io::Write;

use crate::model::entry_path::Printable;
use crate::model::limits::MAX_FILE_BYTES;
use crate::model::{Entry, EntryKind, EntryPath, Timestamp};
use crate::tar::{BLOCK_BYTES, TarError, decimal, number, records, xattr_name};

/// Writes canonical tar. Gives `out` many small pieces: wrap a file in a `BufWriter`.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    file: Option<OpenFile>,
}

/// The file whose content is awaited.
#[derive(Debug)]
struct OpenFile {
    path: EntryPath,
    size: u64,
    given_bytes: u64,
}

/// What stands in a header, other than fixed bytes.
struct Fields<'a> {
    prefix: &'a [u8],
    name: &'a [u8],
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: i64,
    typeflag: u8,
    link: &'a [u8],
}

impl<W: Write> Writer<W> {
    /// Starts an archive.
    pub const fn new(out: W) -> Self {
        Self { out, file: None }
    }

    /// Writes the headers of `entry`. For a file, of at most [`MAX_FILE_BYTES`], [`Self::content`] must then be given
    /// exactly `size` bytes.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), TarError> {
        self.close_file()?;
        let (typeflag, link): (u8, &[u8]) = match &entry.kind {
            EntryKind::File(_) => (b'0', b""),
            EntryKind::HardLink { target } => (b'1', target.as_bytes()),
            EntryKind::Symlink { target } => (b'2', target),
            EntryKind::Directory => (b'5', b""),
            EntryKind::Fifo => (b'6', b""),
        };
        let mut path = entry.path.as_bytes().to_vec();
        if matches!(entry.kind, EntryKind::Directory) {
            path.push(b'/');
        }
        let size = entry.content().map_or(0, |content| content.size);
        if size > MAX_FILE_BYTES {
            return Err(TarError::FileSize { path: entry.path.clone(), size });
        }
        let extended = extended_records(entry, &path, link, size)?;
        if !extended.is_empty() {
            self.extended_header(&entry.path, &extended)?;
        }
        // What does not fit stands in a record; its first bytes here are for people and old readers.
        let (prefix, name) = split(&path).unwrap_or((b"", first_100(&path)));
        let (uid, gid) = entry.owner.map_or((0, 0), |owner| (owner.uid, owner.gid));
        let mtime = entry.mtime.secs;
        let mode = entry.mode & 0o7777;
        self.header(&Fields { prefix, name, mode, uid, gid, size, mtime, typeflag, link: first_100(link) })?;
        if entry.content().is_some() {
            self.file = Some(OpenFile { path: entry.path.clone(), size, given_bytes: 0 });
        }
        Ok(())
    }

    /// Writes the next bytes of the file that [`Self::entry`] announced.
    pub fn content(&mut self, bytes: &[u8]) -> Result<(), TarError> {
        let Some(file) = &mut self.file else {
            return match bytes.len() as u64 {
                0 => Ok(()),
                given_bytes => Err(TarError::NoFile { given_bytes }),
            };
        };
        file.given_bytes += bytes.len() as u64;
        if file.given_bytes > file.size {
            return Err(file.wrong_size());
        }
        self.out.write_all(bytes).map_err(TarError::Write)
    }

    /// Ends the archive with two zero blocks and gives the output back, flushed.
    pub fn finish(mut self) -> Result<W, TarError> {
        self.close_file()?;
        self.out.write_all(&[0; 2 * BLOCK_BYTES]).and_then(|()| self.out.flush()).map_err(TarError::Write)?;
        Ok(self.out)
    }

    fn close_file(&mut self) -> Result<(), TarError> {
        let Some(file) = &self.file else { return Ok(()) };
        if file.given_bytes != file.size {
            return Err(file.wrong_size());
        }
        self.pad(file.size)?;
        self.file = None;
        Ok(())
    }

    fn extended_header(&mut self, path: &EntryPath, extended: &[u8]) -> Result<(), TarError> {
        let name = [b"PaxHeaders/", path.file_name()].concat();
        let size = extended.len() as u64;
        self.header(&Fields {
            prefix: b"",
            name: first_100(&name),
            mode: 0o644,
            uid: 0,
            gid: 0,
            size,
            mtime: 0,
            typeflag: b'x',
            link: b"",
        })?;
        self.out.write_all(extended).map_err(TarError::Write)?;
        self.pad(size)
    }

    fn header(&mut self, fields: &Fields<'_>) -> Result<(), TarError> {
        let mut header = ::tar::Header::new_ustar();
        if let Some(ustar) = header.as_ustar_mut() {
            ustar.name[..fields.name.len()].copy_from_slice(fields.name);
            ustar.prefix[..fields.prefix.len()].copy_from_slice(fields.prefix);
            ustar.linkname[..fields.link.len()].copy_from_slice(fields.link);
            number::put(&mut ustar.mode, fields.mode.into());
            number::put(&mut ustar.uid, fields.uid.into());
            number::put(&mut ustar.gid, fields.gid.into());
            number::put(&mut ustar.size, fields.size.cast_signed());
            number::put(&mut ustar.mtime, fields.mtime);
            number::put(&mut ustar.dev_major, 0);
            number::put(&mut ustar.dev_minor, 0);
            ustar.typeflag = [fields.typeflag];
        }
        let bytes = header.as_mut_bytes();
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes.iter().map(|&b| u32::from(b)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.out.write_all(bytes).map_err(TarError::Write)
    }

    fn pad(&mut self, size: u64) -> Result<(), TarError> {
        let used = (size % BLOCK_BYTES as u64) as usize;
        let zeros = [0; BLOCK_BYTES];
        let padding = if used == 0 { &[] } else { &zeros[used..] };
        self.out.write_all(padding).map_err(TarError::Write)
    }
}

impl OpenFile {
    fn wrong_size(&self) -> TarError {
        TarError::ContentSize {
            path: self.path.clone(),
            announced_bytes: self.size,
            given_bytes: self.given_bytes,
        }
    }
}

/// The PAX records that `entry` needs, sorted by key; nothing if ustar says it all.
fn extended_records(entry: &Entry, path: &[u8], link: &[u8], size: u64) -> Result<Vec<u8>, TarError> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| found.push((key.to_vec(), value.to_vec()));
    for xattr in &entry.xattrs {
        if xattr.name.is_empty() || xattr.name.contains(&0) {
            let name = Printable(xattr.name.clone());
            return Err(TarError::XattrName { path: entry.path.clone(), name });
        }
        add(&xattr_name::key(&xattr.name), &xattr.value);
    }
    let long_names = [(&b"path"[..], path, split(path).is_none()), (b"linkpath", link, link.len() > 100)];
    for (key, value, _) in long_names.iter().filter(|(.., needed)| *needed) {
        add(key, value);
    }
    // PAX text is UTF-8 unless it says otherwise, and it can say otherwise only for the whole record set.
    if long_names.iter().any(|(_, value, needed)| *needed && str::from_utf8(value).is_err()) {
        add(b"hdrcharset", b"BINARY");
    }
    if needs_mtime(entry.mtime) {
        add(b"mtime", decimal::time_text(entry.mtime).as_bytes());
    }
    if size >> 33 != 0 {
        add(b"size", size.to_string().as_bytes());
    }
    if let Some(owner) = entry.owner {
        for (key, id) in [(b"uid", owner.uid), (b"gid", owner.gid)] {
            if !number::fits_octal(id.into(), 7) {
                add(key, id.to_string().as_bytes());
            }
        }
    }
    found.sort();
    let mut out = Vec::new();
    for (key, value) in found {
        records::push(&mut out, &key, &value);
    }
    Ok(out)
}

const fn needs_mtime(time: Timestamp) -> bool {
    time.nanos != 0 || !number::fits_octal(time.secs, 11)
}

/// Prefix and name of a path in ustar, cut at the leftmost slash that leaves a name of at most 100 bytes;
/// `None` if it fits nowhere.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    let from = path.len() - 101;
    // A folder's own last slash ends its name and cuts nothing.
    let slash = from + path[from..path.len() - 1].iter().position(|&b| b == b'/')?;
    (slash <= 155).then(|| (&path[..slash], &path[slash + 1..]))
}

fn first_100(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(100)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_at_the_leftmost_slash_that_fits() {
        let name = |len| vec![b'n'; len];
        assert_eq!(split(&name(100)).unwrap().1.len(), 100);
        assert!(split(&name(101)).is_none());
        let path = [b"a/b/".as_slice(), &name(98)].concat();
        assert_eq!(split(&path), Some((&b"a"[..], &path[2..])));
        let fits = [name(155), b"/".to_vec(), name(100)].concat();
        assert_eq!(split(&fits).unwrap().0.len(), 155);
        assert!(split(&[name(156), b"/".to_vec(), name(100)].concat()).is_none());
        let folder = [name(155), b"/".to_vec(), name(99), b"/".to_vec()].concat();
        assert_eq!(split(&folder).unwrap().1.len(), 100);
        assert!(split(&[name(155), b"/".to_vec(), name(100), b"/".to_vec()].concat()).is_none());
    }
}
