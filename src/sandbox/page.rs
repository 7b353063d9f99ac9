//! The page for people: the leads, newest first, and what the org was asked.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::handle::Sandbox;

/// Leads shown; the rest is counted.
const SHOWN: usize = 200;

const COLUMNS: [(&str, &str); 9] = [
    ("Id", "Salesforce id"),
    ("Name", "Name"),
    ("Company", "Company"),
    ("Email", "Email"),
    ("Phone", "Phone"),
    ("Country", "Country"),
    ("LeadSource", "Source"),
    ("Status", "Status"),
    ("CreatedDate", "Created"),
];

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#222}\
    table{border-collapse:collapse}th,td{padding:.25rem .75rem;text-align:left;\
    border-bottom:1px solid #ddd}th{font-weight:600}td:first-child{font-family:monospace}\
    p{color:#555}";

/// The page as HTML. It reloads itself every two seconds.
pub(super) fn render(sandbox: &Sandbox) -> String {
    let state = sandbox.shared.state.lock();
    let org = &state.org;
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"refresh\" content=\"2\"><title>Salesforce sandbox</title>\
         <style>{STYLE}</style></head><body><h1>Salesforce sandbox</h1>"
    );
    let Some(object) = org.schema.find("Lead") else {
        return page;
    };
    let rows = org.table(object).rows();
    let live = rows.iter().filter(|row| !row.deleted).count();
    let (used, max) = state.meter.usage();
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<p>{live} leads, {used} of {max} API calls used.</p><table><tr>"
    );
    for (_, heading) in COLUMNS {
        let _ = write!(page, "<th>{heading}</th>");
    }
    page.push_str("</tr>");
    for row in rows.iter().rev().filter(|row| !row.deleted).take(SHOWN) {
        page.push_str("<tr>");
        for (name, _) in COLUMNS {
            let field = org.object(object).field(name);
            let value = field.map_or(Json::Null, |field| org.json(object, row, field));
            let _ = write!(
                page,
                "<td>{}</td>",
                escape(value.as_str().unwrap_or_default())
            );
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
    if live > SHOWN {
        let _ = write!(page, "<p>and {} older ones.</p>", live - SHOWN);
    }
    page.push_str("<h2>Calls</h2><table><tr><th>Kind</th><th>Count</th></tr>");
    for (kind, count) in &state.meter.calls().by_kind {
        let _ = write!(page, "<tr><td>{kind}</td><td>{count}</td></tr>");
    }
    page.push_str("</table></body></html>");
    page
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
