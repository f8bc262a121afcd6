//! The sandboxes that are compared, and those that this host cannot show.

use container::Container;
use microvm::{LinuxVm, MicroVm, kernels};
use sandbox::{Limits, Native, Sandbox};

use crate::Error;

/// A sandbox under measurement.
pub struct Subject {
    /// Its name in the records.
    pub label: &'static str,
    /// The sandbox.
    pub sandbox: Box<dyn Sandbox>,
    /// What the reader must know to read its numbers rightly.
    pub caveat: Option<String>,
}

/// A sandbox that this host cannot show.
pub struct Missing {
    /// Its name in the records.
    pub label: &'static str,
    /// What the host lacks, and what to do about it.
    pub error: Error,
}

/// The names of the sandboxes in the order of tables.
pub const LABELS: [&str; 3] = ["process", "container", "microvm"];

/// The one that is measured in a part of its own.
pub const LINUX: &str = "linux";

/// A second run of the first sandbox: two series of the same thing show how far numbers differ by
/// chance alone.
pub const AGAIN: &str = "process (again)";

/// The same of the container, whose limits a process does not have.
pub const CONTAINER_AGAIN: &str = "container (again)";

/// All sandboxes that can run here, and all that cannot.
pub fn subjects() -> (Vec<Subject>, Vec<Missing>) {
    let mut subjects = vec![Subject { label: "process", sandbox: Box::new(Native), caveat: None }];
    let mut missing = Vec::new();
    match container::available() {
        Ok(()) => {
            let sandbox = Box::new(Container::default());
            subjects.push(Subject { label: "container", sandbox, caveat: None });
        }
        Err(error) => missing.push(Missing { label: "container", error: error.into() }),
    }
    match microvm::available() {
        Ok(()) => {
            let sandbox = Box::new(MicroVm::default());
            subjects.push(Subject { label: "microvm", sandbox, caveat: kvm_caveat() });
        }
        Err(error) => missing.push(Missing { label: "microvm", error: error.into() }),
    }
    (subjects, missing)
}

/// Programs run at the processor's own speed on every KVM, because they begin in ring 3; what the
/// host does for them may not.
fn kvm_caveat() -> Option<String> {
    let flavour = microvm::flavour().ok()?;
    let text = "this KVM has no hardware assistance and interprets a guest's kernel code: exits, \
                first touches and starts cost more than with VMX or SVM";
    (flavour.interprets_ring0 == Some(true)).then(|| text.to_owned())
}

/// The first sandbox once more.
pub fn again() -> Subject {
    Subject { label: AGAIN, sandbox: Box::new(Native), caveat: None }
}

/// The container once more, where there are containers.
pub fn container_again() -> Option<Subject> {
    container::available().ok()?;
    let sandbox = Box::new(Container::default());
    Some(Subject { label: CONTAINER_AGAIN, sandbox, caveat: None })
}

/// A Linux guest.
///
/// # Errors
///
/// When this host's KVM cannot boot one, or no kernel is chosen.
pub fn linux_guest() -> Result<Subject, Error> {
    microvm::linux::available()?;
    let kernel = kernels::chosen().map_err(sandbox::Error::from)?;
    Ok(Subject { label: LINUX, sandbox: Box::new(LinuxVm::of(&kernel)), caveat: None })
}

/// The sandbox of that name with limits.
///
/// # Errors
///
/// When that sandbox cannot keep them.
pub fn limited(label: &str, limits: &Limits) -> sandbox::Result<Box<dyn Sandbox>> {
    let limits = limits.clone();
    Ok(match label {
        "container" | CONTAINER_AGAIN => Box::new(Container::default().limits(limits)),
        "microvm" => Box::new(MicroVm { limits, ..MicroVm::default() }),
        _ => Box::new(Native::with(&limits)?),
    })
}
