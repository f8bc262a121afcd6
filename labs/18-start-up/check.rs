//! What must be true of lab 18, look after look.

#[path = "check/numbers.rs"]
mod numbers;

use std::process::ExitCode;

use lab::check::{Bench, Checked, Setup, Student, ensure, fail};
use start_up::{FILE, Subject};

use numbers::{drill, summary};

/// How many starts of each subject are enough, and how many are too many to wait for.
const ENOUGH: usize = 30;
const MANY: usize = 60;
const PROCESSES: usize = 5;

fn main() -> ExitCode {
    lab::check::main("18", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let mut student = bench.start(Setup::ordinary().with_namespaces().with_kvm())?;
    student.meet("tried")?;
    for subject in [Subject::Container, Subject::MicroVm] {
        phases(bench, &student, subject)?;
    }
    student.go()?;
    student.meet("planned")?;
    let plan: Vec<String> = student.said("plan")?.split(' ').map(str::to_owned).collect();
    bench.saw("the plan, a word for each process", plan.join(" "));
    is_sound(&plan)?;
    student.go()?;
    drill(bench, &mut student)?;

    // What one start of each makes the kernel create: processes and threads.
    let mut births = Births::default();
    let measure = plan.iter().map(|_| "measure");
    for role in ["one", "one"].into_iter().chain(measure).chain(["last"]) {
        births.meet(&mut student, role)?;
    }
    let file = student.main().path(&format!("root/tmp/{FILE}"));
    let text = std::fs::read_to_string(&file)?;
    births.agree_with(bench, &plan, &text)?;
    student.meet("summary")?;
    summary(bench, &student, &text)?;
    student.go()?;
    student.finish()
}

/// Each phase begins where the one before ends, and together they are the whole.
fn phases(bench: &mut Bench, student: &Student, subject: Subject) -> Checked<()> {
    let name = subject.name();
    let said = student.said(&format!("tried-{name}"))?;
    let runs = said.split(' ').filter_map(|run| {
        let times: Vec<f64> = run.split(',').filter_map(|time| time.parse().ok()).collect();
        let (total, phases) = times.split_last()?;
        Some((phases.iter().sum::<f64>(), *total))
    });
    let runs: Vec<(f64, f64)> = runs.collect();
    let least = |of: fn(&(f64, f64)) -> f64| runs.iter().map(of).fold(f64::INFINITY, f64::min);
    // On a busy host many were interrupted, within a phase or between two looks at the clock; what
    // is timed besides is missing in every one, also in the one that was interrupted least.
    let missing = least(|(phases, total)| total - phases) / least(|(_, total)| *total);
    let part = (1.0 - missing) * 100.0;
    bench.saw(format!("phases of {name}, sum"), format!("{part:.1} % of the total"));
    let finding = |id| fail(id).fact("part", format!("{part:.0}")).fact("subject", name);
    ensure(part <= 105.0, || finding("L18-phases"))?;
    ensure(part >= 92.0, || finding("L18-more-timed"))
}

fn is_sound(plan: &[String]) -> Checked<()> {
    ensure(plan.len() >= PROCESSES, || fail("L18-one-process").fact("processes", plan.len()))?;
    for (letter, subject) in ['c', 'a', 'm'].into_iter().zip(Subject::ALL) {
        let starts = plan.concat().matches(letter).count();
        let finding = |id| fail(id).fact("starts", starts).fact("subject", subject.name());
        ensure(starts > 0 || letter != 'a', || finding("L18-no-floor"))?;
        ensure((ENOUGH..=MANY).contains(&starts), || finding("L18-starts"))?;
    }
    for order in plan {
        let rounds: Vec<&[u8]> = order.as_bytes().chunks(Subject::ALL.len()).collect();
        let has_all = |round: &&[u8]| b"cam".iter().all(|letter| round.contains(letter));
        ensure(rounds.iter().all(has_all), || fail("L18-not-interleaved").fact("order", order))?;
    }
    Ok(())
}

/// The numbers of the children, as their host gives them to one process or thread after the other.
#[derive(Default)]
struct Births(Vec<u32>);

impl Births {
    fn meet(&mut self, student: &mut Student, role: &str) -> Checked<()> {
        student.meet(role)?;
        let child = student.only_child()?;
        self.0.push(student.inside(child)?);
        student.go()
    }

    /// A number between two children is somebody's whom the first of them started.
    fn agree_with(&self, bench: &mut Bench, plan: &[String], text: &str) -> Checked<()> {
        let born: Vec<u32> =
            self.0.windows(2).map(|pair| pair[1].saturating_sub(pair[0] + 1)).collect();
        let (container, machine, all) = (born[0], born[1], &born[2..]);
        bench.saw("processes and threads of one start", format!("{container} and {machine}"));
        for (number, (order, born)) in plan.iter().zip(all).enumerate() {
            let starts = order.len() as u32;
            let machines = order.matches('m').count() as u32;
            let right = (starts - machines) * container + machines * machine;
            let rows = text.lines().filter(|row| row.starts_with(&format!("{number},"))).count();
            bench.saw(
                format!("process {number}, NSpid"),
                format!("{born} born, {rows} in the file"),
            );
            let finding = |id| {
                let finding = fail(id).fact("process", number).fact("starts", starts);
                finding.fact("rows", rows).fact("born", born).fact("right", right)
            };
            ensure(*born <= right && rows >= order.len(), || finding("L18-dropped"))?;
            ensure(*born >= right && rows <= order.len(), || finding("L18-invented"))?;
        }
        Ok(())
    }
}
