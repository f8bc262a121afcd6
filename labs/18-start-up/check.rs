//! What must be true of lab 18, look after look.

#[path = "check/intervals.rs"]
mod intervals;
#[path = "check/numbers.rs"]
mod numbers;
#[path = "check/phases.rs"]
mod phases;

use std::{collections::BTreeSet, process::ExitCode};

use lab::check::{Bench, Checked, Setup, Student, ensure, fail};
use start_up::{FILE, Subject};

use intervals::intervals;
use numbers::{medians, summary};
use phases::phases;

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
    student.meet("drill")?;
    medians(bench, &mut student)?;
    intervals(bench, &mut student)?;

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

fn is_sound(plan: &[String]) -> Checked<()> {
    // A process without a start is none.
    let processes = plan.iter().filter(|order| !order.is_empty()).count();
    ensure(processes >= PROCESSES, || fail("L18-one-process").fact("processes", processes))?;
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
    for (letter, subject) in ['c', 'a', 'm'].into_iter().zip(Subject::ALL) {
        let before = plan.iter().flat_map(|order| {
            let pairs = order.chars().zip(order.chars().skip(1));
            pairs.filter_map(|(before, next)| (next == letter).then_some(before))
        });
        let before: BTreeSet<char> = before.collect();
        ensure(before.len() > 1, || {
            let finding = fail("L18-not-rotated").fact("subject", subject.name());
            let before: String = before.into_iter().collect();
            finding.fact("order", &plan[0]).fact("before", before)
        })?;
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
