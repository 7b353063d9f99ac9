use axum::http::HeaderValue;
use url::Url;

use crate::connector::custom::web_form::WebFormOptions;

/// Where a browser goes after it has posted.
#[derive(Debug)]
pub struct Redirect {
    configured: Option<HeaderValue>,
    /// `host` or `host:port`, lower case.
    allowed_hosts: Vec<String>,
}

impl Redirect {
    pub fn new(options: &WebFormOptions) -> Self {
        let configured = options.redirect_url.as_ref();
        let own_host = configured.and_then(Url::host_str).map(str::to_owned);
        let allowed = options.allowed_redirect_hosts.iter();
        Self {
            configured: configured.and_then(|url| HeaderValue::from_str(url.as_str()).ok()),
            allowed_hosts: allowed
                .map(|host| host.to_ascii_lowercase())
                .chain(own_host)
                .collect(),
        }
    }

    /// Where to, given what the form asks for. A host that is not on the list would make this
    /// server's address lend its good name to anyone: then it is where the configuration says.
    pub fn target(&self, asked: impl FnOnce() -> Option<String>) -> Option<HeaderValue> {
        if self.allowed_hosts.is_empty() {
            return None;
        }
        asked()
            .and_then(|asked| self.permitted(&asked))
            .or_else(|| self.configured.clone())
    }

    fn permitted(&self, asked: &str) -> Option<HeaderValue> {
        let url = Url::parse(asked).ok()?;
        let host = url.host_str()?;
        let is_allowed = |allowed: &String| {
            allowed == host
                || url
                    .port_or_known_default()
                    .is_some_and(|port| *allowed == format!("{host}:{port}"))
        };
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none();
        (is_plain && self.allowed_hosts.iter().any(is_allowed))
            .then(|| HeaderValue::from_str(url.as_str()).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: Option<&str>, expect: Option<&str>) {
        let redirect = Redirect::new(&WebFormOptions {
            redirect_url: Url::parse("https://www.example.com/thanks").ok(),
            allowed_redirect_hosts: vec![
                "Shop.example.com".to_owned(),
                "localhost:3000".to_owned(),
            ],
            ..WebFormOptions::default()
        });
        let target = redirect.target(|| asked.map(str::to_owned));
        assert_eq!(
            target.as_ref().map(|url| url.to_str().unwrap()),
            expect,
            "{asked:?}"
        );
    }

    #[test]
    fn a_form_may_only_name_hosts_on_the_list() {
        const HOME: Option<&str> = Some("https://www.example.com/thanks");
        check(None, HOME);
        check(
            Some("https://www.example.com/a?b=c"),
            Some("https://www.example.com/a?b=c"),
        );
        check(
            Some("https://shop.EXAMPLE.com/x"),
            Some("https://shop.example.com/x"),
        );
        check(
            Some("http://localhost:3000/x"),
            Some("http://localhost:3000/x"),
        );
        for evil in [
            "https://evil.example/",
            "https://www.example.com.evil.example/",
            "https://www.example.com@evil.example/",
            "https://user@www.example.com/",
            "//evil.example/",
            "https:\\\\evil.example/",
            "http://localhost:3001/x",
            "javascript://www.example.com/%0aalert(1)",
            "/thanks",
            "",
        ] {
            check(Some(evil), HOME);
        }
        let injected = "https://www.example.com/a\r\nSet-Cookie: b=c";
        check(
            Some(injected),
            Some("https://www.example.com/aSet-Cookie:%20b=c"),
        );
    }

    #[test]
    fn without_a_list_nothing_redirects() {
        let redirect = Redirect::new(&WebFormOptions::default());
        assert_eq!(
            redirect.target(|| Some("https://evil.example/".to_owned())),
            None
        );
    }
}
