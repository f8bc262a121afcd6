//! Requests and answers in words, in two languages: for `isolab engine watch`, for `isolab engine
//! explain`, and for the demonstration `engine`.

mod answers;
mod fields;
mod parameters;
mod parts;
mod routes;
mod values;

use host::Language;
use sandbox::Question;
use serde_json::Value;

use super::{AnswerRecord, RequestRecord, query};

/// A request in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// What it asks for, in a sentence.
    pub what: String,
    /// What it says besides, by the five questions; what belongs to none of them is last.
    pub parts: Vec<Part>,
}

/// A part of a request that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The question that it answers, if it is one of a container.
    pub question: Option<Question>,
    /// Where it is: `HostConfig.Memory`, `?condition`.
    pub field: String,
    /// What it is, as JSON; a text without its quotes.
    pub value: String,
    /// What it means, and the option of `docker run` that sets it; empty if that is unknown.
    pub words: String,
}

impl Part {
    /// As one of a list: its words, or what was sent.
    pub fn line(&self) -> String {
        match self.words.is_empty() {
            true => format!("{}={}", self.field, self.value),
            false => self.words.clone(),
        }
    }
}

/// What `request` asks for.
pub fn request(request: &RequestRecord, language: Language) -> Phrase {
    let call = Call::of(request);
    let mut parts = parameters::of_query(&call, language);
    if let Some(body) = &request.body {
        parts.extend(parts::of_body(&call, body, language));
    }
    if request.has_credentials {
        parts.push(Part {
            question: None,
            field: "X-Registry-Auth".into(),
            value: "***".into(),
            words: language
                .either(
                    "with credentials for a registry, not shown",
                    "附带登录镜像仓库的凭据（不显示）",
                )
                .into(),
        });
    }
    parts.sort_by_key(|part| part.question.map_or(usize::MAX, Question::number));
    for part in &mut parts {
        for text in [&mut part.field, &mut part.value, &mut part.words] {
            *text = printable(text);
        }
    }
    Phrase { what: printable(&routes::sentence(&call, language)), parts }
}

/// What `answer` means to who has sent `request`.
pub fn answer(
    request: Option<&RequestRecord>,
    answer: &AnswerRecord,
    language: Language,
) -> String {
    printable(&answers::sentence(request.map(Call::of).as_ref(), answer, language))
}

/// What an upgrade means.
pub fn upgraded(language: Language) -> &'static str {
    language.either(
        "from now on this connection is no HTTP: it carries the streams",
        "此后这条连接不再是 HTTP，而是承载输入输出流",
    )
}

/// A question in few words, with its number.
pub fn question(question: Question, language: Language) -> String {
    let words = match question {
        Question::Boundary => language.either("boundary", "隔离"),
        Question::Budget => language.either("budget", "资源"),
        Question::Inside => language.either("inside", "内部"),
        Question::Power => language.either("power", "权限"),
        Question::WayOut => language.either("way out", "往来"),
    };
    format!("{} {words}", question.number())
}

/// A request, taken apart.
struct Call<'a> {
    method: &'a str,
    /// The path without the version, decoded.
    parts: Vec<String>,
    query: Vec<(String, String)>,
    body: Option<&'a Value>,
}

