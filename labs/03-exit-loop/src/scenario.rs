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

use hello_kvm::scenario::Random;

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
pub struct Scenario {
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
}

impl Scenario {
    /// The scenario of this `seed`: the check and the program build the same one.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut scenario = Self::default();
        // mov dx, 0x3f8; mov ax, 0xd000; mov gs, ax
        scenario.put(&[0xba], &PORT.to_le_bytes());
        scenario.put(&[0xb8, 0x00, 0xd0, 0x8e, 0xe8], &[]);
        scenario.send(&mut random, 4);
        scenario.greeting = scenario.output.len();
        scenario.wait_for_start(&mut random);
        // Each part at least once, in any order.
        let mut parts = [0, 1, 2, 3, 4, random.below(2), random.below(2)];
        for last in (1..parts.len()).rev() {
            parts.swap(last, random.below(last + 1));
        }
        let mut sum = 0;
        for part in parts {
            match part {
                0 => scenario.send(&mut random, 10),
                1 => scenario.receive(&mut random),
                2 => scenario.receive_block(&mut random),
                3 => scenario.add(&mut random, &mut sum),
                _ => scenario.add_and_read(&mut random, &mut sum),
            }
        }
        // hlt; who goes on comes back to it.
        scenario.put(&[0xf4], &[]);
        scenario.end = ENTRY + scenario.code.len() as u64;
        scenario.put(&[0xeb, 0xfd], &[]);
        scenario.signals = [2 + random.below(3), 7 + random.below(5), 14 + random.below(6)]
            .map(|number| number as u64);
        scenario
    }

    /// How often it reads the line byte by byte, the wait included; a block is beside that.
    pub fn single_reads(&self) -> u64 {
        (self.input.len() - BLOCK_BYTES) as u64
    }

    fn put(&mut self, opcode: &[u8], operand: &[u8]) {
        self.code.extend([opcode, operand].concat());
    }

    fn send(&mut self, random: &mut Random, least: usize) {
        for _ in 0..least + random.below(10) {
            // Not 0, which is what lies where nobody has put anything.
            let byte = 1 + random.below(255) as u8;
            self.put(&[0xb0, byte, 0xee], &[]); // mov al, byte; out dx, al
            self.output.push(byte);
        }
    }

    /// Until the line gives a certain byte, which is the first that comes.
    fn wait_for_start(&mut self, random: &mut Random) {
        let start = loop {
            let byte = random.next() as u8;
            if byte != 0 && byte != 0xff && !self.output.contains(&byte) {
                break byte;
            }
        };
        self.put(&[0xec, 0x3c, start, 0x75, 0xfb], &[]); // in al, dx; cmp al, start; jne back
        self.input.push(start);
    }

    fn receive(&mut self, random: &mut Random) {
        for _ in 0..3 + random.below(10) {
            let byte = random.next() as u8;
            let place = RECEIVED + self.received.len() as u16;
            self.put(&[0xec, 0xa2], &place.to_le_bytes()); // in al, dx; mov [place], al
            self.input.push(byte);
            self.received.push(byte);
        }
    }

    fn receive_block(&mut self, random: &mut Random) {
        self.block = (0..BLOCK_BYTES).map(|_| random.next() as u8).collect();
        // Who begins at the wrong end is found out.
        self.block[BLOCK_BYTES - 1] = !self.block[0];
        self.input.extend_from_slice(&self.block);
        self.put(&[0xbf], &BLOCK.to_le_bytes()); // mov di, block
        self.put(&[0xb9], &(BLOCK_BYTES as u16).to_le_bytes()); // mov cx, 64
        self.put(&[0xf3, 0x6c], &[]); // rep insb
    }

    fn add(&mut self, random: &mut Random, sum: &mut u32) {
        for _ in 0..2 + random.below(6) {
            let number = random.next() as u32;
            self.put(&[0x66, 0xb8], &number.to_le_bytes()); // mov eax, number
            // mov gs:[0], al, ax or eax: a device must heed the length.
            let (opcode, mask): (&[u8], u32) = match random.below(3) {
                0 => (&[0x65, 0xa2], 0xff),
                1 => (&[0x65, 0xa3], 0xffff),
                _ => (&[0x65, 0x66, 0xa3], u32::MAX),
            };
            self.put(opcode, &[0, 0]);
            *sum = sum.wrapping_add(number & mask);
            self.uses[1] += 1;
        }
    }

    fn add_and_read(&mut self, random: &mut Random, sum: &mut u32) {
        for _ in 0..2 + random.below(4) {
            self.add(random, sum);
            let place = SUMS + self.sums.len() as u16;
            self.put(&[0x65, 0x66, 0xa1, 0, 0, 0x66, 0xa3], &place.to_le_bytes()); // sum to place
            self.sums.extend(sum.to_le_bytes());
            self.uses[0] += 1;
        }
    }
}
