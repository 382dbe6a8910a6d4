//! Bodies that come compressed though nobody asked for that, and what is counted of them.

use std::io::{self, Read as _, Write};

use flate2::read::MultiGzDecoder;
use flate2::write;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use crate::oci::{Digest, Hasher};

/// Whether the body says to be compressed by what clients undo unasked.
pub(crate) fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING);
    let encoding = encoding.and_then(|encoding| encoding.to_str().ok());
    encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("gzip"))
}

/// What compressed bytes hold, or the bytes themselves where that is nothing. `None` if it is more than
/// `most`.
pub(crate) fn unpacked(bytes: Vec<u8>, most: u64) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    let decoder = MultiGzDecoder::new(bytes.as_slice());
    match decoder.take(most + 1).read_to_end(&mut unpacked) {
        Ok(length) => (length as u64 <= most).then_some(unpacked),
        Err(_) => Some(bytes),
    }
}

/// How many bytes arrived, and what they hash to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// At most one more than expected.
    pub(crate) received: u64,
    /// `None` if the algorithm is not known.
    pub(crate) digest: Option<Digest>,
}

/// Counts and hashes the bytes of a body as they arrive and, of a compressed one, what they hold.
pub(crate) struct Counter {
    raw: Tally,
    unpacked: Option<write::MultiGzDecoder<Tally>>,
    raw_stop: u64,
    stop: u64,
    is_full: bool,
}

impl Counter {
    /// For a body whose bytes are to hash to `digest`: from `stop` bytes on no more are needed.
    pub(crate) fn new(digest: &Digest, stop: u64, is_gzip: bool) -> Self {
        let tally = || Tally::new(digest, stop);
        // What does not get shorter by being compressed gets a little longer.
        let longer = if is_gzip { stop / 8 + 4096 } else { 0 };
        Self {
            raw: tally(),
            unpacked: is_gzip.then(|| write::MultiGzDecoder::new(tally())),
            raw_stop: stop.saturating_add(longer),
            stop,
            is_full: stop == 0,
        }
    }

    /// Whether enough has arrived.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.raw.take(bytes);
        self.is_full = self.raw.received >= self.raw_stop;
        if let Some(decoder) = &mut self.unpacked
            && decoder.write_all(bytes).is_err()
        {
            if decoder.get_ref().received >= self.stop {
                self.is_full = true;
            } else {
                // It says to be compressed and is not.
                self.unpacked = None;
            }
        }
    }

    /// What arrived, and what it held if it was compressed as it said.
    pub(crate) fn finish(self) -> (Counted, Option<Counted>) {
        let unpacked = self.unpacked.and_then(|decoder| decoder.finish().ok());
        let unpacked = unpacked.map(|tally| tally.finish(self.stop));
        (self.raw.finish(self.stop), unpacked)
    }
}

/// Takes no more than it is to.
struct Tally {
    received: u64,
    stop: u64,
    hasher: Option<Hasher>,
}

impl Tally {
    fn new(digest: &Digest, stop: u64) -> Self {
        Self {
            received: 0,
            stop,
            hasher: digest.hasher(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    fn finish(self, most: u64) -> Counted {
        Counted {
            received: self.received.min(most),
            digest: self.hasher.map(Hasher::finish),
        }
    }
}

impl Write for Tally {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes);
        if self.received >= self.stop {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    #[test]
    fn what_is_compressed_is_unpacked_and_all_else_is_left() {
        let unpacked = |bytes| unpacked(bytes, 9);
        assert_eq!(unpacked(packed(b"{}")).as_deref(), Some(&b"{}"[..]));
        let twice = [packed(b"{"), packed(b"}")].concat();
        assert_eq!(unpacked(twice).as_deref(), Some(&b"{}"[..]));
        for bytes in [b"{}".to_vec(), b"\x1f\x8b".to_vec()] {
            assert_eq!(unpacked(bytes.clone()), Some(bytes));
        }
        assert_eq!(unpacked(packed(b"longer than that")), None);
    }
}
