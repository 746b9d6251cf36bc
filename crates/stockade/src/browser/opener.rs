//! Having a browser open an address that has a code in it, without the code being on a command line:
//! what is opened is a file of this user's alone, which leads there.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Exit, Failure};

/// What opens a file as the desktop would.
const OPENER: &str = "xdg-open";

/// An address and a port, as they are typed.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address and a port, as in `127.0.0.1:8421`".to_owned())
}

/// Says no to an address that others reach.
pub(crate) fn is_own(listen: SocketAddr) -> Result<(), Failure> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    let says = format!("`{listen}` is not an address of this machine alone");
    Err(Failure::new(Exit::Usage, says)
        .help("the page is for this user on this machine: listen on 127.0.0.1 or [::1]"))
}

/// A file that leads a browser to `url`.
pub(crate) fn leads_to(url: &str, title: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer>\
         <title>Stockade</title><meta http-equiv=refresh content=\"0;url={url}\">\
         <a href=\"{url}\">{title}</a>\n"
    )
}

/// Writes a file for this user alone, in one step, in a directory that is this user's.
pub(crate) fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let new = file.with_extension("new");
    // What an earlier one has left behind may be anybody's to read.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => (),
    }
    let mut options = File::options();
    let mut written = options.create_new(true).write(true).mode(0o600).open(&new)?;
    written.write_all(text.as_bytes())?;
    fs::rename(&new, file)
}

/// What opens a file in the browser, where there is a desktop.
pub(crate) fn command(file: &Path) -> Result<Command, String> {
    let desktop = ["WAYLAND_DISPLAY", "DISPLAY"].map(std::env::var_os);
    if desktop.iter().flatten().all(|it| it.is_empty()) {
        return Err("there is no desktop".to_owned());
    }
    let mut command = Command::new(OPENER);
    // A group of its own: what ends this command in its terminal does not end the browser.
    command.arg(file).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Has the desktop open a file in the browser.
pub(crate) fn browse(file: &Path) -> Result<(), String> {
    command(file)?.spawn().map(drop).map_err(|it| format!("`{OPENER}`: {it}"))
}

/// The same from a process that stays: what it starts is below it, as servers are, and would be turned
/// away as one. So a process in between starts the browser, and ends.
pub(crate) fn browse_apart(file: &Path) -> Result<(), String> {
    command(file)?;
    let program: PathBuf = std::env::current_exe().map_err(|it| it.to_string())?;
    let mut between = Command::new(program);
    between.args(["inspect", "--browse"]).arg(file);
    between.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = between.status().map_err(|it| it.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("`{OPENER}` did not start")) }
}
