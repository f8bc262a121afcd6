//! What a container of an image runs: the image's config, and what its user says otherwise.
//!
//! ```text
//!   image               user                        program
//!   ENTRYPOINT + CMD    words                  ->   ENTRYPOINT + words
//!   ENTRYPOINT + CMD    --entrypoint + words   ->   --entrypoint + words
//!   CMD                 words                  ->   words
//! ```
//!
//! Source: Docker's reference of Dockerfiles, "Understand how CMD and ENTRYPOINT interact".

use crate::config::Execution;

/// What every container has in its environment if its image does not say otherwise.
pub const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the user of an image says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The words behind the image's name.
    pub words: Vec<String>,
    /// Another entrypoint; an empty one means none.
    pub entrypoint: Option<String>,
}

/// An image without anything to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the image has neither Entrypoint nor Cmd, and no command was given")]
pub struct NoCommand;

impl Execution {
    /// The program and its arguments.
    ///
    /// # Errors
    ///
    /// When neither the image nor its user names one.
    pub fn arguments(&self, overrides: &Overrides) -> Result<Vec<String>, NoCommand> {
        let (entrypoint, cmd) = match &overrides.entrypoint {
            // The image's Cmd was for the image's entrypoint.
            Some(given) if given.is_empty() => (Vec::new(), None),
            Some(given) => (vec![given.clone()], None),
            None => (self.entrypoint.clone().unwrap_or_default(), self.cmd.clone()),
        };
        let rest = match overrides.words.is_empty() {
            true => cmd.unwrap_or_default(),
            false => overrides.words.clone(),
        };
        let all: Vec<String> = entrypoint.into_iter().chain(rest).collect();
        // An empty word is a command that cannot be found; no word is none.
        if all.is_empty() { Err(NoCommand) } else { Ok(all) }
    }

    /// Its environment, the usual `PATH` included: names and values. Entries without `=` say nothing.
    pub fn environment(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(self.env.len() + 1);
        if !self.env.iter().any(|entry| entry.starts_with("PATH=")) {
            all.push(("PATH", USUAL_PATH));
        }
        all.extend(self.env.iter().filter_map(|entry| entry.split_once('=')));
        all
    }

    /// Its working directory, an absolute path.
    pub fn directory(&self) -> String {
        match self.working_dir.starts_with('/') {
            true => self.working_dir.clone(),
            false => format!("/{}", self.working_dir),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn entrypoint_and_cmd_interact_as_in_dockers_table() {
        let some = |text: &str| (text != "-").then(|| words(text));
        for (entrypoint, cmd, given_entrypoint, given, program) in [
            ("-", "sh -c x", None, "", "sh -c x"),
            ("-", "sh -c x", None, "ls /", "ls /"),
            ("echo a", "b", None, "", "echo a b"),
            ("echo a", "b", None, "c", "echo a c"),
            ("echo a", "-", None, "", "echo a"),
            ("echo a", "b", Some("cat"), "", "cat"),
            ("echo a", "b", Some("cat"), "c", "cat c"),
            ("echo a", "b", Some(""), "ls", "ls"),
        ] {
            let execution =
                Execution { entrypoint: some(entrypoint), cmd: some(cmd), ..Execution::default() };
            let overrides =
                Overrides { words: words(given), entrypoint: given_entrypoint.map(str::to_owned) };
            assert_eq!(execution.arguments(&overrides), Ok(words(program)));
        }
        let nothing = Execution { cmd: Some(Vec::new()), ..Execution::default() };
        assert_eq!(nothing.arguments(&Overrides::default()), Err(NoCommand));
        let echo = Execution { entrypoint: Some(words("echo")), ..Execution::default() };
        let none = Overrides { entrypoint: Some(String::new()), ..Overrides::default() };
        assert_eq!(echo.arguments(&none), Err(NoCommand));
    }

    #[test]
    fn an_image_without_a_path_has_the_usual_one() {
        let env = vec!["A=b=c".into(), "strange".into(), "E=".into()];
        let execution = Execution { env, ..Execution::default() };
        assert_eq!(execution.environment(), [("PATH", USUAL_PATH), ("A", "b=c"), ("E", "")]);
        let execution = Execution { env: vec!["PATH=/x".into()], ..Execution::default() };
        assert_eq!(execution.environment(), [("PATH", "/x")]);
        assert_eq!(execution.directory(), "/");
    }
}
