//! A file that is to be made where there is a link to nothing.

use super::Followed;
use super::tree::{below, bindings, call, chain, exprs, last, receiver};
use crate::ir::{Expr, File, Id, Stmt};

/// What makes a file only where there is nothing, or follows no link.
const EXCLUSIVE: &[&str] = &[
    "O_EXCL",
    "O_NOFOLLOW",
    "create_new",
    "CREATE_NEW",
    "openat2",
    "RESOLVE_BENEATH",
    "\"x\"",
    "'x'",
    "\"xb\"",
    "'xb'",
    "\"wx\"",
    "'wx'",
    "\"wx+\"",
    "'wx+'",
    "OpenRoot",
    "cap_std",
    "islink",
    "is_symlink",
    "isSymbolicLink",
    "ModeSymlink",
];

/// The directory of a file that is not there is resolved instead of it, and then the file is made.
pub(super) fn dangling_symlink(file: &File<'_>, out: &mut Vec<Followed>) {
    if EXCLUSIVE.iter().any(|it| file.text.contains(it)) {
        return;
    }
    let writes = (0..file.exprs.len()).filter_map(|it| Id::try_from(it).ok());
    if !writes.into_iter().any(|it| is_write(file, it)) {
        return;
    }
    for func in &file.funcs {
        let all = exprs(file, func);
        let bound = bindings(file, func);
        let is_parent = |id: Id| {
            below(file, id).into_iter().any(|it| {
                names_parent(file, it)
                    || matches!(file.expr(it), Expr::Name(name) if bound.iter().any(|it| {
                        it.0 == *name && below(file, it.1).into_iter().any(|it| names_parent(file, it))
                    }))
            })
        };
        let resolved = all.iter().copied().find(|it| {
            let Some((name, args)) = call(file, *it) else { return false };
            match last(&name) {
                "realpath" | "realpathSync" | "EvalSymlinks" => {
                    args.first().is_some_and(|it| is_parent(it.value))
                }
                // `path.resolve` of JavaScript follows no link.
                "resolve" | "canonicalize" => {
                    file.language.name() != "js" && receiver(file, *it).is_some_and(is_parent)
                }
                _ => false,
            }
        });
        let asks = all.iter().any(|it| asks_whether_there(file, *it)) || catches(file, &func.body);
        if let (Some(id), true) = (resolved, asks) {
            let says =
                "The directory of a new file is checked, and a link in it to nothing is not.";
            out.push(Followed::at("dangling_symlink", file, id, says));
        }
    }
}

/// `os.path.dirname(p)`, `p.parent`, `filepath.Dir(p)`.
fn names_parent(file: &File<'_>, id: Id) -> bool {
    match file.expr(id) {
        Expr::Attr(_, name) => matches!(*name, "parent"),
        Expr::Call { .. } => {
            let name = chain(file, id);
            matches!(last(&name), "dirname" | "Dir" | "parent")
        }
        _ => false,
    }
}

fn asks_whether_there(file: &File<'_>, id: Id) -> bool {
    let Some((name, _)) = call(file, id) else { return false };
    matches!(
        last(&name),
        "exists" | "lexists" | "existsSync" | "is_file" | "isfile" | "IsNotExist" | "try_exists"
    )
}

fn catches(file: &File<'_>, body: &[Stmt<'_>]) -> bool {
    // A file that cannot be resolved is caught, or its error looked at.
    let all = || body.iter();
    all().any(|it| matches!(it, Stmt::Try { catches, .. } if !catches.is_empty()))
        || file.language.name() != "python" && {
            let is_missing = ["ENOENT", "NotFound", "ErrNotExist", "is_err"];
            is_missing.iter().any(|it| file.text.contains(it))
        }
}

fn is_write(file: &File<'_>, id: Id) -> bool {
    let Some((name, args)) = call(file, id) else { return false };
    let mode = |it: Id| matches!(file.expr(it), Expr::Str(it) if it.starts_with(['w', 'a']));
    match last(&name) {
        "write_text" | "write_bytes" | "writeFile" | "writeFileSync" | "WriteFile" | "Create"
        | "createWriteStream" | "appendFile" => true,
        "open" => {
            args.iter().skip(1).any(|it| mode(it.value))
                || args.first().is_some_and(|it| mode(it.value))
                    && args.len() == 1
                    && name.contains('.')
        }
        "write" | "create" => {
            name.starts_with("fs.") || name.starts_with("File.") || name.contains("fs.")
        }
        _ => false,
    }
}
