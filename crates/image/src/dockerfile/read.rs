//! One logical line to an instruction, by the parser of the package parse-dockerfile.
//!
//! The package gets one line at a time: where lines end is decided in `lines`, by Docker's rules
//! for an escaped escape character and for here-documents, which the package reads otherwise.

use parse_dockerfile as package;

use super::{
    context::{BEFORE, Context, Reader},
    error::{Error, Problem, excerpt},
    flags::Flags,
    here,
    instruction::{Command, Copy, From, Healthcheck, Instruction, Located},
    lines::LogicalLine,
    pairs, remote,
};

const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl Reader<'_> {
    pub(super) fn read(&self, line: &LogicalLine) -> Result<Located, Error> {
        Context { reader: self, line, offset: 0 }.read()
    }
}

impl Context<'_> {
    fn read(&self) -> Result<Located, Error> {
        let text = &self.line.text[self.offset..];
        let word = text.split(char::is_whitespace).next().unwrap_or_default();
        let keyword = KEYWORDS.into_iter().find(|keyword| word.eq_ignore_ascii_case(keyword));
        let Some(keyword) = keyword else {
            return Err(self.error(0, Problem::UnknownInstruction(excerpt(word))));
        };
        let rest = text[word.len()..].trim();
        let instruction = match keyword {
            "ONBUILD" => self.onbuild(word.len())?,
            // The package takes an empty array for a missing argument.
            "ENTRYPOINT" if is_empty_array(rest) => Instruction::Entrypoint(Command::Exec(vec![])),
            _ => {
                self.no_here_document(keyword, rest)?;
                self.parsed(text)?
            }
        };
        let position = self.line.position(self.offset);
        Ok(Located { position, text: text.to_owned(), instruction })
    }

    fn onbuild(&self, keyword: usize) -> Result<Instruction, Error> {
        let behind = &self.line.text[self.offset + keyword..];
        let inner = self.offset + self.line.text[self.offset..].len() - behind.trim_start().len();
        if behind.trim().is_empty() {
            let missing = "ONBUILD needs an instruction".to_owned();
            return Err(self.error(0, Problem::Syntax(missing)));
        }
        // <https://docs.docker.com/reference/dockerfile/#onbuild-limitations>
        let word = behind.split_whitespace().next().unwrap_or_default();
        let never = ["ONBUILD", "FROM", "MAINTAINER"];
        if let Some(name) = never.into_iter().find(|name| word.eq_ignore_ascii_case(name)) {
            return Err(self.error(0, Problem::Onbuild(name)));
        }
        let trigger = Context { reader: self.reader, line: self.line, offset: inner }.read()?;
        Ok(Instruction::Onbuild(Box::new(trigger)))
    }

    fn no_here_document(&self, keyword: &str, rest: &str) -> Result<(), Error> {
        let way_out = match keyword {
            "RUN" => "write the script to a file of the context, COPY it and RUN it",
            "COPY" | "ADD" => "write the text to a file of the context, and copy that",
            _ => return Ok(()),
        };
        match here::document(rest, self.reader.escape) {
            true => Err(self.error(0, Problem::HereDocument(way_out))),
            false => Ok(()),
        }
    }

    fn parsed(&self, text: &str) -> Result<Instruction, Error> {
        let source = format!("{BEFORE}{text}");
        let failed = |error: package::Error| {
            let at = BEFORE.len() + error.column().saturating_sub(1);
            self.error(at, Problem::Syntax(excerpt(&format!("{error:#}"))))
        };
        let mut parsed = package::parse_iter(&source).map_err(failed)?.skip(1);
        let whole = || self.error(0, Problem::Syntax("not one instruction".to_owned()));
        let first = parsed.next().ok_or_else(whole)?.map_err(failed)?;
        match parsed.next() {
            None => self.typed(first),
            Some(_) => Err(whole()),
        }
    }

    fn typed(&self, parsed: package::Instruction<'_>) -> Result<Instruction, Error> {
        use package::Instruction as Parsed;
        Ok(match parsed {
            Parsed::From(from) => self.from(from)?,
            Parsed::Run(run) => {
                Flags::of(self, "RUN", &run.options)?.none_left(run_flag)?;
                Instruction::Run(command(run.arguments))
            }
            Parsed::Copy(copy) => self.copy("COPY", &copy.options, &copy.src, &copy.dest)?,
            Parsed::Add(add) => self.copy("ADD", &add.options, &add.src, &add.dest)?,
            Parsed::Env(env) => Instruction::Env(self.pairs(&env.arguments)?),
            Parsed::Label(label) => Instruction::Label(self.pairs(&label.arguments)?),
            Parsed::Arg(arg) => {
                let named = pairs::optional(&arg.arguments.value, self.reader.escape);
                Instruction::Arg(
                    named.map_err(|problem| self.error(arg.arguments.span.start, problem))?,
                )
            }
            Parsed::Workdir(workdir) => Instruction::Workdir(workdir.arguments.value.into_owned()),
            Parsed::User(user) => Instruction::User(user.arguments.value.into_owned()),
            Parsed::Expose(expose) => Instruction::Expose(owned(expose.arguments)),
            Parsed::Volume(volume) => Instruction::Volume(match volume.arguments {
                package::JsonOrStringArray::Json(words) => owned(words.value),
                package::JsonOrStringArray::String(words) => owned(words),
            }),
            Parsed::Entrypoint(entrypoint) => {
                Instruction::Entrypoint(command(entrypoint.arguments))
            }
            Parsed::Cmd(cmd) => Instruction::Cmd(command(cmd.arguments)),
            Parsed::Shell(shell) => Instruction::Shell(owned(shell.arguments)),
            Parsed::Stopsignal(signal) => {
                Instruction::StopSignal(signal.arguments.value.into_owned())
            }
            Parsed::Healthcheck(check) => Instruction::Healthcheck(self.healthcheck(check)?),
            Parsed::Maintainer(maintainer) => {
                Instruction::Maintainer(maintainer.name.value.into_owned())
            }
            _ => return Err(self.error(0, Problem::Syntax("not an instruction here".to_owned()))),
        })
    }

    fn from(&self, from: package::FromInstruction<'_>) -> Result<Instruction, Error> {
        let mut flags = Flags::of(self, "FROM", &from.options)?;
        let platform = flags.take("platform")?;
        flags.none_left(|_| "FROM takes --platform only")?;
        let name = from.as_.map(|(_, name)| {
            let lower = name.value.to_ascii_lowercase();
            let letter = lower.starts_with(|first: char| first.is_ascii_lowercase());
            let rest = |other: char| other.is_ascii_alphanumeric() || "-_.".contains(other);
            match letter && lower.chars().all(rest) {
                true => Ok(lower),
                false => Err(self.error(name.span.start, Problem::StageName(excerpt(&name.value)))),
            }
        });
        let image = from.image.value.into_owned();
        Ok(Instruction::From(From { image, platform, name: name.transpose()? }))
    }

    fn copy(
        &self,
        keyword: &'static str,
        options: &[package::Flag<'_>],
        sources: &[package::Source<'_>],
        destination: &package::UnescapedString<'_>,
    ) -> Result<Instruction, Error> {
        let mut flags = Flags::of(self, keyword, options)?;
        // A link is an optimisation of where the layer is stored: as a copy it gives the same files.
        flags.switch("link")?;
        let (chown, chmod) = (flags.take("chown")?, flags.take("chmod")?);
        let from = if keyword == "COPY" { flags.take("from")? } else { None };
        flags.none_left(if keyword == "COPY" { copy_flag } else { add_flag })?;
        let sources = sources.iter().map(|source| match source {
            package::Source::Path(path) if keyword == "ADD" && remote::is_remote(&path.value) => {
                Err(self.error(path.span.start, Problem::Download))
            }
            package::Source::Path(path) => Ok(path.value.to_string()),
            _ => Err(self.error(0, Problem::HereDocument("copy a file of the context"))),
        });
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let destination = destination.value.to_string();
        let copy = Copy { sources, destination, from, chown, chmod };
        Ok(if keyword == "COPY" { Instruction::Copy(copy) } else { Instruction::Add(copy) })
    }

    fn pairs(&self, text: &package::UnescapedString<'_>) -> Result<Vec<(String, String)>, Error> {
        pairs::required(&text.value, self.reader.escape)
            .map_err(|problem| self.error(text.span.start, problem))
    }

    fn healthcheck(
        &self,
        check: package::HealthcheckInstruction<'_>,
    ) -> Result<Healthcheck, Error> {
        let mut flags = Flags::of(self, "HEALTHCHECK", &check.options)?;
        let (interval, timeout) = (flags.duration("interval")?, flags.duration("timeout")?);
        let start_period = flags.duration("start-period")?;
        let start_interval = flags.duration("start-interval")?;
        let retries = flags.number("retries")?;
        flags.none_left(health_flag)?;
        match check.arguments {
            package::HealthcheckArguments::Cmd { arguments, .. } => Ok(Healthcheck::Check {
                command: command(arguments),
                interval,
                timeout,
                start_period,
                start_interval,
                retries,
            }),
            _ if !check.options.is_empty() => {
                let plain = "HEALTHCHECK NONE takes no flags".to_owned();
                Err(self.error(0, Problem::Syntax(plain)))
            }
            _ => Ok(Healthcheck::None),
        }
    }
}

fn run_flag(flag: &str) -> &'static str {
    match flag {
        "mount" => "COPY what the command needs, and remove its caches in the same RUN",
        "network" => "the build's network is an option of the build",
        "security" => "commands of a build have the privileges of any container",
        "device" => "commands of a build have no devices of the host",
        _ => "RUN takes no flags",
    }
}

fn copy_flag(flag: &str) -> &'static str {
    match flag {
        "parents" => "COPY each directory to its own destination",
        "exclude" => "list the files in .dockerignore",
        _ => "COPY takes --from, --chown, --chmod and --link",
    }
}

fn add_flag(flag: &str) -> &'static str {
    match flag {
        "checksum" | "keep-git-dir" => "ADD does not download; download it and COPY the file",
        "unpack" => "COPY keeps an archive, and ADD without the flag unpacks it",
        "exclude" => "list the files in .dockerignore",
        "from" => "use COPY --from",
        _ => "ADD takes --chown, --chmod and --link",
    }
}

fn health_flag(_: &str) -> &'static str {
    "it takes --interval, --timeout, --start-period, --start-interval and --retries"
}

fn is_empty_array(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

fn command(arguments: package::Command<'_>) -> Command {
    match arguments {
        package::Command::Exec(words) => Command::Exec(owned(words.value)),
        package::Command::Shell(text) => Command::Shell(text.value.to_owned()),
        other => Command::Shell(format!("{other:?}")),
    }
}

fn owned<'a>(words: impl IntoIterator<Item = package::UnescapedString<'a>>) -> Vec<String> {
    words.into_iter().map(|word| word.value.into_owned()).collect()
}
