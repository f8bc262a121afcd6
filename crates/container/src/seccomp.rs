//! Question 4, the last barrier: which system calls are allowed inside.
//!
//! Capabilities already prevent most of what could harm the host. The filter also helps against
//! kernel bugs in calls that need no capability, and where a user namespace would give the
//! capability back. It is a list of allowed calls, because future system calls are unknown: a list
//! of denied calls would let them pass.
//!
//! ```text
//! Profile: names, actions, arguments        as in config.json of the OCI runtime spec
//!    |  compile: names to numbers, equal neighbours to intervals, intervals to a search
//! Program: classic BPF                      seccomp(2) copies it into the kernel
//!    |  the kernel runs it once for each number and caches which ones it always allows
//! those calls skip the filter; for all others it runs at each call
//! ```
//!
//! There are two ways to deny. EPERM: the call is known and denied on purpose. ENOSYS: the profile
//! is older than the call, and pretends that the kernel is older too; C libraries then fall back to
//! an older call. `clone3` also gets ENOSYS, because its flags are in memory, which no filter can
//! read, and `clone` can do the same.
//!
//! x86_64 has three ABIs, each with its own numbers. Calls of 32-bit programs (`int 0x80`, i386)
//! are subject to the rules of the same names, if the profile includes them; x32 is denied.

mod assembler;
mod compile;
mod compiled;
mod defaults;
mod docker;
mod syscalls;
mod syscalls_i386;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{Error, plan::SyscallPlan};

pub use crate::spec::filter::{FilterOptions, Listener};

/// Which system calls a container may make.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// Those of [`Seccomp::default_profile`].
    #[default]
    Default,
    /// All calls.
    Unconfined,
    /// The calls that this profile allows.
    Profile(Profile),
}

/// `linux.seccomp` of config.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The action for a call without a matching rule.
    ///
    /// Unless it allows them, calls that are newer than every name in the profile get ENOSYS.
    pub default_action: Action,
    /// The error of [`Action::Errno`] as the default; EPERM if it is not given.
    #[serde(rename = "defaultErrnoRet", default, skip_serializing_if = "Option::is_none")]
    pub default_errno: Option<u16>,
    /// The architectures to which it applies, such as `SCMP_ARCH_X86` for 32-bit programs. The
    /// 64-bit one is always included; all others are ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// The rules: for each call, the first one that matches counts. (In libseccomp, a rule without
    /// arguments takes precedence over all others of its call.)
    #[serde(rename = "syscalls", default)]
    pub rules: Vec<Rule>,
}

/// 32-bit programs, as config.json calls them.
const SCMP_ARCH_X86: &str = "SCMP_ARCH_X86";

impl Profile {
    /// Whether it leaves a call to a listener.
    pub fn notifies(&self) -> bool {
        let mut actions = self.rules.iter().map(|rule| rule.action);
        self.default_action == Action::Notify || actions.any(|it| it == Action::Notify)
    }

    fn has_i386(&self) -> bool {
        self.architectures.iter().any(|name| name == SCMP_ARCH_X86)
    }
}

/// The action for some calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The calls; unknown names are ignored.
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// The error of [`Action::Errno`]; EPERM if it is not given.
    #[serde(rename = "errnoRet", default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<u16>,
    /// The rule matches if all of these conditions hold. (runc turns each into a rule of its own if
    /// two of them are about the same argument: [`Profile::from_docker`] splits them.)
    #[serde(rename = "args", default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
}

/// A condition on one argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Which argument, from 0 to 5.
    pub index: u8,
    /// What it is compared with, or the mask of [`Operator::MaskedEqual`].
    pub value: u64,
    /// What the masked argument must be.
    #[serde(default)]
    pub value_two: u64,
    /// How it is compared: as unsigned 64 bits.
    #[serde(rename = "op")]
    pub operator: Operator,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// `argument != value`
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    /// `argument < value`
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    /// `argument <= value`
    #[serde(rename = "SCMP_CMP_LE")]
    LessEqual,
    /// `argument == value`
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    /// `argument >= value`
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterEqual,
    /// `argument > value`
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    /// `argument & value == value_two`
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

/// What the kernel does at a call (seccomp(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// The thread ends.
    #[serde(rename = "SCMP_ACT_KILL_THREAD", alias = "SCMP_ACT_KILL")]
    KillThread,
    /// The process ends.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// The thread gets SIGSYS.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// The call fails.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// A tracer decides; without one the call fails with ENOSYS.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// The call is made, and the kernel logs it.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// The listener of the filter decides.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
    /// The call is made.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
}

impl Action {
    /// The filter's return value for it.
    fn answer(self, errno: Option<u16>) -> u32 {
        let data = u32::from(errno.unwrap_or(libc::EPERM as u16));
        match self {
            Self::KillThread => libc::SECCOMP_RET_KILL_THREAD,
            Self::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
            Self::Trap => libc::SECCOMP_RET_TRAP,
            Self::Errno => libc::SECCOMP_RET_ERRNO | data,
            Self::Trace => libc::SECCOMP_RET_TRACE | data,
            Self::Log => libc::SECCOMP_RET_LOG,
            Self::Notify => libc::SECCOMP_RET_USER_NOTIF,
            Self::Allow => libc::SECCOMP_RET_ALLOW,
        }
    }

    /// Whether the call is made.
    fn lets_pass(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }
}

/// A compiled profile: each number is a `struct sock_filter` in its memory.
#[derive(Debug)]
pub(crate) struct Program {
    code: Cow<'static, [u64]>,
}

impl Program {
    fn of(profile: &Profile) -> Result<Self, Error> {
        let instructions = compile::compile(profile)?;
        let code = instructions.into_iter().map(assembler::Instruction::word).collect();
        Ok(Self { code })
    }

    /// Keeps a copy for the lifetime of the plan, and returns the address of its `sock_fprog` for
    /// seccomp(2).
    pub(crate) fn keep(&self, plan: &mut SyscallPlan) -> usize {
        let length = self.code.len();
        let code: Vec<u8> = self.code.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let code = plan.keep(code);
        // struct sock_fprog: a 16-bit length, padding, a pointer.
        plan.keep([length, code].map(usize::to_ne_bytes).concat())
    }
}

/// The filter for a container with these capabilities in its bounding set; `None` if it is
/// unconfined.
///
/// # Errors
///
/// When a profile looks at an argument that no call has, or is too long for the kernel.
pub(crate) fn program(seccomp: &Seccomp, bounding: u64) -> Result<Option<Arc<Program>>, Error> {
    match seccomp {
        Seccomp::Default => default_program(bounding).map(Some),
        Seccomp::Unconfined => Ok(None),
        Seccomp::Profile(profile) => Ok(Some(Arc::new(Program::of(profile)?))),
    }
}

/// The default filter. For the default capabilities it is already compiled; the last other one is
/// cached, because most containers of a process have the same.
fn default_program(bounding: u64) -> Result<Arc<Program>, Error> {
    static LAST: Mutex<Option<(u64, Arc<Program>)>> = Mutex::new(None);
    let capabilities = bounding & defaults::relevant_capabilities();
    if capabilities == compiled::CAPABILITIES {
        return Ok(Arc::new(Program { code: Cow::Borrowed(&compiled::CODE) }));
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((known, program)) if *known == capabilities => Ok(Arc::clone(program)),
        _ => {
            let program = Arc::new(Program::of(&Seccomp::default_profile(capabilities))?);
            *last = Some((capabilities, Arc::clone(&program)));
            Ok(program)
        }
    }
}
