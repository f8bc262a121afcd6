//! A check that only sees that a program comes where it should, and leaves nothing: the tests hold
//! it against hostile ones. `DOES` and `FILE` in the environment go to the program, which has power
//! over its host if `POWER` is there.

use std::{env, process::ExitCode};

use lab::check::{Capability, Setup, main as check};

fn main() -> ExitCode {
    check("00", |bench| {
        let word = |name| env::var(name).unwrap_or_default();
        let setup = match env::var_os("POWER") {
            Some(_) => Setup::root(&[Capability::SysAdmin]).with_namespaces(),
            None => Setup::ordinary(),
        };
        let setup = setup.argument("does", word("DOES")).argument("file", word("FILE"));
        let mut student = bench.start(setup)?;
        student.meet("inside")?;
        student.go()?;
        student.finish()
    })
}
