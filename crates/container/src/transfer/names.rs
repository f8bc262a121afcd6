//! Names in a tar archive that are too long for their field: they have an entry before that of the
//! file.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use tar::{EntryType, PaxExtensions};

use super::invalid::{invalid, refused_sparse};

/// No path is longer (`PATH_MAX` of Linux); records of other kinds come beside them.
const LONGEST: u64 = 64 << 10;

/// What earlier entries specify for the next file.
#[derive(Default)]
pub(super) struct Names {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    /// Its length, if a record specifies it.
    size: Option<u64>,
}

impl Names {
    /// Records an entry that describes the next one; false for any other entry.
    pub(super) fn take<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> io::Result<bool> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.name = Some(until_null(read(entry)?)),
            EntryType::GNULongLink => self.link = Some(until_null(read(entry)?)),
            EntryType::XHeader => self.take_records(&read(entry)?)?,
            EntryType::XGlobalHeader => drop(read(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// pax(1), "Extended Header Keyword/Value Pairs".
    fn take_records(&mut self, text: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(text) {
            let record = record?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => self.name = Some(value.into()),
                b"linkpath" => self.link = Some(value.into()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(|| invalid("a length that is not a number"))?);
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(refused_sparse()),
                _ => {}
            }
        }
        Ok(())
    }

    /// The name of a file, and where it leads if it is a link.
    pub(super) fn of<R: Read>(
        &mut self,
        entry: &tar::Entry<'_, R>,
    ) -> io::Result<(Vec<u8>, Option<Vec<u8>>)> {
        let said = std::mem::take(self);
        // The crate continues after the length in the header.
        if said.size.is_some_and(|size| size != entry.size()) {
            let why = "its length does not fit into its header: use `tar --format=gnu`";
            return Err(invalid(why));
        }
        let name = said.name.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let link = || entry.header().link_name_bytes().map(Cow::into_owned);
        Ok((name, said.link.or_else(link)))
    }
}

fn read<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Vec<u8>> {
    let length = entry.size();
    if length > LONGEST {
        return Err(invalid(&format!("names and records of {length} bytes")));
    }
    let mut text = Vec::new();
    match entry.take(LONGEST).read_to_end(&mut text)? as u64 == length {
        true => Ok(text),
        false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends in a name")),
    }
}

fn until_null(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}
