//! Trains the classifier of [`stockade_core::detect`], and says how well all of it does.
//!
//!     cargo run --release -p stockade-core --example detection -- train DIRECTORY
//!     cargo run --release -p stockade-core --example detection -- table [DIRECTORY]
//!
//! `scores` prints the points of every row instead, and `misses` what is not as it should be. The
//! directory has the corpora, which are not in the repository: see `docs/detection.md`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is what it is run for")]

mod corpus;
mod table;
mod train;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use corpus::Corpus;

const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/detect/weights.bin");

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).filter(|it| it != "--bench");
    let command = words.next().unwrap_or_else(|| "table".to_owned());
    let directory = words.next().map_or_else(Corpus::place, PathBuf::from);
    let corpus = match Corpus::read(&directory) {
        Ok(it) => it,
        Err(error) => {
            eprintln!("no corpora in {}: {error}", directory.display());
            return if command == "table" { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match command.as_str() {
        "train" => train(&corpus),
        "table" => table::print(&corpus),
        "scores" => table::scores(&corpus),
        "misses" => table::misses(&corpus),
        other => {
            eprintln!("no such command: {other}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn train(corpus: &Corpus) {
    let model = train::model(corpus.rows.iter());
    let header = format!(
        "Logistic regression, trained by examples/detection on {} texts, BLAKE3 of their files {}.",
        corpus.rows.len(),
        corpus.hash
    );
    match std::fs::write(Path::new(WEIGHTS), model.write(&header)) {
        Ok(()) => println!("{header}"),
        Err(error) => eprintln!("cannot write {WEIGHTS}: {error}"),
    }
}
