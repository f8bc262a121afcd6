//! What must be true of lab 05, look after look.

#[path = "check/trials.rs"]
mod trials;

use std::{
    fs::File,
    os::unix::fs::FileExt,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Setup, Student, cannot_tell, ensure, fail, kernel::Process};
use three_virtualizations::{BYTES, THREAD, device};

/// Exits with which the kernel itself is busy: timers, and pages that are touched for the first
/// time.
const KERNELS_OWN: u64 = 300;
/// How long a guest runs at most before it has answered; it needs a thousandth of this.
const ENOUGH: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    lab::check::main("05", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let bytes: Vec<u8> = (0..BYTES).map(|_| bench.random(256) as u8).collect();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Both counters overflow on the way, and the ring's end is passed at a place nobody knows.
    let start = u32::MAX - 100 - bench.random(800) as u32;
    let nowhere = [0x2f8, 0x80, 0x64][bench.random(3) as usize];
    let setup = Setup::ordinary().with_kvm().argument("bytes", digits).argument("start", start);
    let setup = setup.argument("nowhere", nowhere);
    let places = bench.random(256) as u32;
    let bell = trials::bell(places);
    let setup = setup.argument("places", places).argument("bell", bell);
    let mut student = bench.start(setup)?;
    trials::ports(bench, &mut student, nowhere)?;
    student.meet("full")?;

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
    student.go()?;
    trials::ring(bench, &mut student, start, (places, bell))?;
    student.meet("sent").map_err(|finding| {
        let overrun = finding.is_refusal("run the guest with a ring", "the ring is broken");
        let error = finding.get("error").to_owned();
        if overrun { fail("L05-overrun").fact("error", error) } else { finding }
    })?;

    // Para-virtualization: how often the driver left the guest, and by which door.
    let para = (student.number("exits-para")?, exits(&student, "para")?);
    let doorbells = student.number("doorbells-para")?;
    bench.saw("exits with a ring", format!("{}; the kernel: {}", para.0, para.1));
    bench.measured("para", para.0 as f64);
    let often = para.0.max(para.1.saturating_sub(KERNELS_OWN));
    let id = match student.said("driver")? {
        "polling" => "L05-polling",
        "repeated" => "L05-rep-outsb",
        _ => "L05-bell-a-byte",
    };
    ensure(often <= 8, || fail(id).fact("exits", often).fact("doorbells", doorbells))?;
    let sent = wire(&student, "para")?;
    let wrong = first_difference(&sent, &bytes);
    bench.saw("wire-para", format!("{} bytes; the first {wrong} are right", sent.len()));
    ensure(sent == bytes, || fail("L05-lost").fact("wrong", wrong).fact("sent", sent.len()))?;
    // And a guest that lies about its ring.
    let sent = wire(&student, "hostile")?;
    bench.saw("wire-hostile", format!("{} bytes", sent.len()));
    let refused = sent.is_empty() && student.said("hostile")? == "refused";
    ensure(refused, || fail("L05-trusted-index").fact("claimed", 5000).fact("sent", sent.len()))?;

    student.go()?;
    student.meet("passthrough").map_err(|finding| {
        let refused = finding.is_refusal("map_shared", "");
        let error = finding.get("error").to_owned();
        if refused { fail("L05-map-refused").fact("error", error) } else { finding }
    })?;
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
    let id = if line.is_none() && has_ended(program) { "L05-unmapped" } else { "L05-copied" };
    // Nobody has asked yet: what is there now, the host has put there.
    let shared = line.is_some() && seen.iter().all(|byte| *byte == 0);
    ensure(shared, || fail(id).fact("pid", program.pid))?;
    let rights = line.and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let private = rights.ends_with('p');
    ensure(rights.contains('w'), || fail("L05-read-only").fact("rights", rights))?;

    let word = (bench.random(1 << 31) as u32 | 1).to_le_bytes();
    let before = run_time(program);
    page.write_all_at(&word, device::WANTED)?;
    let deadline = Instant::now() + bench.timeout();
    let (mut answer, mut count) = ([0; 4], 0);
    // A guest that runs needs some microseconds; one for which each byte is an exit gives up here.
    while answer != word && count < BYTES as u64 && Instant::now() < deadline {
        thread::sleep(Duration::from_micros(200));
        count = exits(student, "passthrough")?;
        page.read_exact_at(&mut answer, device::THERE)?;
        match run_time(program) {
            Some(ran) if ran.saturating_sub(before.unwrap_or_default()) < ENOUGH => {}
            _ => break,
        }
    }
    page.read_exact_at(&mut seen, 0)?;
    let right = first_difference(&seen, bytes);
    let number = |word| format!("{:#010x}", u32::from_le_bytes(word));
    let (asked, answered) = (number(word), number(answer));
    bench.saw("/memfd:device", format!("asked {asked}, answer {answered}, {right} bytes right"));
    ensure(!private, || fail("L05-private").fact("rights", rights))?;
    ensure(count < BYTES as u64, || fail("L05-no-slot").fact("exits", count))?;
    ensure(answer == word && seen == bytes, || fail("L05-no-answer").fact("right", right))?;
    ensure(student.said("slot-1")? == "taken", || fail("L05-slot-number"))?;
    page.write_all_at(&1u32.to_le_bytes(), device::STOP)?;
    Ok(count)
}

/// The thread in which the guest runs; none when it has ended.
fn guest(program: Process) -> Option<Process> {
    let threads = program.threads().unwrap_or_default();
    threads.into_iter().find(|thread| thread.status("Name").is_ok_and(|name| name == THREAD))
}

/// How long it has run.
fn run_time(program: Process) -> Option<Duration> {
    Some(guest(program)?.schedstat().ok()?.0)
}

/// Whether the guest ends by itself: KVM cannot go on where the memory of a slot is gone.
fn has_ended(program: Process) -> bool {
    (0..100).any(|_| {
        thread::sleep(Duration::from_millis(2));
        guest(program).is_none()
    })
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
