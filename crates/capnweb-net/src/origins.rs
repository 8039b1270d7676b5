//! Origins of web pages.

use std::fmt;

use url::{Host, Url};

/// The origins whose pages may connect to a server.
///
/// An origin is a scheme, a host and a port, such as `https://example.com` or
/// `http://localhost:3000`. A trailing slash, the case, and the scheme's default port are ignored.
/// `https://*.example.com` stands for every subdomain of `example.com`, at any depth, but not for
/// `example.com` itself. Browsers send `null` as the origin of sandboxed frames and local files.
///
/// ```
/// use capnweb::axum::Origins;
///
/// let origins = Origins::new(["https://Example.com/", "https://*.example.org"])?;
/// assert!(origins.allow("https://example.com"));
/// assert!(origins.allow("https://a.b.example.org"));
/// assert!(!origins.allow("https://example.org"));
/// assert!(!origins.allow("http://example.com"));
/// assert!(Origins::new(["example.com"]).is_err());
/// # Ok::<(), capnweb::axum::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Null,
    Exact(Origin),
    /// Any subdomain of the given host.
    Subdomains(Origin),
}

/// One origin, normalized.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: Host<String>,
    port: Option<u16>,
}

impl Origins {
    /// Creates a set of origins.
    ///
    /// # Errors
    ///
    /// Returns an error if one of them can match no page.
    pub fn new(origins: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidOrigin> {
        origins
            .into_iter()
            .map(|origin| Pattern::parse(origin.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns whether pages of `origin`, the value of an `Origin` header, may connect.
    pub fn allow(&self, origin: &str) -> bool {
        if origin == "null" {
            return self.0.contains(&Pattern::Null);
        }
        let Ok(origin) = Origin::parse(origin) else {
            return false;
        };
        self.0.iter().any(|pattern| pattern.matches(&origin))
    }
}

/// Returns an origin in the form that browsers send, which is a valid header value.
///
/// # Errors
///
/// Returns an error if no page can have this origin.
pub fn normalize_origin(origin: &str) -> Result<String, InvalidOrigin> {
    match Pattern::parse(origin)? {
        Pattern::Null => Ok(origin.to_owned()),
        Pattern::Exact(exact) => Ok(exact.to_string()),
        Pattern::Subdomains(_) => Err(InvalidOrigin {
            origin: origin.to_owned(),
            problem: "it stands for several",
        }),
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let failed = |problem| InvalidOrigin {
            origin: text.to_owned(),
            problem,
        };
        if text == "null" {
            return Ok(Self::Null);
        }
        if text == "*" {
            return Err(failed("every page may connect without this setting"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(failed(
                "an origin begins with its scheme, such as `https://`",
            ));
        };
        let Some(domain) = rest.strip_prefix("*.") else {
            return Origin::parse(text).map(Self::Exact).map_err(failed);
        };
        let parent = Origin::parse(&format!("{scheme}://{domain}")).map_err(failed)?;
        match parent.host {
            Host::Domain(_) => Ok(Self::Subdomains(parent)),
            _ => Err(failed("an IP address has no subdomains")),
        }
    }

    fn matches(&self, origin: &Origin) -> bool {
        match self {
            Self::Null => false,
            Self::Exact(exact) => exact == origin,
            Self::Subdomains(parent) => {
                let (Host::Domain(parent_host), Host::Domain(host)) = (&parent.host, &origin.host)
                else {
                    return false;
                };
                let is_below = host
                    .strip_suffix(parent_host.as_str())
                    .is_some_and(|below| below.len() > 1 && below.ends_with('.'));
                is_below && parent.scheme == origin.scheme && parent.port == origin.port
            }
        }
    }
}

impl Origin {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "it is not a URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an origin has no user");
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("an origin ends with its host or port: it has no path");
        }
        let host = match url.host() {
            // For other schemes than the web's, such as those of extensions, the host keeps its
            // case.
            Some(Host::Domain(host)) => Host::Domain(host.to_ascii_lowercase()),
            Some(host) => host.to_owned(),
            None => return Err("it has no host"),
        };
        if matches!(&host, Host::Domain(host) if host.is_empty() || host.contains('*')) {
            return Err("`*` can only stand for subdomains, as in `https://*.example.com`");
        }
        Ok(Self {
            scheme: url.scheme().to_owned(),
            host,
            port: url.port_or_known_default(),
        })
    }
}

/// Writes the origin as browsers do, without the scheme's default port.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        let own_port = match self.scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        match self.port {
            Some(port) if self.port != own_port => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

/// The error for an origin that can match no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrigin {
    origin: String,
    problem: &'static str,
}

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} can be the origin of no page: {}",
            self.origin, self.problem
        )
    }
}

impl std::error::Error for InvalidOrigin {}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, origin: &str) -> bool {
        Origins::new([pattern]).unwrap().allow(origin)
    }

    #[test]
    fn spelling_does_not_matter() {
        for pattern in [
            "https://a.example",
            "https://a.example/",
            "https://A.example",
            "HTTPS://a.example",
            "https://a.example:443",
        ] {
            assert!(allows(pattern, "https://a.example"), "{pattern}");
            assert!(!allows(pattern, "https://a.example:8443"), "{pattern}");
            assert!(!allows(pattern, "http://a.example"), "{pattern}");
        }
        assert!(allows("http://[::1]:3000", "http://[::1]:3000"));
        assert!(allows(
            "https://bücher.example",
            "https://xn--bcher-kva.example"
        ));
        assert!(allows("chrome-extension://AbC", "chrome-extension://abc"));
        assert!(allows("null", "null") && !allows("https://a.example", "null"));
    }

    #[test]
    fn a_pattern_stands_for_subdomains() {
        let pattern = "https://*.a.example:8443";
        for (origin, allowed) in [
            ("https://x.a.example:8443", true),
            ("https://x.y.a.example:8443", true),
            ("https://X.a.example:8443", true),
            ("https://a.example:8443", false),
            ("https://.a.example:8443", false),
            ("https://xa.example:8443", false),
            ("https://x.a.example", false),
            ("http://x.a.example:8443", false),
            ("https://x.a.example.evil:8443", false),
            ("null", false),
            ("rubbish", false),
        ] {
            assert_eq!(allows(pattern, origin), allowed, "{origin}");
        }
    }

    #[test]
    fn an_origin_is_normalized() {
        for (origin, normalized) in [
            ("https://A.example:443/", "https://a.example"),
            ("http://a.example:8080", "http://a.example:8080"),
            ("http://[::1]:80", "http://[::1]"),
            ("chrome-extension://abc/", "chrome-extension://abc"),
            ("null", "null"),
        ] {
            assert_eq!(normalize_origin(origin).as_deref(), Ok(normalized));
        }
        assert!(normalize_origin("https://*.a.example").is_err());
        assert!(normalize_origin("a.example").is_err());
    }

    #[test]
    fn an_origin_that_matches_nothing_is_an_error() {
        for origin in [
            "",
            "*",
            "a.example",
            "localhost:3000",
            "https://",
            "https://a.example/app",
            "https://a.example?x",
            "https://user@a.example",
            "https://a.*.example",
            "https://*",
            "https://*.",
            "https://*.127.0.0.1",
            "https://a b",
        ] {
            let error = Origins::new([origin]).unwrap_err();
            assert!(
                error.to_string().contains(&format!("{origin:?}")),
                "{error}"
            );
        }
    }
}
