//! Writes files: in one step where that is possible, into what is no plain file, and not through a link that
//! somebody else may have put there.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IntoInnerError, Seek as _, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::unix::pipe;

/// Links followed before it is called a circle, as the kernel counts.
const MOST_LINKS: usize = 40;

/// How long a pipe may be without a reader.
const OPENING: Duration = Duration::from_secs(10);

/// How long the readers of what is no plain file may take for it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where this process writes to, if it was said.
static OUTPUTS: OnceLock<Vec<OwnedFd>> = OnceLock::new();

/// Says where this process writes to: what a path such as `/dev/stdout` leads to. What was said first holds.
pub fn know_outputs(outputs: Vec<OwnedFd>) {
    let _ = OUTPUTS.set(outputs);
}

/// Writes a text to `path`. Of a plain file whoever reads it sees the old text or the new one, unless it is one
/// that cannot be replaced but written: mounted by itself, or in a folder that is not ours. A pipe that somebody named
/// is given up on when its reader stops. To be called in a runtime.
///
/// # Errors
///
/// If it cannot be written; then a plain file stays as it was, or the error says that it does not.
pub fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let place = Place::of(path)?;
    if !place.is_stream() {
        return place.write(text);
    }
    let patience = place.patience();
    pour(path, place, text, patience)
}

/// The same, for what is written time and again: nobody's reading is waited for without end.
pub(super) fn write_soon(path: &Path, text: &[u8]) -> io::Result<()> {
    let place = Place::of(path)?;
    if place.is_stream() {
        pour(path, place, text, Some(PATIENCE))
    } else {
        place.write(text)
    }
}

/// Whether something is there that is written into as it is, and that a reader may keep from being written.
pub(super) fn is_stream(path: &Path) -> bool {
    Place::of(path).is_ok_and(|place| place.is_stream())
}

/// What is written into by somebody at this moment.
static POURING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Whether somebody is at it.
#[cfg(test)]
pub(super) fn is_pouring(path: &Path) -> bool {
    POURING.lock().contains(path)
}

/// Writes into a pipe, a device or a socket, in a thread of its own: nothing ends a write whose reader stops. That
/// thread is left behind then, and is the only one for this path until it has ended.
fn pour(path: &Path, place: Place, text: &[u8], patience: Option<Duration>) -> io::Result<()> {
    if !POURING.lock().insert(path.to_owned()) {
        return Err(io::Error::other(
            "whoever reads it has not yet read what was written before",
        ));
    }
    let (done, is_done) = mpsc::channel();
    let (path, text) = (path.to_owned(), text.to_owned());
    // For opening a pipe.
    let runtime = tokio::runtime::Handle::try_current();
    std::thread::spawn(move || {
        let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
        let written = place.pour(&text);
        POURING.lock().remove(&path);
        let _ = done.send(written);
    });
    let written = match patience {
        Some(patience) => is_done.recv_timeout(patience),
        None => is_done.recv().map_err(mpsc::RecvTimeoutError::from),
    };
    written.unwrap_or_else(|_| {
        Err(io::Error::other(
            "whoever reads it has stopped, and has not got all of it",
        ))
    })
}

/// Replaces the plain file at `path` by what `write` writes in one step, or not at all.
///
/// # Errors
///
/// If it cannot be replaced; then it stays as it was.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let place = Place::of(path)?;
    if place.metadata.as_ref().is_some_and(is_special) {
        return Err(io::Error::other("it is no plain file"));
    }
    replaced(&place.path, write)
}

/// Adds to the file at `path` what `text` makes of its length. To be called in a runtime.
///
/// # Errors
///
/// If it cannot be written.
pub fn append(path: &Path, text: impl FnOnce(u64) -> String) -> io::Result<()> {
    let place = Place::of(path)?;
    if place.is_stream() {
        let patience = place.patience();
        return pour(path, place, text(0).as_bytes(), patience);
    }
    if place.metadata.as_ref().is_some_and(Metadata::is_symlink) {
        return Err(io::Error::other(
            "it is a link in a folder where others may put one",
        ));
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&place.path)?;
    let length = file.metadata()?.len();
    file.write_all(text(length).as_bytes())
}

