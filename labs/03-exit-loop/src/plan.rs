//! What the guest does: it sends, receives and uses memory that is none, as often as nobody knows
//! beforehand, in 16-bit machine code.
//!
//! ```text
//!   0x00000  memory, 64 KiB
//!   0x01000     the program
//!   0x08000     what the guest received, byte after byte
//!   0x09000     what `rep insb` received
//!   0x0a000     what it read of the adder, 4 bytes each
//!   0x10000  nothing
//!   0xd0000     the adder: a register of 4 bytes
//!
//!   port 0x3f8  the serial line: one register
//! ```

use hello_kvm::plan::Chance;

/// Guest memory, from address 0 on.
pub const MEMORY_BYTES: u64 = 0x1_0000;
/// The serial line's register, where a PC has that of its first serial port.
pub const PORT: u16 = 0x3f8;
/// The adder's register.
pub const ADDER: u64 = 0xd_0000;
/// Where the program begins.
pub const ENTRY: u64 = 0x1000;
/// Where received bytes are kept.
pub const RECEIVED: u16 = 0x8000;
/// Where a block of them is kept.
pub const BLOCK: u16 = 0x9000;
/// Where the adder's answers are kept.
pub const SUMS: u16 = 0xa000;
/// How many bytes `rep insb` fetches.
pub const BLOCK_BYTES: usize = 64;

/// What the guest does, and what must come of it.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Its machine code.
    pub code: Vec<u8>,
    /// Where it is when it has halted: behind the `hlt`.
    pub end: u64,
    /// What comes in over the line.
    pub input: Vec<u8>,
    /// What goes out.
    pub output: Vec<u8>,
    /// How many bytes of the output come before the guest first waits for input.
    pub greeting: usize,
    /// What is at [`RECEIVED`] in the end.
    pub received: Vec<u8>,
    /// What is at [`BLOCK`].
    pub block: Vec<u8>,
    /// What is at [`SUMS`].
    pub sums: Vec<u8>,
    /// How often it reads the adder, and writes it.
    pub uses: [u64; 2],
    /// At which calls of `KVM_RUN` a signal comes first.
    pub signals: [u64; 3],
    /// What goes out at an exit that was recorded elsewhere, and where in the page it lies.
    pub recorded: (Vec<u8>, u64),
}

impl Plan {
    /// The plan that comes of `seed`: the check and the program make the same one.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut plan = Self::default();
        // mov dx, 0x3f8; mov ax, 0xd000; mov gs, ax
        plan.put(&[0xba], &PORT.to_le_bytes());
        plan.put(&[0xb8, 0x00, 0xd0, 0x8e, 0xe8], &[]);
        plan.send(&mut chance, 4);
        plan.greeting = plan.output.len();
        plan.wait_for_start(&mut chance);
        // Each part at least once, in any order.
        let mut parts = [0, 1, 2, 3, 4, chance.below(2), chance.below(2)];
        for last in (1..parts.len()).rev() {
            parts.swap(last, chance.below(last as u64 + 1) as usize);
        }
        let mut sum = 0;
        for part in parts {
            match part {
                0 => plan.send(&mut chance, 10),
                1 => plan.receive(&mut chance),
                2 => plan.receive_block(&mut chance),
                3 => plan.add(&mut chance, &mut sum),
                _ => plan.add_and_read(&mut chance, &mut sum),
            }
        }
        // hlt; who goes on comes back to it.
        plan.put(&[0xf4], &[]);
        plan.end = ENTRY + plan.code.len() as u64;
        plan.put(&[0xeb, 0xfd], &[]);
        plan.signals = [2 + chance.below(3), 7 + chance.below(5), 14 + chance.below(6)];
        let bytes = (0..3 + chance.below(6)).map(|_| chance.next() as u8).collect();
        plan.recorded = (bytes, 0x800 + chance.below(0x700));
        plan
    }

    /// How often it reads the line byte by byte, the wait included; a block is beside that.
    pub fn single_reads(&self) -> u64 {
        (self.input.len() - BLOCK_BYTES) as u64
    }

    fn put(&mut self, opcode: &[u8], operand: &[u8]) {
        self.code.extend([opcode, operand].concat());
    }

    fn send(&mut self, chance: &mut Chance, least: u64) {
        for _ in 0..least + chance.below(10) {
            // Not 0, which is what lies where nobody has put anything.
            let byte = 1 + chance.below(255) as u8;
            self.put(&[0xb0, byte, 0xee], &[]); // mov al, byte; out dx, al
            self.output.push(byte);
        }
    }

    /// Until the line gives a certain byte, which is the first that comes.
    fn wait_for_start(&mut self, chance: &mut Chance) {
        let start = loop {
            let byte = chance.next() as u8;
            if byte != 0 && byte != 0xff && !self.output.contains(&byte) {
                break byte;
            }
        };
        self.put(&[0xec, 0x3c, start, 0x75, 0xfb], &[]); // in al, dx; cmp al, start; jne back
        self.input.push(start);
    }

    fn receive(&mut self, chance: &mut Chance) {
        for _ in 0..3 + chance.below(10) {
            let byte = chance.next() as u8;
            let place = RECEIVED + self.received.len() as u16;
            self.put(&[0xec, 0xa2], &place.to_le_bytes()); // in al, dx; mov [place], al
            self.input.push(byte);
            self.received.push(byte);
        }
    }

    fn receive_block(&mut self, chance: &mut Chance) {
        self.block = (0..BLOCK_BYTES).map(|_| chance.next() as u8).collect();
        // Who begins at the wrong end is found out.
        self.block[BLOCK_BYTES - 1] = !self.block[0];
        self.input.extend_from_slice(&self.block);
        self.put(&[0xbf], &BLOCK.to_le_bytes()); // mov di, block
        self.put(&[0xb9], &(BLOCK_BYTES as u16).to_le_bytes()); // mov cx, 64
        self.put(&[0xf3, 0x6c], &[]); // rep insb
    }

    fn add(&mut self, chance: &mut Chance, sum: &mut u32) {
        for _ in 0..2 + chance.below(6) {
            let number = chance.next() as u32;
            self.put(&[0x66, 0xb8], &number.to_le_bytes()); // mov eax, number
            // mov gs:[0], al, ax or eax: a device must heed the length.
            let (opcode, mask): (&[u8], u32) = match chance.below(3) {
                0 => (&[0x65, 0xa2], 0xff),
                1 => (&[0x65, 0xa3], 0xffff),
                _ => (&[0x65, 0x66, 0xa3], u32::MAX),
            };
            self.put(opcode, &[0, 0]);
            *sum = sum.wrapping_add(number & mask);
            self.uses[1] += 1;
        }
    }

    fn add_and_read(&mut self, chance: &mut Chance, sum: &mut u32) {
        for _ in 0..2 + chance.below(4) {
            self.add(chance, sum);
            let place = SUMS + self.sums.len() as u16;
            self.put(&[0x65, 0x66, 0xa1, 0, 0, 0x66, 0xa3], &place.to_le_bytes()); // sum to place
            self.sums.extend(sum.to_le_bytes());
            self.uses[0] += 1;
        }
    }
}
