//! A file that somebody says is a kernel: a bzImage, an ELF file, or what is packed in one.
//!
//! Whatever was accepted keeps what [`KernelImage`] promises: it is read within its file, and loaded
//! where its segments say.
#![no_main]

use std::io;

use libfuzzer_sys::{Corpus, fuzz_target};
use microvm::kernel::{KernelImage, unpack};

/// What an unpacker is given room for. The fuzzer's inputs are short; that no such input unpacks to
/// more than the limit is what is tried.
const LIMIT: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| -> Corpus {
    if let Ok(unpacked) = unpack(input, LIMIT) {
        assert!(unpacked.len() as u64 <= LIMIT);
    }
    let Ok(kernel) = KernelImage::from_bytes(input.to_vec(), 64 << 20) else { return Corpus::Keep };
    let bytes = kernel.elf_bytes().expect("it is in memory");
    for segment in kernel.segments() {
        assert!(segment.file_bytes <= segment.memory_bytes);
        assert!(segment.offset + segment.file_bytes <= bytes);
        assert!(segment.address <= segment.end() && segment.end() <= kernel.end());
    }
    let inside = |address| {
        kernel.segments().iter().any(|part| (part.address..part.end()).contains(&address))
    };
    assert!(inside(kernel.entry()));
    assert!(kernel.pvh_entry().is_none_or(|entry| inside(entry.into())));
    let mut loaded = 0;
    kernel
        .load(|address, piece| {
            loaded += piece.len() as u64;
            let end = address + piece.len() as u64;
            let holds = |part: &microvm::kernel::KernelSegment| {
                part.address <= address && end <= part.end()
            };
            assert!(kernel.segments().iter().any(holds));
            io::Result::Ok(())
        })
        .expect("it is in memory");
    assert_eq!(loaded, kernel.segments().iter().map(|part| part.file_bytes).sum::<u64>());
    let release = kernel.release().expect("it is in memory");
    assert!(release.is_none_or(|release| release.len() <= 64));
    assert!(kernel.read_at(bytes, &mut [0]).is_err());
    Corpus::Keep
});
