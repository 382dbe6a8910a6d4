//! Archives judged as Go's archive/tar judges them, and by the types of files that its clients unpack.

use std::io::{self, Read};

use super::fields::{Said, decimal, merged, number, octal, records, text};
use super::frames::fill;

/// A block of an archive.
pub(super) const BLOCK: usize = 512;
/// The longest that may be said of a file before its own header (`maxSpecialFileSize`).
const LONGEST_SAID: u64 = 1 << 20;

/// Reads all files of an archive; the end need not be marked.
pub(super) fn judge(source: &mut impl Read) -> io::Result<()> {
    while let Some(header) = header(source)? {
        if !file(source, header)? {
            break;
        }
    }
    Ok(())
}

/// The next header; `None` at the end.
fn header(source: &mut impl Read) -> io::Result<Option<[u8; BLOCK]>> {
    let Some(header) = block(source)? else {
        return Ok(None);
    };
    if header == [0; BLOCK] {
        return match block(source)? {
            Some(block) if block != [0; BLOCK] => Err(no_header()),
            _ => Ok(None),
        };
    }
    has_numbers(&header)
        .then_some(Some(header))
        .ok_or_else(no_header)
}

fn block(source: &mut impl Read) -> io::Result<Option<[u8; BLOCK]>> {
    let mut block = [0; BLOCK];
    match fill(source, &mut block)? {
        0 => Ok(None),
        BLOCK => Ok(Some(block)),
        _ => Err(ends_early()),
    }
}

/// Passes over a file, and over what is said of it before its own header. Whether there was one.
fn file(source: &mut impl Read, mut header: [u8; BLOCK]) -> io::Result<bool> {
    let mut said = Said::default();
    loop {
        let kind = header[156];
        let size = number(&header[124..136]).ok_or_else(no_header)?;
        if size < 0 && !is_without_content(kind) {
            return Err(no_header());
        }
        match kind {
            b'x' => said.records = records(&said_of(source, size)?).ok_or_else(no_header)?,
            b'g' => {
                records(&said_of(source, size)?).ok_or_else(no_header)?;
                return Ok(true);
            }
            b'L' => said.name = Some(text(&said_of(source, size)?).to_vec()),
            b'K' => _ = said_of(source, size)?,
            _ => return content(source, &header, kind, size, &said).map(|()| true),
        }
        match self::header(source)? {
            Some(next) => header = next,
            None => return Ok(false),
        }
    }
}

/// Reads what is said of a file.
fn said_of(source: &mut impl Read, size: i64) -> io::Result<Vec<u8>> {
    let size = u64::try_from(size).map_err(|_| no_header())?;
    if size > LONGEST_SAID {
        return Err(io::Error::other("more is said of a file than clients read"));
    }
    let mut said = Vec::new();
    source.by_ref().take(size).read_to_end(&mut said)?;
    if said.len() as u64 != size {
        return Err(ends_early());
    }
    pad(source, size)?;
    Ok(said)
}

/// Passes over the content of a file.
fn content(
    source: &mut impl Read,
    header: &[u8; BLOCK],
    kind: u8,
    size: i64,
    said: &Said,
) -> io::Result<()> {
    let size = merged(said, size).ok_or_else(no_header)?;
    let stated = [said.record("GNU.sparse.name"), said.record("path")];
    let name = stated.into_iter().find(|name| !name.is_empty());
    let of_gnu = said.name.as_deref().filter(|name| !name.is_empty());
    let name = of_gnu.or(name).unwrap_or_else(|| text(&header[..100]));
    let is_folder = kind == 0 && name.ends_with(b"/");
    let has_content = !is_without_content(kind) && !is_folder;
    let size = if has_content { size } else { 0 };
    let size = u64::try_from(size).map_err(|_| no_header())?;
    if !matches!(kind, 0 | b'0'..=b'6') && !is_passed_over(name) {
        let kind = kind.escape_ascii();
        return Err(io::Error::other(format!(
            "a file is of type {kind}, which clients do not unpack"
        )));
    }
    let mut left = size;
    if let Some((map, length)) = sparse_map(source, &mut left, said)? {
        let is_whole = || map.iter().map(|(_, part)| part).sum::<i64>() == left.cast_signed();
        let length = length.unwrap_or(size.cast_signed());
        if !has_content || !is_map(&map, length) || !is_whole() {
            let why = "the holes of a sparse file are not as its content";
            return Err(io::Error::other(why));
        }
    }
    if io::copy(&mut source.by_ref().take(left), &mut io::sink())? != left {
        return Err(ends_early());
    }
    pad(source, size)
}

/// Links, devices and folders have no content, whatever size they state.
fn is_without_content(kind: u8) -> bool {
    matches!(kind, b'1'..=b'6')
}

/// Whether containerd looks at the name alone (pkg/archive/tar.go, `applyNaive`): the root, and what marks a file as gone.
fn is_passed_over(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'/');
    let last = parts.rfind(|part| !matches!(*part, b"" | b"."));
    last.is_none_or(|last| last.starts_with(b".wh."))
}

