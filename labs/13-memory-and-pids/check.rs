//! What must be true of lab 13, look after look.

#[path = "check/group.rs"]
mod group;
#[path = "check/members.rs"]
mod members;
#[path = "check/refusals.rs"]
mod refusals;

use std::process::ExitCode;

use lab::{
    check::{Bench, Checked, Setup, Student, ensure, fail},
    program::CgroupParents,
};

use group::Group;

fn main() -> ExitCode {
    lab::check::main("13", check)
}

/// How many models of a group the program makes.
const MODELS: usize = 4;

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let name = format!("lab-{}", bench.token());
    let (memory, most) = ((24 + bench.random(16)) << 20, 6 + bench.random(6));
    let setup = Setup::root(&[]).with_cgroups().argument("name", &name);
    let setup = setup.argument("memory", memory).argument("pids", most);
    let mut student = bench.start(setup.argument("seed", bench.random(10_000)))?;
    let trial = Trial { parents: student.cgroup_parents(), name };
    let student = &mut student;

    // The limits, of the group on this host and of those that it does not have.
    for _ in 0..=MODELS {
        meet(student, "memory")?;
        let written = student.said("written")?;
        trial.at_hand(student)?.judge_memory(bench, memory, written)?;
        student.go()?;
    }
    for _ in 0..=MODELS {
        meet(student, "pids")?;
        trial.at_hand(student)?.judge_pids(bench, most)?;
        student.go()?;
    }
    meet(student, "passed")?;
    members::judge_passage(bench, student)?;
    student.go()?;
    members::judge_filled(bench, student)?;

    // The limit of memory kills.
    let group = Group::of_host(&trial.parents, &trial.name);
    members::judge_victim(bench, student, &group)?;
    for _ in 0..MODELS {
        trial.judge_reading(bench, student)?;
    }
    trial.judge_meanwhile(bench, student, &group, most)?;
    student.finish()
}

/// What the program is given.
struct Trial {
    parents: CgroupParents,
    name: String,
}

impl Trial {
    fn at_hand(&self, student: &Student) -> Checked<Group> {
        Group::at_hand(student, &self.parents, &self.name)
    }

    /// What `read_events` and `events_during` make of a model's files.
    fn judge_reading(&self, bench: &mut Bench, student: &mut Student) -> Checked<()> {
        meet(student, "read")?;
        let model = self.at_hand(student)?;
        let before = model.events()?;
        bench.saw("a model's files, and read_events()", words(before, said(student, "read")?));
        compare(student, "read", before)?;
        student.go()?;
        meet(student, "read")?;
        let read = said(student, "read")?;
        ensure(read == model.events()?, || {
            fail("L13-line-order").fact("error", format!("{} / {}", read[0], read[1]))
        })?;
        student.go()?;
        meet(student, "done meanwhile")?;
        let calls = student.number("calls")?;
        ensure(calls == 1, || fail("L13-calls").fact("calls", calls))?;
        let after = model.events()?;
        judge_difference(bench, student, before, after)?;
        student.go()
    }

    /// A second victim, and one that has as many children as it may.
    fn judge_meanwhile(
        &self,
        bench: &mut Bench,
        student: &mut Student,
        group: &Group,
        most: u64,
    ) -> Checked<()> {
        let before = group.events()?;
        meet(student, "full")?;
        let inside = |process: &lab::check::Process| group.holds(*process).unwrap_or(false);
        let processes = student.processes().iter().filter(|one| inside(one)).count() as u64;
        let refused = group.events()?[1] - before[1];
        bench.saw("processes in the group", processes);
        bench.saw("pids.events", format!("max rose by {refused}"));
        bench.saw("fork(2) said", student.said("refusal")?);
        ensure(processes == most && refused > 0, || {
            fail("L13-pids").fact("path", "pids.max").fact("seen", processes).fact("wanted", most)
        })?;
        bench.measured("fewer", most.saturating_sub(student.number("forks")?) as f64);
        student.go()?;
        meet(student, "counted")?;
        let after = group.events()?;
        judge_difference(bench, student, before, after)?;
        compare(student, "all", after)?;
        student.go()
    }
}

/// What the program has said: killed, refused.
fn said(student: &Student, when: &str) -> Checked<[u64; 2]> {
    Ok([student.number(&format!("kills-{when}"))?, student.number(&format!("refusals-{when}"))?])
}

fn words(counted: [u64; 2], said: [u64; 2]) -> String {
    let one = |[kills, refusals]: [u64; 2]| format!("oom_kill {kills}, max {refusals}");
    format!("{}; {}", one(counted), one(said))
}

/// `read_events` must give what the files say.
fn compare(student: &Student, when: &str, counted: [u64; 2]) -> Checked<()> {
    let said = said(student, when)?;
    for (index, id) in [(0, "L13-events"), (1, "L13-refusals")] {
        ensure(said[index] == counted[index], || {
            fail(id).fact("said", said[index]).fact("counted", counted[index])
        })?;
    }
    Ok(())
}

/// `events_during` must give the difference.
fn judge_difference(
    bench: &mut Bench,
    student: &Student,
    before: [u64; 2],
    after: [u64; 2],
) -> Checked<()> {
    let difference = [after[0] - before[0], after[1] - before[1]];
    let said = said(student, "during")?;
    bench.saw("counted meanwhile, and events_during()", words(difference, said));
    ensure(said == difference, || {
        let id = if said == after { "L13-total" } else { "L13-difference" };
        let pair = |[kills, refusals]: [u64; 2]| format!("{kills} / {refusals}");
        let finding = fail(id).fact("said", pair(said)).fact("counted", pair(difference));
        finding.fact("all", pair(after)).fact("before", pair(before))
    })
}

/// Waits for the program; what the kernel refused on the way is explained.
fn meet(student: &mut Student, point: &str) -> Checked<()> {
    student.meet(point).map_err(|finding| refusals::explain(student, finding))
}
