//! What a program says, to be read while it goes on speaking.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// One of a program's outputs, read by a thread of its own.
#[derive(Debug)]
pub(crate) struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Heard {
    /// Reads to the end.
    pub(crate) fn from(mut output: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let heard = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut piece = [0; 16 * 1024];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                let mut heard = heard.lock().expect("nobody panics with it");
                heard.extend_from_slice(&piece[..length]);
            }
        });
        Self { bytes, reader }
    }

    /// What was said so far.
    pub(crate) fn so_far(&self) -> String {
        let bytes = self.bytes.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All of it, when the program has closed the output.
    pub(crate) fn until_the_end(self) -> String {
        self.reader.join().expect("a reader ends");
        let bytes = self.bytes.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
