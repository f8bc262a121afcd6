//! The rules read one by one against what the two versions make of them.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{program::*, *};

/// What a process asks for: never both kinds, and a node is made without opening it.
#[derive(Debug, Clone, Copy)]
struct Request {
    kind: DeviceKind,
    major: u32,
    minor: u32,
    access: Access,
}

/// For each way to use it: what the last rule says that matches.
fn expected(rules: &[DeviceRule], request: &Request) -> bool {
    let is = |rule: Option<u32>, number| rule.is_none_or(|it| it == number);
    let matches = |rule: &&DeviceRule| {
        (rule.kind == DeviceKind::All || rule.kind == request.kind)
            && is(rule.major, request.major)
            && is(rule.minor, request.minor)
    };
    [Access::READ, Access::WRITE, Access::MKNOD]
        .into_iter()
        .filter(|way| request.access.contains(*way))
        .all(|way| {
            let about_it = |rule: &&DeviceRule| matches(rule) && rule.access.contains(way);
            rules.iter().rev().find(about_it).is_some_and(|rule| rule.allow)
        })
}

/// eBPF as the kernel runs it; what its verifier refuses is a panic.
fn run(program: &[Instruction], request: &Request) -> bool {
    let kind = if request.kind == DeviceKind::Block { BLOCK } else { CHAR };
    let context = [u32::from(request.access.bits()) << 16 | kind, request.major, request.minor];
    let mut registers: [Option<u32>; 11] = [None; 11];
    let mut at = 0;
    loop {
        let Instruction { code, registers: operands, offset, immediate } = program[at];
        let (destination, source) = (usize::from(operands & 15), usize::from(operands >> 4));
        let read = |register: usize| registers[register].expect("a register is read that is set");
        let value = immediate.cast_unsigned();
        let skips = match code {
            LOAD => {
                assert_eq!(source, 1, "only r1 is an address");
                registers[destination] = Some(context[offset as usize / 4]);
                false
            }
            SET => {
                registers[destination] = Some(value);
                false
            }
            COPY => {
                registers[destination] = Some(read(source));
                false
            }
            OR => {
                registers[destination] = Some(read(destination) | read(source));
                false
            }
            SHIFT_LEFT => {
                registers[destination] = Some(read(destination) << value);
                false
            }
            AND => {
                registers[destination] = Some(read(destination) & value);
                false
            }
            SHIFT_RIGHT => {
                registers[destination] = Some(read(destination) >> value);
                false
            }
            SKIP_IF_EQUAL => read(destination) == value,
            SKIP_IF_NOT_EQUAL => read(destination) != value,
            RETURN => return read(0) == 1,
            _ => panic!("code {code:#x}"),
        };
        at += 1;
        if skips {
            at += usize::try_from(offset).expect("jumps go forward");
        }
    }
}

/// The instructions that some path comes to: the kernel takes no program with others.
fn reached(program: &[Instruction]) -> HashSet<usize> {
    let (mut reached, mut open) = (HashSet::new(), vec![0]);
    while let Some(at) = open.pop() {
        if !reached.insert(at) || program[at].code == RETURN {
            continue;
        }
        open.push(at + 1);
        if matches!(program[at].code, SKIP_IF_EQUAL | SKIP_IF_NOT_EQUAL) {
            open.push(at + 1 + program[at].offset as usize);
        }
    }
    reached
}

/// Lines as the kernel keeps them (security/device_cgroup.c): whether a request is an exception, and
/// what happens to the others.
fn by_version_1(lines: &[(&str, String)], request: &Request) -> bool {
    let (mut allow, mut exceptions): (bool, Vec<(char, String, String, u8)>) = (true, Vec::new());
    for (file, line) in lines {
        let allows = *file == "devices.allow";
        if line == "a" {
            (allow, exceptions) = (allows, Vec::new());
            continue;
        }
        assert_ne!(allow, allows, "{line:?} to {file} would take an exception back");
        let words: Vec<&str> = line.split([' ', ':']).collect();
        let [kind, major, minor, access] = words[..] else { panic!("{line}") };
        let access = Access::try_from(access.to_owned()).unwrap().bits();
        exceptions.push((kind.chars().next().unwrap(), major.into(), minor.into(), access));
    }
    let kind = if request.kind == DeviceKind::Block { 'b' } else { 'c' };
    let is = |word: &str, number: u32| word == "*" || word == number.to_string();
    let asked = request.access.bits();
    let is_exception = exceptions.iter().any(|(its, major, minor, access)| {
        *its == kind
            && is(major, request.major)
            && is(minor, request.minor)
            && if allow { asked & access != 0 } else { asked & !access == 0 }
    });
    is_exception != allow
}

fn request(kind: DeviceKind, major: u32, minor: u32, access: Access) -> Request {
    Request { kind, major, minor, access }
}

