//! Tells the program which commit it is made from: `TICKWIRE_COMMIT`, twelve digits, or `unknown`.
//!
//! The variable of that name has the word (an image is built without the repository); then git, where there is a
//! repository of ours; then the note that cargo puts into a package. None being there is no error: the crate
//! builds from any copy of its files.

use std::path::Path;
use std::process::Command;

/// Digits of a commit that are shown.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TICKWIRE_COMMIT");
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".to_owned());
    let root = Path::new(&root);
    let commit = from_variable()
        .or_else(|| from_git(root))
        .or_else(|| from_package(root));
    let commit = commit.as_deref().unwrap_or("unknown");
    println!("cargo::rustc-env=TICKWIRE_COMMIT={commit}");
}

fn from_variable() -> Option<String> {
    digits(&std::env::var("TICKWIRE_COMMIT").ok()?)
}

/// The commit that is checked out, if the repository is this crate's own and not one it was copied into.
fn from_git(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // Changes with the commit on every branch; where logs are off, with the branch.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(root, &["rev-parse", "--git-path", file])?;
        if root.join(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(root, &["rev-parse", "HEAD"])?;
    digits(&commit)
}

/// The commit in `.cargo_vcs_info.json`, which every published package has.
fn from_package(root: &Path) -> Option<String> {
    let path = root.join(".cargo_vcs_info.json");
    let text = std::fs::read_to_string(path).ok()?;
    let (_, after) = text.split_once("\"sha1\"")?;
    digits(after.split('"').nth(1)?)
}

fn digits(commit: &str) -> Option<String> {
    let is_commit = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let start = commit.get(..DIGITS)?;
    is_commit.then(|| start.to_owned())
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
