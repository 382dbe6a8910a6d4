//! Layers unpacked while they arrive, as clients unpack them: whatever packs the archive is told by its first bytes, and
//! the archive is read as Go's archive/tar reads it.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::archive;
use super::frames::{Frames, LIMIT, fill};
use super::members::Members;
use crate::oci::{Hasher, Printable};
use crate::registry::{Unpack, Unpacked};

/// Pieces of a body that wait to be unpacked.
const WAITING: usize = 8;
/// What is unpacked without a look at how much shorter it was when packed.
const FREE: u64 = 1 << 30;
/// How many times longer than that it may be, beyond that. gzip gives 1000 at most, and files of zeros come near it.
const MOST_RATIO: u64 = 200;
/// A layer that is being unpacked, on a thread of its own, so that the next bytes can arrive meanwhile.
pub(super) struct Unpacking {
    pieces: mpsc::Sender<Bytes>,
    ends: JoinHandle<Unpacked>,
}

impl Unpacking {
    /// Of `size` bytes, as far as is promised.
    pub(super) fn start(how: Unpack, size: Option<u64>) -> Self {
        let (pieces, arriving) = mpsc::channel(WAITING);
        let unpack = move || unpack(Arriving::new(arriving), &how, size.unwrap_or_default());
        let ends = tokio::task::spawn_blocking(unpack);
        Self { pieces, ends }
    }

    /// Hands a piece on. Whoever unpacks may have seen enough.
    pub(super) async fn take(&self, piece: &Bytes) {
        _ = self.pieces.send(piece.clone()).await;
    }

    pub(super) async fn finish(self) -> Unpacked {
        drop(self.pieces);
        // It ends early by a panic alone.
        self.ends.await.unwrap_or(Unpacked::Lost)
    }
}

/// The bytes of a body as they arrive.
struct Arriving {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
    count: Rc<Cell<u64>>,
}

impl Arriving {
    fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self {
            pieces,
            piece: Bytes::new(),
            count: Rc::default(),
        }
    }
}

impl BufRead for Arriving {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => break,
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        self.count.set(self.count.get() + amount as u64);
        self.piece.advance(amount);
    }
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

