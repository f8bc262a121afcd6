//! `isolab engine explain docker run ...`: what a client would ask for, without doing it.

mod answers;
mod client;
mod stand_in;

use std::{ffi::OsString, path::Path, time::Duration};

use clap::Args;
use engine::watch::{
    RequestRecord,
    words::{self, Part, printable, with_short_ids},
};
use host::Language;
use report::columns::{columns, padded, shortened, wrapped};
use sandbox::Question;
use serde_json::{Value, json};

use self::{client::Client, stand_in::StandIn};
use super::watch::width;
use crate::{ansi::Ansi, failure::Failure, language::LanguageOption, output, stderr, units};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print the requests as a JSON array
    #[arg(long)]
    json: bool,
    /// End the client after this long
    #[arg(long, value_name = "TIME", value_parser = units::deadline, default_value = "10s")]
    timeout: Duration,
    #[command(flatten)]
    language: LanguageOption,
    /// The command: docker, or another program that speaks Docker's API
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

pub(super) const EXAMPLES: &str = "Examples:
  isolab engine explain docker run --rm -m 64m -p 8080:80 busybox echo hi
  isolab engine explain docker exec -it web sh
  isolab engine explain --json docker ps --filter name=web
  isolab engine explain python3 program.py     # any client that reads DOCKER_HOST
";

/// Prints the requests of the client.
pub(super) fn explain(arguments: &Arguments) -> Result<u8, Failure> {
    let language = arguments.language.chosen();
    refuse_other_daemons(&arguments.words)?;
    let stand_in = StandIn::start().map_err(Failure::at("serve at a socket of its own"))?;
    let mut client = Client::start(&arguments.words, &stand_in)?;
    let is_hung = !client.wait(arguments.timeout)?;
    let errors = client.errors();
    let requests = stand_in.requests();
    if requests.is_empty() {
        let said = errors.lines().find(|line| !line.is_empty()).unwrap_or("it said nothing");
        let failure = Failure::refused(format!("the client has asked for nothing: {said}"));
        return Err(failure.help("see whether the command line is right"));
    }
    match arguments.json {
        true => output::print_json(&requests.iter().map(|it| as_json(it, language)).collect())?,
        false => output::print(&page(&requests, language))?,
    }
    if is_hung {
        let words = language.either(
            "the client was ended after {}: it waited for more",
            "客户端等待更多数据，{} 后被结束",
        );
        let after = format!("{:?}", arguments.timeout);
        stderr::remark(&format!("isolab: {}\n", words.replace("{}", &after)));
    }
    Ok(0)
}

/// Options of the docker command itself with which it would talk to somebody else, and really do what
/// it is asked for.
fn refuse_other_daemons(words: &[OsString]) -> Result<(), Failure> {
    if Path::new(&words[0]).file_name().is_none_or(|name| name != "docker") {
        return Ok(()); // of its options nothing is known
    }
    let own = words.iter().skip(1).map(|word| word.to_string_lossy());
    let own = own.take_while(|word| word.starts_with('-'));
    let is_other = |word: &str| {
        ["-H", "--host", "-c", "--context"].iter().any(|option| word.starts_with(option))
    };
    for word in own {
        if is_other(&word) {
            let failure =
                Failure::usage(format!("with {word} the client would talk to another daemon"));
            return Err(
                failure.help("leave it out: here it talks to a stand-in, which does nothing")
            );
        }
    }
    Ok(())
}

fn as_json(request: &RequestRecord, language: Language) -> Value {
    let phrase = words::request(request, language);
    let part = |part: &Part| {
        json!({
            "question": part.question.map(Question::number),
            "field": part.field,
            "value": part.value,
            "words": part.words,
        })
    };
    json!({
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "body": request.body,
        "body_bytes": request.body_bytes,
        "has_credentials": request.has_credentials,
        "what": phrase.what,
        "parts": phrase.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

fn page(requests: &[RequestRecord], language: Language) -> String {
    let (ansi, width) = (Ansi::of_output(), width());
    let mut page = String::new();
    for (number, request) in requests.iter().enumerate() {
        page += &lines(number + 1, request, language, ansi, width);
    }
    let count = requests.len().to_string();
    let ends =
        language.either("{} requests; nothing of it was done", "共 {} 个请求；什么都没有执行");
    page + &ansi.dim(&ends.replace("{}", &count)) + "\n"
}

/// A request with its parts:
///
/// ```text
///  2  POST /v1.47/containers/create
///     make a container of the image busybox, without starting it
///     2 budget    HostConfig.Memory: 67108864
///                 at most 64 MiB of memory (-m)
/// ```
fn lines(
    number: usize,
    request: &RequestRecord,
    language: Language,
    ansi: Ansi,
    width: usize,
) -> String {
    const MARGIN: usize = 4;
    let lead = padded("", MARGIN + 12);
    let phrase = words::request(request, language);
    let mut head = format!("{} {}", request.method, with_short_ids(&request.path));
    if !request.query.is_empty() {
        head += &format!("?{}", with_short_ids(&request.query));
    }
    let mut page = String::new();
    for (at, line) in wrapped(&printable(&head), width - MARGIN).iter().enumerate() {
        let number = if at == 0 { format!("{number:>2}") } else { "  ".into() };
        page += &format!("{number}  {line}\n");
    }
    for line in wrapped(&phrase.what, width - MARGIN) {
        page += &format!("    {}\n", ansi.bold(&line));
    }
    if request.body.is_none()
        && let Some(bytes) = request.body_bytes
    {
        let words =
            language.either("a body of {} bytes, which is no JSON", "正文 {} 字节，不是 JSON");
        page += &format!("    {}\n", words.replace("{}", &bytes.to_string()));
    }
    for part in &phrase.parts {
        let question = part.question.map_or(String::new(), |it| words::question(it, language));
        let field = format!("{}: {}", part.field, part.value);
        let field = shortened(&field, width - columns(&lead));
        page += &format!("    {}{}\n", ansi.yellow(&padded(&question, 12)), ansi.dim(&field));
        if !part.words.is_empty() {
            for line in wrapped(&part.words, width - columns(&lead)) {
                page += &format!("{lead}{line}\n");
            }
        }
    }
    page + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(Into::into).collect()
    }

    #[test]
    fn no_option_leads_to_a_real_daemon() {
        for bad in ["docker -H tcp://x run y", "docker --context=x ps", "docker --tls -c x ps"] {
            assert!(refuse_other_daemons(&words(bad)).is_err(), "{bad}");
        }
        assert!(refuse_other_daemons(&words("docker run -c 5 -h name x")).is_ok());
    }
}
