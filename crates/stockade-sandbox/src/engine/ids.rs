//! Who Podman of an ordinary user is: root of a user namespace of ours, in which that user is root
//! and one id more is root of the container. Which ids are a user's to give is said in `/etc/subuid`
//! and `/etc/subgid`; `newuidmap` and `newgidmap` see to it.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, getegid, geteuid};

use super::ask::{ANSWER_MAX, ask};
use super::command::find;

/// A user, and the first of the ids that are the user's to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) given_uid: u32,
    pub(crate) given_gid: u32,
}

/// Why a user has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoIds {
    pub(crate) says: String,
    pub(crate) remedy: String,
}

impl Ids {
    /// Those of whoever this process is.
    pub(crate) fn of_this_user() -> Result<Self, NoIds> {
        if let Some(missing) = ["newuidmap", "newgidmap"].iter().find(|it| find(it).is_none()) {
            return Err(NoIds {
                says: format!("there is no `{missing}`"),
                remedy: "install it (Debian: `apt-get install uidmap`)".to_owned(),
            });
        }
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let name = name_of_this_user().ok_or_else(|| NoIds {
            says: format!("the user {uid} has no name on this machine"),
            remedy: "run it as a user of this machine".to_owned(),
        })?;
        let given = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            first_given(&text, &name, uid).ok_or_else(|| NoIds {
                says: format!("`{file}` has no line for `{name}`"),
                remedy: format!(
                    "give the user ids of containers (as root: `usermod --add-subuids \
                     100000-165535 --add-subgids 100000-165535 {name}`)"
                ),
            })
        };
        Ok(Self { uid, gid, given_uid: given("/etc/subuid")?, given_gid: given("/etc/subgid")? })
    }

    /// Says who is who in the user namespace of a process.
    pub(crate) fn map(self, process: Pid) -> io::Result<()> {
        let pid = process.as_raw_nonzero().to_string();
        for (program, own, given) in
            [("newuidmap", self.uid, self.given_uid), ("newgidmap", self.gid, self.given_gid)]
        {
            let program = find(program).ok_or(io::ErrorKind::NotFound)?;
            let status = Command::new(program)
                .arg(&pid)
                .args(["0", &own.to_string(), "1"])
                .args(["1", &given.to_string(), "1"])
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            if !status.success() {
                return Err(Errno::PERM.into());
            }
        }
        Ok(())
    }
}

/// What this user is called, wherever the machine's users are kept.
fn name_of_this_user() -> Option<String> {
    let mut id = Command::new(find("id")?);
    id.arg("--user").arg("--name").env_clear();
    let answered = ask(&mut id, &[], ANSWER_MAX).ok()?;
    let name = answered.stdout.trim();
    (answered.status.success() && !name.is_empty()).then(|| name.to_owned())
}

/// The first id that a file gives a user, by name or by number: `USER:FIRST:COUNT`.
fn first_given(text: &str, name: &str, uid: u32) -> Option<u32> {
    text.lines().find_map(|line| {
        let (user, range) = line.trim().split_once(':')?;
        let (first, count) = range.split_once(':')?;
        let count = count.parse::<u32>().ok().filter(|it| *it > 0);
        let is_users = user == name || user.parse() == Ok(uid);
        count.filter(|_| is_users)?;
        first.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_given_by_name_or_by_number() {
        let text = "# a comment\nann:100000:65536\nbob:1:0\n1002:300000:1\nbob:x:7\nbob:400000:9\n";
        assert_eq!(first_given(text, "ann", 1000), Some(100_000));
        assert_eq!(first_given(text, "eve", 1002), Some(300_000));
        assert_eq!(first_given(text, "bob", 1001), Some(400_000), "none, no number, some");
        assert_eq!(first_given(text, "an", 100), None);
        assert_eq!(first_given("", "ann", 1000), None);
    }
}
