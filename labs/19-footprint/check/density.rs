//! Instances until a budget is used up.

use footprint::MOST;
use lab::check::{Bench, Checked, Process, Student, ensure, fail};

use super::{
    instances,
    outside::{Memory, kib},
};

/// A hall that the budget has filled.
pub fn many_instances(
    b: &mut Bench,
    student: &mut Student,
    kind: &str,
    budget: u64,
) -> Checked<()> {
    student.meet(&format!("none-{kind}"))?;
    let main = student.main();
    let before = Memory::of(&[main])?;
    student.go()?;
    // Some fifty starts, where the whole processor may be emulated.
    let filled = student.meet_within(&format!("many-{kind}"), b.timeout() * 6);
    filled.map_err(|finding| {
        let is_full = finding.is_refusal("how_many", "instances already");
        if is_full {
            fail("L19-never-enough").fact("kind", kind).fact("most", MOST)
        } else {
            finding
        }
    })?;
    let alive = instances(main, kind)? as u64;
    let family: Vec<Process> = [main].into_iter().chain(main.descendants()).collect();
    let grown = Memory::of(&family)?.pss.saturating_sub(before.pss);
    b.saw(format!("{kind}s of process {}", main.pid), format!("{alive} alive, {}", kib(grown)));
    b.measured(&format!("{kind}s"), alive as f64);
    let (said, started) =
        (student.number(&format!("{kind}.count"))?, student.number(&format!("{kind}.started"))?);
    let not = |id: &str| {
        let finding = fail(id).fact("said", said).fact("alive", alive).fact("started", started);
        finding.fact("kind", kind).fact("grown", kib(grown)).fact("budget", kib(budget))
    };
    ensure(said <= started, || not("L19-extrapolated"))?;
    ensure(said <= alive, || not("L19-dead-counted"))?;
    ensure(said == alive, || not("L19-miscounted"))?;
    // One more or less is nobody's fault, nor are a few pages that others share meanwhile.
    let (each, slack) = (grown / alive.max(1), budget / 5 + (32 << 10));
    ensure(grown + slack >= budget, || not("L19-stopped-early"))?;
    ensure(grown <= budget + each + slack, || not("L19-beyond-budget"))?;
    student.go()
}
