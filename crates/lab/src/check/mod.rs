//! The check's side: a host for the student's program, and what the kernel says of it.
//!
//! A check is one function that tells what must be true, look after look; the first that is not
//! ends it:
//!
//! ```no_run
//! use lab::check::{Bench, Capability, Checked, Setup, ensure, fail};
//!
//! fn main() -> std::process::ExitCode {
//!     lab::check::main("08", check)
//! }
//!
//! fn check(bench: &mut Bench) -> Checked<()> {
//!     let power = [Capability::SysAdmin];
//!     let mut student = bench.start(Setup::root(&power).with_namespaces())?;
//!     student.meet("inside")?;
//!     let child = student.only_child()?;
//!     let (own, hosts) = (child.namespace("uts")?, student.host().namespace("uts")?);
//!     bench.saw(child.path("ns/uts").display(), &own);
//!     ensure(own != hosts, || fail("L08-shared-uts").fact("namespace", own))?;
//!     student.go()?;
//!     student.finish()
//! }
//! ```
mod bench;
mod built_in;
mod cgroups;
mod finding;
mod jail;
pub mod kernel;
mod student;

pub use bench::{Bench, judge, main};
pub use built_in::{BuiltIn, SOURCES, digest};
pub use cgroups::CgroupDirectory;
pub use finding::{Checked, Finding, cannot_tell, ensure, fail};
pub use jail::{Capability, Setup};
pub use kernel::Process;
pub use student::{LinkAddress, Student};
