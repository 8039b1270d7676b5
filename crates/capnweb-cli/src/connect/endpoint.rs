//! Addresses of servers.

use std::path::PathBuf;

use crate::failure::Failure;

/// A description of the accepted addresses.
const FORMS: &str = "an address is ws://host/path, wss://…, http://… or https://… for a batch, webtransport://host:port/path, \
                     tcp://host:port, unix:/path, or exec:./program";

/// The address of a server, with its transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    WebSocket(String),
    Batch(String),
    WebTransport(String),
    Tcp(String),
    Unix(PathBuf),
    /// A program and its arguments.
    Exec(Vec<String>),
}

impl Endpoint {
    /// Parses an address.
    ///
    /// # Errors
    ///
    /// Returns a failure that lists the accepted forms if the address has none of them.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        let after_slashes = rest.strip_prefix("//").unwrap_or(rest);
        let no_form = |message: String| Failure::usage(message).help(FORMS);
        match scheme.to_ascii_lowercase().as_str() {
            "ws" | "wss" if rest.starts_with("//") => Ok(Self::WebSocket(text.to_owned())),
            "http" | "https" if rest.starts_with("//") => Ok(Self::Batch(text.to_owned())),
            "webtransport" | "wt" => Ok(Self::WebTransport(format!("https://{after_slashes}"))),
            "tcp" => {
                let address = after_slashes.trim_end_matches('/');
                match address.rsplit_once(':') {
                    Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                        Ok(Self::Tcp(address.to_owned()))
                    }
                    _ => Err(no_form(format!("`{text}` has no host and port"))),
                }
            }
            "unix" if after_slashes.is_empty() => Err(no_form("the socket has no path".to_owned())),
            "unix" => Ok(Self::Unix(after_slashes.into())),
            "exec" | "stdio" => {
                let words = split_words(rest).map_err(|why| no_form(format!("`{text}`: {why}")))?;
                match words.is_empty() {
                    true => Err(no_form("there is no program".to_owned())),
                    false => Ok(Self::Exec(words)),
                }
            }
            _ if text.contains("://") => Err(no_form(format!("`{scheme}:` is not known"))),
            _ => {
                let failure = Failure::usage(format!("`{text}` does not say how to connect"));
                Err(failure.help(format!("did you mean `ws://{text}`? {FORMS}")))
            }
        }
    }

    pub(crate) fn is_batch(&self) -> bool {
        matches!(self, Self::Batch(_))
    }

    /// Returns the WebSocket URL that corresponds to a batch URL.
    pub(crate) fn as_session_url(&self) -> Option<String> {
        let Self::Batch(url) = self else { return None };
        url.strip_prefix("http").map(|rest| format!("ws{rest}"))
    }

    /// Returns whether the connection is protected by TLS.
    pub(crate) fn is_tls(&self) -> bool {
        let is = |url: &str, scheme: &str| {
            url.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        match self {
            Self::WebSocket(url) => is(url, "wss:"),
            Self::Batch(url) => is(url, "https:"),
            Self::WebTransport(_) => true,
            _ => false,
        }
    }

    /// Returns whether the transport has headers.
    pub(crate) fn has_headers(&self) -> bool {
        matches!(
            self,
            Self::WebSocket(_) | Self::Batch(_) | Self::WebTransport(_)
        )
    }
}

/// Splits a command into words like a shell: at spaces, with quotes and backslashes.
fn split_words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') if cfg!(unix) => {
                word.get_or_insert_default().extend(chars.next());
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_has_a_form() {
        for (text, endpoint) in [
            ("ws://a/api", Endpoint::WebSocket("ws://a/api".into())),
            ("WSS://a", Endpoint::WebSocket("WSS://a".into())),
            ("https://a/", Endpoint::Batch("https://a/".into())),
            (
                "webtransport://a:4433/api",
                Endpoint::WebTransport("https://a:4433/api".into()),
            ),
            ("tcp://a:1", Endpoint::Tcp("a:1".into())),
            ("tcp:[::1]:1", Endpoint::Tcp("[::1]:1".into())),
            ("unix:/run/x", Endpoint::Unix("/run/x".into())),
            ("unix:///run/x", Endpoint::Unix("/run/x".into())),
            (
                "exec:./a --b 'c d' \"\"",
                Endpoint::Exec(vec![
                    "./a".into(),
                    "--b".into(),
                    "c d".into(),
                    String::new(),
                ]),
            ),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap(), endpoint, "{text}");
        }
        assert!(Endpoint::parse("WSS://a").unwrap().is_tls());
        assert!(!Endpoint::parse("http://a").unwrap().is_tls());
    }

    #[test]
    fn an_address_without_a_form_is_explained() {
        for (text, why) in [
            (
                "localhost:8080/api",
                "`localhost:8080/api` does not say how to connect",
            ),
            ("ftp://a", "`ftp:` is not known"),
            ("tcp://a", "`tcp://a` has no host and port"),
            ("unix:", "the socket has no path"),
            ("exec: ", "there is no program"),
            ("exec:'a", "`exec:'a`: a quote is not closed"),
        ] {
            let failure = Endpoint::parse(text).unwrap_err();
            assert_eq!(failure.message, why);
            assert!(failure.help.unwrap().contains("exec:./program"));
        }
    }
}
