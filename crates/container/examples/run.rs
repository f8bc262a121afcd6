//! Runs its arguments in a container and prints what became of them.

use sandbox::{Sandbox as _, Workload};

fn main() {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let workload = Workload { trace: true, ..Workload::command(words) };
    match container::Container::default().run(&workload) {
        Ok(outcome) => {
            print!("{}", String::from_utf8_lossy(&outcome.output));
            eprint!("{}", String::from_utf8_lossy(&outcome.errors));
            for entry in &outcome.trace.entries {
                println!("{} {:>9.1?}  {}", entry.question.number(), entry.took, entry.event);
            }
            println!("{:?} {:?}", outcome.status, outcome.usage);
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                eprintln!("{error}");
                cause = error.source();
            }
        }
    }
}
