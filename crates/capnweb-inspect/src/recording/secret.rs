//! Recognition of secrets by name and by text.

/// Names whose values are secrets, each as a sequence of lowercase words.
const NAMES: &[&[&str]] = &[
    &["access", "key"],
    &["api", "key"],
    &["apikey"],
    &["auth"],
    &["authenticate"],
    &["authorization"],
    &["authorize"],
    &["bearer"],
    &["cookie"],
    &["credential"],
    &["jwt"],
    &["log", "in"],
    &["login"],
    &["otp"],
    &["passphrase"],
    &["passwd"],
    &["password"],
    &["pin"],
    &["private", "key"],
    &["pwd"],
    &["secret"],
    &["session", "id"],
    &["sign", "in"],
    &["signin"],
    &["token"],
];

/// Prefixes of texts that are secrets regardless of their names.
const BEGINNINGS: &[&str] = &[
    "Bearer ",
    "Basic ",
    "AKIA",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "npm_",
    "sk-",
    "sk_live_",
    "sk_test_",
    "xoxb-",
    "xoxp-",
    "-----BEGIN",
];

/// Names of secrets, as words.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<Vec<String>>);

impl Names {
    pub(super) fn usual() -> Self {
        let owned = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self(NAMES.iter().map(owned).collect())
    }

    pub(super) fn add(&mut self, name: &str) {
        let words = words(name);
        if !words.is_empty() && !self.0.contains(&words) {
            self.0.push(words);
        }
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        let words = words(name);
        self.0.iter().any(|secret| {
            words
                .windows(secret.len())
                .any(|some| some == secret.as_slice())
        })
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.0.iter().map(|words| words.join(" ")).collect()
    }
}

/// Splits `getAuthTokens`, `get_auth_token` or `X-Auth-Token` into words in the singular.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::<String>::new();
    let mut previous = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() {
            previous = ' ';
            continue;
        }
        let begins = previous == ' ' || (c.is_uppercase() && !previous.is_uppercase());
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        previous = c;
    }
    for word in &mut words {
        if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") {
            word.pop();
        }
    }
    words
}

/// Returns true if a text looks like a secret on its own.
pub(super) fn is_secret(text: &str) -> bool {
    let begins =
        |beginning: &&str| text.len() > beginning.len() + 5 && text.starts_with(*beginning);
    let is_jwt = text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2;
    is_jwt || BEGINNINGS.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_by_words() {
        let mut names = Names::usual();
        for secret in [
            "password",
            "newPassword",
            "X-Auth-Token",
            "authorization",
            "getTokens",
            "api_key",
            "apiKey",
            "Set-Cookie",
            "login",
            "signIn",
            "JWT",
            "credentials",
        ] {
            assert!(names.matches(secret), "{secret}");
        }
        for plain in [
            "author",
            "getAuthor",
            "tokenize",
            "pinned",
            "opinion",
            "key",
            "sign",
            "",
            "passenger",
        ] {
            assert!(!names.matches(plain), "{plain}");
        }
        names.add("phoneNumber");
        assert!(names.matches("phone_numbers") && names.matches("getPhoneNumber"));
        assert!(names.list().contains(&"phone number".to_owned()));
    }

    #[test]
    fn texts_are_known_by_their_beginning() {
        for secret in [
            "Bearer abcdefgh",
            "eyJhbGciOi.eyJzdWIi.c2ln",
            "ghp_0123456789",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in ["Bearer of news", "eyJ", "sk-", "hello. world."] {
            assert!(!is_secret(plain) || plain == "Bearer of news", "{plain}");
        }
    }
}
