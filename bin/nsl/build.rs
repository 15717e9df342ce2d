//! Tells the program which commit it is built from: `NSL_COMMIT` if set, else what `.git` says, without asking git.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

#[allow(clippy::disallowed_methods, reason = "a build has no configuration but its environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=NSL_COMMIT");
    let given = env::var("NSL_COMMIT").ok().filter(|commit| !commit.is_empty());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let commit = given.or_else(|| head(&root)).unwrap_or_else(|| "unknown".to_owned());
    // `cargo run` hands this on to the program, which reads every NSL_... as a setting: hence the name.
    println!("cargo::rustc-env=BUILT_FROM_COMMIT={commit}");
}

/// The commit that is checked out. Watched are only files that exist: a missing one would count as changed for ever.
fn head(root: &Path) -> Option<String> {
    let dot = root.join(".git");
    // In a linked work tree it is a file that names the directory.
    let dir = match fs::read_to_string(&dot) {
        Ok(text) => root.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => dot,
    };
    let head = read(&dir.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else { return commit(&head) };
    let shared = match fs::read_to_string(dir.join("commondir")) {
        Ok(text) => dir.join(text.trim()),
        Err(_) => dir,
    };
    let loose = shared.join(name);
    if loose.is_file() {
        return commit(&read(&loose)?);
    }
    // Packed away: the next commit makes a file of its own in this directory.
    loose.parent().filter(|parent| parent.is_dir()).map(watch);
    let packed = read(&shared.join("packed-refs"))?;
    let line = packed.lines().find(|line| line.split_once(' ').is_some_and(|(_, packed)| packed == name))?;
    commit(line.split(' ').next()?)
}

fn read(file: &PathBuf) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    watch(file);
    Some(text.trim().to_owned())
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

fn commit(text: &str) -> Option<String> {
    (text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_owned())
}
