//! A file that a user runs: as a bare program, and as a command whose libraries are looked for.
#![no_main]

use std::{cell::RefCell, fs, os::unix::fs::PermissionsExt, path::PathBuf, rc::Rc};

use libfuzzer_sys::fuzz_target;
use microvm::{
    Mode,
    initramfs::Root,
    loader::{self, Power, Program},
    memory::{Memory, Pages},
};
use sandbox::{Limits, Trace};
use tempfile::TempDir;

/// What is the same for all inputs.
struct Bench {
    memory: Memory,
    program: PathBuf,
    _folder: TempDir,
}

thread_local! {
    static BENCH: Rc<RefCell<Bench>> = Rc::new(RefCell::new(Bench::new()));
}

impl Bench {
    fn new() -> Self {
        let memory = Memory::new(LIMIT, Pages::Small, &mut Trace::new(false));
        // Programs are looked at as files; fuzz/run has these in memory.
        let folder = TempDir::new().expect("memory for a file");
        let program = folder.path().join("program");
        fs::write(&program, "").expect("memory for a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our own file");
        Self { memory: memory.expect("a fuzzer has some memory"), program, _folder: folder }
    }
}

const LIMIT: u64 = 4 << 20;

fuzz_target!(|input: &[u8]| {
    let bench = BENCH.with(Rc::clone);
    let Bench { memory, program, .. } = &*bench.borrow();
    fs::write(program, input).expect("memory for a file");
    let command = sandbox::Program::Command(vec![program.clone().into()]);
    let limits = Limits { memory_bytes: Some(LIMIT), ..Limits::default() };
    for mode in [Mode::Auto, Mode::Real16, Mode::Long64, Mode::User64] {
        let Ok(program) = Program::of(&command, mode, &limits) else { continue };
        let entry = loader::load(memory, &program, &mut Trace::new(false))
            .expect("what was accepted fits into its memory");
        assert!(entry.instruction < LIMIT && entry.memory_end <= LIMIT);
        assert!(entry.power != Power::Real || !input.starts_with(b"\x7fELF"));
    }
    let mut root = Root::new();
    if root.add_command(&[program]).is_ok() {
        assert!(root.has(program));
    }
});
