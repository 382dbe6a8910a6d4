//! Members of gzip as clients read them: one after the other, held against their check sums, and without what follows
//! the last one.

use std::io::{self, BufRead, Read};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

/// The longest name or comment that is read, with the zero at its end. Go takes 512 bytes (compress/gzip,
/// `readString`), and `unpigz`, which containerd and docker use where it is installed, takes any.
const LONGEST_TEXT: u64 = 1024 * 1024;

/// What members of gzip hold.
pub(super) struct Members<R> {
    deflated: DeflateDecoder<R>,
    sum: Crc,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Within,
    Between,
    End,
}

impl<R: BufRead> Members<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            deflated: DeflateDecoder::new(source),
            sum: Crc::new(),
            place: Place::Start,
        }
    }

    /// Begins the next member, if there is another one. What follows the first and is none is passed over by unpigz,
    /// which containerd and docker use where it is there; Go alone refuses it.
    fn next(&mut self) -> io::Result<()> {
        let header = read_header(self.deflated.get_mut());
        if header.is_err() && self.place == Place::Between {
            self.place = Place::End;
            return Ok(());
        }
        header?;
        self.deflated.reset_data();
        self.sum.reset();
        self.place = Place::Within;
        Ok(())
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.place {
                Place::Start | Place::Between => self.next()?,
                Place::End => return Ok(0),
                Place::Within => {
                    let length = self.deflated.read(buffer)?;
                    if length > 0 || buffer.is_empty() {
                        self.sum.update(&buffer[..length]);
                        return Ok(length);
                    }
                    let mut trailer = [0; 8];
                    self.deflated.get_mut().read_exact(&mut trailer)?;
                    let [sum, length] = [self.sum.sum(), self.sum.amount()].map(u32::to_le_bytes);
                    if trailer != *[sum, length].as_flattened() {
                        return Err(io::Error::other("the check sum of gzip is wrong"));
                    }
                    self.place = Place::Between;
                }
            }
        }
    }
}

/// Reads the header of a member as Go does, which looks at no flags that have no meaning.
fn read_header(source: &mut impl BufRead) -> io::Result<()> {
    let mut sum = Crc::new();
    let mut start = [0; 10];
    take(source, &mut start, &mut sum)?;
    let [0x1f, 0x8b, 8, flags, ..] = start else {
        return Err(no_header());
    };
    if flags & 4 != 0 {
        let mut length = [0; 2];
        take(source, &mut length, &mut sum)?;
        let mut extra = vec![0; u16::from_le_bytes(length).into()];
        take(source, &mut extra, &mut sum)?;
    }
    for _ in 0..(flags & 0x18).count_ones() {
        let mut text = Vec::new();
        let mut most = source.by_ref().take(LONGEST_TEXT);
        most.read_until(0, &mut text)?;
        if text.last() != Some(&0) {
            return Err(no_header());
        }
        sum.update(&text);
    }
    if flags & 2 != 0 {
        let mut stated = [0; 2];
        source.read_exact(&mut stated)?;
        if sum.sum().to_le_bytes()[..2] != stated {
            return Err(no_header());
        }
    }
    Ok(())
}

fn take(source: &mut impl BufRead, buffer: &mut [u8], sum: &mut Crc) -> io::Result<()> {
    source.read_exact(buffer)?;
    sum.update(buffer);
    Ok(())
}

fn no_header() -> io::Error {
    io::Error::other("a header of gzip is none")
}
