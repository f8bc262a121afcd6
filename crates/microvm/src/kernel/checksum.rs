//! The checksum of a bzImage: CRC-32 over all of it, in its last four bytes.
//!
//! The kernel's build wrote it up to Linux 6.14 (`arch/x86/boot/tools/build.c`); later ones end in
//! zeros there. Distributions sign the image after that, for secure boot: the signature comes
//! behind the end, and two fields of the header, zeros before, then tell of it:
//!
//! ```text
//!   0x3c  where the PE header is   + 88   checksum of the PE file                 4 bytes
//!                                  + 168  where the signature is, and its length  8 bytes
//! ```
//!
//! Source: `Documentation/arch/x86/boot.rst`, "The image checksum"; the PE format, "Optional
//! header".

use flate2::Crc;

const PE_HEADER: usize = 0x3c;
/// The fields that signing changes, counted from the PE header; of PE32+, as x86-64 has it.
const SIGNED_LATER: [(usize, usize); 2] = [(88, 4), (168, 8)];
/// CRC-32 over data and then the CRC of that data is always this.
const RESIDUE: u32 = u32::MAX;

/// Whether `image`, from the boot sector to where its signature may begin, is as it was built;
/// `true` if it has no checksum.
pub fn is_right(image: &[u8]) -> bool {
    match image.last_chunk() {
        None | Some([0, 0, 0, 0]) => true,
        Some(_) => crc(&[image]) == RESIDUE || crc(&unsigned(image)) == RESIDUE,
    }
}

/// The parts of the image as they were before it was signed.
fn unsigned(image: &[u8]) -> Vec<&[u8]> {
    const ZEROS: [u8; 8] = [0; 8];
    let header = image.get(PE_HEADER..).and_then(|rest| rest.first_chunk());
    let header = header.map_or(0, |at| u32::from_le_bytes(*at) as usize);
    let mut parts = Vec::new();
    let mut done = 0;
    for (at, length) in SIGNED_LATER {
        let (begin, end) = (header.saturating_add(at), header.saturating_add(at + length));
        if let Some(before) = image.get(done..begin).filter(|_| end <= image.len()) {
            parts.extend([before, &ZEROS[..length]]);
            done = end;
        }
    }
    parts.push(&image[done..]);
    parts
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    for part in parts {
        crc.update(part);
    }
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PE: usize = 0x80;

    /// An image as the kernel's build made it, and with the fields of a signature set.
    fn built_and_signed() -> [Vec<u8>; 2] {
        let mut image: Vec<u8> = (0..0x400_u32).map(|index| (index * 7) as u8).collect();
        image[PE_HEADER..][..4].copy_from_slice(&(PE as u32).to_le_bytes());
        for (at, length) in SIGNED_LATER {
            image[PE + at..][..length].fill(0);
        }
        // The build's CRC is not inverted at its end, flate2's is.
        let crc = !crc(&[&image]);
        image.extend_from_slice(&crc.to_le_bytes());
        let mut signed = image.clone();
        for (at, length) in SIGNED_LATER {
            signed[PE + at..][..length].fill(0xee);
        }
        [image, signed]
    }

    #[test]
    fn an_image_is_right_as_it_was_built_and_once_it_is_signed() {
        for image in built_and_signed() {
            assert!(is_right(&image));
            for at in [0, PE_HEADER, PE + 87, PE + 92, 0x3ff, 0x403] {
                let mut image = image.clone();
                image[at] ^= 0x10;
                assert!(!is_right(&image), "{at:#x}");
            }
        }
    }

    #[test]
    fn an_image_without_a_checksum_is_not_judged() {
        let [mut image, _] = built_and_signed();
        let length = image.len();
        image[length - 4..].fill(0);
        assert!(is_right(&image));
        assert!(is_right(&[]) && is_right(&[1, 0]));
        // No header to be found, nor room for its fields.
        assert!(!is_right(&[1; 8]) && !is_right(&[0xff; 0x60]));
    }
}
