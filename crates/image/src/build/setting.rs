//! Instructions that change nothing but the image's config: in a Dockerfile, and as changes of an image
//! that is made otherwise.

use super::{
    error::{BuildError, StepError},
    settings,
};
use crate::{
    config::{Empty, Execution, ImageConfig},
    dockerfile::{
        Dockerfile, Instruction, Located,
        scope::{Given, Global, Stage},
        variables::{expand, expand_words},
    },
};

/// Changes a config as `docker commit --change` and `docker import --change` do: by the instructions CMD,
/// ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR, one a
/// line.
///
/// # Errors
///
/// When a line is malformed, or another instruction.
pub fn apply_changes(config: &mut ImageConfig, changes: &str) -> Result<(), BuildError> {
    const NAME: &str = "the changes";
    let text = format!("FROM scratch\n{changes}");
    let dockerfile = Dockerfile::parse(NAME, text.as_bytes())?;
    let env = config.config.env.iter().filter_map(|entry| entry.split_once('='));
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut scope = Global::new(Given::default()).stage(env);
    let failed = |line: &Located, source: StepError| BuildError::Step {
        file: NAME.into(),
        position: line.position,
        text: line.text.chars().take(80).collect(),
        source: Box::new(source),
    };
    if let Some(stage) = dockerfile.stages.get(1) {
        let text = "FROM is not a change of an image".into();
        return Err(failed(&stage.from, StepError::Refused(text)));
    }
    for line in &dockerfile.stages[0].instructions {
        let changed = change(config, line, dockerfile.escape, &mut scope);
        changed.map_err(|source| failed(line, source))?;
    }
    Ok(())
}

fn change(
    config: &mut ImageConfig,
    line: &Located,
    escape: char,
    scope: &mut Stage,
) -> Result<(), StepError> {
    let expander = Expander { escape, scope };
    match &line.instruction {
        Instruction::Env(pairs) => {
            for (name, value) in expander.pairs(pairs)? {
                scope.set(&name, value);
            }
            let env = scope.env().iter().map(|(name, value)| format!("{name}={value}"));
            config.config.env = env.collect();
        }
        Instruction::Workdir(path) => {
            let path = expander.one(path)?;
            config.config.working_dir = settings::absolute(&config.config.working_dir, &path);
        }
        // A command that the image has stays, whatever its entrypoint is.
        _ => config.config = setting(line, &expander, &config.config, true)?.execution,
    }
    Ok(())
}

/// Expands the variables of an instruction.
pub(super) struct Expander<'a> {
    pub(super) escape: char,
    pub(super) scope: &'a Stage,
}

impl Expander<'_> {
    pub(super) fn one(&self, word: &str) -> Result<String, StepError> {
        let failed =
            |source| StepError::Variable { word: word.chars().take(100).collect(), source };
        expand(word, self.escape, self.scope).map_err(failed)
    }

    fn words(&self, word: &str) -> Result<Vec<String>, StepError> {
        let failed =
            |source| StepError::Variable { word: word.chars().take(100).collect(), source };
        expand_words(word, self.escape, self.scope).map_err(failed)
    }

    /// Names and values. All see the values from before the line.
    pub(super) fn pairs(
        &self,
        pairs: &[(String, String)],
    ) -> Result<Vec<(String, String)>, StepError> {
        let pairs = pairs.iter().map(|(name, value)| {
            let (name, value) = (self.one(name)?, self.one(value)?);
            match name.is_empty() {
                true => Err(StepError::Refused(
                    "a name is empty after its variables are expanded".into(),
                )),
                false => Ok((name, value)),
            }
        });
        pairs.collect()
    }
}

/// What an instruction makes of a config.
pub(super) struct Setting {
    /// The instruction as the history has it.
    pub(super) created_by: String,
    pub(super) execution: Execution,
    pub(super) author: Option<String>,
    pub(super) has_cmd: bool,
}

