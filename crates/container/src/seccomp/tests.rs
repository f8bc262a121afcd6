//! The filter against the profile read rule by rule.

mod defaults;
mod docker;
mod kernel;
mod random;

use std::collections::HashSet;

use super::{assembler::*, compile::compile, *};

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ADMIN: u64 = 1 << 21;

/// A call as the kernel shows it to a filter.
#[derive(Debug, Clone, Copy)]
struct Call {
    architecture: u32,
    number: u32,
    arguments: [u64; 6],
}

fn call(number: u32, arguments: [u64; 6]) -> Call {
    Call { architecture: X86_64, number, arguments }
}

/// The same call of a 32-bit program, whose arguments have 32 bits.
fn call_i386(number: u32, arguments: [u64; 6]) -> Call {
    let arguments = arguments.map(|argument| argument & u64::from(u32::MAX));
    Call { architecture: I386, number, arguments }
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            NUMBER => self.number,
            ARCHITECTURE => self.architecture,
            ARGUMENTS.. => {
                let argument = self.arguments[(offset - ARGUMENTS) as usize / 8];
                (if offset.is_multiple_of(8) { argument } else { argument >> 32 }) as u32
            }
            _ => panic!("load from {offset}"),
        }
    }
}

/// Classic BPF as the kernel runs it, with what it refuses as a panic.
fn run(program: &[Instruction], call: &Call) -> u32 {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        let holds = match code {
            RETURN => return k,
            LOAD => {
                accumulator = call.word(k);
                at += 1;
                continue;
            }
            AND => {
                accumulator &= k;
                at += 1;
                continue;
            }
            JUMP => {
                at += 1 + k as usize;
                continue;
            }
            JUMP_EQUAL => accumulator == k,
            JUMP_GREATER => accumulator > k,
            JUMP_GREATER_EQUAL => accumulator >= k,
            _ => panic!("instruction {code:#x}"),
        };
        at += 1 + usize::from(if holds { jt } else { jf });
    }
}

/// What the profile says, rule by rule.
fn expected(profile: &Profile, call: &Call) -> u32 {
    let table = match call.architecture {
        X86_64 if call.number < X32 => &syscalls::X86_64,
        I386 if profile.has_i386() => &syscalls_i386::I386,
        _ => return UNKNOWN,
    };
    let name = table.all().find(|(_, number)| *number == call.number).map(|(name, _)| name);
    let holds = |argument: &Argument| {
        let actual = call.arguments[usize::from(argument.index)];
        match argument.operator {
            Operator::NotEqual => actual != argument.value,
            Operator::Less => actual < argument.value,
            Operator::LessEqual => actual <= argument.value,
            Operator::Equal => actual == argument.value,
            Operator::GreaterEqual => actual >= argument.value,
            Operator::Greater => actual > argument.value,
            Operator::MaskedEqual => actual & argument.value == argument.value_two,
        }
    };
    let names_it = |rule: &&Rule| rule.names.iter().any(|it| Some(it.as_str()) == name);
    let applies = |rule: &&Rule| names_it(rule) && rule.arguments.iter().all(holds);
    if let Some(rule) = profile.rules.iter().find(applies) {
        return rule.action.answer(rule.errno);
    }
    let named: HashSet<&str> =
        profile.rules.iter().flat_map(|rule| &rule.names).map(String::as_str).collect();
    let newest = table.all().filter(|(name, _)| named.contains(name)).last();
    let has_opinion = name.is_some() && newest.is_some_and(|newest| call.number <= newest.1);
    if has_opinion || profile.default_action.lets_pass() {
        profile.default_action.answer(profile.default_errno)
    } else {
        UNKNOWN
    }
}

#[test]
fn a_newer_call_than_the_profile_does_not_exist() {
    let mut profile = Seccomp::default_profile(0);
    for rule in &mut profile.rules {
        rule.names.retain(|name| {
            let tables = [&syscalls::X86_64, &syscalls_i386::I386];
            tables.iter().all(|it| it.numbers().get(name.as_str()).is_none_or(|it| *it < 450))
        });
    }
    let answer = |profile: &Profile, name| {
        run(&compile(profile).unwrap(), &call(syscalls::X86_64.numbers()[name], [0; 6]))
    };
    assert_eq!(answer(&profile, "fchmodat2"), UNKNOWN);
    assert_eq!(answer(&profile, "mount"), REFUSED);
    let foreign = call_i386(syscalls_i386::I386.numbers()["fchmodat2"], [0; 6]);
    assert_eq!(run(&compile(&profile).unwrap(), &foreign), UNKNOWN);
    profile.default_action = Action::KillProcess;
    assert_eq!(answer(&profile, "fchmodat2"), UNKNOWN);
    profile.default_action = Action::Allow;
    assert_eq!(answer(&profile, "fchmodat2"), ALLOW);
}

#[test]
fn the_default_program_is_compiled_once_for_the_same_capabilities() {
    let one = program(&Seccomp::Default, ADMIN).unwrap().unwrap();
    let chown = 1;
    let same = program(&Seccomp::Default, ADMIN | chown).unwrap().unwrap();
    assert!(Arc::ptr_eq(&one, &same) || one.code == same.code);
    assert_ne!(one.code, program(&Seccomp::Default, 0).unwrap().unwrap().code);
    assert!(program(&Seccomp::Unconfined, 0).unwrap().is_none());
}

#[test]
fn a_profile_is_read_as_config_json_has_it() {
    let text = r#"{
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": ["getcwd"], "action": "SCMP_ACT_KILL"},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1, "args": [
                {"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
            ]}
        ]
    }"#;
    let operator = Operator::MaskedEqual;
    let flags = Argument { index: 0, value: 0x7e02_0000, value_two: 0, operator };
    let expected = Profile {
        default_action: Action::Errno,
        default_errno: Some(38),
        architectures: vec!["SCMP_ARCH_X86_64".into()],
        rules: vec![
            rule("getcwd", Action::KillThread, None, vec![]),
            rule("clone", Action::Allow, Some(1), vec![flags]),
        ],
    };
    let profile: Profile = serde_json::from_str(text).unwrap();
    assert_eq!(profile, expected);
    let again = serde_json::from_str(&serde_json::to_string(&profile).unwrap()).unwrap();
    assert_eq!(profile, again);
}

fn rule(name: &str, action: Action, errno: Option<u16>, arguments: Vec<Argument>) -> Rule {
    Rule { names: vec![name.to_owned()], action, errno, arguments }
}

/// `getpriority(0, n)` for the first `count` values of n fails with n + 1, by a rule for each.
fn many_rules(count: u16) -> Profile {
    let rule = |value: u16| {
        let operator = Operator::Equal;
        let argument = Argument { index: 1, value: value.into(), value_two: 0, operator };
        rule("getpriority", Action::Errno, Some(value + 1), vec![argument])
    };
    Profile {
        default_action: Action::Allow,
        default_errno: None,
        architectures: Vec::new(),
        rules: (0..count).map(rule).collect(),
    }
}

#[test]
fn what_no_kernel_takes_is_an_error_that_names_it() {
    let error = compile(&many_rules(1500)).unwrap_err();
    assert!(
        matches!(error, Error::SeccompTooLong { instructions } if instructions > 4096),
        "{error}"
    );
    let argument = Argument { index: 6, value: 0, value_two: 0, operator: Operator::Equal };
    let mut profile = many_rules(1);
    profile.rules[0].arguments.push(argument);
    let error = compile(&profile).unwrap_err().to_string();
    assert!(error.contains("argument 6 of getpriority"), "{error}");
}
