//! The programs, after their manuals. Those that are in the list of `launch` as arbitrary and not
//! here are refused whatever they are told; those that are here are ordinary but for what is said.

use super::Form::Words;
use super::{PLAIN, Row, awk, build, list, sed, sqlite, texts};

/// The row of a program, by its name with and without a version; of a compiler and a linker, also
/// behind the machine that it is for.
pub(super) fn find(name: &str, bare: &str) -> Option<&'static Row> {
    let by = |names: &[&str]| ROWS.iter().find(|row| list(row.names).any(|it| names.contains(&it)));
    by(&[name, bare]).or_else(|| {
        by(&[build::last(name)]).filter(|it| {
            it.names == "ld" || ["gcc ", "ar "].iter().any(|of| it.names.starts_with(of))
        })
    })
}

const ROWS: &[Row] = &[
    Row { names: "git", ..PLAIN },
    Row {
        names: "tar gtar bsdtar",
        starts: "-I -F --use-compress-program --to-command --checkpoint-action --info-script \
                 --new-volume-script --rsh-command --rmt-command",
        valued: "fCTXbgHKLNVIF",
        perhaps: "HL",
        fine: "--checkpoint",
        text: Some(texts::tar),
        ..PLAIN
    },
    Row {
        names: "sed gsed ssed",
        valued: "efl",
        perhaps: "l",
        glued: "i",
        text: Some(sed::sed),
        ..PLAIN
    },
    Row {
        names: "awk gawk mawk nawk goawk original-awk",
        starts: "-l --load",
        valued: "FvfileEW",
        glued: "dDLop",
        text: Some(awk::awk),
        ..PLAIN
    },
    Row { names: "sort gsort", starts: "--compress-program", valued: "koStT", ..PLAIN },
    Row { names: "split gsplit", starts: "--filter", valued: "abClnt", ..PLAIN },
    Row {
        names: "rsync",
        starts: "-M --rsync-path --remote-option --daemon --config",
        valued: "eMBfT@",
        text: Some(texts::rsync),
        ..PLAIN
    },
    Row {
        names: "ssh slogin autossh",
        starts: "-F -I",
        valued: "BbcDEeFIiJLlmOoPpQRSWw",
        text: Some(texts::ssh),
        ..PLAIN
    },
    Row { names: "scp", starts: "-F -S -D", valued: "cDFiJloPSX", text: Some(texts::ssh), ..PLAIN },
    Row {
        names: "sftp",
        starts: "-F -S -D -b",
        valued: "BbcDFiJloPRSsX",
        text: Some(texts::ssh),
        ..PLAIN
    },
    Row {
        names: "ssh-keygen",
        starts: "-D",
        valued: "abCDEFfGIIJjKMmNnOPqRrSsTtVWwYzZ",
        perhaps: "GJjKqSTW",
        ..PLAIN
    },
    Row { names: "ssh-add", starts: "-s -S", valued: "EeHhSstT", ..PLAIN },
    Row {
        names: "find gfind",
        starts: "-exec -execdir -ok -okdir -fprint -fprint0 -fprintf -fls -files0-from",
        form: Words,
        ..PLAIN
    },
    Row { names: "fd fdfind", starts: "-x -X --exec --exec-batch", valued: "eEtdScj", ..PLAIN },
    Row {
        names: "rg",
        starts: "--pre --hostname-bin",
        valued: "ABCdeEfgjmMrtT",
        fine: "--pre-glob",
        ..PLAIN
    },
    Row { names: "ag ack bat batcat delta", starts: "--pager", ..PLAIN },
    Row {
        names: "zip",
        starts: "-TT* --unzip-command",
        form: Words,
        text: Some(texts::zip),
        ..PLAIN
    },
    Row {
        names: "less zless",
        starts: "-k --lesskey-file --lesskey-src --lesskey-content --cmd",
        valued: "bhjkoOpPtTxyzD",
        text: Some(texts::less),
        ..PLAIN
    },
    Row {
        names: "man",
        starts: "-P -H -C --pager --html --config-file",
        valued: "CRmMSserPEp",
        glued: "HTX",
        ..PLAIN
    },
    Row {
        names: "curl",
        starts: "-K --config --engine",
        valued: "AbcCdDeEFHhKmoPQrtTuUwxXyYz",
        perhaps: "h",
        ..PLAIN
    },
    Row {
        names: "wget wget2",
        starts: "-e --execute --use-askpass --config",
        valued: "aABDeiIloOPQRtTUwX",
        ..PLAIN
    },
    Row { names: "aria2c", starts: "-on-* -conf-path", form: Words, ..PLAIN },
    Row {
        names: "sqlite sqlite3",
        starts: "-cmd -init",
        form: Words,
        text: Some(sqlite::sqlite),
        ..PLAIN
    },
    Row { names: "psql", valued: "cdfFhLopPRTUv", text: Some(texts::psql), ..PLAIN },
    Row {
        names: "mysql mariadb",
        starts: "--pager --plugin-dir --defaults-file --defaults-extra-file",
        valued: "eDhPpSu",
        perhaps: "p",
        text: Some(texts::mysql),
        ..PLAIN
    },
    Row {
        names: "make gmake",
        starts: "-E --eval -I --include-dir",
        valued: "CfIjloWOE",
        perhaps: "jlO",
        text: Some(build::make),
        ..PLAIN
    },
    Row { names: "ninja samu", starts: "-f", valued: "CfjkltdwW", ..PLAIN },
    Row {
        names: "cmake",
        starts: "-P* -C* -toolchain",
        form: Words,
        text: Some(build::cmake),
        ..PLAIN
    },
    Row {
        names: "ctest",
        starts: "-S* -script -script-new-process -test-command -build-makeprogram",
        form: Words,
        ..PLAIN
    },
    Row {
        names: "just",
        starts: "-f --justfile --shell --shell-arg --shell-command -c --command --dotenv-path \
                 --chooser",
        valued: "fdc",
        ..PLAIN
    },
    Row {
        names: "rake",
        starts: "-e -E -f -r -I -p --execute --rakefile --require --libdir",
        valued: "eEfrIpGR",
        perhaps: "G",
        ..PLAIN
    },
    Row {
        names: "gradle gradlew",
        starts: "-I -init-script -b -build-file -g -gradle-user-home -include-build",
        form: Words,
        text: Some(build::gradle),
        ..PLAIN
    },
    Row { names: "mvn mvnw", form: Words, text: Some(build::maven), ..PLAIN },
    Row {
        names: "ant",
        starts: "-lib -main -logger -listener -inputhandler",
        form: Words,
        ..PLAIN
    },
    Row {
        names: "gcc g++ cc c++ clang clang++ gfortran",
        starts: "-wrapper -B* -specs -fplugin -fpass-plugin -fuse-ld -iplugindir -load -config \
                 -ld-path -ccc-gcc-name -ptxas-path",
        fine: "-Bstatic -Bdynamic -Bsymbolic -fuse-ld=lld -fuse-ld=mold -fuse-ld=gold -fuse-ld=bfd",
        form: Words,
        text: Some(build::compiler_items),
        ..PLAIN
    },
    Row {
        names: "ld",
        starts: "-plugin -I* -dynamic-linker",
        form: Words,
        text: Some(build::response_file),
        ..PLAIN
    },
    Row {
        names: "ar nm ranlib strip objdump objcopy size",
        starts: "--plugin",
        text: Some(build::response_file),
        ..PLAIN
    },
    Row {
        names: "rustdoc",
        starts: "-Clinker* -Z* -test-runtool -runtool -test-builder*",
        form: Words,
        text: Some(build::rustc),
        ..PLAIN
    },
    Row { names: "rustc", starts: "-Clinker* -Z*", form: Words, text: Some(build::rustc), ..PLAIN },
    Row {
        names: "cargo",
        starts: "-config -Z* -test-runtool -runtool -test-builder*",
        form: Words,
        text: Some(build::codegen),
        ..PLAIN
    },
    Row {
        names: "go",
        starts: "-exec -toolexec -vettool -overlay -modfile -gccgo -gccgoflags",
        form: Words,
        text: Some(build::go),
        ..PLAIN
    },
    Row {
        names: "npm",
        starts: "-c --call --script-shell --shell --node-options --git --editor --browser --viewer \
                 --userconfig --globalconfig --init-module",
        fine: "--git-tag-version",
        runs: "exec x explore edit",
        short: "exec explore edit",
        text: Some(texts::npm),
        ..PLAIN
    },
    Row {
        names: "pnpm",
        starts: "-c --shell-mode --script-shell --node-options --config.script-shell --config.shell \
                 --config.node-options --config.git",
        fine: "--config",
        runs: "dlx exec create x set",
        ..PLAIN
    },
    Row {
        names: "yarn yarnpkg",
        starts: "--script-shell",
        runs: "dlx exec create node plugin set",
        text: Some(texts::yarn),
        ..PLAIN
    },
    Row { names: "corepack volta fnm nvm mise asdf pyenv rbenv", runs: "run exec x", ..PLAIN },
    Row {
        names: "uv",
        starts: "--config-file --env-file --with --with-editable --with-requirements",
        valued: "prcefo",
        runs: "run x tool",
        text: Some(texts::interpreter),
        ..PLAIN
    },
    Row { names: "pipx", starts: "--pip-args --python", runs: "run runpip", ..PLAIN },
    Row { names: "pip", starts: "--python --editor", ..PLAIN },
    Row { names: "virtualenv", valued: "p", text: Some(texts::interpreter), ..PLAIN },
    Row { names: "mypy dmypy", starts: "--python-executable", ..PLAIN },
    Row { names: "pyright basedpyright", starts: "--pythonpath", ..PLAIN },
    Row {
        names: "sphinx sphinx-build",
        starts: "-c -D --conf-dir --define",
        valued: "bcdDAjtw",
        ..PLAIN
    },
    Row {
        names: "poetry pdm hatch rye conda mamba micromamba",
        runs: "run shell exec",
        text: Some(texts::interpreter),
        ..PLAIN
    },
    Row {
        names: "tox nox",
        starts: "-x -f --override --noxfile",
        valued: "xfecs",
        perhaps: "s",
        runs: "exec e",
        ..PLAIN
    },
    Row { names: "bundle composer gem", runs: "exec console open", ..PLAIN },
    Row {
        names: "docker podman nerdctl docker-compose podman-compose",
        starts: "--hooks-dir --conmon --network-cmd-path",
        text: Some(texts::container),
        ..PLAIN
    },
    Row {
        names: "kubectl oc",
        starts: "--exec-command --exec-arg --exec-env",
        fine: "--exec",
        runs: "plugin",
        text: Some(texts::kubeconfig),
        ..PLAIN
    },
    Row {
        names: "helm",
        starts: "--post-renderer",
        runs: "plugin",
        text: Some(texts::kubeconfig),
        ..PLAIN
    },
    Row { names: "gh", form: Words, text: Some(texts::gh), ..PLAIN },
    Row {
        names: "tcpdump",
        starts: "-z",
        valued: "BcCDEFGijJmMQrsTVwWyzZ",
        perhaps: "DJ",
        ..PLAIN
    },
    Row {
        names: "nmap",
        starts: "-script* -datadir* -servicedb* -versiondb*",
        form: Words,
        ..PLAIN
    },
    Row {
        names: "openssl",
        starts: "-engine -provider -provider-path",
        runs: "engine",
        form: Words,
        ..PLAIN
    },
    Row {
        names: "apt apt-get aptitude rpm dnf yum apk pacman",
        starts: "-o* -c -option -config-file -config -pre-invoke -post-invoke -status-logger -pipe \
                 -hookdir -define -eval -rcfile -macros -setopt -D* -E*",
        form: Words,
        ..PLAIN
    },
    Row {
        names: "dpkg",
        starts: "-pre-invoke -post-invoke -status-logger -admindir -instdir -root",
        form: Words,
        ..PLAIN
    },
    Row { names: "brew", runs: "ruby irb sh exec", ..PLAIN },
    Row {
        names: "svn",
        starts: "--config-option --diff-cmd --diff3-cmd --editor-cmd --config-dir",
        ..PLAIN
    },
    Row {
        names: "hg",
        starts: "--config --ssh --remotecmd --program",
        text: Some(texts::hg),
        ..PLAIN
    },
    Row { names: "ip", starts: "-batch -b", runs: "exec", form: Words, ..PLAIN },
    Row {
        names: "swift zig crystal",
        starts: "-e -eval",
        runs: "eval exec repl script",
        form: Words,
        ..PLAIN
    },
    Row {
        names: "dotnet",
        runs: "exec fsi script",
        form: Words,
        text: Some(build::dotnet),
        ..PLAIN
    },
    Row { names: "nim", starts: "-e", runs: "repl", form: Words, text: Some(build::nim), ..PLAIN },
    Row {
        names: "ghc",
        starts: "-e -pgm* -fplugin* -plugin-package* -ghci-script* -interactive -B*",
        form: Words,
        text: Some(build::response_file),
        ..PLAIN
    },
    Row {
        names: "convert magick identify mogrify montage compare composite",
        text: Some(texts::pipes),
        ..PLAIN
    },
    Row {
        names: "gs ghostscript",
        starts: "-c* -dNOSAFER* -dDELAYSAFER* -dSAFER=* -DNOSAFER* -DDELAYSAFER* -DSAFER=*",
        form: Words,
        text: Some(texts::pipes),
        ..PLAIN
    },
];
