//! `isolab completions`: what a shell needs to complete the words of this command.
//!
//! The parser's own script knows commands and options. What has a name on this machine, a run or a
//! snapshot, is asked for when it is completed.

mod names;

use std::fmt::Write as _;

use clap::{Args, CommandFactory as _, ValueEnum as _};
use clap_complete::{Shell, generate};

use crate::{Isolab, failure::Failure, output};

pub use names::{Arguments as NamesArguments, print as print_names};

/// Print the completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "For this session of bash:  source <(isolab completions bash)")]
pub struct Arguments {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub fn completions(arguments: &Arguments) -> Result<u8, Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Isolab::command(), "isolab", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    match arguments.shell {
        Shell::Bash => script += &bash(),
        Shell::Zsh => script += &zsh(),
        Shell::Fish => script += &fish(),
        _ => {}
    }
    output::print(&script)?;
    Ok(0)
}

/// The commands that take a name, as the words behind `isolab`, each with the word that
/// `isolab names` takes.
fn commands() -> impl Iterator<Item = (&'static str, String)> {
    names::COMMANDS.iter().flat_map(|(named, commands)| {
        let word = named.to_possible_value().expect("no variant is skipped").get_name().to_owned();
        commands.iter().map(move |command| (*command, word.clone()))
    })
}

/// The branches of a shell's `case` that find what to complete from the first two words.
fn branches() -> String {
    commands().fold(String::new(), |mut text, (command, word)| {
        let pattern = match command.contains(' ') {
            true => format!("\"{command}\""),
            false => format!("\"{command} \"*"),
        };
        let _ = writeln!(text, "        {pattern}) named={word} ;;");
        text
    })
}

fn bash() -> String {
    format!(
        r#"
_isolab_with_names() {{
    local named=
    # The word that is being completed is no command.
    case "${{COMP_WORDS[1]}} $([[ $COMP_CWORD -gt 2 ]] && echo "${{COMP_WORDS[2]}}")" in
{}    esac
    # The shell takes what follows a colon for a word of its own, but names of images have colons.
    local before="${{COMP_LINE:0:$COMP_POINT}}"
    local word="${{before##* }}"
    [[ ${{before%"$word"}} == *" run "*" --image " || ${{before%"$word"}} == *" run --image " ]] && named=images
    COMPREPLY=()
    if [[ -n $named && $COMP_CWORD -gt 1 && $word != -* ]]; then
        COMPREPLY=($(compgen -W "$("$1" names "$named" 2>/dev/null)" -- "$word"))
        if [[ $COMP_WORDBREAKS == *:* && $word == *:* ]]; then
            COMPREPLY=("${{COMPREPLY[@]#"${{word%"${{word##*:}}"}}"}}")
        fi
    fi
    [[ ${{#COMPREPLY[@]}} -gt 0 ]] || _isolab "$@"
}}
complete -F _isolab_with_names -o nosort -o bashdefault -o default isolab
"#,
        branches()
    )
}

fn zsh() -> String {
    format!(
        r#"
_isolab_with_names() {{
    local named=
    case "$words[2] $([[ $CURRENT -gt 3 ]] && echo "$words[3]")" in
{}    esac
    [[ $words[2] == run && $words[CURRENT-1] == --image ]] && named=images
    if [[ -n $named && $CURRENT -gt 2 && $PREFIX != -* ]]; then
        local -a found
        found=(${{(f)"$("$words[1]" names "$named" 2>/dev/null)"}})
        (( $#found )) && compadd -a found && return
    fi
    _isolab "$@"
}}
compdef _isolab_with_names isolab
"#,
        branches()
    )
}

fn fish() -> String {
    let mut text = String::from("\n");
    text += "complete -c isolab -n \"__fish_seen_subcommand_from run\" -l image -x -a \"(isolab names images)\"\n";
    for (command, word) in commands() {
        let seen: Vec<String> =
            command.split(' ').map(|word| format!("__fish_seen_subcommand_from {word}")).collect();
        let condition = seen.join("; and ");
        let _ =
            writeln!(text, "complete -c isolab -n \"{condition}\" -a \"(isolab names {word})\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_takes_a_name_exists() {
        for (command, _) in commands() {
            let mut parser = Isolab::command();
            parser.build();
            let found =
                command.split(' ').try_fold(&parser, |found, word| found.find_subcommand(word));
            let takes_a_word = |found: &clap::Command| found.get_positionals().next().is_some();
            assert!(found.is_some_and(takes_a_word), "{command}");
        }
    }
}
