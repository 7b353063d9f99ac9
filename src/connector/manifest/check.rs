//! What types cannot say of a manifest: how its parts fit together. Everything that a source's
//! options do not decide is refused here, at load, and not when a lead comes.

use std::collections::BTreeSet;

use super::{
    Auth, AuthType, Condition, CursorKind, Each, Fetch, Handshake, HandshakeStyle, Manifest, Of,
    Order, Paging, PagingStyle, Pivot, Poll, Record, RequestBody, Scheme, Signature, Take,
    Template, Webhook,
};
use crate::connector::path::Path;
use crate::model::field;

/// A mistake in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Keys and places in lists that lead to it.
    pub at: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub hint: String,
}

/// Names that a request's template may use beside options, and `now-30d` for so many days ago.
const POLL_NAMES: &[&str] = &["cursor", "until", "now", "size"];

/// All that is wrong with `manifest`; `folder` is the name of its folder.
pub fn check(manifest: &Manifest, folder: &str) -> Vec<Problem> {
    let mut check = Check {
        manifest,
        at: Vec::new(),
        problems: Vec::new(),
    };
    check.whole(folder);
    check.problems
}

struct Check<'m> {
    manifest: &'m Manifest,
    at: Vec<String>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn within(&mut self, key: impl ToString, inner: impl FnOnce(&mut Self)) {
        self.at.push(key.to_string());
        inner(self);
        self.at.pop();
    }

    fn problem(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem {
            at: self.at.clone(),
            message: message.into(),
            hint: hint.into(),
        });
    }

    fn whole(&mut self, folder: &str) {
        let manifest = self.manifest;
        if manifest.name != folder {
            self.within("name", |check| {
                check.problem(
                    "a connector has the name of its folder",
                    format!("write `name = \"{folder}\"`, or rename the folder"),
                );
            });
        }
        let name_is_plain = manifest
            .name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !name_is_plain || manifest.name.is_empty() || manifest.name.len() > 40 {
            self.within("name", |check| {
                check.problem(
                    "this cannot be the name of a connector",
                    "lower-case letters, digits and `-`, at most 40",
                );
            });
        }
        self.options();
        self.hosts();
        for (name, auth) in &manifest.auth {
            self.within("auth", |check| check.within(name, |check| check.auth(auth)));
        }
        for (name, template) in &manifest.headers {
            self.within("headers", |check| {
                check.within(name, |check| check.template(template, &[]));
            });
        }
        if manifest.webhook.is_none() && manifest.poll.is_empty() {
            self.problem(
                "neither [webhook] nor [poll]: nothing would ever come in",
                "say how records come: see docs/CONNECTORS.md",
            );
        }
        if let Some(webhook) = &manifest.webhook {
            self.within("webhook", |check| check.webhook(webhook));
        }
        self.each("fetch", &manifest.fetch, Self::fetch);
        self.each("poll", &manifest.poll, Self::poll);
        let names: BTreeSet<&str> = manifest
            .poll
            .iter()
            .map(|poll| poll.name.as_str())
            .collect();
        if names.len() < manifest.poll.len() {
            self.within("poll", |check| {
                check.problem(
                    "two polls have one name",
                    "give each a `name`: its cursor is kept under it",
                );
            });
        }
        for (name, lookup) in &manifest.lookup {
            self.within("lookup", |check| {
                check.within(name, |check| {
                    let bound = check.bound_anywhere();
                    check.template(&lookup.path, &bound);
                    for paths in [&lookup.list, &lookup.key, &lookup.value] {
                        check.paths(&paths.0);
                    }
                    check.paging(&lookup.paging);
                });
            });
        }
        self.within("record", |check| check.record(&manifest.record));
        self.within("fields", |check| check.fields(&manifest.fields));
        self.within("attribution", |check| {
            let attribution = &manifest.attribution;
            check.paths(&attribution.objects);
            check.paths(&attribution.urls);
            for (name, take) in &attribution.fields {
                check.within(name, |check| {
                    if !field::ATTRIBUTION.contains(&name.as_str()) {
                        check.problem(
                            format!("`{name}` is no name of attribution"),
                            "UTM parameters and click ids by their usual names, `referrer`, `landing_page`",
                        );
                    }
                    check.take(take);
                });
            }
        });
        self.each("errors", &manifest.errors, |check, rule| {
            if let Some(condition) = &rule.when {
                check.within("when", |check| {
                    check.condition(condition);
                    if !matches!(condition.of, Of::Page | Of::Header) {
                        check.problem(
                            "an error is told by the answer",
                            "write `of = \"page\"` or `of = \"header\"`",
                        );
                    }
                });
            }
            if let Some(take) = &rule.wait_from {
                check.within("wait_from", |check| check.take(take));
            }
            if rule.status.is_empty() && rule.when.is_none() {
                check.problem(
                    "this rule is for every error",
                    "name `status`, or a test in `when`",
                );
            }
        });
    }

    fn each<T>(&mut self, key: &str, items: &[T], mut inner: impl FnMut(&mut Self, &T)) {
        self.within(key, |check| {
            for (index, item) in items.iter().enumerate() {
                check.within(index, |check| inner(check, item));
            }
        });
    }

    fn options(&mut self) {
        const COMMON: &[&str] = &[
            "connector",
            "default_country",
            "lead_source",
            "campaign",
            "base_url",
            "fields",
            "auth",
            "token_url",
            "authorize_url",
            "schedule",
            "timezone",
            "start_date",
            "reconcile",
        ];
        let manifest = self.manifest;
        let mut seen = BTreeSet::new();
        for (name, spec) in &manifest.options {
            self.within("options", |check| {
                check.within(name, |check| {
                    for name in std::iter::once(name).chain(&spec.aliases) {
                        let is_plain = name
                            .bytes()
                            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                        if !is_plain || COMMON.contains(&name.as_str()) {
                            check.problem(
                                format!("`{name}` cannot be an option"),
                                "lower-case letters, digits and `_`, and no key that all sources have",
                            );
                        }
                        if !seen.insert(name.clone()) {
                            check.problem(
                                format!("two options are called `{name}`"),
                                "give each names of its own",
                            );
                        }
                    }
                    if let Some(other) = &spec.after_last_dash_of
                        && !manifest.options.contains_key(other)
                    {
                        check.problem(
                            format!("there is no option `{other}`"),
                            "name another option",
                        );
                    }
                });
            });
        }
    }

    fn hosts(&mut self) {
        let manifest = self.manifest;
        for host in &manifest.hosts {
            let bare = host.strip_prefix("*.").unwrap_or(host);
            let is_host = bare.contains('.')
                && bare
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
            if !is_host {
                self.within("hosts", |check| {
                    check.problem(
                        format!("`{host}` is no host"),
                        "write for example `api.example.com`, or `*.example.com` for any one below",
                    );
                });
            }
        }
        let calls = !manifest.poll.is_empty() || !manifest.fetch.is_empty();
        if calls && (manifest.base_url.is_none() || manifest.hosts.is_empty()) {
            self.problem(
                "`base_url` and `hosts` are missing, and [poll] or [fetch] calls the vendor",
                "name the API's address, and all hosts that may be called",
            );
        }
        if let Some(template) = &manifest.base_url {
            self.within("base_url", |check| {
                check.template(template, &[]);
                let known = template.fill(super::Encode::Plain, &mut |_| Some("x".to_owned()));
                let url = known.and_then(|text| url::Url::parse(&text).ok());
                let host = url.as_ref().and_then(url::Url::host_str);
                let is_https = url.as_ref().is_some_and(|url| url.scheme() == "https");
                let is_option = template.to_string().starts_with('{');
                if !is_option && (!is_https || !host.is_some_and(|host| check.is_listed(host))) {
                    check.problem(
                        "this is no https address on one of `hosts`",
                        "write `https://…`, and list its host",
                    );
                }
            });
        }
    }

    fn is_listed(&self, host: &str) -> bool {
        self.manifest
            .hosts
            .iter()
            .any(|listed| match listed.strip_prefix("*.") {
                Some(domain) => host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.')),
                None => listed == host,
            })
    }

    fn auth(&mut self, auth: &Auth) {
        let templates = [
            &auth.value,
            &auth.user,
            &auth.password,
            &auth.token_url,
            &auth.authorize_url,
        ];
        for template in templates.into_iter().flatten() {
            self.template(template, &[]);
        }
        for (name, template) in auth.parameters.iter().chain(&auth.authorize_parameters) {
            self.within(name, |check| check.template(template, &[]));
        }
        let asks_for_tokens = matches!(
            auth.kind,
            AuthType::Oauth2
                | AuthType::ClientCredentials
                | AuthType::AccountCredentials
                | AuthType::ServiceAccount
        );
        if asks_for_tokens && auth.token_url.is_none() {
            self.problem("`token_url` is missing", "say where tokens are had");
        }
        if matches!(auth.kind, AuthType::Header | AuthType::Query) && auth.name.is_none() {
            self.problem(
                "`name` is missing",
                "say which header or parameter the key goes into",
            );
        }
        for option in [&auth.key, &auth.subject, &auth.proof_key] {
            self.option(option.as_deref());
        }
    }

    fn webhook(&mut self, webhook: &Webhook) {
        if let Some(records) = &webhook.records
            && !records.contains('{')
        {
            self.within("records", |check| check.path(records));
        }
        self.each("signature", &webhook.signature, Self::signature);
        if webhook.signature.is_empty() {
            self.problem(
                "nothing proves who sends these",
                "add [webhook.signature]; where the vendor signs nothing, `scheme = \"url\"`: a secret in the address",
            );
        }
        self.each("handshake", &webhook.handshake, Self::handshake);
        for path in &webhook.redact {
            self.within("redact", |check| check.path(path));
        }
        self.each("ignore_when", &webhook.ignore_when, |check, condition| {
            check.condition(condition);
        });
        if let Some(record) = &webhook.record {
            self.within("record", |check| check.record(record));
        }
        self.within("fields", |check| check.fields(&webhook.fields));
        if !(200..300).contains(&webhook.answer.status) {
            self.within("answer", |check| {
                check.problem("a webhook is answered with 2xx", "write `status = 200`");
            });
        }
    }

    fn signature(&mut self, signature: &Signature) {
        self.option(Some(&signature.key));
        let mut scheme: Option<Scheme> = None;
        if signature.scheme.names().next().is_some() {
            self.template(&signature.scheme, &[]);
        } else {
            let text = toml::Value::String(signature.scheme.to_string());
            scheme = text.try_into().ok();
            if scheme.is_none() {
                self.within("scheme", |check| {
                    check.problem(
                        format!("there is no scheme `{}`", signature.scheme),
                        "hmac_sha256, hmac_sha1, hmac_sha512, sha256, standard_webhooks, equals or url",
                    );
                });
            }
        }
        let signs = matches!(
            scheme,
            Some(Scheme::HmacSha256 | Scheme::HmacSha1 | Scheme::HmacSha512 | Scheme::Sha256)
        );
        if signs && signature.header.is_none() {
            self.problem("`header` is missing", "say which header has the signature");
        }
        if scheme == Some(Scheme::Equals)
            && signature.header.is_none() == signature.body_path.is_none()
        {
            self.problem(
                "where the secret stands is not clear",
                "name `header` or `body_path`, and not both",
            );
        }
        if let Some(path) = &signature.body_path {
            self.within("body_path", |check| check.path(path));
        }
    }

    fn handshake(&mut self, handshake: &Handshake) {
        self.option(handshake.key.as_deref());
        if let Some(condition) = &handshake.when {
            self.within("when", |check| check.condition(condition));
        }
        let (needs, has): (&[&str], _) = match handshake.style {
            HandshakeStyle::Accept => (&[], true),
            HandshakeStyle::EchoQuery => (&["challenge"], handshake.challenge.is_some()),
            HandshakeStyle::SignedQuery => (
                &["challenge", "key"],
                handshake.challenge.is_some() && handshake.key.is_some(),
            ),
            HandshakeStyle::SignedBody => (
                &["when", "from", "key"],
                handshake.when.is_some() && handshake.from.is_some() && handshake.key.is_some(),
            ),
            HandshakeStyle::EchoBody => (
                &["when", "from"],
                handshake.when.is_some() && handshake.from.is_some(),
            ),
        };
        if !has {
            self.problem(
                "this greeting is not whole",
                format!("this style needs {}", needs.join(", ")),
            );
        }
    }

    fn fetch(&mut self, fetch: &Fetch) {
        if let Some(condition) = &fetch.when {
            self.within("when", |check| check.condition(condition));
        }
        let bound = names_bound(&fetch.bind);
        for (name, take) in &fetch.bind {
            self.within("as", |check| check.within(name, |check| check.take(take)));
        }
        self.within("path", |check| check.template(&fetch.path, &bound));
        self.query(&fetch.query, &bound);
        self.body(fetch.body.as_ref(), &bound);
        if let Some(records) = &fetch.records {
            self.within("records", |check| check.path(records));
        }
        self.lookups(&fetch.lookups);
        if let Some(record) = &fetch.record {
            self.within("record", |check| check.record(record));
        }
        self.within("fields", |check| check.fields(&fetch.fields));
    }

    fn poll(&mut self, poll: &Poll) {
        self.option(poll.when.as_deref());
        let mut bound = poll
            .each
            .as_ref()
            .map_or_else(Vec::new, |each| names_bound(&each.bind));
        bound.extend(POLL_NAMES.iter().map(|name| (*name).to_owned()));
        if let Some(each) = &poll.each {
            self.within("each", |check| check.each_item(each));
        }
        self.within("path", |check| check.template(&poll.path, &bound));
        self.query(&poll.query, &bound);
        self.body(poll.body.as_ref(), &bound);
        self.within("records", |check| check.path(&poll.records));
        let record = poll.record.as_ref().unwrap_or(&self.manifest.record);
        if record.id.is_empty() && poll.rows.is_none() {
            self.problem(
                "records have no id: each poll would take them again",
                "say where the vendor's id is: `[record] id = \"id\"`",
            );
        }
        if let Some(cursor) = &poll.cursor {
            self.within("cursor", |check| {
                check.paths(&cursor.from.0);
                check.option(cursor.zone.as_deref());
                if cursor.stops && cursor.order != Order::Descending {
                    check.problem(
                        "`stops` is for records that come newest first",
                        "write `order = \"descending\"`, or take `stops` out",
                    );
                }
                if cursor.kind == CursorKind::Token && cursor.overlap_seconds > 0 {
                    check.problem("a token has no overlap", "take `overlap_seconds` out");
                }
            });
        }
        if poll.paging.style == PagingStyle::Cursor
            && poll
                .cursor
                .as_ref()
                .is_none_or(|cursor| cursor.order != Order::Ascending)
        {
            self.within("paging", |check| {
                check.problem(
                    "paging by the cursor needs records that come oldest first",
                    "add [poll.cursor] with `order = \"ascending\"`",
                );
            });
        }
        self.within("paging", |check| check.paging(&poll.paging));
        self.each("join", &poll.join, |check, join| {
            for path in [&join.list, &join.key, &join.equals] {
                check.path(path);
            }
        });
        if let Some(rows) = &poll.rows {
            self.within("rows", |check| {
                check.option(rows.header_row.as_deref());
                check.option(rows.id_column.as_deref());
            });
        }
        self.lookups(&poll.lookups);
        if let Some(record) = &poll.record {
            self.within("record", |check| check.record(record));
        }
        self.within("fields", |check| check.fields(&poll.fields));
    }

    fn each_item(&mut self, each: &Each) {
        if each.option.is_some() == each.path.is_some() {
            self.problem(
                "what to go through is not clear",
                "name `option`, or `path` and `records`, and not both",
            );
        }
        self.option(each.option.as_deref());
        self.option(each.only.as_deref());
        if each.bind.is_empty() {
            self.problem(
                "nothing is bound",
                "name what each item is called: `as = { id = \"id\" }`",
            );
        }
        if let Some(path) = &each.path {
            let names: Vec<String> = POLL_NAMES.iter().map(|name| (*name).to_owned()).collect();
            self.within("path", |check| check.template(path, &names));
            self.query(&each.query, &names);
        }
        if let Some(records) = &each.records {
            self.within("records", |check| check.path(records));
        }
        for (name, take) in &each.bind {
            self.within("as", |check| check.within(name, |check| check.take(take)));
        }
        self.within("changed_by", |check| check.paths(&each.changed_by));
        self.within("paging", |check| check.paging(&each.paging));
        self.each("skip_when", &each.skip_when, |check, condition| {
            check.condition(condition);
        });
    }

    fn paging(&mut self, paging: &Paging) {
        if let Some(from) = &paging.from {
            self.within("from", |check| check.path(from));
        }
        if let Some(total) = &paging.total {
            self.within("total", |check| check.path(total));
        }
        if let Some(condition) = &paging.more_when {
            self.within("more_when", |check| {
                check.condition(condition);
                if !matches!(condition.of, Of::Page | Of::Header) {
                    check.problem(
                        "whether there is more is told by the answer",
                        "write `of = \"page\"`",
                    );
                }
            });
        }
        let goes_somewhere = paging.query.is_some() || paging.body.is_some();
        let (needs, has) = match paging.style {
            PagingStyle::None => ("", true),
            PagingStyle::Page | PagingStyle::Offset => ("`query` or `body`", goes_somewhere),
            PagingStyle::Cursor => (
                "`query` (the offset's name) and `size`",
                goes_somewhere && paging.size.is_some(),
            ),
            PagingStyle::Token => (
                "`from` or `header`, and `query` or `body`",
                goes_somewhere && (paging.from.is_some() || paging.header.is_some()),
            ),
            PagingStyle::NextUrl => (
                "`from` or `header`",
                paging.from.is_some() || paging.header.is_some(),
            ),
            PagingStyle::AfterLast => (
                "`from`, and `query` or `body`",
                goes_somewhere && paging.from.is_some(),
            ),
        };
        if !has {
            self.problem(
                "where the next page comes from is not clear",
                format!("this style needs {needs}"),
            );
        }
    }

    fn record(&mut self, record: &Record) {
        for take in record.id.iter().chain(&record.version) {
            self.within("id", |check| check.take(take));
        }
        if let Some(at) = &record.at {
            self.within("at", |check| {
                check.paths(&at.from.0);
                check.option(at.zone.as_deref());
            });
        }
        if let Some(split) = &record.split {
            self.within("split", |check| check.path(split));
        }
        for (key, conditions) in [
            ("skip_when", &record.skip_when),
            ("test_when", &record.test_when),
            ("opt_out_when", &record.opt_out_when),
            ("withdrawn_when", &record.withdrawn_when),
        ] {
            self.each(key, conditions, |check, condition| {
                check.condition(condition);
                if condition.reason.is_empty() {
                    check.problem(
                        "`reason` is missing",
                        "say why in plain words: people read it on timelines",
                    );
                }
            });
        }
        for (name, pivot) in &record.pivot {
            self.within("pivot", |check| {
                check.within(name, |check| check.pivot(pivot));
            });
        }
    }

    fn pivot(&mut self, pivot: &Pivot) {
        self.paths(&pivot.list.0);
        self.paths(&pivot.value.0);
        for paths in [&pivot.key, &pivot.title].into_iter().flatten() {
            self.paths(&paths.0);
        }
        if let Some(titles) = &pivot.titles_in {
            for paths in [&titles.list, &titles.key, &titles.value] {
                self.paths(&paths.0);
            }
            if let Some(choices) = &titles.choices {
                for paths in [&choices.list, &choices.key, &choices.value] {
                    self.paths(&paths.0);
                }
            }
        }
        if let Some(lookup) = &pivot.titles
            && !self.manifest.lookup.contains_key(lookup)
        {
            self.within("titles", |check| {
                check.problem(
                    format!("there is no [lookup.{lookup}]"),
                    "name one of the manifest's lookups",
                );
            });
        }
    }

    fn fields(&mut self, fields: &std::collections::BTreeMap<String, Take>) {
        for (name, take) in fields {
            self.within(name, |check| check.take(take));
        }
    }

    fn take(&mut self, take: &Take) {
        if take.from.is_empty() && take.value.is_none() {
            self.problem("this takes nothing", "name `from`, or a fixed `value`");
        }
        if take.of != Of::Header {
            self.paths(&take.from);
        }
        if let Some(value) = &take.value {
            self.template(value, &[]);
        }
    }

    fn condition(&mut self, condition: &Condition) {
        if condition.of != Of::Header {
            self.paths(&condition.from.0);
        }
        let tests = condition.equals.is_some()
            || condition.not.is_some()
            || !condition.one_of.is_empty()
            || condition.starts_with.is_some()
            || condition.contains.is_some()
            || condition.present.is_some()
            || condition.above.is_some();
        if !tests {
            self.problem(
                "this tests nothing",
                "add `equals`, `not`, `one_of`, `starts_with`, `contains`, `present` or `above`",
            );
        }
    }

    fn query(&mut self, query: &std::collections::BTreeMap<String, Template>, bound: &[String]) {
        for (name, template) in query {
            self.within("query", |check| {
                check.within(name, |check| check.template(template, bound));
            });
        }
    }

    fn body(&mut self, body: Option<&RequestBody>, bound: &[String]) {
        fn visit(check: &mut Check<'_>, value: &toml::Value, bound: &[String]) {
            match value {
                toml::Value::String(text) => match Template::parse(text) {
                    Ok(template) => check.template(&template, bound),
                    Err(error) => check.problem(error.to_string(), "mend the text"),
                },
                toml::Value::Array(items) => {
                    for item in items {
                        visit(check, item, bound);
                    }
                }
                toml::Value::Table(members) => {
                    for (name, member) in members {
                        check.within(name, |check| visit(check, member, bound));
                    }
                }
                _ => {}
            }
        }
        if let Some(body) = body {
            let table = toml::Value::Table(body.0.clone());
            self.within("body", |check| visit(check, &table, bound));
        }
    }

    fn lookups(&mut self, lookups: &[String]) {
        for name in lookups {
            if !self.manifest.lookup.contains_key(name) {
                self.within("lookups", |check| {
                    check.problem(
                        format!("there is no [lookup.{name}]"),
                        "name one of the manifest's lookups",
                    );
                });
            }
        }
    }

    /// Names that any poll's items or any fetch binds: a lookup is read for each of them.
    fn bound_anywhere(&self) -> Vec<String> {
        let each = self
            .manifest
            .poll
            .iter()
            .filter_map(|poll| poll.each.as_ref());
        let of_polls = each.flat_map(|each| names_bound(&each.bind));
        let of_fetches = self
            .manifest
            .fetch
            .iter()
            .flat_map(|fetch| names_bound(&fetch.bind));
        of_polls.chain(of_fetches).collect()
    }

    fn template(&mut self, template: &Template, bound: &[String]) {
        let names: Vec<&str> = template
            .names()
            .filter(|name| !self.manifest.options.contains_key(*name))
            .filter(|name| !bound.iter().any(|known| known == name))
            .filter(|name| !(is_days_ago(name) && bound.iter().any(|known| known == "now")))
            .collect();
        for name in names {
            let known = self.manifest.options.keys().map(String::as_str);
            let near = crate::config::closest(name, known.chain(bound.iter().map(String::as_str)));
            self.problem(
                format!("nothing is called `{{{name}}}`"),
                match near {
                    Some(near) => format!("did you mean `{{{near}}}`?"),
                    None => format!(
                        "add an option: `[options] {name} = {{ type = \"text\", help = \"…\" }}`"
                    ),
                },
            );
        }
    }

    fn option(&mut self, name: Option<&str>) {
        if let Some(name) = name
            && !self.manifest.options.contains_key(name)
        {
            self.problem(
                format!("there is no option `{name}`"),
                format!("add it to [options]: `{name} = {{ type = \"…\", help = \"…\" }}`"),
            );
        }
    }

    fn paths(&mut self, paths: &[String]) {
        for path in paths {
            self.path(path);
        }
    }

    fn path(&mut self, path: &str) {
        // With an option in it, it is looked at when a source sets that.
        if path.starts_with('{') {
            return;
        }
        if let Err(error) = Path::parse(path) {
            self.problem(
                error.message,
                "paths are JSONPath (RFC 9535) without the leading `$.`",
            );
        }
    }
}

/// Whether `name` is `now-<days>d`.
fn is_days_ago(name: &str) -> bool {
    let days = name
        .strip_prefix("now-")
        .and_then(|rest| rest.strip_suffix('d'));
    days.is_some_and(|days| {
        !days.is_empty() && days.len() <= 4 && days.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The names that bindings bind: those of their patterns, or their own.
fn names_bound(bind: &std::collections::BTreeMap<String, Take>) -> Vec<String> {
    let mut names = Vec::new();
    for (name, take) in bind {
        match take.pattern.as_deref().map(Template::parse) {
            Some(Ok(pattern)) => names.extend(pattern.names().map(str::to_owned)),
            _ => names.push(name.clone()),
        }
    }
    names
}
