//! A check that only sees that a program comes where it should, and leaves nothing: the tests hold
//! it against hostile ones. `DOES` and `FILE` in the environment go to the program.

use std::{env, process::ExitCode};

use lab::check::{Setup, main as check};

fn main() -> ExitCode {
    check("00", |bench| {
        let word = |name| env::var(name).unwrap_or_default();
        let setup = Setup::root().argument("does", word("DOES")).argument("file", word("FILE"));
        let mut student = bench.start(setup)?;
        student.meet("inside")?;
        student.go()?;
        student.finish()
    })
}
