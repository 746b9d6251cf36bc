//! Which registry a user's package manager asks, and whom it trusts: read from the same places, and
//! nothing else of what stands there. A token is not passed on unless it is named.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use http::Uri;

use super::error::Error;
use stockade_kit::launch::Ecosystem;

/// A registry as it is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Its address; the package manager's own default, when there is none.
    pub url: Option<String>,
    /// Whom the package manager may reach, as far as it is configured.
    pub hosts: Vec<String>,
    /// Certificates to trust.
    ca: Option<PathBuf>,
    /// Where npm looks for the packages of a scope.
    pub(super) scopes: Vec<(String, String)>,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Registry {
    /// The registry of this user. `named` is one that was named for this once.
    ///
    /// # Errors
    /// When packages would come over a connection that anybody can be in, or a password is in the
    /// address that was not named for this.
    pub fn of(ecosystem: Ecosystem, named: Option<&str>) -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
        let home = std::env::home_dir().unwrap_or_default();
        let mut registry = match ecosystem {
            Ecosystem::Npm => {
                let file = npm_variable("userconfig").map(PathBuf::from);
                let file = file.unwrap_or_else(|| home.join(".npmrc"));
                let mut registry = npmrc(&fs::read_to_string(file).unwrap_or_default());
                registry.url = npm_variable("registry").or(registry.url);
                registry.ca = npm_variable("cafile").map(PathBuf::from).or(registry.ca);
                registry
            }
            Ecosystem::Pypi => {
                let config = variable("XDG_CONFIG_HOME").map(PathBuf::from);
                let files = [
                    variable("PIP_CONFIG_FILE").map(PathBuf::from),
                    Some(config.unwrap_or_else(|| home.join(".config")).join("pip/pip.conf")),
                    Some(home.join(".pip/pip.conf")),
                    Some("/etc/pip.conf".into()),
                ];
                let mut registry = Self {
                    url: variable("PIP_INDEX_URL"),
                    ca: variable("PIP_CERT").map(PathBuf::from),
                    ..Self::default()
                };
                for file in files.into_iter().flatten() {
                    let found = pip_conf(&fs::read_to_string(file).unwrap_or_default());
                    registry.url = registry.url.or(found.url);
                    registry.ca = registry.ca.or(found.ca);
                }
                registry
            }
        };
        if let Some(named) = named {
            registry.url = Some(named.to_owned());
            registry.scopes.clear();
        }
        let scoped = registry.scopes.iter().map(|(_, url)| url);
        let urls: Vec<String> = registry.url.iter().chain(scoped).cloned().collect();
        for url in &urls {
            usable(url, named.is_some())?;
            registry.hosts.extend(host_of(url));
        }
        let trusted = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"];
        let trusted = trusted.into_iter().filter_map(|it| Some((it, PathBuf::from(variable(it)?))));
        registry.variables = trusted.filter(|(_, path)| path.exists()).collect();
        registry.ca = registry.ca.filter(|it| it.exists());
        Ok(registry)
    }

    /// What the package manager is told of certificates, as an option of this name.
    pub(super) fn ca_option(&self, name: &str) -> Vec<OsString> {
        self.ca.iter().flat_map(|it| [OsString::from(name), it.clone().into()]).collect()
    }

    pub(super) fn env(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.variables.iter().map(|(name, path)| ((*name).into(), path.clone().into()))
    }

    /// Files and directories that the package manager has to see.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let all = self.ca.iter().chain(self.variables.iter().map(|(_, path)| path));
        all.filter(|it| !it.starts_with("/etc/ssl") && !it.starts_with("/usr")).cloned().collect()
    }
}

/// Whether what comes from here is what was sent: encrypted, or from this very machine. And an
/// address with a password in it is used only if it was named for this.
pub(super) fn usable(url: &str, may_have_password: bool) -> Result<(), Error> {
    let refused = |why| Error::Registry { url: without_password(url), why };
    let uri: Uri = url.parse().map_err(|_| refused("it is no address"))?;
    let host = uri.host().unwrap_or_default();
    let is_loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|it| it.is_loopback());
    if uri.authority().is_some_and(|it| it.as_str().contains('@')) && !may_have_password {
        return Err(refused("there is a password in it; name it with `--registry` if it is meant"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback => Ok(()),
        _ => Err(refused("packages come over https, or from this machine")),
    }
}

/// The host of an address, with its port. None where it could be read as more than one: a list of
/// hosts has commas and signs of its own.
pub(super) fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let port = match uri.scheme_str() {
        Some("http") => 80,
        _ => 443,
    };
    let plain = |it: u8| it.is_ascii_alphanumeric() || b".-:[]".contains(&it);
    let host = uri.host().filter(|it| it.bytes().all(plain))?.to_ascii_lowercase();
    Some(format!("{host}:{}", uri.port_u16().unwrap_or(port)))
}

