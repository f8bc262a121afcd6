//! The fields of a container or an exec in a request, and what they mean.

use host::Language;
use sandbox::Question::{self, Boundary, Budget, Inside, Power, WayOut};

use super::{short, values::Form};

/// A field of a body, and its meaning. In the sentences, `{}` is its value.
pub(super) struct Field {
    /// Without `HostConfig`.
    path: &'static str,
    pub(super) question: Question,
    /// The option of the docker command that sets it.
    option: &'static str,
    pub(super) form: Form,
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
    field(
        "Runtime",
        (Boundary, "--runtime", Form::Plain),
        ("made by the runtime {}", "运行时是 {}"),
    ),
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

/// The field at that path.
pub(super) fn at(path: &str) -> Option<&'static Field> {
    FIELDS.get(position(path))
}

/// Where it stands among all; those that are unknown come last.
pub(super) fn position(path: &str) -> usize {
    let plain = path.strip_prefix("HostConfig.").unwrap_or(path);
    FIELDS.iter().position(|field| field.path == plain).unwrap_or(FIELDS.len())
}

impl Field {
    /// What the value `text` means, and the option that sets it.
    pub(super) fn words(&self, text: &str, language: Language) -> String {
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
