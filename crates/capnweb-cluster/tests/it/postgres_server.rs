//! A PostgreSQL server of this machine.

use std::{
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use capnweb_cluster::Postgres;

/// The folder of Debian's versions of the server.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The user as whom the server runs if the tests run as root, whom it refuses.
const USER: &str = "nobody";

/// A server with a database in a temporary folder, which ends with the value. It listens on a Unix
/// socket in that folder alone.
pub(crate) struct PostgresServer {
    programs: PathBuf,
    folder: PathBuf,
    process: Option<Child>,
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop("-QUIT");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Returns the folder with the programs of the latest version.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).ok()?;
    let versions = versions.filter_map(|version| {
        let version = version.ok()?;
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let programs = version.path().join("bin");
        let is_whole =
            ["initdb", "pg_isready", "postgres"].map(|name| programs.join(name).exists());
        (is_whole == [true; 3]).then_some((number, programs))
    });
    versions.max().map(|(_, programs)| programs)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn id_of(user: &str, kind: &str) -> Option<u32> {
    let id = Command::new("id").args([kind, user]).output().ok()?;
    String::from_utf8(id.stdout).ok()?.trim().parse().ok()
}

/// Returns the command for a program of the server.
fn command(program: &Path) -> Command {
    let mut command = if is_root() {
        // It replaces itself by the program, so that the process is the server's.
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            USER,
            "--regid",
            "nogroup",
            "--clear-groups",
            "--",
        ]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
        .stderr(Stdio::null())
        .env("LC_ALL", "C")
        .current_dir("/");
    command
}

impl PostgresServer {
    /// Starts a server. Returns `None` if PostgreSQL is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: there is no PostgreSQL; `cargo xtask setup` installs it");
            return None;
        };
        let name = format!("capnweb-postgres-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        if is_root() {
            chown(&folder, id_of(USER, "-u"), id_of(USER, "-g")).unwrap();
        }
        let mut server = Self {
            programs,
            folder,
            process: None,
        };
        let made = command(&server.programs.join("initdb"))
            .args(["--username", "postgres", "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--no-locale", "--pgdata"])
            .arg(server.folder.join("data"))
            .status();
        assert!(made.unwrap().success(), "`initdb` has failed");
        server.restart();
        server.is_ready().await;
        Some(server)
    }

    /// Waits until the server accepts connections.
    pub(crate) async fn is_ready(&self) {
        let start = Instant::now();
        let is_ready = || {
            let status = command(&self.programs.join("pg_isready"))
                .args(["-q", "-h"])
                .arg(&self.folder)
                .status();
            status.unwrap().success()
        };
        while !is_ready() {
            assert!(start.elapsed() < Duration::from_secs(60), "no server");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts the server, again after it was stopped.
    pub(crate) fn restart(&mut self) {
        let process = command(&self.programs.join("postgres"))
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("-k")
            .arg(&self.folder)
            .args(["-c", "listen_addresses=", "-c", "shared_buffers=4MB"])
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
            .spawn();
        self.process = Some(process.unwrap());
    }

    /// Sends a signal to the server and waits for its end.
    pub(crate) fn stop(&mut self, signal: &str) {
        if let Some(mut process) = self.process.take() {
            let id = process.id().to_string();
            let _ = Command::new("kill").args([signal, &id]).status();
            let _ = process.wait();
        }
    }

    /// Returns the socket on which the server listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    pub(crate) fn config(&self) -> String {
        format!(
            "host={} user=postgres dbname=postgres",
            self.folder.display()
        )
    }

    /// Connects to the server.
    pub(crate) async fn directory(&self) -> Postgres {
        Postgres::connect(&self.config()).await.unwrap()
    }
}
