//! Messages of the domain name system (RFC 1035): what a resolver needs to read a question and to
//! answer it.
//!
//! ```text
//!   header    id:2 flags:2 questions:2 answers:2 authorities:2 others:2
//!   question  name type:2 class:2
//!   record    name type:2 class:2 ttl:4 length:2 data
//!   name      labels, each length:1 bytes; then 0, or 2 bytes 11xxxxxx.. that point to another
//! ```

use std::net::Ipv4Addr;

/// The length of a header, in bytes.
const HEADER: usize = 12;
/// The length of the longest name, in bytes, with the lengths of its labels.
const LONGEST_NAME: usize = 255;
/// The largest datagram for clients that announce no other (RFC 1035, 2.3.4).
const SMALLEST_LIMIT: u16 = 512;
/// The largest that this resolver sends, whatever clients announce.
const LARGEST_LIMIT: u16 = 4096;

const IS_RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const IS_TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;

/// Types of records.
pub(crate) const A: u16 = 1;
pub(crate) const PTR: u16 = 12;
const OPT: u16 = 41;
/// The class of the Internet.
pub(crate) const IN: u16 = 1;

/// Codes of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NotImplemented = 4,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    id: u16,
    flags: u16,
    labels: Vec<Vec<u8>>,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    /// The largest datagram that the client takes, if it has announced it (RFC 6891).
    announced: Option<u16>,
}

/// A message without a question that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Nobody waits for an answer.
    Ignored,
    /// The client gets this message.
    Answered([u8; HEADER]),
}

/// The data of a record in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data<'a> {
    Address(Ipv4Addr),
    /// A name with labels of letters and digits.
    Name(&'a str),
}

impl Question {
    /// Reads the question of a query.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Invalid> {
        let half = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
        let header = |at: usize| half(at).ok_or(Invalid::Ignored);
        let (id, flags, others) = (header(0)?, header(2)?, header(10)?);
        if flags & IS_RESPONSE != 0 {
            return Err(Invalid::Ignored);
        }
        let refused = |code: Code| {
            let mut answer = [0; HEADER];
            answer[..2].copy_from_slice(&id.to_be_bytes());
            let flags = IS_RESPONSE | flags & (OPCODE | RECURSION_DESIRED) | code as u16;
            answer[2..4].copy_from_slice(&flags.to_be_bytes());
            Invalid::Answered(answer)
        };
        if flags & OPCODE != 0 {
            return Err(refused(Code::NotImplemented));
        }
        if header(4)? != 1 {
            return Err(refused(Code::FormatError));
        }
        let read = || {
            let (labels, at) = read_name(message, HEADER)?;
            let (kind, class) = (half(at)?, half(at + 2)?);
            // Only a query with no other records before has its options here.
            let has_none_before = (half(6)?, half(8)?) == (0, 0);
            let announced = has_none_before.then(|| announced(message, at + 4, others)).flatten();
            Some(Self { id, flags, labels, kind, class, announced })
        };
        read().ok_or_else(|| refused(Code::FormatError))
    }

    /// The name in lower case, without the dot at its end; `None` if a label has other bytes than
    /// those of host names.
    pub(crate) fn name(&self) -> Option<String> {
        let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        let text = |label: &Vec<u8>| {
            let usual = label.iter().all(is_usual).then(|| label.to_ascii_lowercase())?;
            String::from_utf8(usual).ok()
        };
        let labels: Option<Vec<String>> = self.labels.iter().map(text).collect();
        Some(labels?.join("."))
    }

    /// The address whose name is asked for, of a name as `2.0.17.172.in-addr.arpa`.
    pub(crate) fn reverse_address(&self) -> Option<Ipv4Addr> {
        let name = self.name()?;
        let mut octets = [0; 4];
        let mut labels = name.strip_suffix(".in-addr.arpa")?.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = labels.next()?.parse().ok()?;
        }
        labels.next().is_none().then(|| octets.into())
    }

    /// The response with these records for the name that was asked for, which live for `ttl`
    /// seconds. Records that do not fit into a datagram are left out, and the client learns it.
    pub(crate) fn respond(
        &self,
        code: Code,
        answers: &[Data<'_>],
        ttl: u32,
        is_datagram: bool,
    ) -> Vec<u8> {
        let limit = match (is_datagram, self.announced) {
            (false, _) => u16::MAX,
            (true, announced) => announced.unwrap_or(0).clamp(SMALLEST_LIMIT, LARGEST_LIMIT),
        };
        let kept = self.flags & RECURSION_DESIRED;
        let mut flags = IS_RESPONSE | RECURSION_AVAILABLE | kept | code as u16;
        let mut message = Vec::new();
        let options = self.announced.map(|_| options());
        for number in [self.id, 0, 1, 0, 0, u16::from(options.is_some())] {
            message.extend(number.to_be_bytes());
        }
        for label in &self.labels {
            message.push(label.len() as u8);
            message.extend(label);
        }
        message.push(0);
        message.extend(self.kind.to_be_bytes());
        message.extend(self.class.to_be_bytes());
        let mut count = 0u16;
        for answer in answers {
            let record = record(self.kind, answer, ttl);
            let end = message.len() + record.len() + options.as_ref().map_or(0, Vec::len);
            if end > usize::from(limit) {
                flags |= IS_TRUNCATED;
                break;
            }
            message.extend(record);
            count += 1;
        }
        message.extend(options.into_iter().flatten());
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&count.to_be_bytes());
        message
    }

    /// Whether the message is another server's response to this question, and which code it has.
    pub(crate) fn response_code(&self, message: &[u8]) -> Option<u16> {
        let half = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
        const CODE: u16 = 0xf;
        let (id, flags) = (half(0)?, half(2)?);
        let is_ours = id == self.id && flags & IS_RESPONSE != 0 && half(4)? == 1;
        let (labels, at) = is_ours.then(|| read_name(message, HEADER))??;
        let same = labels.len() == self.labels.len()
            && labels.iter().zip(&self.labels).all(|(one, other)| one.eq_ignore_ascii_case(other));
        (same && half(at)? == self.kind && half(at + 2)? == self.class).then_some(flags & CODE)
    }
}

