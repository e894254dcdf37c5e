//! Right checksums for tar headers, which a fuzzer does not find by chance. Not a tar reader: a header is every block
//! that has the magic of one.

const BLOCK_BYTES: usize = 512;

/// `bytes` with the checksum of every block that has ustar's or GNU's magic set right.
pub(crate) fn with_sums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(BLOCK_BYTES).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}
