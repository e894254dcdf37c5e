//! Tars made by hand, member by member, so that they can say what no tar program would write.

/// A ustar header by hand, with a right checksum and nothing else checked.
pub(crate) fn header(name: &[u8], kind: u8, link: &[u8], size: &[u8]) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, size);
    put(136, b"14000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link);
    put(257, b"ustar\x0000");
    summed(block)
}

/// The same header with another mode.
pub(crate) fn with_mode(mut member: Vec<u8>, mode: u32) -> Vec<u8> {
    member[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
    summed(member)
}

/// Puts the right checksum into the first block.
fn summed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block[..512].iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

pub(crate) fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}\0").into_bytes()
}

pub(crate) fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub(crate) fn member(name: &[u8], kind: u8, link: &[u8], content: &[u8]) -> Vec<u8> {
    [header(name, kind, link, &octal(content.len())), padded(content.to_vec())].concat()
}

pub(crate) fn file(name: &[u8], content: &[u8]) -> Vec<u8> {
    member(name, b'0', b"", content)
}

pub(crate) fn folder(name: &[u8]) -> Vec<u8> {
    member(name, b'5', b"", b"")
}

pub(crate) fn link_to(name: &[u8], target: &[u8]) -> Vec<u8> {
    member(name, b'2', target, b"")
}

pub(crate) fn hard_link(name: &[u8], target: &[u8]) -> Vec<u8> {
    member(name, b'1', target, b"")
}

/// A GNU long name for the next member.
pub(crate) fn gnu_name(name: &[u8]) -> Vec<u8> {
    member(b"././@LongLink", b'L', b"", &[name, b"\0"].concat())
}

/// A PAX header for the next member.
pub(crate) fn pax(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let digits = |len: usize| len.to_string().len();
    let mut len = rest + digits(rest);
    len = rest + digits(len);
    let record = [format!("{len} {key}=").as_bytes(), value, b"\n"].concat();
    member(b"pax", b'x', b"", &record)
}

pub(crate) fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}
