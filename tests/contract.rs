//! The contract of `sandbox::Sandbox`, held against every sandbox that this host can run.

mod common;

use std::{path::Path, thread, time::Duration};

use common::sandboxes;
use sandbox::{Builtin, Error, Milestone, Question, Status, Workload};

/// Long enough for the slowest host, an emulated one that boots a guest; short enough to notice that
/// something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn builtin(builtin: Builtin, arguments: &[u64]) -> Workload {
    Workload::builtin(builtin, arguments).deadline(PATIENCE)
}

#[test]
fn hello_says_hello_and_passes_every_milestone_in_order() {
    for sandbox in sandboxes() {
        let outcome = sandbox.run(&builtin(Builtin::Hello, &[])).unwrap();
        assert_eq!(outcome.output, b"hello\n", "{}", sandbox.name());
        assert_eq!(outcome.status, Status::Exited(0), "{}", sandbox.name());
        let reached = Milestone::ALL.map(|milestone| {
            let instant = outcome.timeline.since_start(milestone);
            instant.unwrap_or_else(|| panic!("{} did not reach {milestone:?}", sandbox.name()))
        });
        assert!(reached.is_sorted(), "{}: {reached:?}", sandbox.name());
    }
}

#[test]
fn the_same_program_computes_the_same_everywhere() {
    let programs: [(Builtin, &[u64]); 5] = [
        (Builtin::Spin, &[100_000]),
        (Builtin::Stream, &[3, 2]),
        (Builtin::Chase, &[1, 10_000]),
        (Builtin::Touch, &[64]),
        (Builtin::Cross, &[100]),
    ];
    for (program, arguments) in programs {
        let mut results = Vec::new();
        for sandbox in sandboxes() {
            let outcome = sandbox.run(&builtin(program, arguments)).unwrap();
            assert_eq!(outcome.status, Status::Exited(0), "{program} in {}", sandbox.name());
            let report = outcome.report.expect("built-in programs report");
            assert!(report.ticks() > 0, "{program} in {} took no time", sandbox.name());
            results.push(report.result);
        }
        assert!(results.iter().all(|result| *result == results[0]), "{program}: {results:x?}");
    }
}

#[test]
fn missing_arguments_take_the_same_defaults_everywhere() {
    for sandbox in sandboxes() {
        let report = sandbox.run(&builtin(Builtin::Cross, &[])).unwrap().report.unwrap();
        assert_eq!(report.result, Builtin::Cross.with_defaults(&[])[0], "{}", sandbox.name());
    }
}

#[test]
fn idle_runs_until_it_is_told_to_stop() {
    for sandbox in sandboxes() {
        let instance = sandbox.spawn(&builtin(Builtin::Idle, &[])).unwrap();
        let control = instance.control();
        let stopper = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            control.stop();
        });
        let outcome = instance.wait().unwrap();
        assert_eq!(outcome.status, Status::Exited(0), "{}", sandbox.name());
        stopper.join().unwrap();
    }
}

#[test]
fn a_killed_program_ends_as_if_by_sigkill() {
    // `slices` never goes to the host, so only force ends it.
    let workload = builtin(Builtin::Slices, &[u64::MAX, 1 << 40]);
    for sandbox in sandboxes() {
        let instance = sandbox.spawn(&workload).unwrap();
        let control = instance.control();
        let killer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            control.kill();
        });
        let outcome = instance.wait().unwrap();
        assert_eq!(outcome.status, Status::Signaled(9), "{}", sandbox.name());
        killer.join().unwrap();
    }
}

#[test]
fn a_program_that_never_ends_is_stopped_at_its_deadline() {
    let workload = Workload::builtin(Builtin::Slices, &[u64::MAX, 1 << 40])
        .deadline(Duration::from_millis(50));
    for sandbox in sandboxes() {
        let error = sandbox.run(&workload).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{}: {error}", sandbox.name());
        assert_eq!(error.exit_code(), 125);
    }
}

#[test]
fn what_was_written_before_the_deadline_is_not_lost() {
    for sandbox in sandboxes() {
        // A guest's kernel boots first.
        let deadline = Duration::from_secs(if sandbox.name() == "linux" { 15 } else { 1 });
        let workload = Workload::builtin(Builtin::Idle, &[]).deadline(deadline);
        let error = sandbox.run(&workload).unwrap_err();
        let written = error.written().expect("it ran");
        assert_eq!(written.output, b"idle\n", "{}: {error}", sandbox.name());
    }
}

#[test]
fn a_dropped_instance_leaves_no_process() {
    for sandbox in sandboxes() {
        let instance = sandbox.spawn(&builtin(Builtin::Idle, &[])).unwrap();
        let processes = instance.processes();
        assert!(processes.iter().all(|pid| Path::new(&format!("/proc/{pid}")).exists()));
        drop(instance);
        for pid in processes {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{}: {pid}", sandbox.name());
        }
    }
}

#[test]
fn many_run_at_once() {
    for sandbox in sandboxes() {
        let workload = builtin(Builtin::Idle, &[]);
        // Each guest has a kernel of its own to boot, and to keep.
        let many = if sandbox.name() == "linux" { 3 } else { 20 };
        let instances: Vec<_> = (0..many).map(|_| sandbox.spawn(&workload).unwrap()).collect();
        for instance in &instances {
            instance.control().stop();
        }
        for instance in instances {
            assert_eq!(instance.wait().unwrap().status, Status::Exited(0), "{}", sandbox.name());
        }
    }
}

#[test]
fn the_mailbox_can_be_read_while_the_program_runs() {
    for sandbox in sandboxes() {
        // Every reading of the clock is a gap of more than one tick.
        let instance = sandbox.spawn(&builtin(Builtin::Slices, &[u64::MAX, 1])).unwrap();
        let mailbox = instance.mailbox().expect("built-in programs have one").clone();
        let give_up = sandbox::monotonic_now() + PATIENCE;
        while mailbox.report().records.is_empty() {
            assert!(sandbox::monotonic_now() < give_up, "{} reported no gap", sandbox.name());
            thread::yield_now();
        }
        mailbox.stop().unwrap();
        assert_eq!(instance.wait().unwrap().status, Status::Exited(0), "{}", sandbox.name());
    }
}

#[test]
fn an_unknown_program_is_not_found() {
    for sandbox in sandboxes() {
        let error = sandbox.run(&Workload::command(["/no/such/program"])).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{}: {error:?}", sandbox.name());
        assert_eq!(error.exit_code(), 127);
        assert!(error.fix().is_some(), "{} does not say what to do", sandbox.name());
    }
}

#[test]
fn only_a_traced_run_has_a_trace_and_it_answers_the_questions() {
    for sandbox in sandboxes() {
        let mut workload = builtin(Builtin::Hello, &[]);
        assert!(sandbox.run(&workload).unwrap().trace.entries.is_empty(), "{}", sandbox.name());
        workload.trace = true;
        let trace = sandbox.run(&workload).unwrap().trace;
        let answered = |question| trace.entries.iter().any(|entry| entry.question == question);
        let questions: Vec<_> = Question::ALL.into_iter().filter(|q| answered(*q)).collect();
        match sandbox.name() {
            "process" => assert_eq!(questions, [Question::Boundary]),
            // Without limits a container needs no cgroup.
            "container" => assert!(questions.len() >= 4, "{questions:?}"),
            _ => assert_eq!(questions, Question::ALL, "{}", sandbox.name()),
        }
    }
}