/// Whether what a package names as its source is one of the hosts that were shown. A package can
/// write any address into what npm takes for its lock (`npm-shrinkwrap.json`): this machine's own
/// services, for example.
pub(super) fn comes_from(hosts: &[String], url: &str) -> bool {
    let Some(host) = host_of(url) else { return false };
    let short = host.strip_suffix(":443").unwrap_or(&host);
    let named = |it: &String| {
        let plain = it.split_once('=').map_or(it.as_str(), |(host, _)| host);
        plain.eq_ignore_ascii_case(&host) || plain.eq_ignore_ascii_case(short)
    };
    usable(url, true).is_ok() && hosts.iter().any(named)
}

/// An address to be shown.
pub(super) fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}/{path}")
        }
        None => String::new(),
    }
}

/// npm reads its variables in any case.
fn npm_variable(key: &str) -> Option<String> {
    let name = format!("npm_config_{key}");
    let found = std::env::vars_os().find(|(it, _)| it.eq_ignore_ascii_case(&name));
    found.and_then(|(_, value)| value.into_string().ok()).filter(|it| !it.is_empty())
}

fn npmrc(text: &str) -> Registry {
    let mut registry = Registry::default();
    for (key, value) in settings(text) {
        match key {
            "registry" => registry.url = Some(value.to_owned()),
            "cafile" => registry.ca = Some(value.into()),
            _ => {
                let scope = key.strip_suffix(":registry").filter(|it| it.starts_with('@'));
                registry.scopes.extend(scope.map(|it| (it.to_owned(), value.to_owned())));
            }
        }
    }
    registry
}

fn pip_conf(text: &str) -> Registry {
    let mut registry = Registry::default();
    for (key, value) in settings(text) {
        match key {
            "index-url" => registry.url = Some(value.to_owned()),
            "cert" => registry.ca = Some(value.into()),
            _ => {}
        }
    }
    registry
}

/// `key = value`, a line each; comments and sections are passed over.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(str::trim).filter(|it| !it.starts_with(['#', ';', '['])).filter_map(|it| {
        let (key, value) = it.split_once('=')?;
        Some((key.trim(), value.trim().trim_matches(['"', '\''])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_registry_and_certificates_are_read() {
        let found = npmrc(
            "# mine\nregistry = https://npm.example/\n//npm.example/:_authToken=secret\n\
             cafile=\"/ca.pem\"\n@corp:registry=https://corp.example/\nscript-shell=/evil\n",
        );
        assert_eq!(found.url.as_deref(), Some("https://npm.example/"));
        assert_eq!(found.ca, Some("/ca.pem".into()));
        assert_eq!(found.scopes, [("@corp".to_owned(), "https://corp.example/".to_owned())]);
        let found = pip_conf(
            "[global]\nindex-url = https://pip.example/simple\ncert = /ca\ntrusted-host = evil\n\
             extra-index-url = https://evil.example\n",
        );
        assert_eq!(found.url.as_deref(), Some("https://pip.example/simple"));
        assert_eq!(found.ca, Some("/ca".into()));
    }

    #[test]
    fn packages_come_over_what_nobody_else_is_in() {
        for (url, may, usable_) in [
            ("https://npm.example/", false, true),
            ("http://127.0.0.1:4873/", false, true),
            ("http://[::1]:4873/", false, true),
            ("http://localhost/", false, true),
            ("http://npm.example/", false, false),
            ("http://127.0.0.1.example/", false, false),
            ("https://me:secret@npm.example/", false, false),
            ("https://me:secret@npm.example/", true, true),
            ("file:///srv/", false, false),
            ("git+https://npm.example/", false, false),
            ("", false, false),
        ] {
            assert_eq!(usable(url, may).is_ok(), usable_, "{url}");
        }
        assert_eq!(without_password("https://me:secret@a.example/x"), "https://a.example/x");
    }
}
