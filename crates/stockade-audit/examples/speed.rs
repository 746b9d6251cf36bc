//! How many lines a second are audited: `cargo run --release -p stockade-audit --example speed`.
//!
//! Without a directory, the servers of `tests/pairs` are copied so often that it takes a while; with
//! one, that is read. Each is read three times, and the best is told.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stockade_audit::{Limits, audit};

/// Copies of the pairs: some 200,000 lines.
const COPIES: usize = 80;

fn main() -> Result<(), Box<dyn Error>> {
    let named: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let made = std::env::temp_dir().join(format!("stockade-speed-{}", std::process::id()));
    let roots = if named.is_empty() { vec![copies(&made)?] } else { named };
    let limits = Limits { tests: true, built: true, ..Limits::default() };
    for root in roots {
        let mut best: Option<(Duration, usize)> = None;
        for _ in 0..3 {
            let start = Instant::now();
            let report = audit(&root, &limits);
            let one = (start.elapsed(), report.lines);
            best = Some(best.map_or(one, |it| it.min(one)));
        }
        let Some((time, lines)) = best else { continue };
        let lines = u32::try_from(lines)?;
        let speed = f64::from(lines) / time.as_secs_f64();
        println!("{}: {lines} lines in {time:.2?}, {speed:.0} a second", root.display());
    }
    if made.exists() {
        fs::remove_dir_all(made)?;
    }
    Ok(())
}

fn copies(made: &Path) -> std::io::Result<PathBuf> {
    let pairs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pairs");
    for language in fs::read_dir(pairs)? {
        for pair in fs::read_dir(language?.path())? {
            let pair = pair?.path();
            for file in fs::read_dir(&pair)? {
                let file = file?.path();
                let name = |it: &Path| it.file_name().unwrap_or_default().to_owned();
                for copy in 0..COPIES {
                    let to = made.join(copy.to_string()).join(name(&pair));
                    fs::create_dir_all(&to)?;
                    fs::copy(&file, to.join(name(&file)))?;
                }
            }
        }
    }
    Ok(made.to_owned())
}
