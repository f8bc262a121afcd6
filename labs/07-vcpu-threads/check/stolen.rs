//! The stolen time that the program tells, beside what the kernel says before and after.

use std::{
    fs::File,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Process, Student, cannot_tell, ensure, fail};

use super::{ALL, BUSY, TICK, moment::Moment};

/// What a program may lose that tells milliseconds.
const ROUNDING: Duration = Duration::from_millis(1);

type Range = (Duration, Duration);

/// What the kernel says of a thread's times, before the program is asked and after.
struct Counts {
    ran: Range,
    waited: Range,
    /// How often it got the processor.
    turns: (u64, u64),
    /// How long the program's first thread waited.
    of_first: Range,
    /// No time can be longer.
    alive: Duration,
    /// How long the thread has been there, at least.
    age: Duration,
}

/// What the kernel says of all threads at one moment.
struct Look {
    moment: Moment,
    turns: Vec<u64>,
    of_first: Duration,
}

/// Of each virtual CPU the stolen time is what its thread waited; all threads were there `since`.
pub fn is_what_was_waited(
    bench: &mut Bench,
    student: &mut Student,
    threads: &[Process],
    page: &File,
    (began, since): (Instant, Instant),
) -> Checked<()> {
    let inside: Result<Vec<u32>, _> = threads.iter().map(|thread| thread.inner_pid()).collect();
    let inside = inside?;
    let (before, after) = looks(student, threads, page)?;
    let (alive, age) = (began.elapsed(), since.elapsed());
    ensure(!after.moment.waited.iter().all(Duration::is_zero), || {
        cannot_tell("lacking").fact("error", "schedstat does not tell how long a thread waited")
    })?;
    let mut wrong = Vec::new();
    // The one that halts comes first: who does not want to run does not wait either.
    for vcpu in (0..ALL).rev() {
        let said = Duration::from_nanos(student.number(&format!("stolen-{vcpu}"))?);
        let number = student.number(&format!("thread-{vcpu}"))?;
        let place = inside.iter().position(|inside| u64::from(*inside) == number);
        let place = place.ok_or_else(|| fail("wrong-words").fact("said", number))?;
        let thread = threads[place];
        let name = thread.read("comm")?.trim_end().to_owned();
        ensure(name == format!("vcpu{vcpu}"), || {
            fail("L07-wrong-name").fact("thread", thread.pid).fact("name", name).fact("vcpu", vcpu)
        })?;
        let counts = Counts {
            ran: (before.moment.ran[place], after.moment.ran[place]),
            waited: (before.moment.waited[place], after.moment.waited[place]),
            turns: (before.turns[place], after.turns[place]),
            of_first: (before.of_first, after.of_first),
            alive,
            age,
        };
        let waited = counts.waited.1;
        let says = format!("waited {waited:.2?}; stolen_time {said:.2?}");
        bench.saw(thread.path("schedstat").display(), says);
        let mistakes = counts.mistakes(said, vcpu);
        if !mistakes.is_empty() {
            wrong.push(Wrong { vcpu, said, waited, mistakes });
        }
    }
    // Small numbers fit several mistakes: the one that was made fits all threads, or the one that is
    // sure.
    let Some(first) = wrong.first() else { return Ok(()) };
    let fits_all = |id: &&&str| wrong.iter().all(|other| other.mistakes.contains(*id));
    let sure = wrong.iter().find(|thread| thread.mistakes.len() == 1).unwrap_or(first);
    let id = first.mistakes.iter().find(fits_all).unwrap_or(&sure.mistakes[0]);
    let finding = fail(id).fact("said", format!("{:.2?}", first.said)).fact("vcpu", first.vcpu);
    Err(finding.fact("waited", format!("{:.2?}", first.waited)))
}

/// A thread whose stolen time is not what it waited, and which mistakes explain it.
struct Wrong {
    vcpu: usize,
    said: Duration,
    waited: Duration,
    mistakes: Vec<&'static str>,
}

