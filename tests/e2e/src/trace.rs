//! What strace saw of the appliance: which bytes went to a file or a socket, and in which order.
//!
//! strace holds a thread at the beginning and at the end of each call until it has written its line. So what one thread does
//! because of another's call stands below that call's end, and the order of lines is an order in time.

use std::{
    collections::HashMap,
    path::Path,
    process::{Command, Stdio},
};

/// The calls that make something durable or tell somebody.
const CALLS: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,fsync,fdatasync,sync_file_range";
/// Bytes of a buffer that are shown: a page of the database fits, and what the door writes at once in a test.
const SHOWN: &str = "70000";

/// One system call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its name, such as `fsync`.
    pub name: String,
    /// What its descriptor is open on: a path, or `socket:[inode]`.
    pub file: String,
    /// The bytes that it was given.
    pub data: Vec<u8>,
    /// What it returned; negative if it failed or did not end.
    pub result: i64,
    /// The line on which it began.
    pub began: usize,
    /// The line on which it ended.
    pub ended: usize,
}

/// A command that runs under strace, which writes to `trace`; the process is the command's own.
///
/// # Panics
/// When strace is not installed.
pub fn under(command: &Command, trace: &Path) -> Command {
    let mut traced = strace();
    traced
        .args(["--seccomp-bpf", "-y", "-xx", "-s", SHOWN, "-e", CALLS, "-o"])
        .arg(trace);
    with(traced, command)
}

/// A command whose syncs fail under strace, once each of its threads has done `after` of them; [`let_go`] ends that.
///
/// # Panics
/// When strace is not installed.
pub fn failing(command: &Command, after: u32) -> Command {
    let mut failing = strace();
    let inject = format!("inject=fsync,fdatasync:error=EIO:when={}+", after + 1);
    failing.args([
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        &inject,
        "-o",
        "/dev/null",
    ]);
    with(failing, command)
}

/// Lets a process go that strace holds.
///
/// # Panics
/// When strace does not hold it.
pub fn let_go(process: u32) {
    let tracer = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("TracerPid:"))?;
        rustix::process::Pid::from_raw(line.trim().parse().ok()?)
    };
    let strace = tracer().expect("strace holds it");
    rustix::process::kill_process(strace, rustix::process::Signal::TERM)
        .expect("strace can be signalled");
    crate::until("strace to let go", 10, || tracer().is_none().then_some(()));
}

/// strace beside what it holds, which stays a child of ours, and ready to be ended.
fn strace() -> Command {
    let installed = Command::new("/usr/bin/strace")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    assert!(
        installed.is_ok_and(|status| status.success()),
        "/usr/bin/strace does not run: install Debian's strace, or run `cargo xtask setup`; in a container, allow ptrace"
    );
    let mut strace = Command::new("/usr/bin/strace");
    strace.args(["-D", "-I", "2", "-f"]);
    strace
}

fn with(mut strace: Command, command: &Command) -> Command {
    strace.arg(command.get_program()).args(command.get_args());
    strace
}

/// The calls of a trace, in the order in which they ended.
///
/// # Panics
/// When a line is not as strace writes it, or shows only a part of what was written.
pub fn read(text: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, Call> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let (process, text) = text.split_once(' ').expect("a process and what it did");
        let text = text.trim_start();
        if text.starts_with("+++") || text.starts_with("---") {
            continue;
        }
        if text.starts_with("<...") {
            let Some(mut call) = begun.remove(process) else {
                continue;
            };
            call.result = result(text);
            call.ended = line;
            calls.push(call);
            continue;
        }
        let (name, arguments) = text.split_once('(').expect("a call has arguments");
        let file = file(arguments);
        // What is written to memory alone, as the extension when it is loaded, is no proof of anything, and long.
        let data = if file.starts_with("/memfd:") {
            Vec::new()
        } else {
            bytes(arguments)
        };
        let call = Call {
            name: name.to_owned(),
            file,
            data,
            result: result(text),
            began: line,
            ended: line,
        };
        if text.ends_with("<unfinished ...>") {
            begun.insert(process, call);
        } else {
            calls.push(call);
        }
    }
    calls
}

fn result(text: &str) -> i64 {
    let said = text.rsplit_once(" = ").map(|(_, result)| result);
    let number = said.and_then(|said| said.split(' ').next()?.parse().ok());
    number.unwrap_or(-1)
}

/// What stands between the first `<` and its `>`.
fn file(arguments: &str) -> String {
    let shown = arguments
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or("", |(shown, _)| shown);
    if shown.starts_with(r"\x") {
        return String::from_utf8_lossy(&unescaped(shown)).into_owned();
    }
    shown.to_owned()
}

/// What stands between quotation marks, one piece after the other.
fn bytes(arguments: &str) -> Vec<u8> {
    let mut data = Vec::new();
    for (n, piece) in arguments.split('"').enumerate() {
        if n % 2 == 1 {
            data.extend(unescaped(piece));
        } else {
            assert!(
                !piece.starts_with("..."),
                "only a part is shown: {arguments:.200}"
            );
        }
    }
    data
}

fn unescaped(text: &str) -> Vec<u8> {
    text.split(r"\x")
        .skip(1)
        .map(|digits| u8::from_str_radix(digits, 16).expect("two hexadecimal digits"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_their_files_bytes_and_lines() {
        let text = r#"7 pwrite64(12<\x2f\x77>, "\x01\x02", 2, 0) = 2
8 writev(21<\x73>, [{iov_base="\x40\x02", iov_len=2}, {iov_base="\x00\x07", iov_len=2}], 2 <unfinished ...>
7 fsync(12<\x2f\x77> <unfinished ...>
7 --- SIGTERM {si_signo=SIGTERM} ---
8 <... writev resumed>)             = 4
7 <... fsync resumed>)              = -1 EIO (Input/output error)
7 +++ exited with 0 +++"#;
        let call = |name: &str, file: &str, data: &[u8], result, began, ended| Call {
            name: name.to_owned(),
            file: file.to_owned(),
            data: data.to_vec(),
            result,
            began,
            ended,
        };
        assert_eq!(
            read(text),
            [
                call("pwrite64", "/w", &[1, 2], 2, 0, 0),
                call("writev", "s", &[0x40, 2, 0, 7], 4, 1, 4),
                call("fsync", "/w", &[], -1, 2, 5),
            ]
        );
    }
}