/// Executes an instruction that changes nothing but the config. `has_cmd` says whether the stage itself
/// has a `CMD`.
pub(super) fn setting(
    line: &Located,
    expander: &Expander<'_>,
    execution: &Execution,
    mut has_cmd: bool,
) -> Result<Setting, StepError> {
    let mut next = execution.clone();
    let array = |words: &[String]| serde_json::to_string(words).unwrap_or_default();
    let mut author = None;
    let created_by = match &line.instruction {
        Instruction::User(user) => {
            next.user = expander.one(user)?;
            if next.user.is_empty() {
                return Err(StepError::Refused(
                    "the user is empty after its variables are expanded".into(),
                ));
            }
            format!("USER {}", next.user)
        }
        Instruction::Expose(words) => {
            let mut ports = Vec::new();
            for word in words {
                ports.extend(expander.words(word)?);
            }
            for port in &ports {
                settings::expose(port, &mut next)?;
            }
            format!("EXPOSE {}", ports.join(" "))
        }
        Instruction::Volume(paths) => {
            let paths =
                paths.iter().map(|path| expander.one(path)).collect::<Result<Vec<_>, _>>()?;
            if paths.iter().any(|path| path.trim().is_empty()) {
                return Err(StepError::Refused("the name of a volume is empty".into()));
            }
            let created_by = format!("VOLUME {}", array(&paths));
            next.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
            created_by
        }
        Instruction::Label(pairs) => {
            let pairs = expander.pairs(pairs)?;
            let created_by = format!("LABEL {}", shown(&pairs));
            next.labels.extend(pairs);
            created_by
        }
        Instruction::Entrypoint(command) => {
            let words = settings::words(command, &next);
            let created_by = format!("ENTRYPOINT {}", array(&words));
            next.entrypoint = (!words.is_empty()).then_some(words);
            // The base's was for the base's entrypoint.
            if !has_cmd {
                next.cmd = None;
            }
            created_by
        }
        Instruction::Cmd(command) => {
            let words = settings::words(command, &next);
            has_cmd = true;
            let created_by = format!("CMD {}", array(&words));
            next.cmd = (!words.is_empty()).then_some(words);
            created_by
        }
        Instruction::Shell(words) => {
            next.shell = Some(words.clone());
            format!("SHELL {}", array(words))
        }
        Instruction::StopSignal(text) => {
            next.stop_signal = settings::signal(&expander.one(text)?)?;
            format!("STOPSIGNAL {}", next.stop_signal)
        }
        Instruction::Healthcheck(check) => {
            next.healthcheck = Some(settings::healthcheck(check));
            line.text.clone()
        }
        Instruction::Onbuild(trigger) => {
            next.on_build.get_or_insert_default().push(trigger.text.clone());
            format!("ONBUILD {}", trigger.text)
        }
        Instruction::Maintainer(name) => {
            author = Some(name.clone());
            format!("MAINTAINER {name}")
        }
        other => {
            return Err(StepError::Refused(format!("{} is not possible here", other.name())));
        }
    };
    Ok(Setting { created_by, execution: next, author, has_cmd })
}

pub(super) fn shown(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_those_of_a_dockerfile_and_no_others() {
        let mut config = ImageConfig::scratch();
        config.config.env = vec!["A=1".into()];
        config.config.cmd = Some(vec!["old".into()]);
        let changes =
            "ENV B=${A}2\nENTRYPOINT [\"/run\"]\nWORKDIR /a\nWORKDIR b\nEXPOSE 80\nLABEL x=y";
        apply_changes(&mut config, changes).unwrap();
        let Execution { env, entrypoint, cmd, working_dir, .. } = config.config.clone();
        assert_eq!(env, ["A=1", "B=12"]);
        assert_eq!((entrypoint, cmd), (Some(vec!["/run".into()]), Some(vec!["old".into()])));
        assert_eq!(working_dir, "/a/b");
        assert!(config.config.exposed_ports.contains_key("80/tcp"));
        for bad in ["RUN true", "COPY a b", "FROM scratch", "FROM x AS y\nCMD z", "NONSENSE", "ENV"]
        {
            assert!(apply_changes(&mut config.clone(), bad).is_err(), "{bad}");
        }
        apply_changes(&mut config, "").unwrap();
    }
}
