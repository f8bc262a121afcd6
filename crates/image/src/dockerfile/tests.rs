//! Whole Dockerfiles.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// The instructions of the only stage.
fn stage(text: &str) -> Vec<Instruction> {
    let whole = parse(&format!("FROM scratch\n{text}"));
    whole
        .stages
        .into_iter()
        .next()
        .unwrap()
        .instructions
        .into_iter()
        .map(|line| line.instruction)
        .collect()
}

fn one(text: &str) -> Instruction {
    let mut all = stage(text);
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

fn refused(text: &str) -> String {
    Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap_err().to_string()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn shell(text: &str) -> Command {
    Command::Shell(text.to_owned())
}

fn exec(words: &[&str]) -> Command {
    Command::Exec(strings(words))
}

#[test]
fn each_instruction_is_typed() {
    let copy = |sources: &[&str], destination: &str| Copy {
        sources: strings(sources),
        destination: destination.to_owned(),
        from: None,
        chown: None,
        chmod: None,
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (text, instruction) in [
        ("RUN echo a  b", Instruction::Run(shell("echo a  b"))),
        (r#"run ["a", "b \"c\""]"#, Instruction::Run(exec(&["a", "b \"c\""]))),
        ("RUN [ -f /a ] && b", Instruction::Run(shell("[ -f /a ] && b"))),
        ("RUN ['a']", Instruction::Run(shell("['a']"))),
        ("COPY a b /c/", Instruction::Copy(copy(&["a", "b"], "/c/"))),
        (r#"COPY ["a b", "/c d"]"#, Instruction::Copy(copy(&["a b"], "/c d"))),
        (
            "COPY --from=0 --chown=a:b --chmod=755 --link a b",
            Instruction::Copy(Copy {
                from: Some("0".into()),
                chown: Some("a:b".into()),
                chmod: Some("755".into()),
                ..copy(&["a"], "b")
            }),
        ),
        ("ADD a.tar /", Instruction::Add(copy(&["a.tar"], "/"))),
        ("ENV a=1 b='2 3'", Instruction::Env(vec![pair("a", "1"), pair("b", "'2 3'")])),
        ("ENV a b c", Instruction::Env(vec![pair("a", "b c")])),
        ("LABEL \"a b\"=c", Instruction::Label(vec![pair("\"a b\"", "c")])),
        ("ARG a b=$a", Instruction::Arg(vec![("a".into(), None), ("b".into(), Some("$a".into()))])),
        ("WORKDIR a b", Instruction::Workdir("a b".into())),
        ("USER a:b", Instruction::User("a:b".into())),
        ("EXPOSE 80 $P/udp", Instruction::Expose(strings(&["80", "$P/udp"]))),
        ("VOLUME /a /b", Instruction::Volume(strings(&["/a", "/b"]))),
        (r#"VOLUME ["/a b"]"#, Instruction::Volume(strings(&["/a b"]))),
        ("ENTRYPOINT a", Instruction::Entrypoint(shell("a"))),
        (r#"ENTRYPOINT ["a"]"#, Instruction::Entrypoint(exec(&["a"]))),
        ("ENTRYPOINT []", Instruction::Entrypoint(exec(&[]))),
        ("CMD []", Instruction::Cmd(exec(&[]))),
        (r#"CMD ["\u0041"]"#, Instruction::Cmd(exec(&["A"]))),
        (r#"SHELL ["/bin/bash", "-c"]"#, Instruction::Shell(strings(&["/bin/bash", "-c"]))),
        ("STOPSIGNAL SIGTERM", Instruction::StopSignal("SIGTERM".into())),
        ("HEALTHCHECK NONE", Instruction::Healthcheck(Healthcheck::None)),
        (
            "HEALTHCHECK --interval=5m --timeout=3s --retries=2 CMD curl -f x",
            Instruction::Healthcheck(Healthcheck::Check {
                command: shell("curl -f x"),
                interval: Some(Duration::from_secs(300)),
                timeout: Some(Duration::from_secs(3)),
                start_period: None,
                start_interval: None,
                retries: Some(2),
            }),
        ),
        ("MAINTAINER A <a@b>", Instruction::Maintainer("A <a@b>".into())),
    ] {
        assert_eq!(one(text), instruction, "{text}");
    }
}

#[test]
fn lines_continue_as_docker_reads_them() {
    let run = |text: &str| Instruction::Run(shell(text));
    assert_eq!(one("RUN a \\\n  b"), run("a   b"));
    assert_eq!(one("RUN a \\  \t\r\n b\r\n"), run("a  b"));
    assert_eq!(one("RUN a \\\n# comment\n   # another \\\n\n b"), run("a  b"));
    assert_eq!(one("RUN a \\"), run("a"));
    assert_eq!(one("RU\\\nN a"), run("a"));
    assert_eq!(one("RUN echo # kept"), run("echo # kept"));
    assert_eq!(
        stage("RUN a \\\\\nRUN b"),
        [run("a \\\\"), run("b")],
        "an escaped escape character"
    );
    assert_eq!(one("  # comment\n\n  RUN a"), run("a"));
    let backquote = parse("# escape=`\nFROM scratch\nRUN a\\\nRUN b `\n c");
    assert_eq!(backquote.stages[0].instructions.len(), 2);
    assert_eq!(backquote.stages[0].instructions[1].instruction, run("b  c"));
    assert_eq!(parse("#syntax=x\n# ESCAPE = `\nFROM a").escape, '`');
    assert_eq!(parse("# comment\n# escape=`\nFROM a").escape, '\\', "it is too late there");
    assert_eq!(parse("\u{feff}FROM a").stages.len(), 1);
}

#[test]
fn what_is_written_where_is_known() {
    let whole = parse("ARG a\n\nFROM scratch AS One\n  RUN a \\\n b\nONBUILD  RUN x\n");
    let positions = |lines: &[Located]| -> Vec<String> {
        lines.iter().map(|line| line.position.to_string()).collect()
    };
    assert_eq!(positions(&whole.arguments), ["1:1"]);
    assert_eq!(whole.stages[0].from.position.to_string(), "3:1");
    assert_eq!(whole.stages[0].name.as_deref(), Some("one"));
    assert_eq!(positions(&whole.stages[0].instructions), ["4:3", "6:1"]);
    let Instruction::Onbuild(trigger) = &whole.stages[0].instructions[1].instruction else {
        panic!("ONBUILD is a trigger")
    };
    assert_eq!((trigger.position.to_string().as_str(), trigger.text.as_str()), ("6:10", "RUN x"));
    assert_eq!(parse_trigger("image a", "RUN x").unwrap().instruction, trigger.instruction);
}

#[test]
fn what_is_not_supported_is_refused_with_its_place_and_the_way_out() {
    for (text, message) in [
        ("", "Dockerfile:1:1: no FROM"),
        ("ARG a\n", "Dockerfile:1:1: no FROM"),
        ("RUN a\nFROM b", "Dockerfile:1:1: RUN before the first FROM"),
        ("FROM a\nFOO b", "Dockerfile:2:1: unknown instruction: FOO"),
        (
            "FROM a\nRUN --mount=type=cache,target=/x y",
            "Dockerfile:2:5: RUN --mount is not supported: COPY what",
        ),
        ("FROM a\nRUN \\\n  --network=none y", "Dockerfile:3:3: RUN --network is not supported"),
        ("FROM a\nRUN --security=insecure y", "Dockerfile:2:5: RUN --security is not supported"),
        ("FROM a\nCOPY --parents a b", "Dockerfile:2:6: COPY --parents is not supported"),
        (
            "FROM a\nCOPY --exclude=x --exclude=y a b",
            "Dockerfile:2:6: COPY --exclude is not supported: list",
        ),
        ("FROM a\nCOPY --what a b", "Dockerfile:2:6: COPY --what is not supported"),
        ("FROM a\nCOPY --from a b", "Dockerfile:2:6: --from has the value \"\""),
        ("FROM a\nCOPY --chown=a --chown=b a b", "Dockerfile:2:16: --chown is given twice"),
        ("FROM a\nADD --checksum=x a b", "Dockerfile:2:5: ADD --checksum is not supported"),
        ("FROM a\nADD https://x/y /", "Dockerfile:2:5: ADD does not download: RUN"),
        ("FROM a\nADD b git@x:y.git /", "Dockerfile:2:7: ADD does not download"),
        (
            "FROM a\nRUN cat <<EOF\nFROM b\nEOF",
            "Dockerfile:2:1: here-documents are not supported: write",
        ),
        ("FROM a\nCOPY <<EOF /x\nb\nEOF", "Dockerfile:2:1: here-documents"),
        ("FROM a\nCOPY a", "Dockerfile:2:1: COPY instruction requires at least two"),
        ("FROM a\nSHELL sh -c", "Dockerfile:2:7: expected JSON array"),
        ("FROM a\nHEALTHCHECK FOO", "Dockerfile:2:"),
        (
            "FROM a\nHEALTHCHECK --interval=1 CMD a",
            "Dockerfile:2:13: --interval has the value \"1\"",
        ),
        (
            "FROM a\nHEALTHCHECK --interval=1s NONE",
            "Dockerfile:2:1: HEALTHCHECK NONE takes no flags",
        ),
        ("FROM a\nONBUILD ONBUILD RUN a", "Dockerfile:2:1: ONBUILD ONBUILD is not allowed"),
        ("FROM a\nONBUILD from b", "Dockerfile:2:1: ONBUILD FROM is not allowed"),
        ("FROM a\nONBUILD", "Dockerfile:2:1: ONBUILD needs"),
        ("FROM a\nONBUILD RUN --mount=x a", "Dockerfile:2:13: RUN --mount"),
        ("FROM a AS 1b", "Dockerfile:1:11: invalid stage name \"1b\""),
        ("FROM a AS b\nFROM c AS B", "Dockerfile:2:1: the stage b is there already, at 1:1"),
        ("FROM a b", "Dockerfile:1:8: expected AS"),
        ("FROM a\nENV a=1 b", "Dockerfile:2:5: \"b\" is not NAME=VALUE"),
        ("FROM a\nENV", "Dockerfile:2:1:"),
        ("# escape=x\nFROM a", "Dockerfile:1:1: the escape character"),
        ("# escape=`\n# escape=`\nFROM a", "Dockerfile:2:1: only one escape"),
        ("FROM a\nRUN é\0", "Dockerfile:2:6: not text"),
    ] {
        let error = refused(text);
        assert!(error.starts_with(message), "{text}: {error}");
    }
    let invalid = Dockerfile::parse("D", b"FROM a\nRUN \xff").unwrap_err();
    assert!(invalid.to_string().starts_with("D:2:5: not text"), "{invalid}");
    let large = Dockerfile::parse("D", &vec![b'\n'; (1 << 20) + 1]).unwrap_err();
    assert!(matches!(large.problem, Problem::TooLarge { .. }));
}

#[test]
fn a_message_is_short_and_moves_no_cursor() {
    let message = refused(&format!("FROM a\n\u{1b}[2J{} b", "x".repeat(100_000)));
    assert!(message.len() < 250 && !message.contains('\u{1b}'), "{message}");
    let flag = refused(&format!("FROM a\nRUN --\u{1b}[2J{} b", "x".repeat(100_000)));
    assert!(flag.len() < 250 && !flag.contains('\u{1b}'), "{flag}");
    let value = refused(&format!("FROM a\nCOPY --link=\u{1b}[2J{} a b", "x".repeat(100_000)));
    assert!(value.len() < 250 && !value.contains('\u{1b}'), "{value}");
    let stage = refused(&format!("FROM a AS \u{1b}[2J{}", "x".repeat(100_000)));
    assert!(stage.len() < 250 && !stage.contains('\u{1b}'), "{stage}");
}

#[test]
fn a_large_dockerfile_takes_no_long_time() {
    let flags = format!(
        "FROM a\nRUN {} x",
        (0..100_000).map(|n| format!("--{n}")).collect::<Vec<_>>().join(" ")
    );
    assert!(refused(&flags).contains("flags"), "{}", refused(&flags));
    let stages: String = (0..60_000).map(|n| format!("FROM a AS s{n}\n")).collect();
    assert!(refused(&stages).contains("at most"), "{}", refused(&stages));
    let opening = format!("FROM a\nRUN {}", "[\"".repeat(400_000));
    assert!(Dockerfile::parse("D", opening.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_a_dockerfile_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Dockerfile::parse("D", &bytes);
    }

    #[test]
    fn any_words_are_a_dockerfile_or_an_error(
        words in prop::collection::vec(prop::sample::select(vec![
            "FROM", "RUN", "COPY", "ADD", "ENV", "ARG", "ONBUILD", "HEALTHCHECK", "CMD", "SHELL",
            "VOLUME", "\n", "\\\n", "\\", "`", "[", "]", "\"", "'", ",", "--from=", "--", "<<E", "=",
            "${", "}", ":-", "$a", " ", "\t", "\r", "é", "#", "# escape=`\n", "\\u", "12", "NONE", "AS",
        ]), 0..40),
        spaces in any::<bool>(),
    ) {
        let text = words.join(if spaces { " " } else { "" });
        for text in [text.clone(), format!("FROM a\n{text}")] {
            if let Ok(parsed) = Dockerfile::parse("D", text.as_bytes()) {
                let _ = parsed.build_order(None, scope::Global::default());
            }
        }
    }
}
