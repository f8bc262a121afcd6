//! Question 4: with what power does it start? Not with the launcher's keys: a container has a session
//! keyring of its own (session-keyring(7)), which is named, so that a further program in the container
//! can join it.

use nix::errno::Errno;
use sandbox::Question::Power;

use crate::{Error, plan::SyscallPlan};

/// Of linux/keyctl.h.
const JOIN_SESSION_KEYRING: usize = 1;
const SETPERM: usize = 5;

/// What a new session keyring allows (security/keys/process_keys.c): all to who possesses it; to its
/// user, to view, read and link it. In addition, as in runc, its user may search it: joining it by its
/// name takes that.
const PERMISSIONS: usize = 0x3f13_0000 | 0x0008_0000;

/// The child's steps that join it. A kernel without keys has none to keep from anyone.
pub(crate) fn join(plan: &mut SyscallPlan, name: Option<&str>) -> Result<(), Error> {
    let Some(name) = name else { return Ok(()) };
    let text = plan.text(name)?;
    let words = format!("keyctl: join the session keyring {name}");
    plan.step(Power, words, libc::SYS_keyctl, [JOIN_SESSION_KEYRING, text]);
    let keyring = plan.result();
    plan.unless_failed(&[Errno::ENOSYS], |plan| {
        let words = "keyctl: permissions of the session keyring";
        let arguments = [SETPERM, keyring.operand(), PERMISSIONS];
        // One that was there may be another user's, whose permissions are set already.
        plan.step(Power, words, libc::SYS_keyctl, arguments).forgive(&[Errno::EACCES]);
    });
    Ok(())
}
