//! The prompt and the inspector as a person sees them, in tmux.

use std::{
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use capnweb::{SessionOptions, axum::Rpc};

use crate::support::{Server, typed};

/// A terminal with a program in it.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn start(program: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tmux = Self {
            socket: format!("capnweb-{}-{number}", std::process::id()),
        };
        let size = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "110",
            "-y",
            "40",
            "env",
            "NO_COLOR=1",
            "sh",
            "-c",
            // The shell outlives the program, Ctrl-C included, so that the screen stays.
            "trap : INT; \"$0\" \"$@\"; echo \"exit code $?\"; read -r end",
        ];
        let mut args = size.to_vec();
        args.push(env!("CARGO_BIN_EXE_capnweb"));
        args.extend(program);
        let started = tmux.run(&args);
        assert!(started.status.success(), "{started:?}");
        tmux
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &self.socket])
            .args(args)
            .env_remove("TMUX")
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8");
        tmux.output()
            .expect("tmux is missing: `cargo xtask setup` installs it")
    }

    /// Presses keys: their names, or texts as they are.
    fn press(&self, keys: &[&str]) {
        for key in keys {
            let args: &[&str] = match *key {
                "Tab" | "Enter" | "Up" | "Left" | "Right" | "Home" | "End" | "C-c" | "C-d" => {
                    &["send-keys", key]
                }
                _ => &["send-keys", "-l", key],
            };
            assert!(self.run(args).status.success());
        }
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.run(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// Waits until the screen shows all of these.
    fn shows(&self, texts: &[&str]) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let screen = self.screen();
            let missing: Vec<_> = texts
                .iter()
                .filter(|text| !screen.contains(**text))
                .collect();
            if missing.is_empty() {
                return screen;
            }
            assert!(
                Instant::now() < until,
                "{missing:?} is not on the screen:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It may be over.
        let _ = Command::new("tmux")
            .args(["-L", &self.socket, "kill-server"])
            .output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_prompt_knows_the_names_of_a_server_with_introspection() {
    let rpc = Rpc::new(typed).options(SessionOptions::new().with_introspection(true));
    let server = Server::on(rpc.route()).await;
    let url = server.ws();
    let person = tokio::task::spawn_blocking(move || {
        let tmux = Tmux::start(&["repl", &url, "--no-history"]);
        tmux.shows(&["connected to ws://", "\n>"]);
        tmux.press(&["let user = auth", "Tab", "(\"t\")", "Enter"]);
        tmux.shows(&["> let user = authenticate(\"t\")"]);
        tmux.press(&["user.getF", "Tab", "()", "Enter"]);
        tmux.shows(&["> user.getFriendIds()", "[4, 5, 6]"]);
        tmux.press(&["getUserNme(3)", "Enter"]);
        tmux.shows(&["did you mean `getUserName`?"]);
        tmux.press(&["Up", "Left", "Left", "Left", "Left", "Left", "a", "Enter"]);
        tmux.shows(&["\"user 3\""]);
        tmux.press(&["hang()", "Enter"]);
        tmux.shows(&["> hang()"]);
        tmux.press(&["C-c"]);
        tmux.press(&["add(40, 2)", "Enter"]);
        tmux.shows(&["42"]);
        tmux.press(&["C-d"]);
        tmux.shows(&["exit code 0"]);
    });
    person.await.unwrap();
}

#[cfg(feature = "tui")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inspector_shows_sessions_as_they_go_on() {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    let server = Server::start().await;
    let url = server.ws();
    // A port that is free now.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let tmux = Tmux::start(&["inspect", "--listen", &address, "--to", &url, "--tui"]);
    let tmux = tokio::task::spawn_blocking(move || {
        tmux.shows(&["no session yet", "q quit"]);
        tmux
    });
    let tmux = tmux.await.unwrap();
    let mut client = crate::support::command(&["repl", &format!("ws://{address}/")]);
    client.stdin(std::process::Stdio::piped());
    let mut client = client.spawn().unwrap();
    let mut keyboard = client.stdin.take().unwrap();
    keyboard
        .write_all(b"let user = await authenticate('t')\nuser.getFriendIds()\n")
        .await
        .unwrap();
    let shown = tokio::task::spawn_blocking(move || {
        let open = tmux.shows(&[
            "session 1 (open)",
            "authenticate(\"[redacted]\") → stub",
            "└ getFriendIds() → [4, 5, 6]",
            "⚑ awaiting call 1 cost a round trip",
            "the client holds 1",
            "a stub in the result of call 1",
        ]);
        (tmux, open)
    });
    let (tmux, _) = shown.await.unwrap();
    drop(keyboard);
    let ended = tokio::task::spawn_blocking(move || {
        tmux.shows(&["session 1 (ended)", "the client holds 0"]);
        tmux.press(&["Home"]);
        tmux.shows(&["session 1  WebSocket"]);
        tmux.press(&["q"]);
        tmux.shows(&["exit code 0"]);
    });
    ended.await.unwrap();
    client.wait().await.unwrap();
}
