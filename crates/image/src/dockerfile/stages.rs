//! Which stages a target needs, and in which order they are built.

use super::{
    Dockerfile, Located, Stage,
    error::{Error, Problem, excerpt},
    instruction::{Copy, Instruction},
    position::Position,
    scope::Global,
    variables::{self, expand},
};

/// What a stage is built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// The stage with that number.
    Stage(usize),
    /// An image.
    Image(String),
}

/// Where `COPY --from` finds its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The stage with that number.
    Stage(usize),
    /// An image.
    Image(String),
}

/// The stages that a target needs.
#[derive(Debug, Clone)]
pub struct BuildOrder {
    /// Numbers of stages with their bases, in the order of building; the target is the last.
    pub stages: Vec<(usize, Base)>,
    /// The arguments before the first `FROM`.
    pub global: Global,
}

impl Dockerfile {
    /// Finds the stages that `target` needs: a name or a number, or else the last stage.
    ///
    /// # Errors
    ///
    /// When there is no such stage, or one refers to itself or to a later one.
    pub fn build_order(
        &self,
        target: Option<&str>,
        mut global: Global,
    ) -> Result<BuildOrder, Error> {
        for line in &self.arguments {
            let Instruction::Arg(arguments) = &line.instruction else { continue };
            for (name, default) in arguments {
                let default = default.as_deref().map(|text| self.global(line, text, &global));
                global.declare(name, default.transpose()?);
            }
        }
        let target = self.target(target)?;
        let mut needed = vec![false; self.stages.len()];
        needed[target] = true;
        let mut stages = Vec::new();
        for (index, stage) in self.stages.iter().enumerate().take(target + 1).rev() {
            if !needed[index] {
                continue;
            }
            let base = self.base(index, stage, &global)?;
            if let Base::Stage(base) = base {
                needed[base] = true;
            }
            for origin in self.origins(index, stage)? {
                needed[origin] = true;
            }
            stages.push((index, base));
        }
        stages.reverse();
        Ok(BuildOrder { stages, global })
    }

    fn global(&self, line: &Located, word: &str, global: &Global) -> Result<String, Error> {
        expand(word, self.escape, global).map_err(|problem| self.variable(line, word, problem))
    }

    /// A problem with a variable of a line.
    pub(crate) fn variable(
        &self,
        line: &Located,
        word: &str,
        problem: variables::Problem,
    ) -> Error {
        self.error(line, Problem::Variable { word: excerpt(word), problem })
    }

    /// A problem of a line.
    pub(crate) fn error(&self, line: &Located, problem: Problem) -> Error {
        Error::new(&self.file, line.position, problem)
    }

    fn target(&self, target: Option<&str>) -> Result<usize, Error> {
        let last = self.stages.len() - 1;
        let Some(target) = target else { return Ok(last) };
        if let Some(index) = self.named(target) {
            return Ok(index);
        }
        if let Some(index) = number(target).filter(|index| *index <= last) {
            return Ok(index);
        }
        let names: Vec<&str> =
            self.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
        let there = match names.is_empty() {
            true => format!("the {} stages have numbers only", self.stages.len()),
            false => format!("there are: {}", names.join(", ")),
        };
        let position = self.stages[last].from.position;
        let problem = Problem::NoTarget { name: excerpt(target), there };
        Err(Error::new(&self.file, position, problem))
    }

    fn named(&self, name: &str) -> Option<usize> {
        let is_it =
            |stage: &Stage| stage.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.stages.iter().position(is_it)
    }

    fn base(&self, index: usize, stage: &Stage, global: &Global) -> Result<Base, Error> {
        let Instruction::From(from) = &stage.from.instruction else { return Ok(Base::Scratch) };
        if let Some(platform) = &from.platform {
            let value = self.global(&stage.from, platform, global)?;
            if !value.is_empty() && !matches!(value.as_str(), "linux/amd64" | "linux/x86_64") {
                return Err(self.error(&stage.from, Problem::Platform { value }));
            }
        }
        let image = self.global(&stage.from, &from.image, global)?;
        if image.is_empty() {
            return Err(self.error(&stage.from, Problem::NoBase(excerpt(&from.image))));
        }
        match self.named(&image) {
            Some(earlier) if earlier < index => Ok(Base::Stage(earlier)),
            // `FROM name AS name` means the image, as in Docker.
            Some(later) if later > index => Err(self.order(&stage.from, index, later)),
            _ if image == "scratch" => Ok(Base::Scratch),
            _ => Ok(Base::Image(image)),
        }
    }

