//! `capnweb repl` on a terminal, and as a filter.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::Stdio,
    sync::mpsc,
    time::{Duration, Instant},
};

use nix::pty::{Winsize, openpty};

use crate::support::{Server, run_with_input, temporary};

#[tokio::test]
async fn lines_are_evaluated_in_one_session() {
    let server = Server::start().await;
    let input = "let user = authenticate('t')\nuser.name\n[\n  user.getId(),\n  add(1, 2)\n]\n\n# a comment\n:held\n:drop user\n:held\n:quit\n";
    let run = run_with_input(&["repl", &server.ws()], input).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        run.out,
        "\"ada\"\n[7, 3]\nuser = [promise]\nheld here: 2, held by the server: 1, including the main objects\nheld here: 1, held by the server: 1, including the main objects\n"
    );
    assert_eq!(server.take_requests(), 1);
}

#[tokio::test]
async fn the_first_failure_of_a_script_ends_it() {
    let server = Server::start().await;
    let run = run_with_input(&["repl", &server.ws()], "add(1, 2)\nfail()\nadd(3, 4)\n").await;
    assert_eq!((run.code, run.out.as_str()), (1, "3\n"), "{run:?}");
}

#[tokio::test]
async fn statistics_are_of_the_last_expression() {
    let server = Server::start().await;
    let input = "authenticate('t').getFriendIds().map(id => getUserName(id))\n:stats\n";
    let run = run_with_input(&["repl", &server.ws(), "--json"], input).await;
    assert!(
        run.out.contains("last expression: 3 calls, 1 round trip, "),
        "{run:?}"
    );
}

/// The program, running on a terminal.
struct Terminal {
    keyboard: File,
    screen: mpsc::Receiver<Vec<u8>>,
    /// The end of the output so far, which may be an incomplete escape sequence.
    raw: String,
    shown: String,
    child: std::process::Child,
}

impl Terminal {
    fn start(args: &[&str]) -> Self {
        let size = Winsize {
            ws_row: 40,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_capnweb"))
            .args(args)
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let master: OwnedFd = pty.master;
        let mut reader = File::from(master.try_clone().unwrap());
        let (sender, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading fails once the program has ended.
            while let Ok(len) = reader.read(&mut buffer) {
                if len == 0 || sender.send(buffer[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard: File::from(master),
            screen,
            raw: String::new(),
            shown: String::new(),
            child,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows `text`, and discards everything up to it.
    fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => {
                    self.raw.push_str(&String::from_utf8_lossy(&bytes));
                    self.strip();
                }
                Err(_) => panic!("{text:?} is not shown, but {:?}", self.shown),
            }
        }
    }

    /// Moves the raw output to the screen, without escape sequences.
    fn strip(&mut self) {
        while let Some(start) = self.raw.find('\u{1b}') {
            self.shown.extend(self.raw.drain(..start));
            // An escape sequence is `ESC [`, parameters, and a letter.
            let Some(len) = self.raw.find(|c: char| c.is_ascii_alphabetic()) else {
                return;
            };
            self.raw.drain(..=len);
        }
        self.shown.push_str(&std::mem::take(&mut self.raw));
    }

    /// Waits for the program to end, and returns its exit code.
    fn end(mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            // The output must be read, or the program blocks.
            let _ = self.screen.recv_timeout(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        panic!("it does not end: {:?}", self.shown);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_types_completes_and_looks_back() {
    let server = Server::start().await;
    let history = temporary("history");
    let _ = std::fs::remove_file(&history);
    let history = history.to_str().unwrap().to_owned();
    let url = server.ws();
    let session = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::start(&["repl", &url, "--history", &history]);
        terminal.wait_for("connected to ws://");
        terminal.wait_for("> ");
        // Complete a member of the main object, then a variable and its members.
        terminal.press("let user = auth\t(\"t\")\r");
        terminal.wait_for("authenticate");
        terminal.wait_for("\r\n");
        terminal.wait_for("> ");
        terminal.press("user.getI\t()\r");
        terminal.wait_for("7\r\n");
        terminal.wait_for("> ");
        // Enter an expression of several lines.
        terminal.press("[1,\r2]\r");
        terminal.wait_for("[1, 2]\r\n");
        terminal.wait_for("> ");
        // Enter a mistake, and then a name that does not exist.
        terminal.press("add(1 2)\r");
        terminal.wait_for("error: expected `,` or `)`, found `2`");
        terminal.wait_for("> ");
        terminal.press("autenticate()\r");
        terminal.wait_for("did you mean `authenticate`?");
        terminal.wait_for("> ");
        // A callback prints above the prompt.
        terminal.press("countDown(1, n => console.log(`tick ${n}`))\r");
        terminal.wait_for("tick 1");
        terminal.wait_for("\"lift-off\"");
        terminal.wait_for("> ");
        // Ctrl-C discards a line.
        terminal.press("nonsense\u{3}");
        terminal.wait_for("> ");
        // Repeat the last input.
        terminal.press("\u{1b}[A\r");
        terminal.wait_for("\"lift-off\"");
        terminal.wait_for("> ");
        terminal.press(":held\r");
        terminal.wait_for("user = [promise]");
        terminal.wait_for("> ");
        terminal.press("\u{4}");
        let code = terminal.end();
        (code, std::fs::read_to_string(history).unwrap())
    });
    let (code, history) = session.await.unwrap();
    assert_eq!(code, Some(0));
    assert!(
        history.starts_with("let user = authenticate(\"t\")\nuser.getId()\n[1,\\n2]\n"),
        "{history}"
    );
}
