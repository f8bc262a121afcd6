//! Digests: the name of a blob is the hash of its bytes, so that who has the name can check what
//! was given for it.
//!
//! ```text
//!   sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//!   algorithm : encoded hash, lower-case hexadecimal
//! ```
//!
//! Source: OCI image specification, "Digests".

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

/// A hash function that digests are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, which everybody must know.
    Sha256,
    /// SHA-512, which registries may know.
    Sha512,
}

impl Algorithm {
    /// As it is written in a digest, and as the directory of its blobs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits its hash has.
    pub fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// The digest of a blob. What is in here is well-formed: it can be a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// A text that is not a digest, or not one that isolab can check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid digest {text:?}: {why}")]
pub struct DigestError {
    /// The text, cut off if it is long.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::new(Algorithm::Sha256);
        digester.update(bytes);
        digester.finish()
    }

    /// The hash function it was made with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash in lower-case hexadecimal: the name of the blob's file.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The first twelve digits, as `docker` prints it in tables.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let error = |why| DigestError { text: text.chars().take(80).collect(), why };
        let (name, hex) = text.split_once(':').ok_or(error("not ALGORITHM:HEX"))?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(error("the algorithm is neither sha256 nor sha512")),
        };
        if hex.len() != algorithm.hex_length() {
            return Err(error("the hash has another length than the algorithm's"));
        }
        if !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error("the hash is not lower-case hexadecimal"));
        }
        Ok(Self { algorithm, hex: hex.into() })
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Computes a digest while the bytes go by.
#[derive(Debug, Clone)]
pub enum Digester {
    /// By SHA-256.
    Sha256(Sha256),
    /// By SHA-512.
    Sha512(Sha512),
}

impl Digester {
    /// One that has seen no bytes.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Digest {
        let (algorithm, hash) = match self {
            Self::Sha256(hash) => (Algorithm::Sha256, hash.finalize().to_vec()),
            Self::Sha512(hash) => (Algorithm::Sha512, hash.finalize().to_vec()),
        };
        Digest { algorithm, hex: hex(&hash).into() }
    }
}

impl io::Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that computes the digest of what it gives.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    digester: Digester,
}

impl<R: io::Read> HashingReader<R> {
    /// One that has given nothing of `inner` yet.
    pub fn new(algorithm: Algorithm, inner: R) -> Self {
        Self { inner, digester: Digester::new(algorithm) }
    }

    /// The digest of all that was read.
    pub fn finish(self) -> Digest {
        self.digester.finish()
    }
}

impl<R: io::Read> io::Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.digester.update(&buffer[..length]);
        Ok(length)
    }
}

fn hex(hash: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_standard() {
        // FIPS 180-4's examples of "abc".
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), text);
        assert_eq!(text.parse(), Ok(Digest::of(b"abc")));
        let mut digester = Digester::new(Algorithm::Sha512);
        digester.update(b"a");
        digester.update(b"bc");
        assert!(
            digester.finish().to_string().starts_with("sha512:ddaf35a193617abacc417349ae204131")
        );
    }

    #[test]
    fn what_could_lead_elsewhere_as_a_file_name_is_not_a_digest() {
        let good = "0".repeat(64);
        for text in [
            "",
            "sha256",
            "sha256:",
            "sha256:../../../etc/passwd",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            &format!("sha256:{}", "A".repeat(64)),
            &format!("sha256:{}/", &good[1..]),
            &format!("sha512:{good}"),
            &format!(" sha256:{good}"),
            &format!("sha256:{good}\n"),
            &format!("../x:{good}"),
            &format!("sha256:{}", "é".repeat(32)),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text:?}");
        }
    }
}