/// Where a text is to go.
struct Place {
    /// Where the links lead that may be followed.
    path: PathBuf,
    /// What is there, if anything: a link is one that must not be followed.
    metadata: Option<Metadata>,
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let itself = found(fs::symlink_metadata(&path))?;
            let is_link = itself.as_ref().is_some_and(Metadata::is_symlink);
            if !is_link || !is_trusted(&fs::metadata(folder(&path))?, user()) {
                let metadata = itself;
                return Ok(Self { path, metadata });
            }
            let next = folder(&path).join(fs::read_link(&path)?);
            let target = found(fs::metadata(&path))?;
            // The links of /proc/self/fd lead to what has no name, such as a pipe.
            if target.is_some() && found(fs::symlink_metadata(&next))?.is_none() {
                let metadata = target;
                return Ok(Self { path, metadata });
            }
            path = next;
        }
        Err(io::Error::other("it is a link in a circle of links"))
    }

    fn is_file(&self) -> bool {
        self.metadata.as_ref().is_some_and(Metadata::is_file)
    }

    /// Whether it is an output of this process.
    fn is_output(&self) -> bool {
        let mut own = OUTPUTS.get().into_iter().flatten();
        let there = self.metadata.as_ref();
        there.is_some_and(|there| own.any(|own| same(own, there).is_some()))
    }

    /// How long its reader may take. That of our own output is waited for as with what is printed there.
    fn patience(&self) -> Option<Duration> {
        (!self.is_output()).then_some(PATIENCE)
    }

    fn is_stream(&self) -> bool {
        self.metadata.as_ref().is_some_and(is_special) || self.is_output()
    }

    fn pour(&self, text: &[u8]) -> io::Result<()> {
        let Some(mut open) = self.open()? else {
            return Err(io::Error::other("it was replaced meanwhile"));
        };
        match open.write_all(text).and_then(|()| open.flush()) {
            // Whoever closed the pipe has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Replaces a plain file, or else writes it in place.
    fn write(&self, text: &[u8]) -> io::Result<()> {
        match replaced(&self.path, |file| file.write_all(text)) {
            Err(error) if self.is_file() && may_work_in_place(&error) => {
                self.write_in_place(text, error)
            }
            replaced => replaced,
        }
    }

    /// What stands in the way of both is told by the `error` of the first, which has the folder's remedy.
    fn write_in_place(&self, text: &[u8], error: io::Error) -> io::Result<()> {
        // Others may have put something else there meanwhile: a link to what is not theirs to write, or a pipe.
        let open = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&self.path);
        let mut file = open.map_err(|_| error)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it was replaced meanwhile"));
        }
        written_over(&mut file, text)
    }

    /// What is written into as it is: a pipe, a device, a socket, and the output of this process.
    fn open(&self) -> io::Result<Option<Box<dyn Write>>> {
        let Some(there) = &self.metadata else {
            return Ok(None);
        };
        // By its descriptor, which knows how far it is written, and which a socket can only be written by.
        let mut own = OUTPUTS.get().into_iter().flatten();
        if let Some(own) = own.find_map(|own| same(own, there)) {
            return Ok(Some(Box::new(own)));
        }
        let kind = there.file_type();
        Ok(Some(match () {
            () if kind.is_fifo() => Box::new(pipe(&self.path)?),
            () if kind.is_socket() => Box::new(UnixStream::connect(&self.path)?),
            () if is_special(there) => Box::new(OpenOptions::new().write(true).open(&self.path)?),
            () => return Ok(None),
        }))
    }
}

fn is_special(there: &Metadata) -> bool {
    !(there.is_file() || there.is_dir() || there.is_symlink())
}

/// A descriptor of our own, if it is what is there.
fn same(own: &OwnedFd, there: &Metadata) -> Option<File> {
    let file = File::from(own.try_clone().ok()?);
    let metadata = file.metadata().ok()?;
    let is_it = (metadata.dev(), metadata.ino()) == (there.dev(), there.ino());
    is_it.then_some(file)
}

