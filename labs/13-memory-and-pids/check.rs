//! What must be true of lab 13, look after look.

use std::{fs, path::PathBuf, process::ExitCode};

use lab::{
    check::{
        Bench, Checked, Finding, Process, Setup, Student, cannot_tell, ensure, fail, kernel::number,
    },
    program::CgroupParents,
};

fn main() -> ExitCode {
    lab::check::main("13", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let name = format!("lab-{}", bench.token());
    let (memory, most) = ((24 + bench.random(16)) << 20, 6 + bench.random(6));
    let setup = Setup::root(&[]).with_cgroups().argument("name", &name);
    let setup = setup.argument("memory", memory).argument("pids", most);
    let mut student = bench.start(setup)?;
    let group = Group { parents: student.cgroup_parents(), name };

    // The limits are there, and nobody is inside.
    group.meet(&mut student, "limited")?;
    let limit = group.read(group.limit_file())?;
    bench.saw(group.memory(group.limit_file()).display(), &limit);
    let wanted = memory.to_string();
    ensure(limit == wanted, || fail("L13-memory").fact("seen", &limit).fact("wanted", &wanted))?;
    // A kernel that does not count swap has no file for it.
    let (file, wanted) = group.swap_file(memory);
    let limit = group.read(file);
    let goes_on_in_swap = limit.is_err() && has_swap();
    if let Ok(seen) = limit {
        bench.saw(group.memory(file).display(), &seen);
        ensure(seen == wanted, || {
            fail("L13-swap").fact("file", file).fact("seen", &seen).fact("wanted", wanted)
        })?;
    }
    let pids = fs::read_to_string(group.pids("pids.max"))?.trim().to_owned();
    bench.saw(group.pids("pids.max").display(), &pids);
    ensure(pids == most.to_string(), || fail("L13-pids").fact("seen", pids).fact("wanted", most))?;
    student.go()?;

    // The first victim is inside before it has anything.
    group.meet(&mut student, "inside")?;
    let victim = student.outside(student.number("victim")? as u32)?;
    let itself = victim == student.main();
    ensure(!itself, || fail("L13-no-fork").fact("pid", victim.pid))?;
    group.has(bench, victim)?;
    let before = group.kills()?;
    student.go()?;
    group.meet(&mut student, "first victim")?;
    let kills = group.kills()? - before;
    bench.saw("oom_kill since then", kills);
    if victim.is_alive() {
        ensure(!goes_on_in_swap, || {
            let lacking = format!("there is swap, and no {file} to keep the group out of it");
            cannot_tell("lacking").fact("error", lacking)
        })?;
        let resident = victim.status("VmRSS")?;
        bench.saw(victim.path("status").display(), &resident);
        return Err(fail("L13-untouched").fact("pid", victim.pid).fact("resident", resident));
    }
    ensure(kills == 1, || fail("L13-not-killed").fact("pid", victim.pid).fact("kills", kills))?;
    let (kills, refusals) = (group.kills()?, number(&group.pids("pids.events"), "max")?);
    student.go()?;

    // A second one is dead by now; the third has as many children as it may.
    group.meet(&mut student, "full")?;
    let inside = |process: &Process| group.holds(*process).unwrap_or(false);
    let processes = student.processes().iter().filter(|process| inside(process)).count() as u64;
    let refused = number(&group.pids("pids.events"), "max")? - refusals;
    bench.saw("processes in the group", processes);
    bench.saw(group.pids("pids.events").display(), format!("max rose by {refused}"));
    bench.saw("fork(2) said", student.said("refusal")?);
    ensure(processes == most && refused > 0, || {
        fail("L13-pids").fact("seen", processes).fact("wanted", most)
    })?;
    bench.measured("fewer", (most - student.number("forks")?) as f64);
    student.go()?;

    // What the student's functions make of it.
    group.meet(&mut student, "counted")?;
    let all = [group.kills()?, number(&group.pids("pids.events"), "max")?];
    let during = [all[0] - kills, all[1] - refusals];
    let said = |when: &str| -> Checked<[u64; 2]> {
        Ok([
            student.number(&format!("kills-{when}"))?,
            student.number(&format!("refusals-{when}"))?,
        ])
    };
    let words = |[kills, refusals]: [u64; 2]| format!("{kills} killed, {refusals} refused");
    let (said_all, said_during) = (said("all")?, said("during")?);
    bench.saw("counted in all, and meanwhile", format!("{}; {}", words(all), words(during)));
    ensure(said_all == all, || {
        fail("L13-events").fact("said", words(said_all)).fact("counted", words(all))
    })?;
    ensure(said_during == during, || {
        let finding = fail("L13-total").fact("said", words(said_during));
        finding.fact("counted", words(during)).fact("all", words(all))
    })?;
    student.go()?;
    student.finish()
}

/// Whether this host has somewhere to put pages that do not fit into memory.
fn has_swap() -> bool {
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

/// The group, seen from outside.
struct Group {
    parents: CgroupParents,
    name: String,
}

impl Group {
    /// Waits for the program; says what a file that is not there means.
    fn meet(&self, student: &mut Student, point: &str) -> Checked<()> {
        student.meet(point).map_err(|finding| self.explain(finding))
    }

    fn explain(&self, finding: Finding) -> Finding {
        let (step, error) = (finding.get("step").to_owned(), finding.get("error").to_owned());
        let no_file = ["os error 2)", "os error 13)"].iter().any(|number| error.contains(number));
        let own = ["set_memory", "set_pids", "read_events", "events_during"].contains(&&*step);
        if finding.id() != "refused" || !own || !no_file {
            return finding;
        }
        let finding = fail("L13-other-version").fact("step", step).fact("error", error);
        finding.fact("version", self.parents.version)
    }

    fn memory(&self, file: &str) -> PathBuf {
        self.parents.memory.join(&self.name).join(file)
    }

    fn pids(&self, file: &str) -> PathBuf {
        self.parents.pids.join(&self.name).join(file)
    }

    fn limit_file(&self) -> &'static str {
        if self.parents.version == 1 { "memory.limit_in_bytes" } else { "memory.max" }
    }

    /// The file that limits swap, and what is in it when there is to be none.
    fn swap_file(&self, memory: u64) -> (&'static str, String) {
        match self.parents.version {
            // Both together.
            1 => ("memory.memsw.limit_in_bytes", memory.to_string()),
            _ => ("memory.swap.max", "0".to_owned()),
        }
    }

    fn read(&self, file: &str) -> std::io::Result<String> {
        fs::read_to_string(self.memory(file)).map(|text| text.trim().to_owned())
    }

    fn kills(&self) -> Checked<u64> {
        let v1 = self.parents.version == 1;
        let file = if v1 { "memory.oom_control" } else { "memory.events" };
        Ok(number(&self.memory(file), "oom_kill")?)
    }

    fn holds(&self, process: Process) -> Checked<bool> {
        let own = |path: String| path.ends_with(&format!("/{}", self.name));
        Ok(own(process.cgroup("memory")?) && own(process.cgroup("pids")?))
    }

    fn has(&self, bench: &mut Bench, process: Process) -> Checked<()> {
        let memory = process.cgroup("memory")?;
        bench.saw(process.path("cgroup").display(), &memory);
        ensure(self.holds(process)?, || {
            fail("L13-too-late").fact("pid", process.pid).fact("cgroup", &memory)
        })
    }
}