fn unpack(mut arriving: Arriving, how: &Unpack, size: u64) -> Unpacked {
    let packed = Rc::clone(&arriving.count);
    let mut start = [0; 4];
    let length = match fill(&mut arriving, &mut start) {
        Ok(0) => {
            return failed(&io::Error::other(
                "there is not one byte, which containerd refuses",
            ));
        }
        Ok(length) => length,
        Err(error) => return failed(&error),
    };
    let source = Read::chain(io::Cursor::new(start[..length].to_vec()), arriving);
    let reader: Box<dyn Read> = match start {
        _ if !how.is_packed => Box::new(source),
        [0x1f, 0x8b, 8, _] => Box::new(Members::new(source)),
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Box::new(Frames::new(source)),
        _ => Box::new(source),
    };
    let mut archive = Archive {
        reader,
        hasher: Hasher::sha256(),
        length: 0,
        most: how.most,
        size,
        packed,
    };
    match archive.judge() {
        Ok(()) => Unpacked::Whole(archive.hasher.finish()),
        Err(error) if error.kind() == LIMIT => Unpacked::Limited,
        Err(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> Unpacked {
    Unpacked::Failed(Printable::cut(&error.to_string(), 200))
}

/// What a layer unpacks to.
struct Archive<R> {
    reader: R,
    hasher: Hasher,
    length: u64,
    most: u64,
    /// How long it is packed: what is promised, and what arrived.
    size: u64,
    packed: Rc<Cell<u64>>,
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.length += length as u64;
        self.hasher.update(&buffer[..length]);
        let packed = self.size.max(self.packed.get());
        let is_bomb = self.length > FREE && self.length / MOST_RATIO > packed;
        if is_bomb || self.length > self.most {
            return Err(LIMIT.into());
        }
        Ok(length)
    }
}

impl<R: Read> Archive<R> {
    /// Reads all of it. What comes after the end of the archive belongs to its digest, too.
    fn judge(&mut self) -> io::Result<()> {
        archive::judge(self)?;
        let mut rest = vec![0; 64 * 1024];
        while self.read(&mut rest)? > 0 {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::archive::BLOCK;
    use super::*;
    use crate::oci::Digest;

    /// A file's header, of this kind and size.
    fn header(kind: u8, size: u64) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..4].copy_from_slice(b"file");
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        with(block, 156, &[kind])
    }

    /// A header with these bytes at a position, and the check sum that it has then.
    fn with(mut block: Vec<u8>, position: usize, bytes: &[u8]) -> Vec<u8> {
        block[position..position + bytes.len()].copy_from_slice(bytes);
        block[148..156].fill(b' ');
        let sum: u32 = block[..BLOCK].iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    /// A file with what fills its last block, if anything is to.
    fn file(content: &[u8], is_filled: bool) -> Vec<u8> {
        let mut bytes = header(b'0', content.len() as u64);
        bytes.extend(content);
        if is_filled {
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes
    }

    fn tar() -> Vec<u8> {
        [file(b"hello", true), header(b'5', 0), vec![0; 2 * BLOCK]].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    /// With a name of so many bytes in the header.
    fn named(bytes: &[u8], length: usize) -> Vec<u8> {
        let name = vec![b'n'; length];
        let encoder = flate2::GzBuilder::new().filename(name);
        let mut encoder = encoder.write(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        ruzstd::encoding::compress_to_vec(bytes, level)
    }

    async fn unpacked_up_to(most: u64, bytes: &[u8]) -> Unpacked {
        let is_packed = true;
        let how = Unpack { is_packed, most };
        let unpacking = Unpacking::start(how, None);
        for piece in bytes.chunks(100) {
            unpacking.take(&Bytes::copy_from_slice(piece)).await;
        }
        unpacking.finish().await
    }

    async fn unpacked(bytes: &[u8]) -> Unpacked {
        unpacked_up_to(u64::MAX, bytes).await
    }

    #[tokio::test]
    async fn however_it_is_packed() {
        let tar = tar();
        let whole = Unpacked::Whole(Digest::sha256(&tar));
        let (one, two) = tar.split_at(300);
        // Go does not look at flags that mean nothing yet.
        let mut flagged = gzip(&tar);
        flagged[3] |= 0xe0;
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], &*zstd(&tar)].concat();
        for packed in [
            tar.clone(),
            gzip(&tar),
            // Of several members, as estargz has them.
            [gzip(one), gzip(two)].concat(),
            zstd(&tar),
            [zstd(one), zstd(two)].concat(),
            skipped,
            // What follows a member is passed over by unpigz, which containerd and docker use where it is there.
            [gzip(&tar), b"rest".to_vec()].concat(),
            [gzip(&tar), vec![0; BLOCK]].concat(),
            [gzip(&tar), vec![0x1f, 0x8b]].concat(),
            named(&tar, 600),
            flagged,
        ] {
            assert_eq!(unpacked(&packed).await, whole);
        }
    }

    /// What Go's archive/tar takes.
    #[tokio::test]
    async fn archives_that_clients_read() {
        let properties = b"10 size=5\n";
        let mut stated_otherwise = header(b'x', properties.len() as u64);
        stated_otherwise.extend(properties);
        stated_otherwise.resize(2 * BLOCK, 0);
        for archive in [
            vec![0; BLOCK],
            vec![0; 2 * BLOCK],
            // What is said of a file that does not come.
            stated_otherwise.clone(),
            [stated_otherwise.clone(), vec![0; 2 * BLOCK]].concat(),
            [header(b'L', 3), vec![b'x'; BLOCK]].concat(),
            // A folder has no size, so a wrong one is none.
            with(header(b'5', 0), 124, &[0xff; 12]),
            file(b"hello", true),
            file(b"hello", false),
            [file(b"hello", true), vec![0; BLOCK]].concat(),
            // What follows the end is passed over.
            [vec![0; 2 * BLOCK], b"anything".to_vec()].concat(),
            [header(b'2', 77), vec![0; 2 * BLOCK]].concat(),
            [stated_otherwise, header(b'0', 0), b"hello".to_vec()].concat(),
            [header(b'L', 3), vec![b'x'; BLOCK], file(b"hello", true)].concat(),
        ] {
            let whole = Unpacked::Whole(Digest::sha256(&archive));
            assert_eq!(unpacked(&archive).await, whole, "{}", archive.len());
        }
    }

    /// A header of this kind, and what it says of the file that follows.
    fn said(kind: u8, text: &[u8]) -> Vec<u8> {
        let mut bytes = header(kind, text.len() as u64);
        bytes.extend(text);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    /// Records of PAX.
    fn records(records: &[(&str, &str)]) -> Vec<u8> {
        let line = |(key, value): &(&str, &str)| {
            let rest = format!(" {key}={value}\n");
            let length = (1..=rest.len() + 9)
                .find(|length: &usize| length.to_string().len() + rest.len() == *length);
            format!("{}{rest}", length.expect("a length"))
        };
        said(
            b'x',
            records.iter().map(line).collect::<String>().as_bytes(),
        )
    }

    fn with_content(mut header: Vec<u8>, content: &[u8]) -> Vec<u8> {
        header.extend(content);
        header.resize(header.len().next_multiple_of(BLOCK), 0);
        header
    }

    /// A map of holes before three bytes, as records or within the content.
    fn sparse(count: &str, map: &str, length: &str) -> Vec<u8> {
        let entries = [
            ("GNU.sparse.numblocks", count),
            ("GNU.sparse.map", map),
            ("GNU.sparse.size", length),
        ];
        [records(&entries), file(b"abc", true)].concat()
    }

    fn sparse_in_content(map: &[u8], content: &[u8]) -> Vec<u8> {
        let entries = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.realsize", "1000"),
        ];
        let map = with_content(Vec::new(), map);
        [records(&entries), file(&[&map, content].concat(), true)].concat()
    }

    /// Measured with containerd 1.6.20.
    #[tokio::test]
    async fn what_clients_read_of_headers() {
        let size = |bytes: &[u8]| with_content(with(header(b'0', 0), 124, bytes), b"abc");
        let before = |records: Vec<u8>| [records, file(b"x", true)].concat();
        for (position, archive) in [
            before(records(&[
                ("path", "long/name"),
                ("mtime", "1.5"),
                ("atime", "+5"),
                ("ctime", "-1.5"),
            ])),
            before(records(&[
                ("mtime", ""),
                ("uid", "-1"),
                ("comment", "a\0b"),
            ])),
            before(said(b'x', b"")),
            before(said(b'x', b"10 path=\xff\n")),
            // The second replaces the first.
            [
                records(&[("size", "700")]),
                records(&[("uid", "1")]),
                file(b"x", true),
            ]
            .concat(),
            before([said(b'g', b"13 mtime=abc\n"), vec![]].concat()),
            before(said(b'L', b"name\0")),
            before(said(b'K', b"target")),
            sparse("1", "100,3", "1000"),
            sparse_in_content(b"1\n100\n3\n", b"abc"),
            size(b"\x80\0\0\0\0\0\0\0\0\0\0\x03"),
            size(b"         3 \0"),
            size(b"00003\0zzzzzz"),
            size(b"000000000003"),
            with(header(b'0', 0), 136, &[0xff; 12]),
            // Without a magic there is no device.
            with(header(b'0', 0), 329, &[0xff; 16]),
            // Not unpacked, whatever it is.
            with(header(b'z', 0), 0, b"folder/.wh.file"),
            with(header(b'z', 0), 0, b"./\0\0"),
            // In old archives a folder ends with a slash, and has no content.
            with(header(0, 3), 0, b"file/"),
        ]
        .into_iter()
        .enumerate()
        {
            let whole = Unpacked::Whole(Digest::sha256(&archive));
            assert_eq!(unpacked(&archive).await, whole, "{position}");
        }
    }

    /// Measured with containerd 1.6.20, which fails on each.
    #[tokio::test]
    async fn headers_that_clients_refuse() {
        let before = |records: Vec<u8>| [records, file(b"x", true)].concat();
        let ustar = |position, bytes: &[u8]| {
            with(with(header(b'0', 0), 257, b"ustar\x0000"), position, bytes)
        };
        let record = |key, value| before(records(&[(key, value)]));
        let raw = |text: &[u8]| before(said(b'x', text));
        let mut archives = vec![
            record("mtime", "abc"),
            record("mtime", "99999999999999999999"),
            record("atime", "1.x"),
            record("ctime", " 1"),
            record("uid", "x"),
            record("gid", "1.5"),
            record("size", "x"),
            record("size", "-1"),
            record("path", "a\0b"),
            record("uname", "\0"),
            record("", "value"),
            record("a\0b", "value"),
            raw(b"99 path=x\n"),
            raw(b"0 path=x\n"),
            raw(b"9 path=xy"),
            raw(b"8 path\n\n"),
            raw(b" 9 path=x\n"),
            raw(b"+10 path=x\n"),
            raw(b"9 path=x\n\0\0"),
            raw(b"garbage"),
            before(said(b'g', b"garbage")),
            before(said(
                b'x',
                &[b"1100000 path=", &[b'x'; 1_099_986][..], b"\n"].concat(),
            )),
            before(said(b'L', &vec![b'n'; 2 << 20])),
            sparse("1", "100,3,5", "1000"),
            sparse("x", "100,3", "1000"),
            sparse("1", "100,30", "1000"),
            sparse("1", "100,3", "50"),
            sparse("2", "100,2,50,1", "1000"),
            sparse_in_content(b"1\nxx\n3\n", b"abc"),
            sparse_in_content(&b"7".repeat(5000), b"abc"),
            sparse_in_content(&[b"9999999\n", &*b"1\n".repeat(1 << 20)].concat(), b"abc"),
            [
                records(&[("size", "1")]),
                with(header(b'0', 0), 124, &[0xff; 12]),
            ]
            .concat(),
            sparse_in_content(b"1\n100\n3\n", b"ab"),
            sparse_in_content(b"1\n100\n3\n", b"abcdef"),
            with(header(b'0', 0), 100, b"zzzzzzz\0"),
            with(header(b'0', 0), 108, b"+000001\0"),
            with(header(b'0', 0), 136, b"zzzzzzzzzzz\0"),
            with(
                header(b'0', 0),
                136,
                &[
                    0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                ],
            ),
            ustar(329, b"zzzzzzz\0"),
            with_content(with(header(0, 3), 0, b"file/"), b"abc"),
        ];
        // Old lists of holes, and what no client unpacks.
        archives.extend(b"SDMNVIAEXZ7z".iter().map(|kind| header(*kind, 0)));
        for (position, archive) in archives.iter().enumerate() {
            let failed = unpacked(archive).await;
            assert!(
                matches!(failed, Unpacked::Failed(_)),
                "{position} {failed:?}"
            );
        }
    }

    /// Measured with containerd 1.6.20, which fails on each.
    #[tokio::test]
    async fn what_clients_cannot_unpack() {
        let tar = tar();
        let mut wrong_sum = gzip(&tar);
        let end = wrong_sum.len() - 6;
        wrong_sum[end] ^= 1;
        let mut wrong_frame = zstd(&tar);
        *wrong_frame.last_mut().expect("a check sum") ^= 1;
        let noise: Vec<u8> = (0..2000_u32).map(|n| (n * 7919 % 251) as u8).collect();
        let cut_frame = [0x50, 0x2a, 0x4d, 0x18, 100, 0, 0, 0, 1, 2, 3];
        for bytes in [
            // "reports content size of zero"
            Vec::new(),
            [&*zstd(&tar), &cut_frame].concat(),
            [&*zstd(&tar), &cut_frame[..6]].concat(),
            [&*gzip(&tar), &gzip(&tar)[..10]].concat(),
            [&*gzip(&tar), &gzip(&tar)[..30]].concat(),
            b"<html><body>Sign in</body></html>".to_vec(),
            noise,
            gzip(&tar)[..40].to_vec(),
            zstd(&tar)[..20].to_vec(),
            wrong_sum,
            wrong_frame,
            [zstd(&tar), b"rest".to_vec()].concat(),
            tar[..BLOCK + 3].to_vec(),
            tar[..BLOCK - 1].to_vec(),
            gzip(b"no archive"),
            [vec![0; BLOCK], file(b"x", true)].concat(),
        ] {
            let failed = unpacked(&bytes).await;
            assert!(
                matches!(failed, Unpacked::Failed(_)),
                "{failed:?} {bytes:?}"
            );
        }
    }

    /// A frame of zstd with these bytes as they are, and a window of `1 << log`.
    fn frame(log: u8, bytes: &[u8]) -> Vec<u8> {
        let block = u32::try_from(bytes.len() << 3 | 1).expect("it is short");
        let header = [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3];
        [&header, &block.to_le_bytes()[..3], bytes].concat()
    }

    /// Go's clients take windows of 512 MiB. What takes more room than there is is no fault of the layer.
    #[tokio::test]
    async fn windows_of_zstd_are_bounded() {
        let tar = tar();
        let whole = Unpacked::Whole(Digest::sha256(&tar));
        // Together they take more than there is, and one after the other they do not.
        let long = frame(27, &tar);
        let all = (0..8).map(|_| unpacked(&long));
        for unpacked in futures::future::join_all(all).await {
            assert_eq!(unpacked, whole);
        }
        let growing = [frame(20, &tar[..512]), frame(27, &tar[512..])].concat();
        let all = (0..8).map(|_| unpacked(&growing));
        for unpacked in futures::future::join_all(all).await {
            assert_eq!(unpacked, whole);
        }
        assert_eq!(unpacked(&frame(28, &tar)).await, Unpacked::Limited);
    }

    #[tokio::test]
    async fn a_bomb_is_bounded() {
        let tar = tar();
        assert_eq!(unpacked_up_to(1000, &gzip(&tar)).await, Unpacked::Limited);
    }
}
