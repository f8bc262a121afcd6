//! The words after `--`: a built-in program or a command.

use std::ffi::OsString;

use sandbox::{Builtin, Program};

use crate::failure::Failure;

/// What `words` mean: a first word that is a built-in's name is that built-in, so that a command
/// of the same name is said with its path.
pub fn program(words: &[OsString]) -> Result<Program, Failure> {
    let builtin = words.first().and_then(|word| word.to_str()?.parse::<Builtin>().ok());
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
            let message = format!("{word:?} is no number for the built-in program {builtin}");
            Failure::usage(message).help(usage(builtin))
        })
    };
    let arguments = given.iter().map(number).collect::<Result<Vec<u64>, _>>()?;
    Ok(Program::Builtin(builtin, arguments))
}

/// `spin ITERATIONS (100000000)`, what it is called with and what is taken without.
fn usage(builtin: Builtin) -> String {
    let mut text = format!("usage: {builtin}");
    for (name, default) in builtin.arguments() {
        text += &format!(" [{}={default}]", name.to_uppercase());
    }
    text + &format!("; a command of that name is ./{builtin}")
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
        let spin = program(&words("spin 1_000")).unwrap();
        assert_eq!(spin, Program::Builtin(Builtin::Spin, vec![1000]));
        assert!(matches!(program(&words("./spin 1000")).unwrap(), Program::Command(_)));
    }

    #[test]
    fn wrong_arguments_are_answered_with_the_right_ones() {
        for wrong in ["hello 1", "spin x", "spin -1", "stream 1 2 3"] {
            let failure = program(&words(wrong)).unwrap_err();
            assert_eq!(failure.code, 2, "{wrong}");
            assert!(failure.to_string().contains("help: usage: "), "{failure}");
        }
    }
}
