//! Layers with honest content: a tar archive of one file, plain or in gzip, written by hand.

/// The longest block that gzip stores as it is.
const STORED_BLOCK: usize = 65_535;

/// A tar archive that holds one file.
pub(crate) fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = header(name, content.len()).to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

/// The 512 bytes before a file.
fn header(name: &str, size: usize) -> [u8; 512] {
    let mut block = [0_u8; 512];
    let mut put =
        |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A gzip member that stores its content without compressing it.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut rest = content;
    while !rest.is_empty() || member.len() == 10 {
        let (block, more) = rest.split_at(rest.len().min(STORED_BLOCK));
        let length = u16::try_from(block.len()).expect("a block is short");
        member.push(u8::from(more.is_empty()));
        member.extend_from_slice(&length.to_le_bytes());
        member.extend_from_slice(&(!length).to_le_bytes());
        member.extend_from_slice(block);
        rest = more;
    }
    let size = u32::try_from(content.len()).expect("a layer of the tests is small");
    member.extend_from_slice(&crc32(content).to_le_bytes());
    member.extend_from_slice(&size.to_le_bytes());
    member
}

/// The check sum of gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    });
    !sum
}
