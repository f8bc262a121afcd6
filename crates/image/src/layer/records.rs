//! PAX records: what a header has no room for.
//!
//! Each is `LENGTH KEY=VALUE` and a newline; the length counts all of it. A value may be any bytes.
//!
//! Source: POSIX.1-2017, pax(1), "pax Extended Header"; GNU tar's manual, "PAX 1", for sparse files.

use std::io;

use super::{error::invalid, xattrs::XATTR};

/// The records of an entry that isolab knows.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
    pub(super) sparse: SparseRecords,
}

/// What the records say of a sparse file, in the versions 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) version: Option<Vec<u8>>,
    /// Offsets and lengths in turn.
    pub(super) numbers: Vec<u64>,
}

impl Records {
    pub(super) fn read(mut bytes: &[u8]) -> io::Result<Self> {
        let mut records = Self::default();
        // Some writers pad with zeros.
        while bytes.first().is_some_and(|byte| *byte != 0) {
            let (key, value, rest) =
                split(bytes).ok_or_else(|| invalid("a PAX record is damaged"))?;
            bytes = rest;
            if let Ok(key) = str::from_utf8(key) {
                records.add(key, value)?;
            }
        }
        Ok(records)
    }

    fn add(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        let id = || number(value).ok_or_else(|| invalid("the id of an owner is not a number"));
        let of_sparse =
            || number(value).ok_or_else(|| invalid("a number of a sparse file is not one"));
        // An empty value takes an earlier one back.
        let text = (!value.is_empty()).then(|| value.to_vec());
        match key {
            "path" => self.path = text,
            "linkpath" => self.link = text,
            "size" => {
                let size = number(value);
                self.size = Some(size.ok_or_else(|| invalid("the size is not a number"))?);
            }
            "uid" => self.uid = Some(id()?),
            "gid" => self.gid = Some(id()?),
            "mtime" => self.mtime = str::from_utf8(value).ok().and_then(time),
            "GNU.sparse.name" => self.sparse.name = text,
            "GNU.sparse.size" | "GNU.sparse.realsize" => self.sparse.size = Some(of_sparse()?),
            "GNU.sparse.major" => self.sparse.version = text,
            "GNU.sparse.offset" | "GNU.sparse.numbytes" => self.sparse.numbers.push(of_sparse()?),
            "GNU.sparse.map" => {
                let numbers = value.split(|byte| *byte == b',').map(number);
                let numbers: Option<Vec<u64>> = numbers.collect();
                self.sparse.numbers =
                    numbers.ok_or_else(|| invalid("the map of a sparse file is not numbers"))?;
            }
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.push((name.to_owned(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// The first record's key and value, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

/// Decimal digits, and nothing else.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// `1700000000.123456789`, and less exact.
fn time(text: &str) -> Option<(i64, u32)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match is_negative && nanoseconds > 0 {
        true => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        false => Some((seconds, nanoseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact() {
        assert_eq!(time("1700000000"), Some((1_700_000_000, 0)));
        assert_eq!(time("1.5"), Some((1, 500_000_000)));
        assert_eq!(time("1.0000000019"), Some((1, 1)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("x"), None);
        assert_eq!(time("1.x"), None);
    }

    #[test]
    fn a_record_ends_where_its_length_says() {
        let records = Records::read(b"14 path=a\nb=c\n10 size=7\n").unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a\nb=c"[..]));
        assert_eq!(records.size, Some(7));
        for damaged in ["8 path=a\n", "99 path=a\n", "0 path=a\n", "x", "10 size=x\n", "5 abc\n"] {
            assert!(Records::read(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }
}