/// Passes over what fills the last block, which may be missing at the end.
fn pad(source: &mut impl Read, size: u64) -> io::Result<()> {
    let padding = size.next_multiple_of(BLOCK as u64) - size;
    io::copy(&mut source.by_ref().take(padding), &mut io::sink())?;
    Ok(())
}

fn no_header() -> io::Error {
    io::Error::other("a header of the archive is none")
}

fn ends_early() -> io::Error {
    io::Error::other("the archive ends early")
}

/// Whether a header's check sum is right, of its bytes as numbers with or without a sign, and its other numbers can be
/// read (`readHeader`).
fn has_numbers(block: &[u8; BLOCK]) -> bool {
    let own = |position: &usize| (148..156).contains(position);
    let bytes = (0..BLOCK).map(|at| if own(&at) { b' ' } else { block[at] });
    let unsigned: i64 = bytes.clone().map(i64::from).sum();
    let signed: i64 = bytes.map(|byte| i64::from(byte.cast_signed())).sum();
    let is_right = octal(&block[148..156]).is_some_and(|sum| sum == unsigned || sum == signed);
    // Mode, uid, gid, size and mtime; then, by the magic, the device, and the times of star.
    let has_times = &block[257..263] == b"ustar\0" && &block[508..] == b"tar\0";
    let has_device = &block[257..263] == b"ustar\0" || &block[257..265] == b"ustar  \0";
    let all: [&[_]; 3] = [
        &[100..108, 108..116, 116..124, 124..136, 136..148],
        &[329..337, 337..345],
        &[476..488, 488..500],
    ];
    let count = 1 + usize::from(has_device) + usize::from(has_times);
    let mut fields = all[..count].iter().flat_map(|fields| fields.iter());
    is_right && fields.all(|field| number(&block[field.clone()]).is_some())
}

/// The parts of a sparse file that its content has, as offset and length.
type Map = Vec<(i64, i64)>;

/// The parts that a sparse file has, and its whole length, if it is one (`readGNUSparsePAXHeaders`). One form of the map is
/// read from the beginning of the content, of which then less is `left`.
fn sparse_map(
    source: &mut impl Read,
    left: &mut u64,
    said: &Said,
) -> io::Result<Option<(Map, Option<i64>)>> {
    let [major, minor, map] =
        ["major", "minor", "map"].map(|it| said.record(&format!("GNU.sparse.{it}")));
    let is_in_content = match (major, minor) {
        (b"0", b"0" | b"1") => false,
        (b"1", b"0") => true,
        (b"", b"") if !map.is_empty() => false,
        _ => return Ok(None),
    };
    let sizes = ["GNU.sparse.size", "GNU.sparse.realsize"].map(|name| said.record(name));
    let length = sizes.into_iter().find(|size| !size.is_empty());
    let length = length
        .map(|length| decimal(length).ok_or_else(no_header))
        .transpose()?;
    let numbers = if is_in_content {
        map_in_content(source, left)?
    } else {
        let numbers = map.split(|byte| *byte == b',').filter(|_| !map.is_empty());
        let numbers: Option<Vec<_>> = numbers.map(decimal).collect();
        let count = decimal(said.record("GNU.sparse.numblocks"));
        let is_all = |numbers: &Vec<i64>| {
            i64::try_from(numbers.len() / 2).ok() == count && numbers.len().is_multiple_of(2)
        };
        numbers.filter(is_all).ok_or_else(no_header)?
    };
    let parts = numbers.chunks_exact(2).map(|part| (part[0], part[1]));
    Ok(Some((parts.collect(), length)))
}

/// Reads a map from the content: how many parts, then the numbers of each, a line each, in whole blocks
/// (`readGNUSparseMap1x0`). Of what has no end, no more than Go reads of all that is said.
fn map_in_content(source: &mut impl Read, left: &mut u64) -> io::Result<Vec<i64>> {
    let least = left.saturating_sub(LONGEST_SAID);
    let mut text = Vec::new();
    let mut numbers = Vec::new();
    let mut count = None;
    while count != Some(numbers.len()) {
        let Some(end) = text.iter().position(|byte| *byte == b'\n') else {
            *left = left.checked_sub(BLOCK as u64).ok_or_else(ends_early)?;
            if *left < least || text.len() > 2 * BLOCK {
                return Err(no_header());
            }
            text.extend(block(source)?.ok_or_else(ends_early)?);
            continue;
        };
        let line: Vec<u8> = text.drain(..=end).collect();
        let number = decimal(&line[..end]).ok_or_else(no_header)?;
        if count.is_some() {
            numbers.push(number);
        } else {
            let parts = usize::try_from(number).ok();
            count = Some(
                parts
                    .and_then(|parts| parts.checked_mul(2))
                    .ok_or_else(no_header)?,
            );
        }
    }
    Ok(numbers)
}

/// Whether the parts follow each other within the file (`validateSparseEntries`).
fn is_map(map: &Map, length: i64) -> bool {
    let mut before = 0;
    length >= 0
        && map.iter().all(|(offset, part)| {
            let end = offset.checked_add(*part);
            let is_after = *offset >= before && *part >= 0;
            before = end.unwrap_or(i64::MAX);
            is_after && end.is_some() && before <= length
        })
}
