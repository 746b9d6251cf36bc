//! The binary: the keeper of a server's process, when it is started as that, or else the command
//! line.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything is started: by this it is known that what is below it is a server's.
    stockade::approvals::mark();
    stockade_sandbox::keeper_main_if_asked();
    stockade_sandbox::fail_at_the_file_size_limit();
    stockade::cli::main()
}
