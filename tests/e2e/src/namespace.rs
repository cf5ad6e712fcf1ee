//! A network of its own on this machine: a process in it reaches only what is put there.
//!
//! It has no name: it lives as long as this process, or one inside, has it open, so nothing is left behind however a test ends.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::fd::{AsFd as _, AsRawFd as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use rustix::thread::LinkNameSpaceType;

/// What a machine must allow, and how it is given that.
const NEEDS: &str = "an emulated line needs root, network namespaces and /dev/net/tun: run the tests as root (in a container with \
    `--privileged`, or `--cap-add NET_ADMIN --cap-add SYS_ADMIN --device /dev/net/tun`), after `cargo xtask setup`";

/// A network namespace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Namespace(Arc<File>);

impl Namespace {
    /// One in which there is nothing but its own loopback.
    ///
    /// # Panics
    /// When this machine does not allow it; the message says what it needs.
    pub fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo made; read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("unshare: {error}; {NEEDS}"));
        let mut said = String::new();
        let told = BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said);
        assert!(
            told.is_ok() && said == "made\n",
            "no namespace was made; {NEEDS}"
        );
        let file = File::open(format!("/proc/{}/ns/net", holder.id()));
        drop(holder.stdin.take());
        holder.wait().expect("it can be waited for");
        let namespace = Self(Arc::new(file.expect("a namespace can be opened")));
        namespace.run("ip", &["link", "set", "lo", "up"]);
        namespace
    }

    /// Does something on a thread that is in it: sockets that are opened there, and threads that are started, are in it too.
    ///
    /// # Panics
    /// When it cannot be entered, or `deed` panics.
    pub fn within<T: Send>(&self, deed: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            rustix::thread::move_into_link_name_space(
                self.0.as_fd(),
                Some(LinkNameSpaceType::Network),
            )
            .unwrap_or_else(|error| panic!("a namespace cannot be entered: {error}; {NEEDS}"));
            deed()
        };
        thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// A command that runs in it; the process is the command's own.
    pub fn command(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new("nsenter");
        let (process, file) = (std::process::id(), self.0.as_raw_fd());
        command
            .arg(format!("--net=/proc/{process}/fd/{file}"))
            .arg("--")
            .arg(program.into());
        command
    }

    /// Runs one of the system's programs in it.
    ///
    /// # Panics
    /// When the program fails.
    pub fn run(&self, program: &str, args: &[&str]) {
        let output = self
            .command(program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("nsenter: {error}; {NEEDS}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {args:?}: {said}; {NEEDS}"
        );
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}
