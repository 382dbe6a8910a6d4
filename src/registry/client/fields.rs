//! Numbers and records in the headers of archives, as Go's archive/tar parses them.

/// The records that are read of those that are said of a file.
const READ: [&str; 14] = [
    "path",
    "uid",
    "gid",
    "size",
    "atime",
    "mtime",
    "ctime",
    "GNU.sparse.major",
    "GNU.sparse.minor",
    "GNU.sparse.name",
    "GNU.sparse.size",
    "GNU.sparse.realsize",
    "GNU.sparse.numblocks",
    "GNU.sparse.map",
];

/// The value of each, by its position there.
pub(super) type Records = [Vec<u8>; READ.len()];

/// What is said of a file before its own header.
#[derive(Default)]
pub(super) struct Said {
    pub(super) name: Option<Vec<u8>>,
    pub(super) records: Records,
}

impl Said {
    /// The record of a name; nothing if there is none.
    pub(super) fn record(&self, name: &str) -> &[u8] {
        let position = READ.iter().position(|read| *read == name);
        position.map_or(&[], |position| &self.records[position])
    }
}

/// Keeps a record if it is read. The last of a name counts.
fn keep(records: &mut Records, key: &[u8], value: Vec<u8>) {
    if let Some(position) = READ.iter().position(|read| read.as_bytes() == key) {
        records[position] = value;
    }
}

/// Up to the first zero.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number as archives have them: in octal digits, or in binary where the first bit is set (`parseNumeric`).
pub(super) fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    let sign = if first & 0x40 == 0 { 0_u8 } else { 0xff };
    let digits = field.iter().map(|byte| byte ^ sign).enumerate();
    let digits = digits.map(|(at, digit)| if at == 0 { digit & 0x7f } else { digit });
    let number = digits.into_iter().try_fold(0_i64, |number, digit| {
        number
            .checked_mul(256)
            .map(|number| number | i64::from(digit))
    })?;
    Some(if sign == 0 { number } else { !number })
}

/// `parseOctal`: between spaces and zeros, and nothing is 0.
pub(super) fn octal(field: &[u8]) -> Option<i64> {
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_filler(byte)) else {
        return Some(0);
    };
    let end = field.iter().rposition(|byte| !is_filler(byte))?;
    let digits = text(&field[start..=end]);
    digits.iter().try_fold(0_i64, |number, digit| {
        matches!(digit, b'0'..=b'7').then(|| number << 3 | i64::from(digit - b'0'))
    })
}

/// A decimal number with or without a sign (`strconv.ParseInt`).
pub(super) fn decimal(field: &[u8]) -> Option<i64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Seconds, and digits after a point (`parsePAXTime`).
fn time(field: &[u8]) -> Option<i64> {
    let mut parts = field.splitn(2, |byte| *byte == b'.');
    let seconds = decimal(parts.next()?)?;
    let rest = parts.next().unwrap_or_default();
    rest.iter().all(u8::is_ascii_digit).then_some(seconds)
}

/// The records of a PAX header: `LENGTH NAME=VALUE` in a line (`parsePAX`). Two that lists of holes were once made of
/// become one.
pub(super) fn records(mut text: &[u8]) -> Option<Records> {
    let mut records = Records::default();
    let mut holes: Vec<&[u8]> = Vec::new();
    while !text.is_empty() {
        let space = text.iter().position(|byte| *byte == b' ')?;
        let length = usize::try_from(decimal(&text[..space])?).ok()?;
        if length < 5 || length > text.len() || length <= space + 1 {
            return None;
        }
        let (record, rest) = text.split_at(length);
        text = rest;
        let record = record[space + 1..].strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let judged = match key {
            b"path" | b"linkpath" | b"uname" | b"gname" => value,
            _ => key,
        };
        if key.is_empty() || judged.contains(&0) {
            return None;
        }
        let is_length = match key {
            b"GNU.sparse.offset" => false,
            b"GNU.sparse.numbytes" => true,
            _ => {
                keep(&mut records, key, value.to_vec());
                continue;
            }
        };
        if is_length != (holes.len() % 2 == 1) || value.contains(&b',') {
            return None;
        }
        holes.push(value);
    }
    if !holes.is_empty() {
        keep(&mut records, b"GNU.sparse.map", holes.join(&b','));
    }
    Some(records)
}

/// Reads a value.
type Parse = fn(&[u8]) -> Option<i64>;

/// The size of a file by what is said of it, or as its own header has it; `None` if anything of that cannot be read
/// (`mergePAX`).
pub(super) fn merged(said: &Said, mut size: i64) -> Option<i64> {
    let parsers: [(_, Parse); 6] = [
        ("uid", decimal),
        ("gid", decimal),
        ("size", decimal),
        ("atime", time),
        ("mtime", time),
        ("ctime", time),
    ];
    for (name, parse) in parsers {
        let value = said.record(name);
        if value.is_empty() {
            continue;
        }
        let number = parse(value)?;
        if name == "size" {
            size = number;
        }
    }
    Some(size)
}
