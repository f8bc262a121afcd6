//! The last words of a command line: a built-in program or a command.

use std::ffi::{OsStr, OsString};

use sandbox::{Builtin, Program, Workload};

use crate::failure::Failure;

/// What begins the name of a built-in program, where a command could be meant.
const BUILTIN: char = '@';

/// What `words` mean: behind `--` a command, else a built-in program if the first of them is its
/// name. `@touch` is the built-in program in any case.
pub fn program(words: &[OsString], behind_dashes: bool) -> Result<Program, Failure> {
    let first = words.first().and_then(|word| word.to_str()).unwrap_or_default();
    let builtin = match first.strip_prefix(BUILTIN) {
        Some(name) => Some(name.parse::<Builtin>().map_err(|_| unknown(first))?),
        None if behind_dashes => None,
        None => first.parse().ok(),
    };
    let Some(builtin) = builtin else {
        return Ok(Program::Command(words.to_vec()));
    };
    let given = &words[1..];
    let room = builtin.arguments().len();
    if given.len() > room {
        let message = match room {
            0 => format!("{builtin} takes no arguments"),
            _ => format!("{builtin} takes at most {room} arguments, not {}", given.len()),
        };
        return Err(Failure::usage(message).help(usage(builtin)));
    }
    let number = |word: &OsString| {
        let number = word.to_str().and_then(|word| word.replace('_', "").parse().ok());
        number.ok_or_else(|| {
            let message = format!("invalid number for the built-in program {builtin}: {word:?}");
            Failure::usage(message).help(usage(builtin))
        })
    };
    let arguments = given.iter().map(number).collect::<Result<Vec<u64>, _>>()?;
    Ok(Program::Builtin(builtin, arguments))
}

/// Whether a word can only be a built-in program's name.
pub fn is_builtin(word: &OsStr) -> bool {
    word.as_encoded_bytes().first() == Some(&(BUILTIN as u8))
}

fn unknown(word: &str) -> Failure {
    let names: Vec<String> = Builtin::ALL.iter().map(ToString::to_string).collect();
    let help = format!(
        "the built-in programs are {}; a command of that name is ./{word}",
        names.join(", ")
    );
    Failure::usage(format!("unknown built-in program {word:?}")).help(help)
}

/// `spin ITERATIONS (100000000)`, what it is called with and what is taken without.
fn usage(builtin: Builtin) -> String {
    let mut text = format!("usage: {builtin}");
    for (name, default) in builtin.arguments() {
        text += &format!(" [{}={default}]", name.to_uppercase());
    }
    text + &format!("; for a command of that name write `-- {builtin}`")
}

/// Why a program was not run; of a command with the name of a built-in program, how to get that.
pub fn not_started(error: sandbox::Error, workload: &Workload) -> Failure {
    let name = match &workload.program {
        Program::Command(words) => words.first().and_then(|word| word.to_str()),
        Program::Builtin(..) => None,
    };
    let is_builtin = name.is_some_and(|name| name.parse::<Builtin>().is_ok());
    match (&error, name) {
        (sandbox::Error::NotFound { .. }, Some(name)) if is_builtin => Failure::from(error)
            .help(format!("the built-in program is @{name}, or {name} without `--` before it")),
        _ => error.into(),
    }
}

/// A line for every built-in program: call, and what it does.
pub fn builtins() -> String {
    let mut text = String::new();
    for builtin in Builtin::ALL {
        let mut call = builtin.to_string();
        for (name, default) in builtin.arguments() {
            call += &format!(" [{}={default}]", name.to_uppercase());
        }
        text += &format!("  {call:<44} {}\n", builtin.about());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(Into::into).collect()
    }

    #[test]
    fn a_first_word_may_be_a_builtin() {
        for (text, behind_dashes) in
            [("spin 1_000", false), ("@spin 1000", false), ("@spin 1000", true)]
        {
            let spin = program(&words(text), behind_dashes).unwrap();
            assert_eq!(spin, Program::Builtin(Builtin::Spin, vec![1000]), "{text}");
        }
    }

    #[test]
    fn behind_dashes_is_a_command() {
        for (text, behind_dashes) in
            [("spin 1000", true), ("./spin 1000", false), ("touch f", true)]
        {
            let command = program(&words(text), behind_dashes).unwrap();
            assert_eq!(command, Program::Command(words(text)), "{text}");
        }
    }

    #[test]
    fn wrong_arguments_are_answered_with_the_right_ones() {
        for wrong in ["hello 1", "spin x", "spin -1", "stream 1 2 3", "@", "@spun"] {
            let failure = program(&words(wrong), false).unwrap_err();
            assert_eq!(failure.code, 2, "{wrong}");
            assert!(failure.to_string().contains("help: "), "{failure}");
        }
    }
}
