//! The binary, run to its end or talked to while it serves.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here takes on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of its own, gone afterwards.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let folder = format!("tickwire-cli-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("plain letters").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program, with nothing of our own environment that it would listen to.
pub(crate) fn tickwire<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("TICKWIRE_") || name == "RUST_LOG" || name.contains("WATCHDOG") {
            command.env_remove(name);
        }
    }
    command.env_remove("NOTIFY_SOCKET").args(arguments);
    command
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn outcome(mut command: Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().expect("the program");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The program's output when all goes well.
pub(crate) fn says<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let outcome = outcome(tickwire(arguments));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stdout
}

/// A server that runs, with its log lines as JSON.
pub(crate) struct Serving {
    child: Child,
    lines: Receiver<String>,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Serving {
    /// Starts `serve` on ports of the system's choice, and waits until it serves.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let ports = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut command = tickwire(ports.iter().chain(arguments).copied());
        command.args(["--log-format", "json"]);
        command.envs(environment.iter().copied());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let stderr = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut serving = Self {
            child,
            lines,
            listen: nowhere,
            admin: nowhere,
        };
        let line = serving.line("serving");
        let address = |field: &str| line[field].as_str().and_then(|text| text.parse().ok());
        serving.listen = address("listen").expect("where it listens");
        serving.admin = address("admin").expect("where the operator asks");
        serving
    }

    /// The next log line with this message; others are passed over.
    pub(crate) fn line(&self, message: &str) -> Value {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no line {message:?} after {seen:#?}");
            };
            let value: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
            if value["message"] == message {
                return value;
            }
            seen.push(line);
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.expect("kill").success());
    }

    /// Waits for the end, and gives the exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        // The log ends with the process; a process that never ends is found here.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
        self.child.wait().expect("a child").code()
    }

    /// The answer of the admin port: status and body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(self.admin).expect("the admin port");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.expect("a status"), answer.split_off(end + 4))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
