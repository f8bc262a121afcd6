//! What a registry or an archive says of an image: a reference, a digest, a platform, a manifest or
//! index, a config, and something compressed. The first byte says which.
#![no_main]

use std::io::Read as _;

use image::{
    compression::{self, Limits},
    digest::Digest,
    manifest::{self, Document, Platform},
    reference::Reference,
    store::read_config,
};
use libfuzzer_sys::fuzz_target;

/// What comes out of something compressed is no more.
const MOST: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 3 {
        0 => names(&String::from_utf8_lossy(bytes)),
        1 => document(bytes),
        _ => {
            let limits = Limits { max_bytes: MOST, ..Limits::default() };
            if let Ok(mut decoder) = compression::decoder(bytes, &limits) {
                let mut all = Vec::new();
                let _ = decoder.read_to_end(&mut all);
                // The last piece may go over it, before that is an error.
                assert!(all.len() as u64 <= MOST + (64 << 10));
            }
        }
    }
});

/// What is read is written and read the same, and cannot lead elsewhere as a path.
fn names(text: &str) {
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse().as_ref(), Ok(&reference));
        assert_eq!(reference.familiar().parse().as_ref(), Ok(&reference));
        assert!(reference.repository().split('/').all(|part| !part.is_empty() && part != ".."));
        assert!(reference.tag().is_none_or(|tag| !tag.contains('/') && !tag.starts_with('.')));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        assert!(digest.hex().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    if let Ok(platform) = text.parse::<Platform>() {
        let _ = platform.to_string().parse::<Platform>();
    }
}

fn document(bytes: &[u8]) {
    match Document::read(bytes, None) {
        Ok(Document::Index(index)) => {
            let _ = manifest::choose(&index, &Platform::host());
        }
        Ok(Document::Manifest(manifest)) => {
            for layer in manifest.layers() {
                let _ = (manifest::digest_of(layer), manifest::layer_compression(layer));
            }
            if let Ok(config) = read_config(bytes, &manifest) {
                assert_eq!(config.chain_ids().len(), manifest.layers().len());
            }
        }
        Err(_) => {}
    }
}
