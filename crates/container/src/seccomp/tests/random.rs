//! Profiles that nobody would write.

use proptest::prelude::*;

use super::{syscalls::Table, *};

fn value() -> impl Strategy<Value = u64> {
    let near = |value: u64| {
        prop::sample::select(vec![value.wrapping_sub(1), value, value.wrapping_add(1)])
    };
    prop_oneof![near(0), near(1 << 32), near(7 << 32), near(1 << 63), 0..4u64, any::<u64>()]
}

fn argument() -> impl Strategy<Value = Argument> {
    use Operator::{Equal, Greater, GreaterEqual, Less, LessEqual, MaskedEqual, NotEqual};
    let operators = vec![Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, MaskedEqual];
    (0..6u8, value(), value(), prop::sample::select(operators)).prop_map(
        |(index, value, value_two, operator)| Argument { index, value, value_two, operator },
    )
}

fn action() -> impl Strategy<Value = Action> {
    use Action::{Allow, Errno, KillProcess, KillThread, Log, Trace, Trap};
    prop::sample::select(vec![Allow, Errno, KillProcess, KillThread, Log, Trace, Trap])
}

fn profile() -> impl Strategy<Value = Profile> {
    let names: Vec<String> = syscalls::X86_64
        .all()
        .chain(syscalls_i386::I386.all())
        .map(|(name, _)| name.to_owned())
        .chain(["no_such_call".into()])
        .collect();
    let names = prop::collection::vec(prop::sample::select(names), 0..40);
    let arguments = prop::collection::vec(argument(), 0..5);
    let errno = prop::option::of(0..4096u16);
    let rule = (names, action(), errno.clone(), arguments)
        .prop_map(|(names, action, errno, arguments)| Rule { names, action, errno, arguments });
    let architectures =
        prop::sample::subsequence(vec!["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"], 0..=3);
    (action(), errno, architectures, prop::collection::vec(rule, 0..12)).prop_map(
        |(default_action, default_errno, architectures, rules)| {
            let architectures = architectures.into_iter().map(str::to_owned).collect();
            Profile { default_action, default_errno, architectures, rules }
        },
    )
}

/// A call that some rule of the profile is about, with arguments near those that it asks for.
fn near_a_rule(profile: &Profile, table: &Table, pick: usize, arguments: [u64; 6]) -> Call {
    let rules: Vec<&Rule> = profile.rules.iter().filter(|rule| !rule.names.is_empty()).collect();
    let Some(rule) = (!rules.is_empty()).then(|| rules[pick % rules.len()]) else {
        return call(pick as u32 % 600, arguments);
    };
    let name = rule.names[pick / 7 % rule.names.len()].as_str();
    let mut call = call(table.numbers().get(name).copied().unwrap_or(999), arguments);
    for (bit, argument) in rule.arguments.iter().enumerate() {
        let wanted = match argument.operator {
            Operator::MaskedEqual => argument.value_two,
            _ => argument.value,
        };
        if pick >> (bit + 8) & 1 == 0 {
            call.arguments[usize::from(argument.index)] = wanted;
        }
    }
    call
}

proptest! {
    #[test]
    fn a_program_says_what_its_profile_says(
        profile in profile(),
        calls in prop::collection::vec((any::<usize>(), prop::array::uniform6(value())), 16),
    ) {
        let program = compile(&profile).unwrap();
        for (pick, arguments) in calls {
            let calls = [
                near_a_rule(&profile, &syscalls::X86_64, pick, arguments),
                call(pick as u32 % 600, arguments),
            ];
            let foreign = near_a_rule(&profile, &syscalls_i386::I386, pick, arguments);
            let calls_i386 = [
                call_i386(foreign.number, foreign.arguments),
                call_i386(pick as u32 % 600, arguments),
            ];
            for call in calls.into_iter().chain(calls_i386) {
                prop_assert_eq!(run(&program, &call), expected(&profile, &call), "{:?}", call);
            }
        }
    }
}
