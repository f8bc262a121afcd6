//! What must be true of lab 05, look after look.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    process::ExitCode,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Setup, Student, cannot_tell, ensure, fail, kernel::Process};
use three_virtualizations::{BYTES, SIZE, device};

/// Exits with which the kernel itself is busy: timers, and pages that are touched for the first
/// time.
const KERNELS_OWN: u64 = 300;

fn main() -> ExitCode {
    lab::check::main("05", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let bytes: Vec<u8> = (0..BYTES).map(|_| bench.random(256) as u8).collect();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Both counters overflow on the way, and the ring's end is passed at a place nobody knows.
    let start = u32::MAX - 100 - bench.random(800) as u32;
    let setup = Setup::ordinary().with_kvm().argument("bytes", digits).argument("start", start);
    let mut student = bench.start(setup)?;
    student.meet("sent")?;

    // Full virtualization: each byte through a port, each port an exit, as the kernel counts them.
    let full = (student.number("exits-full")?, exits(&student, "full")?);
    bench.saw("exits with a serial port", format!("{}; the kernel: {}", full.0, full.1));
    bench.measured("full", full.0 as f64);
    let sent = wire(&student, "full")?;
    ensure(sent == bytes && full.1 >= BYTES as u64, || {
        fail("L05-silent-port")
            .fact("sent", sent.len())
            .fact("wrong", first_difference(&sent, &bytes))
    })?;

    // Para-virtualization: how often the driver left the guest, and by which door.
    let para = (student.number("exits-para")?, exits(&student, "para")?);
    let doorbells = student.number("doorbells-para")?;
    bench.saw("exits with a ring", format!("{}; the kernel: {}", para.0, para.1));
    bench.measured("para", para.0 as f64);
    let often = para.0.max(para.1.saturating_sub(KERNELS_OWN));
    let id = if doorbells > 0 { "L05-bell-a-byte" } else { "L05-rep-outsb" };
    ensure(often <= 8, || fail(id).fact("exits", often))?;
    let sent = wire(&student, "para")?;
    let wrong = first_difference(&sent, &bytes);
    let to_the_end = (SIZE - start % SIZE) as usize;
    bench.saw("wire-para", format!("{} bytes; the first wrong one: {wrong}", sent.len()));
    let at = |id: &str| fail(id).fact("wrong", wrong).fact("sent", sent.len());
    ensure(wrong != to_the_end, || at("L05-not-wrapped").fact("start", start % SIZE))?;
    ensure(sent == bytes, || at("L05-lost"))?;
    // And a guest that lies about its ring.
    let sent = wire(&student, "hostile")?;
    bench.saw("wire-hostile", format!("{} bytes", sent.len()));
    let refused = sent.is_empty() && student.said("hostile")? == "refused";
    ensure(refused, || fail("L05-trusted-index").fact("sent", sent.len()))?;

    student.go()?;
    student.meet("passthrough")?;
    let kernels = passthrough(bench, &student, &bytes)?;
    student.go()?;
    student.finish()?;
    let exits = student.number("exits-passthrough")?;
    bench.saw("exits with a page of the host", format!("{exits}; the kernel: {kernels}"));
    bench.measured("passthrough", exits as f64);
    ensure(exits == 0, || fail("L05-no-slot").fact("exits", exits))
}

/// The check is the device: it asks the guest for its bytes through the page, and finds them there
/// while the program waits. Gives the exits that the kernel counted meanwhile.
fn passthrough(bench: &mut Bench, student: &Student, bytes: &[u8]) -> Checked<u64> {
    let program = student.main();
    let page = named(program, "/memfd:device")?;
    let mut seen = vec![0; BYTES];
    page.read_exact_at(&mut seen, 0)?;
    let maps = program.read("maps")?;
    let line = maps.lines().find(|line| line.contains("/memfd:device"));
    bench.saw(program.path("maps").display(), line.unwrap_or("no line with /memfd:device"));
    let copied = || fail("L05-copied").fact("pid", program.pid);
    // Nobody has asked yet: what is there now, the host has put there.
    ensure(line.is_some() && seen.iter().all(|byte| *byte == 0), copied)?;
    let rights = line.and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let private = rights.ends_with('p');

    let word = (bench.random(1 << 31) as u32 | 1).to_le_bytes();
    page.write_all_at(&word, device::WANTED)?;
    let timeout = if private { Duration::from_millis(200) } else { bench.timeout() };
    let deadline = Instant::now() + timeout;
    let (mut answer, mut count) = ([0; 4], 0);
    // A guest that runs needs some microseconds; one for which each byte is an exit gives up here.
    while answer != word && count < BYTES as u64 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_micros(200));
        count = exits(student, "passthrough")?;
        page.read_exact_at(&mut answer, device::THERE)?;
    }
    page.read_exact_at(&mut seen, 0)?;
    let right = first_difference(&seen, bytes);
    bench.saw("/memfd:device", format!("asked {word:02x?}, answer {answer:02x?}, {right} bytes"));
    ensure(!private, || fail("L05-private").fact("rights", rights))?;
    ensure(count < BYTES as u64, || fail("L05-no-slot").fact("exits", count))?;
    ensure(answer == word && seen == bytes, || fail("L05-no-answer").fact("right", right))?;
    page.write_all_at(&1u32.to_le_bytes(), device::STOP)?;
    Ok(count)
}

/// The kernel's count of the exits of a guest's virtual CPU; `lacking` on a kernel without one.
fn exits(student: &Student, name: &str) -> Checked<u64> {
    let number: i32 = student.said(&format!("stats-{name}"))?.parse().unwrap_or(-1);
    ensure(number >= 0, || cannot_tell("lacking").fact("error", "KVM_GET_STATS_FD, Linux 5.14"))?;
    let statistics = student.main().descriptor(number)?;
    Ok(microvm::statistics::find(&statistics.into(), "exits").unwrap_or(0))
}

/// What has come out of a guest's wire.
fn wire(student: &Student, name: &str) -> Checked<Vec<u8>> {
    let wire = named(student.main(), &format!("/memfd:wire-{name}"))?;
    let mut sent = vec![0; wire.metadata()?.len() as usize];
    wire.read_exact_at(&mut sent, 0)?;
    Ok(sent)
}

/// A copy of the descriptor of a file of that name.
fn named(program: Process, name: &str) -> Checked<File> {
    let open = program.descriptors()?;
    let found = open.iter().find(|(_, file)| file.strip_suffix(" (deleted)") == Some(name));
    let (number, _) = found.ok_or_else(|| std::io::Error::other(format!("no {name}")))?;
    Ok(program.descriptor(*number)?.into())
}

/// How many bytes are right before the first one that is not.
fn first_difference(seen: &[u8], wanted: &[u8]) -> usize {
    seen.iter().zip(wanted).take_while(|(seen, wanted)| seen == wanted).count()
}
