//! The same attempts by a program that has no kernel: a few instructions each, in 64-bit ring 3 of
//! a microVM, at address 0x100000.

use std::path::Path;

/// The exit code of a program that arrived where `syscall` leads.
pub(super) const LANDED: u8 = 3;
/// Of one whose last instruction was answered.
pub(super) const ANSWERED: u8 = 1;
/// More than the 16 MiB of RAM that a file's machine has, and less than the 4 GiB that its page
/// tables reach.
pub(super) const BEYOND: u64 = 0x4000_0000;
/// `kill` on Linux.
pub(super) const KILL: u32 = 62;

/// `out 0xf4, al`: the machine's off switch, which takes an exit code.
const OUT_OFF_SWITCH: [u8; 2] = [0xe6, 0xf4];

fn end(code: u8) -> [u8; 4] {
    // mov al, code
    [0xb0, code, OUT_OFF_SWITCH[0], OUT_OFF_SWITCH[1]]
}

/// Makes the system call `open(target)`. The processor then goes on at the address in its register
/// LSTAR, which is 0 after reset; the program has laid an answer there.
pub(super) fn open(target: &Path) -> Vec<u8> {
    let path = target.as_os_str().as_encoded_bytes();
    let after = [&[0x31, 0xf6, 0x0f, 0x05][..], &end(ANSWERED)].concat(); // xor esi, esi; syscall
    let code = [
        &[0xc7, 0x04, 0x25, 0, 0, 0, 0][..], // mov dword [0], the answer
        &end(LANDED),
        &[0xb8, 2, 0, 0, 0],                             // mov eax, 2 (open)
        &[0x48, 0x8d, 0x3d, after.len() as u8, 0, 0, 0], // lea rdi, [rip + the path]
        &after,
        path,
        &[0],
    ];
    code.concat()
}

/// Rings the doorbell of isolab with a request that Linux would understand.
pub(super) fn kill(pid: u32) -> Vec<u8> {
    let request = KILL | pid << 8;
    let code = [
        &[0xb8][..], // mov eax, the request
        &request.to_le_bytes(),
        &[0x66, 0xba], // mov dx, the doorbell
        &guest::abi::DOORBELL.to_le_bytes(),
        &[0xef], // out dx, eax
        &end(ANSWERED),
    ];
    code.concat()
}

/// Reads a byte beyond its RAM, and one at an address of the host's. What it gets goes to the
/// console.
pub(super) fn read(address: u64) -> Vec<u8> {
    let load = |address: u64| {
        let code = [
            &[0x48, 0xbb][..], // mov rbx, the address
            &address.to_le_bytes(),
            &[0x8a, 0x03], // mov al, [rbx]
            &[0xe6, 0xe9], // out 0xe9, al
        ];
        code.concat()
    };
    [load(BEYOND), load(address), end(ANSWERED).to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_call_is_given_the_path_that_lies_behind_the_code() {
        let code = open(Path::new("/target"));
        let load = code.windows(3).position(|bytes| bytes == [0x48, 0x8d, 0x3d]).unwrap();
        let next = load + 7;
        let path = next + usize::from(code[load + 3]);
        assert_eq!(&code[path..], b"/target\0");
        // Nothing but `xor esi, esi; syscall; mov al, 1; out 0xf4, al` is between them.
        assert_eq!(code[next..path], [0x31, 0xf6, 0x0f, 0x05, 0xb0, 1, 0xe6, 0xf4]);
    }

    #[test]
    fn the_largest_process_number_of_linux_fits_into_a_request() {
        const LARGEST: u32 = 1 << 22;
        let code = kill(LARGEST);
        assert_eq!(code[1..5], (62 + 256 * LARGEST).to_le_bytes());
    }
}
