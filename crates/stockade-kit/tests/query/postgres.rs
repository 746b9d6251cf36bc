//! The same corpora in a PostgreSQL of the test's own, where there is one to start.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stockade_kit::query::Dialect;
use tempfile::TempDir;

use super::{ATTACKS, LEGAL, cleared, lines};

/// A server on a socket in a directory that goes with it.
struct Server {
    process: Child,
    programs: PathBuf,
    home: TempDir,
}

const TABLES: &str = "
    CREATE TABLE notes (id integer PRIMARY KEY, body text);
    CREATE TABLE other (id integer PRIMARY KEY);
    INSERT INTO notes VALUES (1, 'a'), (2, 'b'), (3, 'c');
    INSERT INTO other VALUES (1);
    CREATE SEQUENCE counter;
    CREATE SCHEMA mine;
    CREATE FUNCTION touch() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('counter') $$;
    CREATE FUNCTION mine.touch() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('counter') $$;
    CREATE PROCEDURE change() LANGUAGE sql AS $$ DELETE FROM notes $$;
";

/// Everything that is there.
const STATE: [&str; 6] = [
    "SELECT * FROM notes ORDER BY id",
    "SELECT * FROM other",
    "SELECT last_value, is_called FROM counter",
    "SELECT relname, relpersistence FROM pg_class WHERE relname !~ '^pg_' ORDER BY oid",
    "SELECT count(*), (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_extension) \
     FROM pg_largeobject_metadata",
    "SELECT rolname, rolpassword IS NULL FROM pg_authid ORDER BY 1",
];

impl Server {
    /// None where PostgreSQL is not installed.
    fn start() -> Option<Self> {
        let programs = programs()?;
        let home = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        for name in ["data", "out", "socket"] {
            std::fs::create_dir(home.path().join(name)).unwrap();
            if is_root() {
                chown(home.path().join(name), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let data = home.path().join("data");
        let made = of_nobody(&programs.join("initdb"))
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // It ends when this process does, however that is: a pipe closes then.
        let process = of_nobody(Path::new("/bin/sh"))
            .args(["-c", "\"$@\" & read -r _; kill -QUIT $!; wait", "sh"])
            .arg(programs.join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c"])
            .arg(format!("unix_socket_directories={}", home.path().join("socket").display()))
            .args(["-c", "statement_timeout=3000", "-D"])
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, programs, home };
        let deadline = Instant::now() + Duration::from_secs(30);
        while server.ask("postgres", &["SELECT 1"]).is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        server.ask("postgres", &["CREATE DATABASE base"]).unwrap();
        server.ask("base", &[TABLES]).unwrap();
        Some(server)
    }

    fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    /// What `psql` prints, each text one message to the server.
    fn ask(&self, database: &str, texts: &[&str]) -> Result<String, String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-h"])
            .arg(self.home.path().join("socket"))
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        for text in texts {
            psql.args(["-c", text]);
        }
        let answer = psql.output().unwrap();
        match answer.status.success() {
            true => Ok(String::from_utf8_lossy(&answer.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&answer.stderr).into_owned()),
        }
    }

    fn state(&self, database: &str) -> (Result<String, String>, Vec<PathBuf>) {
        let files = std::fs::read_dir(self.out()).unwrap();
        let mut files: Vec<_> = files.map(|it| it.unwrap().path()).collect();
        files.sort();
        (self.ask(database, &STATE), files)
    }

    /// Runs a statement in a database of its own; whether something is another after it.
    fn changes(&self, sql: &str) -> bool {
        self.ask(
            "postgres",
            &["DROP DATABASE IF EXISTS trial", "CREATE DATABASE trial TEMPLATE base"],
        )
        .unwrap();
        let before = self.state("trial");
        // A statement that fails has changed something or not.
        let _ = self.ask("trial", &[sql]);
        let changed = self.state("trial") != before;
        for file in std::fs::read_dir(self.out()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        changed
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[test]
fn no_attack_changes_a_real_postgres_and_every_query_works() {
    let Some(server) = Server::start() else {
        eprintln!("not run here: PostgreSQL is not installed");
        return;
    };
    let is_postgres = |dialect| dialect == Dialect::Postgres;
    let attacks = lines(ATTACKS, &server.out());
    let mut real = 0;
    for line in attacks.iter().filter(|it| is_postgres(it.dialect) && !it.sql.starts_with('\\')) {
        assert!(cleared(Dialect::Postgres, &line.sql).is_err(), "{}", line.sql);
        real += usize::from(!line.sql.contains("ALTER USER") && server.changes(&line.sql));
    }
    // The same statements, if nobody looks at them.
    assert!(real >= 40, "{real} of the attacks do something");

    let before = server.state("base");
    let legal = lines(LEGAL, &server.out());
    for line in legal.iter().filter(|it| is_postgres(it.dialect) && !it.sql.contains("$1")) {
        let answer = server.ask("base", &[&line.sql]);
        assert!(answer.is_ok(), "{}: {answer:?}", line.sql);
    }
    assert_eq!(server.state("base"), before);

    let volatile =
        "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v' AND proname ~ '^[a-z]'";
    let volatile = server.ask("base", &[volatile]).unwrap();
    assert!(volatile.lines().count() > 100);
    let passing = volatile
        .lines()
        .filter(|it| cleared(Dialect::Postgres, &format!("SELECT {it}()")).is_ok())
        .filter(|it| !HARMLESS.contains(it));
    assert_eq!(passing.collect::<Vec<_>>(), [""; 0]);
}

/// Functions that PostgreSQL calls volatile because they answer differently each time.
const HARMLESS: [&str; 10] = [
    "clock_timestamp",
    "gen_random_uuid",
    "pg_database_size",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_relation_size",
    "pg_table_size",
    "pg_total_relation_size",
    "random",
    "version",
];

fn programs() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = installed.map(|it| it.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = installed.chain(std::env::split_paths(&path));
    all.find(|it| ["initdb", "postgres", "psql"].iter().all(|name| it.join(name).exists()))
}

/// PostgreSQL does not run as root.
fn of_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin").current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}

const NOBODY: u32 = 65_534;
