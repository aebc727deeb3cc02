//! Runs `netlab` on a terminal, where it asks and edits.

#![allow(dead_code, unreachable_pub, reason = "each test file has it as a module of its own, and uses a part of it")]

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// `netlab` on a terminal (of `script`), whose screen can be read.
pub struct OnTerminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl OnTerminal {
    /// Starts it with these arguments.
    pub fn start(args: &str) -> OnTerminal {
        OnTerminal::start_with("", args)
    }

    /// The same with these settings of the environment, `NAME=VALUE …`.
    pub fn start_with(environment: &str, args: &str) -> OnTerminal {
        // What the terminal is left as shows at the end. Ctrl-C ends the program, not the shell.
        let command =
            format!("trap : INT; {environment} {} {args}; code=$?; stty -a; exit $code", env!("CARGO_BIN_EXE_netlab"));
        let mut child = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .env_remove("NETLAB_PASSWORD")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("script (util-linux) starts");
        let keys = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        thread::spawn({
            let screen = Arc::clone(&screen);
            move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut bytes) {
                    screen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
                }
            }
        });
        OnTerminal { child, keys, screen }
    }

    /// Presses keys.
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Has the program end by SIGTERM.
    pub fn terminate(&self) {
        // `script` has a shell, and that has the program.
        let child_of = |pid: u32| {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
            children.split_whitespace().next().expect("it runs").parse::<u32>().unwrap()
        };
        let program = child_of(child_of(self.child.id()));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(program as i32), nix::sys::signal::SIGTERM).unwrap();
    }

    /// All that was shown so far.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Waits until it has shown this.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.screen().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in {:?}", self.screen());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its exit code. The terminal is what it was.
    #[track_caller]
    pub fn ended(mut self) -> i32 {
        self.shows("icanon");
        let code = self.child.wait().unwrap().code().unwrap();
        let screen = self.screen();
        assert!(!screen.contains("-icanon") && !screen.contains("-echo "), "the terminal was left raw: {screen:?}");
        code
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // With its terminal gone, what ran on it ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
