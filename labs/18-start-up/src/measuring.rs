//! The processes that start things, and the file of what they measured.

use std::{
    cell::RefCell,
    env,
    fs::{self, OpenOptions},
    io::{self, Write},
    process::{Command, Stdio},
};

use container::Container;
use lab::program::{Host, Trouble};
use microvm::MicroVm;
use sandbox::{Builtin, Instance, Milestone, Outcome, Sandbox, Workload, monotonic_now};

use super::{Answer, Measured, Subject};

/// Where every process adds its runs: process, round, subject, five phases and the total in ns.
pub const FILE: &str = "start-up.csv";

/// How often `measure` is tried out with each sandbox.
pub const TRIALS: usize = 15;

fn hello() -> Workload {
    Workload::builtin(Builtin::Hello, &[])
}

fn sandbox_of(subject: Subject) -> Box<dyn Sandbox> {
    match subject {
        Subject::Container | Subject::ContainerAgain => Box::new(Container::default()),
        Subject::MicroVm => Box::new(MicroVm::default()),
    }
}

/// A sandbox that writes down every run: what it knows of it, for the check to compare.
struct Watched<'a> {
    inner: &'a dyn Sandbox,
    runs: RefCell<Vec<String>>,
}

impl Sandbox for Watched<'_> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn spawn(&self, workload: &Workload) -> sandbox::Result<Box<dyn Instance>> {
        self.runs.borrow_mut().push("unknown".into());
        self.inner.spawn(workload)
    }

    fn run(&self, workload: &Workload) -> sandbox::Result<Outcome> {
        let before = monotonic_now();
        let outcome = self.inner.run(workload)?;
        let total = monotonic_now() - before;
        let mut last = Default::default();
        let phases = Milestone::ALL.map(|milestone| {
            let reached = outcome.timeline.since_start(milestone).unwrap_or(last);
            let phase = reached.saturating_sub(last);
            last = reached;
            phase
        });
        self.runs.borrow_mut().push(words(&Measured { phases, total }));
        Ok(outcome)
    }
}

/// A few runs of each kind, for the check to look at the phases.
pub(super) fn try_out(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    for subject in [Subject::Container, Subject::MicroVm] {
        let sandbox = sandbox_of(subject);
        for trial in 0..TRIALS {
            let watched = Watched { inner: &*sandbox, runs: RefCell::default() };
            let measured = host.step("measure", || (answer.measure)(&watched, &hello()))?;
            let name = format!("{}.{trial}", subject.name());
            host.say(&format!("tried-{name}"), words(&measured));
            host.say(&format!("watched-{name}"), watched.runs.borrow().join(" "));
        }
    }
    host.meet("tried");
    Ok(())
}

/// Asks for the plan: letters, a word for each process.
pub(super) fn plan(host: &Host, answer: &Answer) -> Vec<Vec<Subject>> {
    let plan = (answer.plan)(&Subject::ALL);
    host.say("plan", in_letters(&plan));
    host.meet("planned");
    plan
}

fn in_letters(plan: &[Vec<Subject>]) -> String {
    let letter = |subject: &Subject| match subject {
        Subject::Container => 'c',
        Subject::ContainerAgain => 'a',
        Subject::MicroVm => 'm',
    };
    let words = plan.iter().map(|order| order.iter().map(letter).collect::<String>());
    words.collect::<Vec<_>>().join(" ")
}

/// Starts the children, one after the other.
pub(super) fn all(host: &Host, plan: &[Vec<Subject>]) -> Result<(), Trouble> {
    // Of an earlier run by hand, if there was one.
    let _ = fs::remove_file(FILE);
    start(host, "one", "container", 0)?;
    start(host, "one", "microvm", 0)?;
    for (number, letters) in in_letters(plan).split(' ').enumerate() {
        start(host, "measure", letters, number)?;
    }
    start(host, "last", "", 0)
}

fn start(host: &Host, role: &str, what: &str, number: usize) -> Result<(), Trouble> {
    host.step("start a fresh process", || {
        let mut child = Command::new(env::current_exe()?);
        let arguments =
            [format!("role={role}"), format!("what={what}"), format!("number={number}")];
        let status = child.args(arguments).stdin(Stdio::inherit()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
    })
}

/// What a child does. It does not come back: the parent says how the program ends.
pub(super) fn child(host: &Host, answer: &Answer, role: &str) -> Result<(), Trouble> {
    let done = match role {
        "one" => {
            let subjects = Subject::ALL.into_iter();
            let named = subjects.filter(|subject| subject.name() == host.argument("what"));
            named
                .map(sandbox_of)
                .try_for_each(|sandbox| host.step("start one", || sandbox.run(&hello()).map(drop)))
        }
        "measure" => measure(host, answer),
        _ => Ok(()),
    };
    if let Err(trouble) = done {
        host.fail(&trouble);
        std::process::exit(1);
    }
    host.say("pid", std::process::id());
    host.meet(role);
    std::process::exit(0)
}

fn measure(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let process = host.number("number", 0);
    let mut lines = String::new();
    let mut rounds = [0; 3];
    for letter in host.argument("what").chars() {
        let subject = match letter {
            'c' => Subject::Container,
            'a' => Subject::ContainerAgain,
            _ => Subject::MicroVm,
        };
        let sandbox = sandbox_of(subject);
        let measured = host.step("measure", || (answer.measure)(&*sandbox, &hello()))?;
        let round = &mut rounds[subject as usize];
        let name = subject.name();
        lines.push_str(&format!("{process},{round},{name},{}\n", words(&measured)));
        *round += 1;
    }
    host.step("write the file", || {
        let mut file = OpenOptions::new().append(true).create(true).open(FILE)?;
        file.write_all(lines.as_bytes())
    })
}

fn words(measured: &Measured) -> String {
    let all = measured.phases.iter().chain([&measured.total]);
    all.map(|time| time.as_nanos().to_string()).collect::<Vec<_>>().join(",")
}