/// Opens a pipe once somebody reads it, for which a plain open would wait without end.
fn pipe(path: &Path) -> io::Result<File> {
    let began = Instant::now();
    loop {
        match pipe::OpenOptions::new().open_sender(path) {
            Ok(sender) => return sender.into_blocking_fd().map(File::from),
            // For which there is no kind: nobody reads it.
            Err(error) if error.raw_os_error() != Some(libc::ENXIO) => return Err(error),
            Err(_) if began.elapsed() > OPENING => {
                return Err(io::Error::other("nobody reads that pipe"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn found(metadata: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match metadata {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether nobody but this user and root puts links into a folder, as far as its owner and mode tell.
fn is_trusted(folder: &Metadata, user: Option<u32>) -> bool {
    const STICKY: u32 = 0o1000;
    const WRITABLE_BY_OTHERS: u32 = 0o002;
    folder.mode() & (STICKY | WRITABLE_BY_OTHERS) == 0
        && (folder.uid() == 0 || Some(folder.uid()) == user)
}

/// The number of the user that this process runs as.
fn user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Writes over a file. What it takes more room for comes first, so that a disk without that room leaves the old text.
fn written_over(file: &mut File, text: &[u8]) -> io::Result<()> {
    let old = file.metadata()?.len();
    let (over, more) = text.split_at(text.len().min(usize::try_from(old).unwrap_or(usize::MAX)));
    if !more.is_empty() {
        file.seek(SeekFrom::End(0))?;
        let grown = file.write_all(more).and_then(|()| synced(file));
        if let Err(error) = grown {
            file.set_len(old)?;
            return Err(error);
        }
    }
    let overwritten = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.write_all(over))
        .and_then(|()| file.set_len(text.len() as u64))
        .and_then(|()| synced(file));
    overwritten.map_err(|error| {
        let why = format!(
            "{error}, and the file, which can only be written in place, is half of each now"
        );
        io::Error::new(error.kind(), why)
    })
}

/// Some disks say only then that they are full. What cannot be synced has said so before.
fn synced(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

fn replaced(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // The collector reads `*.prom` only, so a file that was left half-written is passed over.
    let mut temporary = tempfile::Builder::new()
        .prefix(".probe-")
        .suffix(".tmp")
        .tempfile_in(folder(path))?;
    let mut buffer = BufWriter::new(temporary.as_file_mut());
    write(&mut buffer)?;
    buffer.into_inner().map_err(IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    // Others read it: the node exporter runs as a user of its own.
    let readable = fs::Permissions::from_mode(0o644);
    temporary.as_file().set_permissions(readable)?;
    temporary.persist(path)?;
    Ok(())
}

/// Whether what keeps a file from being replaced need not keep it from being written.
fn may_work_in_place(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResourceBusy | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Why a file was not written, and what to do about it.
pub struct Unwritten<'a>(pub &'a io::Error);

impl fmt::Display for Unwritten<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room on that file system"
            }
            io::ErrorKind::ReadOnlyFilesystem => "mount that file system writable",
            io::ErrorKind::PermissionDenied => {
                "let the user that this runs as write to that folder"
            }
            io::ErrorKind::NotFound => "make that folder",
            io::ErrorKind::ResourceBusy => "mount its folder, and not the file alone",
            io::ErrorKind::FileTooLarge => "allow larger files to this process",
            _ => return write!(f, "{error}"),
        };
        write!(f, "{error}; {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
        super::replace(path, |file| file.write_all(text))
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).expect("a folder").count()
    }

    fn fifo(folder: &Path) -> PathBuf {
        let path = folder.join("fifo");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        path
    }

    #[test]
    fn the_old_file_stays_where_it_cannot_be_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("probe.prom");
        for write in [write, replace] {
            write(&path, b"old").expect("written");
            write(&path, b"new").expect("replaced");
            assert_eq!(fs::read(&path).expect("there"), b"new");
        }
        assert_eq!(names(folder.path()), 1);
        // A folder cannot be replaced by a file.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).expect("a folder");
        assert!(write(&taken, b"new").is_err());
        assert!(append(&taken, |_| "new".to_owned()).is_err());
        assert_eq!(names(folder.path()), 2);
    }

    #[tokio::test]
    async fn a_pipe_is_written_into_and_stays_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = fifo(folder.path());
        let link = folder.path().join("link");
        symlink("fifo", &link).expect("a link");
        // Open at both ends, so that nothing waits.
        let mut both = OpenOptions::new();
        let mut both = both.read(true).write(true).open(&pipe).expect("open");
        let mut read = |path: &Path| {
            let there = fs::metadata(path).expect("there");
            assert!(there.file_type().is_fifo());
            let mut bytes = [0; 7];
            both.read_exact(&mut bytes).expect("read");
            bytes
        };
        for path in [&pipe, &link] {
            write(path, b"into it").expect("written");
            assert_eq!(&read(path), b"into it");
        }
        append(&link, |length| format!("after {length}")).expect("written");
        assert_eq!(&read(&link), b"after 0");
        let error = replace(&link, b"state").expect_err("it is no file");
        assert!(error.to_string().contains("no plain file"), "{error}");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    }

    #[tokio::test]
    async fn a_reader_that_stops_is_given_up_on_until_it_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = fifo(folder.path());
        let mut both = OpenOptions::new();
        let mut both = both.read(true).write(true).open(&path).expect("open");
        // More than a pipe holds.
        let text = vec![b'x'; 1 << 20];
        let pour = |patience| {
            let place = Place::of(&path).expect("there");
            pour(&path, place, &text, Some(patience)).map_err(|error| error.to_string())
        };
        let stopped = pour(Duration::from_millis(10)).expect_err("nobody reads");
        assert!(stopped.contains("has stopped"), "{stopped}");
        let taken = write(&path, b"y").expect_err("it is still at the first");
        assert!(taken.to_string().contains("not yet read"), "{taken}");
        let mut read = vec![0; text.len()];
        both.read_exact(&mut read).expect("read");
        assert_eq!(read, text);
        while is_pouring(&path) {
            std::thread::yield_now();
        }
        write(&path, b"after").expect("written");
    }

    #[test]
    fn what_is_put_there_meanwhile_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, precious) = (folder.path().join("f"), folder.path().join("precious"));
        for path in [&path, &precious] {
            fs::write(path, "old").expect("written");
        }
        let place = Place::of(&path).expect("there");
        let busy = || io::Error::from(ErrorKind::ResourceBusy);
        place.write_in_place(b"new text", busy()).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"new text");
        place.write_in_place(b"short", busy()).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"short");
        fs::remove_file(&path).expect("removed");
        symlink(&precious, &path).expect("a link");
        let error = place.write_in_place(b"new", busy()).expect_err("a link");
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        assert_eq!(fs::read(&precious).expect("there"), b"old");
    }

    #[tokio::test]
    async fn a_descriptor_is_written_into() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        write(Path::new(&path), b"into it").expect("written");
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).expect("read");
        assert_eq!(read, "into it");
    }

    #[test]
    fn a_socket_is_written_into() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("bound");
        write(&path, b"into it").expect("written");
        let there = fs::metadata(&path).expect("there");
        assert!(there.file_type().is_socket());
        let (mut stream, _) = listener.accept().expect("somebody came");
        let mut read = String::new();
        stream.read_to_string(&mut read).expect("read");
        assert_eq!(read, "into it");
    }

    #[test]
    fn a_link_has_its_target_replaced_in_its_own_folder() {
        let [here, there] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let target = there.path().join("target");
        let link = here.path().join("link");
        // One of a chain, to what is not there yet.
        symlink(&target, here.path().join("other")).expect("a link");
        symlink("other", &link).expect("a link");
        for (write, text) in [(write as fn(&Path, &[u8]) -> _, "one"), (replace, "two")] {
            write(&link, text.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(&target).expect("there"), text);
            assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        }
        append(&link, |length| format!(" after {length}")).expect("written");
        let text = fs::read_to_string(&target).expect("there");
        assert_eq!(text, "two after 3");
        assert_eq!((names(here.path()), names(there.path())), (2, 1));
        let circle = here.path().join("circle");
        symlink("circle", &circle).expect("a link");
        assert!(write(&circle, b"x").is_err());
    }

    #[test]
    fn a_link_in_a_folder_of_others_is_not_followed() {
        let [here, there] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let target = there.path().join("target");
        fs::write(&target, "precious").expect("written");
        let link = here.path().join("link");
        let sticky = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(here.path(), sticky).expect("set");
        for write in [write, replace] {
            let _ = fs::remove_file(&link);
            symlink(&target, &link).expect("a link");
            let refused = append(&link, |_| "x".to_owned());
            assert!(refused.is_err(), "it cannot be added to otherwise");
            write(&link, b"new").expect("written");
            assert_eq!(fs::read(&link).expect("there"), b"new");
            assert!(fs::symlink_metadata(&link).expect("there").is_file());
        }
        assert_eq!(fs::read(&target).expect("there"), b"precious");
        // Root's links are root's, and other users' are not.
        let folder = fs::metadata(there.path()).expect("a folder");
        assert!(is_trusted(&folder, Some(folder.uid())));
        let is_roots = folder.uid() == 0;
        assert_eq!(is_trusted(&folder, Some(folder.uid() + 1)), is_roots);
        let proc = fs::metadata("/proc").expect("a folder");
        assert!(is_trusted(&proc, Some(7)));
    }

    #[test]
    fn what_may_be_written_in_place() {
        for (kind, expected) in [
            (ErrorKind::ResourceBusy, true),
            (ErrorKind::PermissionDenied, true),
            (ErrorKind::ReadOnlyFilesystem, true),
            (ErrorKind::StorageFull, false),
            (ErrorKind::NotFound, false),
        ] {
            assert_eq!(may_work_in_place(&kind.into()), expected, "{kind}");
        }
    }
}