/// What the kernel said just before and just after the program was asked. The two must lie closer
/// together than the times differ that may be mixed up: on a slow host the threads run on for a
/// while, and the program is asked once more.
fn looks(student: &mut Student, threads: &[Process], page: &File) -> Checked<(Look, Look)> {
    const TRIES: u32 = 5;
    let look = |student: &Student| -> Checked<Look> {
        Ok(Look {
            moment: Moment::now(threads, page, ALL)?,
            turns: threads.iter().map(|thread| turns(*thread)).collect(),
            of_first: student.main().schedstat()?.1,
        })
    };
    let content = threads[0].read("schedstat")?;
    let (mut words, mut tries) = ("", 0);
    loop {
        let before = look(student)?;
        student.go_with(words)?;
        student.meet("told").map_err(|found| {
            match found.id() == "refused" && found.get("step") == "stolen_time" {
                true => fail("L07-stolen-failed")
                    .fact("error", found.get("error"))
                    .fact("content", content.trim_end()),
                false => found,
            }
        })?;
        let after = look(student)?;
        let span = after.moment.since(&before.moment);
        let widest = span.waited.iter().max().copied().unwrap_or_default();
        // The thread that halts runs hardly at all.
        let mut ran = before.moment.ran.clone();
        ran.sort_unstable();
        if ran.get(1).is_some_and(|least| *least > 3 * (widest + ROUNDING)) {
            return Ok((before, after));
        }
        let seen = format!("threads waited for {widest:.0?} while they were asked how long");
        let wanted = "no more than a third of the time that they had run";
        let busy = || cannot_tell("busy").fact("seen", seen).fact("wanted", wanted);
        tries += 1;
        ensure(tries < TRIES, busy)?;
        sleep(10 * widest.max(ROUNDING));
        words = "again";
    }
}

impl Counts {
    /// What may have been taken for the time that the thread waited, the likeliest first; nothing if
    /// `said` is that time.
    fn mistakes(&self, said: Duration, vcpu: usize) -> Vec<&'static str> {
        if is_about(said, self.waited) {
            return Vec::new();
        }
        let is_of_first = (self.of_first.0..=self.of_first.1).contains(&said);
        let mut mistakes = Vec::new();
        if self.is_another_unit(said) || said > self.alive {
            mistakes.push("L07-wrong-unit");
        }
        let turns = [said.as_nanos(), said.as_micros(), said.as_millis(), said.as_secs().into()];
        let (few, many) = (u128::from(self.turns.0), u128::from(self.turns.1));
        let is_turns = turns.iter().any(|turns| (few..=many).contains(turns));
        // The others have hardly slept, and nothing of this one's times is large.
        if vcpu == BUSY {
            let is_blocked = !is_of_first && said > self.waited.1 + TICK && said > self.age / 2;
            mistakes.extend((is_turns && !mistakes.is_empty()).then_some("L07-turns"));
            mistakes.extend(is_blocked.then_some("L07-blocked"));
            return mistakes;
        }
        let others = [
            (is_about(said, self.ran), "L07-run-time"),
            (is_turns, "L07-turns"),
            (is_of_first, "L07-first-thread"),
            (said < self.waited.0 / 2, "L07-inside"),
            (true, "L07-stolen"),
        ];
        let likeliest = others.into_iter().find(|(is_so, _)| *is_so);
        mistakes.extend(likeliest.map(|(_, id)| id));
        mistakes
    }

    /// Whether it is a number of nanoseconds that is a thousand times too large, or too small.
    fn is_another_unit(&self, said: Duration) -> bool {
        let nanos = said.as_nanos();
        let (low, high) = (self.waited.0.as_nanos(), self.waited.1.as_nanos());
        [1_000, 1_000_000, 1_000_000_000].iter().any(|scale| {
            (low * scale..=high * scale).contains(&nanos)
                || (low..=high + scale).contains(&(nanos * scale)) && nanos > 0
        })
    }
}

fn is_about(said: Duration, (before, after): Range) -> bool {
    before.saturating_sub(ROUNDING) <= said && said <= after + ROUNDING
}

/// The third number of its schedstat.
fn turns(thread: Process) -> u64 {
    let text = thread.read("schedstat").unwrap_or_default();
    text.split_whitespace().nth(2).and_then(|word| word.parse().ok()).unwrap_or(0)
}