impl<'a> Call<'a> {
    fn of(request: &'a RequestRecord) -> Self {
        let parts = request.path.split('/').filter(|part| !part.is_empty());
        let decoded = parts.map(|part| query::decode(part).unwrap_or_else(|| part.to_owned()));
        let mut parts: Vec<String> = decoded.collect();
        if parts.first().is_some_and(|part| part.starts_with("v1.")) {
            parts.remove(0);
        }
        Self {
            method: &request.method,
            parts,
            query: query::pairs(&request.query),
            body: request.body.as_ref(),
        }
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn body(&self, name: &str) -> Option<&str> {
        self.body.and_then(|body| body[name].as_str()).filter(|text| !text.is_empty())
    }
}

/// A text that a terminal shows and does not obey: control characters, which any client can send, are
/// written as in a string of Rust.
pub fn printable(text: &str) -> String {
    let one = |letter: char| match letter.is_control() {
        true => letter.escape_debug().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(one).collect()
}

/// A name for people: what looks like an id is shortened to its first twelve digits.
pub fn short(name: &str) -> &str {
    let plain = name.strip_prefix("sha256:").unwrap_or(name);
    let is_id = plain.len() == 64 && plain.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { &plain[..12] } else { name }
}

/// A text with its ids shortened, such as a path.
pub fn with_short_ids(text: &str) -> String {
    const DIGITS: usize = 12;
    const LEAST: usize = 32;
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_hexdigit()) {
        let (before, behind) = rest.split_at(at);
        let end = behind.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(behind.len());
        kept += before;
        kept += if end >= LEAST { &behind[..DIGITS] } else { &behind[..end] };
        rest = &behind[end..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_is_told_by_the_five_questions() {
        let body = json!({
            "Hostname": "", "Image": "busybox", "Cmd": ["echo", "hi there"], "Env": ["A=B"],
            "AttachStdout": true, "AttachStderr": true, "Tty": false, "Volumes": {},
            "ExposedPorts": { "80/tcp": {} },
            "HostConfig": {
                "Memory": 67_108_864, "NanoCpus": 500_000_000, "PidsLimit": 0,
                "MemorySwappiness": -1, "NetworkMode": "default", "AutoRemove": true,
                "Binds": ["/etc:/e:ro"], "CapDrop": ["ALL"], "ConsoleSize": [0, 0],
                "PortBindings": { "80/tcp": [{ "HostIp": "", "HostPort": "8080" }] },
                "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 },
                "LogConfig": { "Type": "", "Config": {} }, "Unknown": { "X": 1 },
            },
            "NetworkingConfig": { "EndpointsConfig": { "default": { "Links": null } } },
        });
        let asked = RequestRecord {
            method: "POST".into(),
            path: "/v1.47/containers/create".into(),
            query: "name=web".into(),
            body: Some(body),
            ..RequestRecord::default()
        };
        let phrase = request(&asked, Language::En);
        assert_eq!(phrase.what, "make the container web of the image busybox, without starting it");
        let lines: Vec<String> = phrase
            .parts
            .iter()
            .map(|part| format!("{} {}", part.question.map_or(0, Question::number), part.line()))
            .collect();
        assert_eq!(
            lines,
            [
                "2 at most 64 MiB of memory (-m)",
                "2 at most 0.5 CPUs (--cpus)",
                "3 of the image busybox",
                "3 /etc of the host is its /e, read-only (-v)",
                "4 without the capabilities ALL (--cap-drop)",
                "5 it runs: echo 'hi there'",
                "5 with the variables A=B (-e)",
                "5 its output goes to the client",
                "5 its errors go to the client",
                "5 it listens on 80/tcp",
                "5 port 8080 of the host leads to its 80/tcp (-p)",
                "5 removed when it has ended (--rm)",
                "0 HostConfig.Unknown.X=1",
            ]
        );
        let chinese = request(&asked, Language::Zh);
        assert_eq!(chinese.what, "用镜像 busybox 创建容器 web，但不启动");
        assert_eq!(chinese.parts.len(), lines.len());
        assert!(chinese.parts[0].words.contains("内存"));
    }

    #[test]
    fn a_client_cannot_write_to_a_watchers_terminal() {
        let evil = "x\u{1b}[2J\u{9b}1m\r\n";
        let asked = RequestRecord {
            method: "POST".into(),
            path: "/v1.47/containers/%1b%5b2J/rename".into(),
            query: "name=%1b%5b2J&x%1b=%0d".into(),
            body: Some(json!({ "Env": [evil], "Image": evil, evil: { evil: evil } })),
            ..RequestRecord::default()
        };
        let phrase = request(&asked, Language::En);
        let body = Some(json!({ "message": evil }));
        let refused = AnswerRecord { status: 404, body, body_bytes: None };
        let lines = phrase.parts.iter().flat_map(|part| [part.line(), part.field.clone()]);
        for line in lines.chain([phrase.what, answer(Some(&asked), &refused, Language::Zh)]) {
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn every_id_is_short() {
        let id = "a".repeat(64);
        let path = with_short_ids(&format!("/v1.47/containers/{id}/start?x={id}"));
        assert_eq!(path, "/v1.47/containers/aaaaaaaaaaaa/start?x=aaaaaaaaaaaa");
        assert_eq!(with_short_ids("mkdir /abc/é/feed"), "mkdir /abc/é/feed");
        assert_eq!(short(&format!("sha256:{id}")), "aaaaaaaaaaaa");
        assert_eq!(short("busybox"), "busybox");
    }
}
