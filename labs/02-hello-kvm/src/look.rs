//! What the checks of labs 02 to 04 look at alike.

use lab::check::{Bench, Checked, Student, cannot_tell, ensure, fail};

/// The kernel's own count of how often the guest came out, from a copy of the descriptor that the
/// program calls `statistics`.
///
/// # Errors
///
/// `lacking` on a kernel that does not count, `wrong-words` when the descriptor is something else.
pub fn exits(bench: &mut Bench, student: &Student) -> Checked<u64> {
    let number: i32 = student.said("statistics")?.parse().unwrap_or(-1);
    let old = || cannot_tell("lacking").fact("error", "KVM_GET_STATS_FD, Linux 5.14");
    ensure(number >= 0, old)?;
    let kind = student.main().link(&format!("fd/{number}"))?;
    ensure(kind.starts_with("anon_inode:kvm-vcpu-stats"), || {
        fail("wrong-words").fact("said", format!("`statistics {number}`, {kind}"))
    })?;
    let copy = student.main().descriptor(number)?;
    let count = microvm::statistics::find(&copy.into(), "exits").unwrap_or(0);
    bench.saw("KVM_GET_STATS_FD, exits", count);
    Ok(count)
}