#[test]
fn by_default_devices_of_every_dev_may_be_used_and_no_others() {
    use DeviceKind::{Block, Char};
    let both = Access::READ.with(Access::WRITE);
    for (request, allowed) in [
        (request(Char, 1, 3, both), true),
        (request(Char, 1, 9, Access::READ), true),
        (request(Char, 5, 2, both), true),
        (request(Char, 136, 77, both), true),
        (request(Char, 1, 1, Access::READ), false),
        (request(Char, 10, 200, both), false),
        (request(Char, 10, 229, both), false),
        (request(Char, 10, 232, Access::READ), false),
        (request(Block, 1, 3, Access::READ), false),
        (request(Block, 8, 0, Access::READ), false),
        (request(Block, 7, 0, Access::WRITE), false),
        (request(Block, 8, 0, Access::MKNOD), true),
        (request(Char, 10, 232, Access::MKNOD), true),
    ] {
        assert_eq!(run(&program(&default_rules()), &request), allowed, "{request:?}");
        let lines = lines(&default_rules()).unwrap();
        assert_eq!(by_version_1(&lines, &request), allowed, "{request:?}");
    }
}

#[test]
fn version_1_gets_the_fewest_lines() {
    let written = |rules: &[DeviceRule]| {
        let lines = lines(rules).unwrap();
        lines.into_iter().map(|(file, line)| format!("{file} {line}")).collect::<Vec<_>>()
    };
    assert_eq!(written(&[]), ["devices.deny a"]);
    let open = DeviceRule::all(true);
    assert_eq!(written(&[DeviceRule::all(false), open]), ["devices.allow a"]);
    let disk = DeviceRule { kind: DeviceKind::Block, major: Some(8), ..DeviceRule::all(false) };
    assert_eq!(written(&[open, disk]), ["devices.allow a", "devices.deny b 8:* rwm"]);
    let null = DeviceRule::allowed_char(1, Some(3));
    let memory = DeviceRule::allowed_char(1, None);
    assert_eq!(written(&[null, null, memory]), ["devices.deny a", "devices.allow c 1:* rwm"]);
    let default = written(&default_rules());
    assert_eq!(default.len(), default_rules().len());
    assert!(default.contains(&"devices.allow c 136:* rwm".to_owned()), "{default:?}");
}

#[test]
fn what_a_list_of_exceptions_cannot_say_is_an_error() {
    let memory = DeviceRule::allowed_char(1, None);
    let null = DeviceRule { allow: false, ..DeviceRule::allowed_char(1, Some(3)) };
    let error = lines(&[memory, null]).unwrap_err().to_string();
    assert!(error.contains("c 1:3 rwm") && error.contains("c 1:* rwm"), "{error}");
    // The other version can.
    let program = program(&[memory, null]);
    assert!(!run(&program, &request(DeviceKind::Char, 1, 3, Access::READ)));
    assert!(run(&program, &request(DeviceKind::Char, 1, 5, Access::READ)));
}

#[test]
fn no_jump_is_too_long_for_many_rules() {
    let rules: Vec<_> = (0..40_000).map(|minor| DeviceRule::allowed_char(7, Some(minor))).collect();
    let program = program(&rules);
    for (minor, allowed) in [(0, true), (999, true), (1000, true), (39_999, true), (40_000, false)]
    {
        let request = request(DeviceKind::Char, 7, minor, Access::READ);
        assert_eq!(run(&program, &request), allowed, "{minor}");
    }
}

fn kind() -> impl Strategy<Value = DeviceKind> {
    prop::sample::select(vec![DeviceKind::All, DeviceKind::Char, DeviceKind::Block])
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..4u32, Just(4095), Just(4096), Just(1 << 20), Just(u32::MAX)]
}

fn rule() -> impl Strategy<Value = DeviceRule> {
    let number = || prop::option::of(number());
    (any::<bool>(), kind(), number(), number(), 0..8u8).prop_map(
        |(allow, kind, major, minor, bits)| DeviceRule {
            allow,
            kind,
            major,
            minor,
            access: Access(bits),
        },
    )
}

fn requests() -> Vec<Request> {
    let numbers = [0, 1, 2, 3, 4, 4095];
    let mut all = Vec::new();
    for kind in [DeviceKind::Char, DeviceKind::Block] {
        for (major, minor) in numbers.iter().flat_map(|major| numbers.map(|minor| (*major, minor)))
        {
            all.extend((1..8).map(|bits| request(kind, major, minor, Access(bits))));
        }
    }
    all
}

proptest! {
    #[test]
    fn a_program_says_what_its_rules_say(rules in prop::collection::vec(rule(), 0..12)) {
        let program = program(&rules);
        prop_assert_eq!(reached(&program).len(), program.len());
        for request in requests() {
            prop_assert_eq!(run(&program, &request), expected(&rules, &request), "{:?}", request);
        }
    }

    #[test]
    fn the_lines_of_version_1_say_it_too_or_are_stricter(
        rules in prop::collection::vec(rule(), 0..6),
    ) {
        let Ok(lines) = lines(&rules) else { return Ok(()) };
        for request in requests() {
            let (said, meant) = (by_version_1(&lines, &request), expected(&rules, &request));
            prop_assert!(meant || !said, "{:?} {:?}", request, lines);
            let one_way = request.access.bits().is_power_of_two();
            prop_assert!(said == meant || !one_way, "{:?} {:?}", request, lines);
        }
    }
}
