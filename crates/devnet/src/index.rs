//! Where the registries are: what pip and npm are told on this machine, or the public ones.

use std::{
    fs,
    path::{Path, PathBuf},
};

const PYPI: &str = "https://pypi.org/simple";
const NPM: &str = "https://registry.npmjs.org";

/// Reads one variable of the environment.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The index that pip would ask.
pub(crate) fn pypi(lookup: Lookup<'_>) -> String {
    let home = lookup("HOME").map(PathBuf::from);
    let config = lookup("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config")));
    // The nearest first, as pip lets it win.
    let files = [
        lookup("PIP_CONFIG_FILE").map(PathBuf::from),
        lookup("VIRTUAL_ENV").map(|dir| PathBuf::from(dir).join("pip.conf")),
        config.map(|dir| dir.join("pip/pip.conf")),
        home.map(|dir| dir.join(".pip/pip.conf")),
        Some(PathBuf::from("/etc/pip.conf")),
    ];
    lookup("PIP_INDEX_URL")
        .or_else(|| files.iter().flatten().find_map(|file| setting(file, &["index-url", "index_url"], &["=", ":"])))
        .unwrap_or_else(|| PYPI.to_owned())
}

/// The registry that npm would ask for a package of `scope`.
pub(crate) fn npm(lookup: Lookup<'_>, scope: &str) -> String {
    let files = [
        lookup("NPM_CONFIG_USERCONFIG").or_else(|| lookup("npm_config_userconfig")).map(PathBuf::from),
        lookup("HOME").map(|home| PathBuf::from(home).join(".npmrc")),
        Some(PathBuf::from("/etc/npmrc")),
        Some(PathBuf::from("/usr/etc/npmrc")),
    ];
    let of_scope = format!("{scope}:registry");
    let in_files = |name: &str| files.iter().flatten().find_map(|file| setting(file, &[name], &["="]));
    in_files(&of_scope)
        .or_else(|| lookup("npm_config_registry"))
        .or_else(|| lookup("NPM_CONFIG_REGISTRY"))
        .or_else(|| in_files("registry"))
        .unwrap_or_else(|| NPM.to_owned())
}

// The value of a line `name = value`; both files have such lines, in pip's under [global].
fn setting(file: &Path, names: &[&str], separators: &[&str]) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).find_map(|line| {
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?.trim_start();
        let value = separators.iter().find_map(|separator| rest.strip_prefix(separator))?.trim().trim_matches('"');
        (!value.is_empty()).then(|| value.to_owned())
    })
}

/// The address that a page of an index gives for the file `name`.
pub(crate) fn link(page: &str, name: &str) -> Option<String> {
    page.split("href=").skip(1).find_map(|rest| {
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let target = rest[1..].split(quote).next()?;
        let path = target.split(['#', '?']).next()?;
        (path.rsplit('/').next() == Some(name)).then(|| target.replace("&amp;", "&"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(pairs: &'a [(&'a str, String)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn what_pip_and_npm_are_told_holds_here_too() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().to_str().unwrap().to_owned();
        let here = [("HOME", dir.clone())];
        fs::create_dir_all(home.path().join(".config/pip")).unwrap();
        fs::write(
            home.path().join(".config/pip/pip.conf"),
            "[global]\n# index-url = https://no\nindex-url = https://mirror/simple/\n",
        )
        .unwrap();
        fs::write(home.path().join(".npmrc"), "audit=false\nregistry=https://npm.mirror/\n").unwrap();
        assert_eq!(pypi(&environment(&here)), "https://mirror/simple/");
        assert_eq!(npm(&environment(&here), "@foundry-rs"), "https://npm.mirror/");
        let told = [
            ("HOME", dir),
            ("PIP_INDEX_URL", "http://127.0.0.1:1/simple".to_owned()),
            ("npm_config_registry", "http://127.0.0.1:1".to_owned()),
        ];
        assert_eq!(pypi(&environment(&told)), "http://127.0.0.1:1/simple");
        assert_eq!(npm(&environment(&told), "@foundry-rs"), "http://127.0.0.1:1");
        fs::write(home.path().join(".npmrc"), "@foundry-rs:registry=https://scope\nregistry=https://npm\n").unwrap();
        assert_eq!(npm(&environment(&told), "@foundry-rs"), "https://scope");
        assert_eq!(npm(&environment(&told), "@other"), "http://127.0.0.1:1");
    }

    #[test]
    fn a_page_gives_the_address_of_one_file() {
        let page =
            r#"<a href="../files/x-1.whl?a=1&amp;b=2#sha256=00">x</a><a href='y-1.whl'>y</a> <a href=bare>z</a>"#;
        assert_eq!(link(page, "x-1.whl").unwrap(), "../files/x-1.whl?a=1&b=2#sha256=00");
        assert_eq!(link(page, "y-1.whl").unwrap(), "y-1.whl");
        assert_eq!(link(page, "1.whl"), None);
        assert_eq!(link("", "x-1.whl"), None);
    }
}