/// The labels of the name at `at`, and what follows it. Each pointer must lead back, so that it ends.
fn read_name(message: &[u8], at: usize) -> Option<(Vec<Vec<u8>>, usize)> {
    let (mut labels, mut length) = (Vec::new(), 0);
    let (mut here, mut limit, mut after) = (at, at, None);
    loop {
        let first = *message.get(here)?;
        match first >> 6 {
            0 if first == 0 => return Some((labels, after.unwrap_or(here + 1))),
            0 => {
                let label = message.get(here + 1..here + 1 + usize::from(first))?;
                length += 1 + label.len();
                if length >= LONGEST_NAME {
                    return None;
                }
                labels.push(label.to_vec());
                here += 1 + label.len();
            }
            3 => {
                let target = usize::from(first & 0x3f) << 8 | usize::from(*message.get(here + 1)?);
                if target >= limit {
                    return None;
                }
                after.get_or_insert(here + 2);
                (here, limit) = (target, target);
            }
            _ => return None,
        }
    }
}

/// The size of datagrams in the options, among the `count` records at `at`: they come first, or are
/// not found.
fn announced(message: &[u8], at: usize, count: u16) -> Option<u16> {
    let half = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    let is_options = count > 0 && message.get(at) == Some(&0) && half(at + 1) == Some(OPT);
    is_options.then(|| half(at + 3)).flatten()
}

/// The record of a response whose query had options: the largest datagram that is taken.
fn options() -> Vec<u8> {
    let mut record = vec![0];
    record.extend(OPT.to_be_bytes());
    record.extend(LARGEST_LIMIT.to_be_bytes());
    record.extend([0; 6]); // no further codes, version 0, no data
    record
}

/// A record whose name is the question's.
fn record(kind: u16, data: &Data<'_>, ttl: u32) -> Vec<u8> {
    const NAME_OF_QUESTION: u16 = 0xc000 | HEADER as u16;
    let data = match data {
        Data::Address(address) => address.octets().to_vec(),
        Data::Name(name) => {
            // Longer labels and names are not names.
            let labels = name.split('.').filter(|label| (1..=63).contains(&label.len()));
            let mut bytes: Vec<u8> = labels
                .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
                .take(LONGEST_NAME - 1)
                .collect();
            bytes.push(0);
            bytes
        }
    };
    let mut record = Vec::new();
    record.extend(NAME_OF_QUESTION.to_be_bytes());
    record.extend(kind.to_be_bytes());
    record.extend(IN.to_be_bytes());
    record.extend(ttl.to_be_bytes());
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

#[cfg(test)]
mod tests;
