//! A directory with a supervisor in it.

use std::{fs, fs::File, path::Path, time::Duration};

use engine::supervisor::{Connection, LogOptions, Message, SupervisorOptions, start};
use tempfile::TempDir;

/// What takes longer is stuck.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A launcher in shell: starts the first argument as a script, and sends its process id in four bytes.
/// The descriptors of the launcher are not the script's. It begins when the launcher has ended, or the
/// launcher, a shell, would reap it.
pub const LAUNCHER: &str = r#"
    exec 5<&0
    mkfifo gate
    (read end <gate; exec sh -c "$1" <&5 3>&- 4>&- 5<&-) & pid=$!
    exec 6>gate
    bytes=$(printf '\\%03o\\%03o\\%03o\\000' $((pid & 255)) $((pid >> 8 & 255)) $((pid >> 16)))
    printf "$bytes" >&3
"#;

/// With a log that is never rotated.
pub const LOGGED: SupervisorOptions = SupervisorOptions {
    stdin: false,
    stdin_once: false,
    tty: false,
    log: Some(LogOptions { max_size: 0, max_files: 1 }),
};

/// With input that the client may end.
pub const INTERACTIVE: SupervisorOptions =
    SupervisorOptions { stdin: true, stdin_once: true, ..LOGGED };

/// A supervisor that has `script` started when a client asks for it.
pub struct Supervised {
    directory: TempDir,
}

impl Supervised {
    pub fn new(options: &SupervisorOptions, script: &str) -> Self {
        Self::with_launcher(options, LAUNCHER, script)
    }

    /// With another launcher in shell, which has `script` as its first argument.
    pub fn with_launcher(options: &SupervisorOptions, launcher: &str, script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        start_in(directory.path(), options, launcher, script);
        Self { directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub async fn connect(&self) -> Connection {
        Connection::open(self.path()).await.unwrap()
    }

    /// A client that has subscribed.
    pub async fn subscribe(&self, streams: u32) -> Connection {
        let mut connection = self.connect().await;
        connection.subscribe(streams).await.unwrap();
        connection
    }

    /// The text of the file `name` in the directory.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The output in the log, by stream.
    pub fn logged(&self) -> (String, String) {
        let [mut output, mut error] = [String::new(), String::new()];
        for line in self.file("log").lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = entry["log"].as_str().unwrap();
            match entry["stream"].as_str().unwrap() {
                "stdout" => output.push_str(text),
                "stderr" => error.push_str(text),
                other => panic!("{other}"),
            }
        }
        (output, error)
    }
}

/// Starts a supervisor there.
pub fn start_in(directory: &Path, options: &SupervisorOptions, launcher: &str, script: &str) {
    let shell = File::open("/bin/sh").unwrap();
    start(directory, options, &shell, &["sh", "-c", launcher, "launcher", script]).unwrap();
}

/// All output and the exit code.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Everything {
    pub output: Vec<u8>,
    pub error: Vec<u8>,
    pub pid: Option<u32>,
    pub exit: Option<u32>,
    pub failure: Option<Vec<u8>>,
}

/// Reads messages until the supervisor closes the connection.
pub async fn everything(connection: &mut Connection) -> Everything {
    let mut all = Everything::default();
    while let Some(message) = next(connection).await {
        assert_eq!((all.exit, &all.failure), (None, &None), "{message:?} after the end");
        match message {
            Message::Stdout(bytes) => all.output.extend(bytes),
            Message::Stderr(bytes) => all.error.extend(bytes),
            Message::Started(pid) => all.pid = Some(pid),
            Message::Failed(text) => all.failure = Some(text),
            Message::Exited(status) => all.exit = Some(status),
        }
    }
    all
}

/// The next message.
pub async fn next(connection: &mut Connection) -> Option<Message> {
    tokio::time::timeout(LIMIT, connection.next()).await.expect("a message").unwrap()
}

/// Reads until the output ends with this.
pub async fn read_until(connection: &mut Connection, end: &str) -> String {
    let mut output = Vec::new();
    while !String::from_utf8_lossy(&output).ends_with(end) {
        match next(connection).await {
            Some(Message::Stdout(bytes)) => output.extend(bytes),
            Some(Message::Started(_)) => {}
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&output)),
        }
    }
    String::from_utf8(output).unwrap()
}

/// The supervisor's process id: the parent of the process that has started.
pub fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Waits until that is so.
pub async fn eventually(mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("it becomes so");
}
