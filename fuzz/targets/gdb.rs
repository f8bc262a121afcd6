//! What comes over a debugger's port, which anybody on this host may have connected to: packets,
//! and, where there is KVM, a machine that is debugged by them.
#![no_main]

use std::{
    io::Write as _,
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use microvm::{
    MicroVm, Mode,
    gdb::{
        Listener, Width,
        packet::{self, LONGEST, Received},
    },
};
use sandbox::{Sandbox as _, Stdio, Workload};
use tempfile::TempDir;

/// What a debugger says.
#[derive(Debug, Arbitrary)]
enum Text<'a> {
    /// A packet with a checksum that is right.
    Packet(&'a [u8]),
    /// One that is known, with something behind it.
    Known(u8, &'a [u8]),
    Bytes(&'a [u8]),
    Interrupt,
}

const KNOWN: [&str; 21] = [
    "?",
    "g",
    "G",
    "p",
    "P",
    "m",
    "M600,2:",
    "Z0,",
    "z0,",
    "c",
    "s",
    "C05",
    "S05",
    "D",
    "k",
    "H",
    "qSupported",
    "qXfer:features:read:target.xml:",
    "QStartNoAckMode",
    "P8=",
    "M0,",
];

/// All that is said in an input, one after the other.
#[derive(Debug, Arbitrary)]
struct Conversation<'a> {
    /// One in sixteen is had with a machine: that takes a hundred times as long.
    runs: u8,
    /// In which mode, and in pieces of which length it is said.
    is_wide: bool,
    piece: u8,
    texts: Vec<Text<'a>>,
}

impl Conversation<'_> {
    fn to_bytes(&self) -> Vec<u8> {
        let one = |text: &Text<'_>| match *text {
            Text::Packet(text) => packet::packet(text),
            Text::Known(number, rest) => {
                let known = KNOWN[usize::from(number) % KNOWN.len()].as_bytes();
                packet::packet(&[known, rest].concat())
            }
            Text::Bytes(bytes) => bytes.to_vec(),
            Text::Interrupt => vec![3],
        };
        self.texts.iter().flat_map(one).collect()
    }
}

static HAS_KVM: LazyLock<bool> = LazyLock::new(|| match microvm::available() {
    Ok(()) => true,
    Err(error) => {
        eprintln!("skipped: a machine that is debugged: {}", sandbox::chain(&error));
        false
    }
});

thread_local! {
    static FOLDER: TempDir = TempDir::new().expect("memory for files");
}

fuzz_target!(|conversation: Conversation<'_>| {
    let bytes = conversation.to_bytes();
    let mut input = Vec::new();
    let mut said = Vec::new();
    for piece in bytes.chunks(usize::from(conversation.piece) + 1) {
        input.extend_from_slice(piece);
        said.extend(std::iter::from_fn(|| packet::take(&mut input)));
        assert!(input.len() <= LONGEST + 2 * 256, "what is no packet does not grow");
    }
    for said in &said {
        let Received::Packet(text) = said else { continue };
        let rest = text.get(1..).unwrap_or_default();
        let (number, bytes) = (packet::number(rest), packet::bytes(rest));
        assert!(bytes.as_ref().is_none_or(|bytes| packet::hex(bytes).len() == rest.len()));
        for width in [Width::Bits32, Width::Bits64] {
            let (mut registers, special) = Default::default();
            if let Some(number) =
                number.and_then(|number| usize::try_from(number).ok()).filter(|it| *it < 100)
            {
                let shown = width.show_one(number, &registers, &special);
                let set = width.set(number, bytes.as_deref().unwrap_or_default(), &mut registers);
                assert!(!set || shown.is_some(), "what can be set can be shown");
            }
            if let Some(bytes) = &bytes {
                let _ = width.set_all(bytes, &mut registers);
            }
        }
    }
    if conversation.runs.is_multiple_of(16) && *HAS_KVM {
        FOLDER.with(|folder| debug(&conversation, &bytes, folder));
    }
});

/// Has that said to a machine, which ends all the same.
fn debug(conversation: &Conversation<'_>, bytes: &[u8], folder: &TempDir) {
    // Adds, stores, counts, halts: see crates/cli/tests/gdb.rs.
    const BOOT_SECTOR: &[u8] =
        &[0xb8, 1, 0, 0xbb, 2, 0, 0x01, 0xd8, 0xa3, 0, 6, 0x41, 0x83, 0xf9, 3, 0x75, 0xfa, 0xf4];
    const LOOP_64: &[u8] = &[0x48, 0xc7, 0xc0, 7, 0, 0, 0, 0xeb, 0xfe];
    let (mode, code) = match conversation.is_wide {
        false => (Mode::Real16, BOOT_SECTOR),
        true => (Mode::Long64, LOOP_64),
    };
    let [program, path] = ["code.bin", "socket"].map(|name| folder.path().join(name));
    std::fs::write(&program, code).expect("memory for files");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("memory for files");
    let debugger = Some(Arc::new(Listener::Unix(listener, path.clone())));
    let machine = MicroVm { mode, debugger, ..MicroVm::default() };
    // It runs for ever if it is told so; this is far more than the rest takes.
    let workload = Workload { stdio: Stdio::Capture, ..Workload::command([program]) };
    let workload = workload.deadline(Duration::from_secs(5));
    thread::scope(|scope| {
        scope.spawn(|| {
            let Ok(mut stream) = UnixStream::connect(&path) else { return };
            let _ = stream.write_all(bytes);
            // It ends whatever was said before.
            let _ = stream.write_all(&[&[3][..], &packet::packet(b"k")].concat());
            let mut answers = Vec::new();
            let _ = std::io::Read::read_to_end(&mut stream, &mut answers);
        });
        // How it ends is the debugger's affair.
        let _ = machine.run(&workload);
    });
}
