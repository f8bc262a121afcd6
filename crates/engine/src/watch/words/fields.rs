//! The parts of a request: which were set, and what they mean.

use host::Language;
use sandbox::Question::{self, Boundary, Budget, Inside, Power, WayOut};
use serde_json::Value;

use super::{
    Call, Part, short,
    values::{Form, plain},
};

/// A field of a body, and its meaning. In the sentences, `{}` is its value.
struct Field {
    /// Without `HostConfig`.
    path: &'static str,
    question: Question,
    /// The option of the docker command that sets it.
    option: &'static str,
    form: Form,
    en: &'static str,
    zh: &'static str,
}

const fn field(
    path: &'static str,
    (question, option, form): (Question, &'static str, Form),
    (en, zh): (&'static str, &'static str),
) -> Field {
    Field { path, question, option, form, en, zh }
}

/// The fields of containers and execs, by the five questions.
const FIELDS: &[Field] = &[
    field("Hostname", (Boundary, "-h", Form::Plain), ("its host name is {}", "主机名是 {}")),
    field(
        "PidMode",
        (Boundary, "--pid", Form::Plain),
        ("it sees the processes of {}", "看得见 {} 的进程"),
    ),
    field(
        "IpcMode",
        (Boundary, "--ipc", Form::Plain),
        ("it shares System V IPC: {}", "IPC 命名空间：{}"),
    ),
    field(
        "UTSMode",
        (Boundary, "--uts", Form::Plain),
        ("it shares the host name: {}", "UTS 命名空间：{}"),
    ),
    field(
        "UsernsMode",
        (Boundary, "--userns", Form::Plain),
        ("user namespace: {}", "用户命名空间：{}"),
    ),
    field(
        "CgroupnsMode",
        (Boundary, "--cgroupns", Form::Plain),
        ("cgroup namespace: {}", "cgroup 命名空间：{}"),
    ),
    field("Memory", (Budget, "-m", Form::Bytes), ("at most {} of memory", "内存最多 {}")),
    field(
        "MemorySwap",
        (Budget, "--memory-swap", Form::Bytes),
        ("at most {} of memory and swap", "内存加交换区最多 {}"),
    ),
    field(
        "MemoryReservation",
        (Budget, "--memory-reservation", Form::Bytes),
        ("{} of memory are kept for it", "保留内存 {}"),
    ),
    field(
        "NanoCpus",
        (Budget, "--cpus", Form::Billionths),
        ("at most {} CPUs", "最多使用 {} 个 CPU"),
    ),
    field(
        "CpuShares",
        (Budget, "-c", Form::Plain),
        ("its weight among others is {}", "CPU 权重 {}"),
    ),
    field(
        "CpuQuota",
        (Budget, "--cpu-quota", Form::Plain),
        ("{} µs of CPU time a period", "每个周期 {} µs 的 CPU 时间"),
    ),
    field(
        "CpuPeriod",
        (Budget, "--cpu-period", Form::Plain),
        ("a period of {} µs", "周期为 {} µs"),
    ),
    field(
        "CpusetCpus",
        (Budget, "--cpuset-cpus", Form::Plain),
        ("only on the CPUs {}", "只在 CPU {} 上运行"),
    ),
    field(
        "PidsLimit",
        (Budget, "--pids-limit", Form::Plain),
        ("at most {} processes", "最多 {} 个进程"),
    ),
    field(
        "BlkioWeight",
        (Budget, "--blkio-weight", Form::Plain),
        ("its weight at disks is {}", "磁盘权重 {}"),
    ),
    field(
        "ShmSize",
        (Budget, "--shm-size", Form::Bytes),
        ("at most {} in /dev/shm", "/dev/shm 最多 {}"),
    ),
    field(
        "OomKillDisable",
        (Budget, "--oom-kill-disable", Form::Plain),
        ("not killed when its memory is full", "内存用尽时不杀死它"),
    ),
    field("Image", (Inside, "", Form::Plain), ("of the image {}", "来自镜像 {}")),
    field(
        "Binds",
        (Inside, "-v", Form::Binds),
        ("{source} is its {destination}{options}", "{source}挂载在它的 {destination}{options}"),
    ),
    field("Mounts", (Inside, "--mount", Form::Objects), ("mounted in it: {}", "挂载：{}")),
    field("Tmpfs", (Inside, "--tmpfs", Form::Pairs), ("files in memory at {}", "内存文件系统 {}")),
    field("Volumes", (Inside, "-v", Form::Names), ("a new volume at {}", "新的卷挂载在 {}")),
    field(
        "VolumesFrom",
        (Inside, "--volumes-from", Form::Names),
        ("the volumes of {}", "使用 {} 的卷"),
    ),
    field(
        "ReadonlyRootfs",
        (Inside, "--read-only", Form::Plain),
        ("its root is read-only", "根文件系统只读"),
    ),
    field("Devices", (Inside, "--device", Form::Objects), ("it gets the device {}", "可用设备 {}")),
    field("User", (Power, "-u", Form::Plain), ("as the user {}", "以用户 {} 的身份")),
    field("GroupAdd", (Power, "--group-add", Form::Names), ("also in the groups {}", "附加组 {}")),
    field(
        "Privileged",
        (Power, "--privileged", Form::Plain),
        ("with all power of root", "拥有 root 的全部权限"),
    ),
    field(
        "CapAdd",
        (Power, "--cap-add", Form::Names),
        ("with the capabilities {}", "增加 capability {}"),
    ),
    field(
        "CapDrop",
        (Power, "--cap-drop", Form::Names),
        ("without the capabilities {}", "去掉 capability {}"),
    ),
    field("SecurityOpt", (Power, "--security-opt", Form::Names), ("security: {}", "安全选项 {}")),
    field("Ulimits", (Power, "--ulimit", Form::Objects), ("resource limits {}", "资源限制 {}")),
    field("Sysctls", (Power, "--sysctl", Form::Pairs), ("kernel parameters {}", "内核参数 {}")),
    field(
        "OomScoreAdj",
        (Power, "--oom-score-adj", Form::Plain),
        ("its OOM score is changed by {}", "OOM 分数调整 {}"),
    ),
    field(
        "Entrypoint",
        (WayOut, "--entrypoint", Form::Command),
        ("the program is {}", "程序是 {}"),
    ),
    field("Cmd", (WayOut, "", Form::Command), ("it runs: {}", "运行：{}")),
    field("Env", (WayOut, "-e", Form::Names), ("with the variables {}", "环境变量 {}")),
    field("WorkingDir", (WayOut, "-w", Form::Plain), ("in the directory {}", "工作目录 {}")),
    field("Tty", (WayOut, "-t", Form::Plain), ("it has a terminal", "有一个终端")),
    field("OpenStdin", (WayOut, "-i", Form::Plain), ("its input stays open", "标准输入保持打开")),
    field(
        "StdinOnce",
        (WayOut, "", Form::Plain),
        ("until the first client has gone", "直到第一个客户端断开"),
    ),
    field(
        "AttachStdin",
        (WayOut, "", Form::Plain),
        ("its input is from the client", "输入来自客户端"),
    ),
    field(
        "AttachStdout",
        (WayOut, "", Form::Plain),
        ("its output goes to the client", "输出送给客户端"),
    ),
    field(
        "AttachStderr",
        (WayOut, "", Form::Plain),
        ("its errors go to the client", "错误输出送给客户端"),
    ),
    field("Detach", (WayOut, "-d", Form::Plain), ("without a client", "不连接客户端")),
    field("ConsoleSize", (WayOut, "", Form::Plain), ("rows and columns: {}", "行数与列数：{}")),
    field("NetworkMode", (WayOut, "--network", Form::Plain), ("in the network {}", "网络 {}")),
    field("ExposedPorts", (WayOut, "", Form::Names), ("it listens on {}", "监听 {}")),
    field(
        "PortBindings",
        (WayOut, "-p", Form::Ports),
        ("port {host} of the host leads to its {port}", "宿主机端口 {host} 通到它的 {port}"),
    ),
    field(
        "PublishAllPorts",
        (WayOut, "-P", Form::Plain),
        ("each of its ports gets one of the host", "每个端口都在宿主机上发布"),
    ),
    field("Dns", (WayOut, "--dns", Form::Names), ("names are looked up at {}", "DNS 服务器 {}")),
    field(
        "ExtraHosts",
        (WayOut, "--add-host", Form::Names),
        ("in its /etc/hosts: {}", "/etc/hosts 中：{}"),
    ),
    field("Links", (WayOut, "--link", Form::Names), ("linked to {}", "连接到 {}")),
    field("AutoRemove", (WayOut, "--rm", Form::Plain), ("removed when it has ended", "结束后删除")),
    field(
        "RestartPolicy.Name",
        (WayOut, "--restart", Form::Plain),
        ("started again: {}", "重启策略 {}"),
    ),
    field(
        "LogConfig.Type",
        (WayOut, "--log-driver", Form::Plain),
        ("its log is kept by {}", "日志驱动 {}"),
    ),
    field("Labels", (WayOut, "-l", Form::Pairs), ("labels {}", "标签 {}")),
    field(
        "Healthcheck.Test",
        (WayOut, "--health-cmd", Form::Command),
        ("it is well if this succeeds: {}", "健康检查：{}"),
    ),
    field(
        "StopSignal",
        (WayOut, "--stop-signal", Form::Plain),
        ("it is stopped by {}", "停止信号 {}"),
    ),
];

/// A parameter of a query: the last word of the path, its name, and the sentences.
type Parameter = (&'static str, &'static str, &'static str, &'static str);

const PARAMETERS: &[Parameter] = &[
    ("attach", "stream", "as it comes", "实时传送"),
    ("attach", "stdin", "its input is from the client", "输入来自客户端"),
    ("attach", "stdout", "its output goes to the client", "输出送给客户端"),
    ("attach", "stderr", "its errors go to the client", "错误输出送给客户端"),
    ("attach", "logs", "also what it has written before", "也包括以前的输出"),
    ("logs", "stdout", "what it has written", "标准输出"),
    ("logs", "stderr", "its errors too", "也包括错误输出"),
    ("logs", "follow", "and what it will write", "并继续跟随新的输出"),
    ("logs", "timestamps", "each line with its time", "每行带时间"),
    ("logs", "tail", "the last {} lines", "最后 {} 行"),
    ("logs", "since", "since {}", "从 {} 起"),
    ("logs", "until", "until {}", "到 {} 为止"),
    ("wait", "condition", "the answer comes when it is: {}", "到这个状态时才回答：{}"),
    ("resize", "h", "{} rows", "{} 行"),
    ("resize", "w", "{} columns", "{} 列"),
    ("stop", "t", "killed after {} s", "{} 秒后强制结束"),
    ("restart", "t", "killed after {} s", "{} 秒后强制结束"),
    ("stop", "signal", "by the signal {}", "用信号 {}"),
    ("kill", "signal", "the signal {}", "信号 {}"),
    ("json", "all", "those that have ended too", "也包括已结束的"),
    ("json", "size", "with their sizes", "带大小"),
    ("json", "limit", "at most {}", "最多 {} 个"),
    ("*", "filters", "only those with {}", "筛选条件 {}"),
    ("*", "force", "even if it is running or used", "即使正在运行或被使用"),
    ("*", "v", "its unnamed volumes too", "连同它的匿名卷"),
    ("create", "platform", "for the platform {}", "平台 {}"),
    ("build", "t", "named {}", "命名为 {}"),
    ("build", "dockerfile", "the recipe is {}", "构建文件是 {}"),
    ("build", "buildargs", "build arguments {}", "构建参数 {}"),
    ("build", "target", "up to the stage {}", "到阶段 {} 为止"),
    ("build", "nocache", "nothing is taken from the cache", "不使用缓存"),
    ("build", "rm", "containers of steps are removed", "删除中间容器"),
    ("build", "cgroupparent", "in the cgroup {}", "在 cgroup {} 中"),
];

/// What the query says.
pub(super) fn of_query(call: &Call<'_>, language: Language) -> Vec<Part> {
    let last = call.parts.last().map(String::as_str).unwrap_or_default();
    let part = |(name, value): &(String, String)| {
        let is_it = |one: &&Parameter| (one.0 == last || one.0 == "*") && one.1 == name;
        let found = PARAMETERS.iter().find(is_it);
        let words = found.map(|one| language.either(one.2, one.3).replace("{}", short(value)));
        let is_off = matches!(value.as_str(), "0" | "false");
        let words = words.filter(|_| !is_off).unwrap_or_default();
        Part { question: None, field: format!("?{name}"), value: value.clone(), words }
    };
    let is_said = |(name, value): &&(String, String)| !is_usual_parameter(last, name, value);
    call.query.iter().filter(is_said).map(part).collect()
}

/// What the docker command sends though nobody has asked for it, and what the sentence has.
fn is_usual_parameter(last: &str, name: &str, value: &str) -> bool {
    match (last, name) {
        ("create", "name" | "fromImage" | "tag") | ("archive", "path") => true,
        ("tag", "repo" | "tag") | ("search", "term") | ("commit", "container") => true,
        ("logs", "tail") => value == "all",
        ("build", "cpuperiod" | "cpuquota" | "cpushares" | "memory" | "memswap" | "shmsize") => {
            value == "0"
        }
        ("build", "version") => value == "1",
        _ => false,
    }
}

/// What the body says, without what is empty or as usual.
pub(super) fn of_body(call: &Call<'_>, body: &Value, language: Language) -> Vec<Part> {
    let mut parts = Vec::new();
    let is_of_container =
        matches!(call.parts.first().map(String::as_str), Some("containers" | "exec" | "commit"));
    collect(body, "", is_of_container, language, &mut parts);
    // In the order of the table, whatever order a client's fields have.
    parts.sort_by_key(|part| position(&part.field));
    parts
}

fn position(path: &str) -> usize {
    let plain = path.strip_prefix("HostConfig.").unwrap_or(path);
    FIELDS.iter().position(|field| field.path == plain).unwrap_or(FIELDS.len())
}

fn collect(value: &Value, path: &str, known: bool, language: Language, parts: &mut Vec<Part>) {
    if is_unset(value) || is_usual(path, value) {
        return;
    }
    let plain_path = path.strip_prefix("HostConfig.").unwrap_or(path);
    let found = FIELDS.iter().find(|field| known && field.path == plain_path);
    if let Some(field) = found {
        for text in field.form.write(value) {
            let words = field.words(&text, language);
            let (question, path) = (Some(field.question), path.to_owned());
            parts.push(Part { question, field: path, value: plain(value), words });
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(value, &below, known, language, parts);
            }
        }
        value => parts.push(Part {
            question: None,
            field: path.to_owned(),
            value: plain(value),
            words: String::new(),
        }),
    }
}

