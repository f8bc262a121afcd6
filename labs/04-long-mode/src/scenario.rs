//! What the guest does in 64-bit mode, and where everything lies; another place in each run.
//!
//! ```text
//!   the guest's addresses                        physical addresses
//!   0x000000  tables                     =       0x000000  slot 0, 8 MiB
//!   0x10....  the program                =       0x10....
//!   0x2.....  its report                 =       0x2.....
//!   8-32 MiB  the remapped page ---------------> 4 or 6 MiB: the token
//!   32-64 MiB the hole  ----------------.        0x800000  end of the memory
//!                                        `-----> 1-3 GiB: nothing, so an exit
//! ```

use hello_kvm::scenario::Random;

/// A large page.
pub const PAGE: u64 = 2 << 20;
/// Guest memory, from physical address 0 on.
pub const MEMORY_BYTES: u64 = 4 * PAGE;
/// The guest's own addresses, from 0 on.
pub const MAPPED: u64 = 32 * PAGE;

/// A guest program and its data.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Where it begins.
    pub entry: u64,
    /// Where its report lies.
    pub report: u64,
    /// The guest's page through which it finds the token, and the physical page that it is.
    pub window: (u64, u64),
    /// The guest's page that leads nowhere, and the physical page that there is not.
    pub hole: (u64, u64),
    /// How many pages of another memory are mapped.
    pub pages: u64,
    /// How far from the beginnings of these pages it reads.
    pub offset: u64,
    /// What lies in the window.
    pub token: u64,
    /// What a device would answer in the hole.
    pub device: u32,
}

impl Scenario {
    /// The scenario of this `seed`: the check and the program build the same one.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            entry: 0x10_0000 + 16 * random.below(0x1000) as u64,
            report: PAGE + 64 * random.below(PAGE as usize / 64) as u64,
            window: ((4 + random.below(12) as u64) * PAGE, (2 + random.below(2) as u64) * PAGE),
            hole: ((16 + random.below(16) as u64) * PAGE, (512 + random.below(1024) as u64) * PAGE),
            offset: 8 * random.below(PAGE as usize / 8) as u64,
            token: random.next(),
            device: random.next() as u32,
            pages: MAPPED / PAGE + 1 + random.below(480) as u64,
        }
    }

    /// Its machine code, for ring 0 in 64-bit mode.
    pub fn code(&self) -> Vec<u8> {
        let at = |page: u64| (page + self.offset).to_le_bytes();
        let parts: [&[u8]; 19] = [
            &[0x48, 0xbf],                   // mov rdi, report
            &self.report.to_le_bytes(),      //
            &[0x0f, 0x20, 0xc0],             // mov rax, cr0
            &[0x48, 0x89, 0x07],             // mov [rdi], rax
            &[0x0f, 0x20, 0xe0],             // mov rax, cr4
            &[0x48, 0x89, 0x47, 0x08],       // mov [rdi + 8], rax
            &[0xb9, 0x80, 0x00, 0x00, 0xc0], // mov ecx, EFER
            &[0x0f, 0x32],                   // rdmsr
            &[0x89, 0x47, 0x10],             // mov [rdi + 16], eax
            &[0x48, 0xbb],                   // mov rbx, window
            &at(self.window.0),              //
            &[0x48, 0x8b, 0x03],             // mov rax, [rbx]
            &[0x48, 0x89, 0x47, 0x18],       // mov [rdi + 24], rax
            &[0x48, 0xbb],                   // mov rbx, hole
            &at(self.hole.0),                //
            &[0x8b, 0x03],                   // mov eax, [rbx]
            &[0x89, 0x47, 0x20],             // mov [rdi + 32], eax
            &[0xf4],                         // hlt
            &[0xeb, 0xfd],                   // who goes on comes back to it
        ];
        parts.concat()
    }

    /// Where it is when it has halted: behind the `hlt`.
    pub fn end(&self) -> u64 {
        self.entry + self.code().len() as u64 - 2
    }
}
