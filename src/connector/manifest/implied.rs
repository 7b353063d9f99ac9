//! What a manifest need not say: the options that a way to sign in asks for by its nature.

use super::{Auth, AuthType, Manifest, OptionSpec, OptionType, Template};

impl Manifest {
    /// Fills in what follows from the rest.
    pub(super) fn complete(&mut self) {
        let mut implied: Vec<(String, OptionSpec)> = Vec::new();
        for (name, auth) in &mut self.auth {
            auth.complete(name);
            for (option, spec) in auth.options(name) {
                implied.push((option, spec));
            }
        }
        for (name, spec) in implied {
            self.options.entry(name).or_insert(spec);
        }
    }
}

impl Auth {
    fn complete(&mut self, name: &str) {
        // An option has the name of the way to sign in, if it has nothing else to go by.
        let own = || Template::parse(&format!("{{{name}}}")).ok();
        match self.kind {
            AuthType::Bearer | AuthType::Header | AuthType::Query => {
                self.value = self.value.take().or_else(own);
            }
            AuthType::Basic => {
                self.user = self
                    .user
                    .take()
                    .or_else(|| Some(Template::literal("leadstream")));
                self.password = self.password.take().or_else(own);
            }
            AuthType::ServiceAccount => {
                self.key = self.key.take().or_else(|| Some(name.to_owned()));
            }
            _ => {}
        }
    }

    /// The options that it asks for, with what they are.
    fn options(&self, name: &str) -> Vec<(String, OptionSpec)> {
        let secret = |option: &str, help: &str| {
            (
                option.to_owned(),
                OptionSpec::implied(OptionType::Secret, help),
            )
        };
        let text = |option: &str, help: &str| {
            (
                option.to_owned(),
                OptionSpec::implied(OptionType::Text, help),
            )
        };
        let client = || {
            vec![
                text("client_id", "the app's client id"),
                secret("client_secret", "the app's client secret"),
            ]
        };
        match self.kind {
            AuthType::None => Vec::new(),
            AuthType::Bearer | AuthType::Header | AuthType::Query | AuthType::Basic => {
                let asks = [&self.value, &self.password]
                    .into_iter()
                    .flatten()
                    .any(|template| template.names().any(|used| used == name));
                if asks {
                    vec![secret(name, "the vendor's key or token")]
                } else {
                    Vec::new()
                }
            }
            AuthType::Oauth2 => {
                let mut options = client();
                options.push(secret(
                    "refresh_token",
                    "the refresh token, if there is one already; otherwise run `leadstream connect <source>`",
                ));
                options
            }
            AuthType::ClientCredentials => client(),
            AuthType::AccountCredentials => {
                let mut options = client();
                options.push(text("account_id", "the account id of the app"));
                options
            }
            AuthType::ServiceAccount => {
                let mut options = Vec::new();
                if let Some(key) = &self.key {
                    options.push(secret(key, "the service account's key file, as JSON"));
                }
                if let Some(subject) = &self.subject {
                    options.push(text(
                        subject,
                        "the user to act as, with domain-wide delegation",
                    ));
                }
                options
            }
        }
    }

    /// The options without which it cannot be used.
    pub fn needs(&self) -> Vec<String> {
        let templates = [&self.value, &self.user, &self.password];
        let mut needs: Vec<String> = templates
            .into_iter()
            .flatten()
            .flat_map(|template| template.names().map(str::to_owned))
            .collect();
        match self.kind {
            AuthType::Oauth2 | AuthType::ClientCredentials => {
                needs.extend(["client_id".to_owned(), "client_secret".to_owned()]);
            }
            AuthType::AccountCredentials => {
                needs.extend(["client_id", "client_secret", "account_id"].map(str::to_owned));
            }
            AuthType::ServiceAccount => needs.extend(self.key.clone()),
            _ => {}
        }
        needs
    }
}

impl OptionSpec {
    fn implied(kind: OptionType, help: &str) -> Self {
        Self {
            kind,
            required: false,
            default: None,
            choices: Vec::new(),
            aliases: Vec::new(),
            help: help.to_owned(),
            example: None,
            after_last_dash_of: None,
        }
    }
}
