use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Exit, failed, hint_of, output};
use crate::config::StoreConfig;
use crate::edge::clock::{Clock as _, SystemClock};
use crate::model::Millis;
use crate::store::{Store, StoreInfo};

/// Arguments of `store info`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, store: &StoreConfig) -> Exit {
    let info = match Store::look(store).await {
        Ok(store) => store.info().await,
        Err(error) => Err(error),
    };
    match info {
        Ok(info) => {
            output::line(&if args.json {
                to_json(&info).to_string()
            } else {
                to_text(&info, SystemClock.now())
            });
            Exit::Success
        }
        Err(error) => failed(&error, hint_of(&error)),
    }
}

fn to_json(info: &StoreInfo) -> Value {
    let time = |at: Option<Millis>| at.map(|at| at.to_string());
    let files = info.files.iter();
    let tables = info.tables.iter();
    let nodes = info.nodes.iter();
    let leases = info.leases.iter();
    json!({
        "database": info.database,
        "url": info.url,
        "unfinished_copy": info.is_half_copied,
        "bytes": total(info),
        "files": files.map(|file| json!({ "name": file.name, "bytes": file.bytes })).collect::<Vec<_>>(),
        "tables": tables.map(|table| json!({
            "name": table.name, "rows": table.rows, "estimate": table.is_estimate, "bytes": table.bytes,
        })).collect::<Vec<_>>(),
        "events": { "waiting": info.waiting, "oldest": time(info.oldest_event) },
        "deliveries": {
            "pending": info.pending, "sending": info.sending, "dead": info.dead,
            "oldest_pending": time(info.oldest_pending),
        },
        "nodes": nodes.map(|node| json!({
            "name": node.name, "seconds_left": node.seconds_left,
        })).collect::<Vec<_>>(),
        "leases": leases.map(|lease| json!({
            "name": lease.name, "holder": lease.holder, "seconds_left": lease.seconds_left,
        })).collect::<Vec<_>>(),
    })
}

fn total(info: &StoreInfo) -> u64 {
    info.files.iter().map(|file| file.bytes).sum()
}

fn to_text(info: &StoreInfo, now: Millis) -> String {
    let mut text = format!("{} at {}\n", info.database, info.url);
    if info.is_half_copied {
        text.push_str(
            "A copy into it is not finished: run the same `leadstream store copy` again.\n",
        );
    }
    text.push('\n');
    for file in &info.files {
        line(&mut text, &size(file.bytes), &file.name);
    }
    if info.files.len() > 1 {
        line(&mut text, &size(total(info)), "in all");
    }
    text.push('\n');
    for table in &info.tables {
        let about = if table.is_estimate { "about " } else { "" };
        let bytes = table
            .bytes
            .map(|bytes| format!(", {}", size(bytes)))
            .unwrap_or_default();
        let rows = format!("{about}{}", grouped(table.rows));
        line(&mut text, &rows, &format!("{}{bytes}", table.name));
    }
    text.push('\n');
    let since = |at: Option<Millis>, what: &str| {
        at.map(|at| format!("; the oldest {what} {at}, {} ago", age(now, at)))
            .unwrap_or_default()
    };
    line(
        &mut text,
        &grouped(info.waiting),
        &format!(
            "events wait to be processed{}",
            since(info.oldest_event, "that is kept is of")
        ),
    );
    line(
        &mut text,
        &grouped(info.pending),
        &format!(
            "deliveries wait to be sent{}",
            since(info.oldest_pending, "was decided at")
        ),
    );
    line(&mut text, &grouped(info.sending), "are being sent");
    line(&mut text, &grouped(info.dead), "need a person");
    text.push('\n');
    if info.nodes.is_empty() {
        text.push_str("no leadstream runs on it\n");
    }
    for node in &info.nodes {
        // Writing to a String cannot fail.
        let _ = match node.seconds_left {
            Some(left) => writeln!(
                text,
                "{} runs on it; its lease has {left} s left",
                node.name
            ),
            None => writeln!(text, "{} runs on it", node.name),
        };
    }
    for lease in &info.leases {
        let _ = writeln!(
            text,
            "{} holds the lease {}; {} s left",
            lease.holder, lease.name, lease.seconds_left
        );
    }
    text.trim_end().to_owned()
}

fn line(text: &mut String, number: &str, what: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{number:>18}  {what}");
}

/// `12,345`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// In the largest unit of which there are two.
fn age(now: Millis, at: Millis) -> String {
    let seconds = (now.0 - at.0).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0, 999, 1_000, 999_949, 999_950, 3_500_000_000, u64::MAX].map(size),
            [
                "0 B",
                "999 B",
                "1.0 kB",
                "999.9 kB",
                "1.0 MB",
                "3.5 GB",
                "18446744.1 TB"
            ]
        );
        let ages = [0, 119, 120, 7_199, 7_200, 172_800]
            .map(|seconds| age(Millis(seconds * 1000), Millis(0)));
        assert_eq!(ages, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
        assert_eq!(age(Millis(0), Millis(5_000)), "0 s");
    }
}