    fn origins(&self, index: usize, stage: &Stage) -> Result<Vec<usize>, Error> {
        let mut found = Vec::new();
        for line in &stage.instructions {
            let Instruction::Copy(Copy { from: Some(from), .. }) = &line.instruction else {
                continue;
            };
            if let Origin::Stage(earlier) = self.origin(index, line, from)? {
                found.push(earlier);
            }
        }
        Ok(found)
    }

    /// What `--from=text` means in the stage `index`.
    ///
    /// # Errors
    ///
    /// When it is that stage or a later one.
    pub fn origin(&self, index: usize, line: &Located, text: &str) -> Result<Origin, Error> {
        let stage = self.named(text).or_else(|| number(text));
        match stage {
            Some(earlier) if earlier < index => Ok(Origin::Stage(earlier)),
            Some(later) if later < self.stages.len() => Err(self.order(line, index, later)),
            Some(_) => {
                let there = format!("the stages have the numbers 0 to {}", self.stages.len() - 1);
                Err(self.error(line, Problem::NoTarget { name: excerpt(text), there }))
            }
            None => Ok(Origin::Image(text.to_owned())),
        }
    }

    fn order(&self, line: &Located, from: usize, to: usize) -> Error {
        let position: Position = self.stages[to].from.position;
        let (from, to) = (self.called(from), self.called(to));
        self.error(line, Problem::Order { from, to, position })
    }

    /// A stage's name, or its number.
    #[must_use]
    pub fn called(&self, index: usize) -> String {
        self.stages[index].name.clone().unwrap_or_else(|| index.to_string())
    }
}

fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{super::scope::Given, *};

    fn build_order(text: &str, target: Option<&str>) -> Result<Vec<(usize, Base)>, String> {
        let parsed = Dockerfile::parse("D", text.as_bytes()).unwrap();
        let order = parsed.build_order(target, Global::new(Given::new()));
        order.map(|order| order.stages).map_err(|error| error.to_string())
    }

    const THREE: &str =
        "FROM scratch AS base\nFROM base AS Left\nFROM base\nCOPY --from=left / /\n";

    #[test]
    fn only_what_the_target_needs_is_built() {
        let (base, left) = ((0, Base::Scratch), (1, Base::Stage(0)));
        assert_eq!(
            build_order(THREE, None).unwrap(),
            [base.clone(), left.clone(), (2, Base::Stage(0))]
        );
        assert_eq!(build_order(THREE, Some("LEFT")).unwrap(), [base.clone(), left]);
        assert_eq!(build_order(THREE, Some("0")).unwrap(), [base]);
        let error = build_order(THREE, Some("right")).unwrap_err();
        assert!(error.contains("there are: base, left"), "{error}");
    }

    #[test]
    fn a_base_is_named_by_arguments_before_from() {
        let image = |name: &str| Ok(vec![(0, Base::Image(name.to_owned()))]);
        assert_eq!(build_order("ARG V=1\nARG I=a:$V\nFROM ${I:-b}", None), image("a:1"));
        assert_eq!(build_order("FROM a AS a", None), image("a"));
        assert_eq!(build_order("FROM --platform=$BUILDPLATFORM a", None), image("a"));
        let error = build_order("FROM $NONE", None).unwrap_err();
        assert!(error.starts_with("D:1:1: the name of the base image is empty"), "{error}");
        let error = build_order("FROM --platform=linux/arm64 a", None).unwrap_err();
        assert!(error.contains("linux/arm64"), "{error}");
    }

    #[test]
    fn a_circle_of_stages_names_both() {
        let later = "FROM scratch AS a\nCOPY --from=b /x /\nFROM a AS b\n";
        let error = build_order(later, None).unwrap_err();
        assert!(
            error.starts_with("D:2:1: the stage a refers to the stage b, which is later, at 3:1"),
            "{error}"
        );
        let itself = build_order("FROM scratch AS a\nCOPY --from=a /x /\n", None).unwrap_err();
        assert!(itself.contains("the stage a refers to the stage a, which is itself"), "{itself}");
        let base = build_order("FROM b AS a\nFROM a AS b\n", None).unwrap_err();
        assert!(base.contains("a refers to the stage b"), "{base}");
        let number = build_order("FROM scratch\nCOPY --from=0 /x /\n", None).unwrap_err();
        assert!(number.contains("the stage 0 refers to the stage 0"), "{number}");
        let beyond = build_order("FROM scratch\nCOPY --from=7 /x /\n", None).unwrap_err();
        assert!(beyond.contains("no stage is called \"7\""), "{beyond}");
    }
}
