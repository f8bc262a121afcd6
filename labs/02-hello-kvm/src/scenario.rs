//! What the guest computes: some steps that nobody knows beforehand, in 16-bit machine code.
//!
//! ```text
//!   0x0000
//!   0x1000..  the program, at a random address
//!   0x7000..  the token, 4 bytes, at a random address
//!   0x8000..  the answer, 4 bytes, at a random address
//!   0x10000   the end of the memory
//! ```

pub use report::Random;

/// Guest memory: 64 KiB, all that 16 bits can name.
pub const MEMORY_BYTES: u64 = 0x1_0000;
/// The port to which the guest shows that it is under way.
pub const PORT: u8 = 0x10;

/// A guest program and its data.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Where it begins.
    pub entry: u16,
    /// Where the token lies.
    pub token: u16,
    /// Where the answer is to lie.
    pub answer: u16,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Add(u32),
    Xor(u32),
    Rotate(u8),
    /// A look at the host: one exit.
    Out,
}

impl Scenario {
    /// The scenario of this `seed`: the check and the program build the same one.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut steps = Vec::new();
        for _ in 0..2 + random.below(4) {
            for _ in 0..1 + random.below(3) {
                steps.push(match random.below(3) {
                    0 => Step::Add(random.next() as u32),
                    1 => Step::Xor(random.next() as u32),
                    _ => Step::Rotate(1 + random.below(31) as u8),
                });
            }
            steps.push(Step::Out);
        }
        // Who leaves at the last exit but one has not got the answer.
        steps.push(Step::Add(random.next() as u32 | 1));
        let mut address = |start: u64, most: u64, align: u64| {
            (start + align * (1 + random.below((most / align - 1) as usize) as u64)) as u16
        };
        let (entry, token) = (address(0x1000, 0x1000, 2), address(0x7000, 0x1000, 4));
        Self { entry, token, answer: address(0x8000, 0x7000, 4), steps }
    }

    /// How often it comes out: for each `out`, and for the `hlt` at its end.
    pub fn exits(&self) -> u64 {
        1 + self.steps.iter().filter(|step| matches!(step, Step::Out)).count() as u64
    }

    /// What it makes of `token`.
    pub fn of_token(&self, token: u32) -> u32 {
        self.steps.iter().fold(token, |value, step| match *step {
            Step::Add(number) => value.wrapping_add(number),
            Step::Xor(number) => value ^ number,
            Step::Rotate(bits) => value.rotate_left(bits.into()),
            Step::Out => value,
        })
    }

    /// Its machine code: real mode, with 0x66 before what works on 32 bits.
    pub fn code(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let mut put = |opcode: &[u8], operand: &[u8]| code.extend([opcode, operand].concat());
        put(&[0x66, 0xa1], &self.token.to_le_bytes()); // mov eax, [token]
        for step in &self.steps {
            match step {
                Step::Add(number) => put(&[0x66, 0x05], &number.to_le_bytes()), // add eax, number
                Step::Xor(number) => put(&[0x66, 0x35], &number.to_le_bytes()), // xor eax, number
                Step::Rotate(bits) => put(&[0x66, 0xc1, 0xc0], &[*bits]),       // rol eax, bits
                Step::Out => put(&[0xe6], &[PORT]),                             // out 0x10, al
            }
        }
        put(&[0x66, 0xa3], &self.answer.to_le_bytes()); // mov [answer], eax
        put(&[0xf4], &[]); // hlt
        code
    }

    /// Where it has come to when it has halted: behind the `hlt`.
    pub fn end(&self) -> u64 {
        u64::from(self.entry) + self.code().len() as u64
    }
}