impl Field {
    fn words(&self, text: &str, language: Language) -> String {
        let sentence = language.either(self.en, self.zh);
        let words = match self.form {
            Form::Binds => bind(sentence, text, language),
            Form::Ports => {
                let (host, port) = text.split_once('|').unwrap_or((text, ""));
                sentence.replace("{host}", host).replace("{port}", port)
            }
            _ => sentence.replace("{}", short(text)),
        };
        match self.option {
            "" => words,
            option => {
                language.either("W (O)", "W（O）").replace('O', option).replacen('W', &words, 1)
            }
        }
    }
}

/// `SOURCE:DESTINATION[:OPTIONS]`: a directory of the host, or a volume.
fn bind(sentence: &str, text: &str, language: Language) -> String {
    let mut parts = text.splitn(3, ':');
    let (source, destination) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let source = match source.starts_with('/') {
        true => language.either("{} of the host", "宿主机的 {} ").replace("{}", source),
        false => language.either("the volume {}", "卷 {} ").replace("{}", source),
    };
    let options = match parts.next() {
        None => String::new(),
        Some("ro") => language.either(", read-only", "，只读").into(),
        Some(other) => format!(", {other}"),
    };
    let filled = sentence.replace("{source}", &source).replace("{destination}", destination);
    filled.replace("{options}", &options)
}

/// Whether nothing is said: the docker command sends all fields that it knows.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_on) => !is_on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.iter().all(is_unset),
        Value::Object(fields) => {
            // `{"80/tcp": {}}` says something by its name.
            let is_set_of_names = fields.keys().any(|name| name.contains(['/', '.']));
            !is_set_of_names && fields.values().all(is_unset)
        }
    }
}

/// Whether it is what a client sends without being asked.
fn is_usual(path: &str, value: &Value) -> bool {
    let text = value.as_str();
    match path {
        "HostConfig.MemorySwappiness" => value == -1,
        "HostConfig.NetworkMode" => text == Some("default"),
        "HostConfig.RestartPolicy.Name" => text == Some("no"),
        "ConsoleSize" | "HostConfig.ConsoleSize" => is_unset(value),
        _ => false,
    }
}
