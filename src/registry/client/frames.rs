//! Frames of zstd as clients read them: one after the other, held against their check sums, and within a memory that all
//! layers share.

use std::io::{self, BufRead, ErrorKind, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Says that more is not unpacked, which is no fault of a layer.
pub(super) const LIMIT: ErrorKind = ErrorKind::FileTooLarge;
/// The longest window, in MiB: what `zstd --ultra -22` takes. Go's clients take 512 (klauspost/compress,
/// zstd/framedec.go, `MaxWindowSize`), and write 8, or 32 at most.
const LONGEST_WINDOW: u32 = 128;
/// The windows of all frames that are unpacked at a time, in MiB: of eight layers, 16 each.
static WINDOWS: Semaphore = Semaphore::const_new(LONGEST_WINDOW as usize);
/// The beginning of a frame with a window of 1 KiB.
const SMALLEST_FRAME: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0, 0];
/// The longest header of a frame (RFC 8878, 3.1.1).
const LONGEST_HEADER: usize = 18;

/// Frames of zstd, and what is to be skipped between them.
pub(super) struct Frames<R> {
    source: Ahead<R>,
    /// The decoder of this frame, or of one before it, and the room that it takes.
    decoder: Option<(FrameDecoder, SemaphorePermit<'static>, u32)>,
    is_in_frame: bool,
}

/// A reader of which some bytes were read before their turn.
struct Ahead<R> {
    bytes: io::Cursor<Vec<u8>>,
    rest: R,
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buffer)? {
            0 => self.rest.read(buffer),
            length => Ok(length),
        }
    }
}

impl<R: Read> Ahead<R> {
    /// The next bytes, which stay to be read.
    fn peek(&mut self) -> io::Result<&[u8]> {
        let mut bytes = vec![0; LONGEST_HEADER];
        // What was ahead already is among them: it is never longer.
        let length = fill(self, &mut bytes)?;
        bytes.truncate(length);
        self.bytes = io::Cursor::new(bytes);
        Ok(self.bytes.get_ref())
    }
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source: Ahead {
                bytes: io::Cursor::default(),
                rest: source,
            },
            decoder: None,
            is_in_frame: false,
        }
    }

    /// Begins the next frame, if there is another one.
    fn next(&mut self) -> io::Result<bool> {
        loop {
            let header = self.source.peek()?;
            if header.is_empty() {
                return Ok(false);
            }
            let window = match window(header) {
                Ok(window) => window,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = 8 + u64::from(length);
                    let mut skipped = self.source.by_ref().take(length);
                    if io::copy(&mut skipped, &mut io::sink())? != length {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    continue;
                }
                Err(error) => return Err(io::Error::other(error)),
            };
            self.room(window)?;
            let (decoder, ..) = self.decoder.as_mut().ok_or(LIMIT)?;
            decoder.init(&mut self.source).map_err(io::Error::other)?;
            return Ok(true);
        }
    }

    /// Makes room for a window. That of the frames before is given back first, so that nobody waits for somebody who
    /// waits.
    fn room(&mut self, window: u64) -> io::Result<()> {
        // The decoder's room is a power of two.
        let needed = window
            .checked_next_power_of_two()
            .ok_or(LIMIT)?
            .div_ceil(1 << 20);
        let needed = u32::try_from(needed).map_err(|_| LIMIT)?;
        if needed > LONGEST_WINDOW {
            return Err(LIMIT.into());
        }
        if self
            .decoder
            .as_ref()
            .is_some_and(|(.., has)| *has >= needed)
        {
            return Ok(());
        }
        self.decoder = None;
        let room = Handle::current().block_on(WINDOWS.acquire_many(needed));
        let room = room.map_err(io::Error::other)?;
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(u64::from(needed) << 20);
        // From its second frame on it takes the room at once, and does not copy what it has into twice the room.
        decoder.init(SMALLEST_FRAME).map_err(io::Error::other)?;
        self.decoder = Some((decoder, room, needed));
        Ok(())
    }
}

/// The window of the frame that begins with these bytes.
fn window(header: &[u8]) -> Result<u64, FrameDecoderError> {
    let mut decoder = FrameDecoder::new();
    // It says how much it would need, and takes nothing.
    decoder.set_max_window_size(0);
    match decoder.init(header) {
        Err(FrameDecoderError::WindowSizeTooBig { requested, .. }) => Ok(requested),
        other => other.map(|()| 0),
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_in_frame {
                self.is_in_frame = self.next()?;
                if !self.is_in_frame {
                    return Ok(0);
                }
            }
            let (decoder, ..) = self.decoder.as_mut().ok_or(LIMIT)?;
            while decoder.can_collect() == 0 && !decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let blocks = decoder.decode_blocks(&mut self.source, one);
                blocks.map_err(io::Error::other)?;
            }
            let length = decoder.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            let stated = decoder.get_checksum_from_data();
            if stated.is_some() && stated != decoder.get_calculated_checksum() {
                return Err(io::Error::other(
                    "the check sum of a frame of zstd is wrong",
                ));
            }
            self.is_in_frame = false;
        }
    }
}

/// As much as there is, up to all of it.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
