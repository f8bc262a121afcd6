//! A boot sector: the first 512 bytes of a disk, which the firmware of every PC since 1981 loads to
//! 0x7c00 and jumps to.

/// Where it is loaded.
pub(crate) const ADDRESS: u64 = 0x7c00;
const TEXT: usize = 0x40;
const BYTES: usize = 512;

/// A boot sector that prints `text`, as far as there is room, on the first serial port and halts.
pub(crate) fn printing(text: &str) -> Vec<u8> {
    let at = (ADDRESS as usize + TEXT).to_le_bytes();
    let mut sector = vec![
        0xfa, // cli
        0x31, 0xc0, // xor ax, ax
        0x8e, 0xd8, // mov ds, ax
        0xfc, // cld
        0xbe, at[0], at[1], // mov si, text
        // next:
        0xba, 0xfd, 0x03, // mov dx, 0x3fd: the line status
        0xec, // in al, dx
        0xa8, 0x20, // test al, 0x20: is there room for a byte?
        0x74, 0xf8, // jz next
        0xac, // lodsb
        0x84, 0xc0, // test al, al
        0x74, 0x06, // jz end
        0xba, 0xf8, 0x03, // mov dx, 0x3f8
        0xee, // out dx, al
        0xeb, 0xed, // jmp next
        // end:
        0xf4, // hlt, for ever: interrupts are off
        0xeb, 0xfd, // jmp end
    ];
    sector.resize(TEXT, 0);
    sector.extend(text.bytes().take(BYTES - TEXT - 4));
    sector.push(b'\n');
    sector.resize(BYTES - 2, 0);
    // Without these two the firmware does not take it for one.
    sector.extend([0x55, 0xaa]);
    sector
}
