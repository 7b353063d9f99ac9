//! `leadstream report`: what became of leads lately, and what it cost in calls to Salesforce.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, output};
use crate::deliver::traffic::BudgetReport;
use crate::edge::clock::{Clock as _, SystemClock};
use crate::model::{End, Millis, SourceName};
use crate::store::{HOUR_MS, LeadCounts, Store, StoreError, hour_of};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Over how many days. Calls are kept for 90 days, leads for `keep_events_days`.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// All that is told.
struct Report {
    days: u32,
    since: Millis,
    now: Millis,
    sources: BTreeMap<SourceName, LeadCounts>,
    calls: BTreeMap<String, u64>,
    budget: Option<BudgetReport>,
}

/// Shows it.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let Some(store) = super::open_store(config_path).await else {
        return Exit::Failure;
    };
    let report = match Report::read(&store, args.days, SystemClock.now()).await {
        Ok(report) => report,
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    store.close().await;
    output::line(&if args.json {
        report.to_json().to_string()
    } else {
        report.to_text()
    });
    Exit::Success
}

impl Report {
    async fn read(store: &Store, days: u32, now: Millis) -> Result<Self, StoreError> {
        // Calls are counted by the hour, so leads are as well.
        let since = hour_of(Millis(now.0 - i64::from(days) * 24 * HOUR_MS));
        let mut calls: BTreeMap<String, u64> = BTreeMap::new();
        for line in store.calls_since(since).await? {
            *calls.entry(line.purpose).or_default() += line.calls;
        }
        let budget = store.budget().await?;
        Ok(Self {
            days,
            since,
            now,
            sources: store.lead_counts(since).await?,
            calls,
            // One that another version wrote may not be read.
            budget: budget.and_then(|text| serde_json::from_str(&text).ok()),
        })
    }

    fn all_sources(&self) -> LeadCounts {
        let mut all = LeadCounts::default();
        self.sources.values().for_each(|counts| all.add(counts));
        all
    }

    fn all_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Calls for each thousand leads that came through; none if there were no such leads.
    fn calls_per_thousand(&self) -> Option<f64> {
        let leads = self.all_sources().came_through();
        let calls = self.all_calls() as f64;
        (leads > 0).then(|| (calls * 10_000.0 / leads as f64).round() / 10.0)
    }

    fn to_json(&self) -> Value {
        let counts = |counts: &LeadCounts| {
            let mut row = json!({ "taken": counts.taken });
            for end in End::ALL {
                row[end.name()] = json!(counts.ended(end));
            }
            row["on_the_way"] = json!(counts.on_the_way);
            row
        };
        let sources: serde_json::Map<String, Value> = self
            .sources
            .iter()
            .map(|(source, line)| (source.to_string(), counts(line)))
            .collect();
        let budget = self.budget.as_ref().map(|budget| {
            let moment = |at: Option<Millis>| at.map(|at| at.to_string());
            json!({
                "at": budget.at.to_string(),
                "state": budget.state,
                "used": budget.used,
                "allowed": budget.allowed,
                "own": budget.own,
                "remaining": budget.remaining,
                "empty_at": moment(budget.empty_at),
                "until": moment(budget.until),
            })
        });
        json!({
            "days": self.days,
            "since": self.since.to_string(),
            "sources": sources,
            "all": counts(&self.all_sources()),
            "calls": self.calls,
            "calls_all": self.all_calls(),
            "calls_per_1000_leads": self.calls_per_thousand(),
            "budget": budget,
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!("leads since {}\n", self.since);
        text.push_str(&self.leads());
        text.push_str("\ncalls to Salesforce\n");
        text.push_str(&self.calls());
        text.push('\n');
        text.push_str(&match &self.budget {
            Some(budget) => told(budget, self.now),
            None => "budget: no daemon has told yet how many calls the org has".to_owned(),
        });
        text
    }

    fn leads(&self) -> String {
        let mut header = vec!["source".to_owned(), "taken".to_owned()];
        header.extend(End::ALL.map(|end| end.name().replace('_', " ")));
        header.push("on the way".to_owned());
        let row = |name: &str, counts: &LeadCounts| {
            let mut row = vec![name.to_owned(), grouped(counts.taken)];
            row.extend(End::ALL.map(|end| grouped(counts.ended(end))));
            row.push(grouped(counts.on_the_way));
            row
        };
        let mut rows = vec![header];
        rows.extend(self.sources.iter().map(|(source, line)| row(source, line)));
        rows.push(row("all", &self.all_sources()));
        columns(&rows)
    }

    fn calls(&self) -> String {
        let mut rows: Vec<Vec<String>> = self
            .calls
            .iter()
            .map(|(purpose, calls)| vec![purpose.clone(), grouped(*calls)])
            .collect();
        rows.push(vec!["all".to_owned(), grouped(self.all_calls())]);
        let per_thousand = self
            .calls_per_thousand()
            .map_or_else(|| "-".to_owned(), |calls| format!("{calls:.1}"));
        // Of those that came through: synced, or merged with nothing to change.
        rows.push(vec!["per 1,000 leads".to_owned(), per_thousand]);
        columns(&rows)
    }
}

/// How the budget stands, in words.
fn told(budget: &BudgetReport, now: Millis) -> String {
    let minutes = now.since(budget.at).as_secs() / 60;
    let mut text = format!(
        "budget, as told {}: {}",
        match minutes {
            0 | 1 => "just now".to_owned(),
            2..180 => format!("{minutes} minutes ago"),
            _ => format!("at {}", budget.at),
        },
        match budget.state.as_str() {
            "real_time" => "leads go as they come",
            "batches" => "leads are gathered, so that the org's calls last",
            "reserve_only" => "only leads of high priority are sent",
            "exhausted" => "nothing is sent: the calls are used up",
            other => other,
        }
    );
    // Writing to a String cannot fail.
    if let (Some(used), Some(allowed)) = (budget.used, budget.allowed) {
        let _ = write!(
            text,
            "\n  the org has used {} of its {} calls of 24 hours, {} of them are ours",
            grouped(used),
            grouped(allowed),
            grouped(budget.own)
        );
    }
    if let Some(remaining) = budget.remaining {
        let _ = write!(text, "\n  we may make {} more", grouped(remaining));
    }
    if let Some(at) = budget.empty_at {
        let _ = write!(text, "\n  at the rate of the last hour, empty at {at}");
    }
    if let Some(until) = budget.until {
        let _ = write!(text, "\n  looked at again at {until}");
    }
    text
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rows of cells, the first column to the left.
fn columns(rows: &[Vec<String>]) -> String {
    let most = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..most).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let now = Millis(1_772_359_200_000);
        let counts = |taken, synced, merged| LeadCounts {
            taken,
            ends: [(End::Synced, synced), (End::Merged, merged)].into(),
            on_the_way: taken - synced - merged,
        };
        Report {
            days: 7,
            since: Millis(now.0 - 7 * 24 * HOUR_MS),
            now,
            sources: [
                (SourceName::new("demo"), counts(1_200, 1_000, 100)),
                (SourceName::new("newsletter"), counts(900, 0, 900)),
            ]
            .into(),
            calls: [("upsert".to_owned(), 9), ("query".to_owned(), 4)].into(),
            budget: Some(BudgetReport {
                at: Millis(now.0 - 5 * 60 * 1000),
                state: "batches".to_owned(),
                used: Some(9_000),
                allowed: Some(15_000),
                own: 1_234,
                remaining: Some(6_000),
                empty_at: Some(Millis(now.0 + 2 * HOUR_MS)),
                until: None,
            }),
        }
    }

    #[test]
    fn people_read_what_came_of_leads_and_what_it_cost() {
        insta::assert_snapshot!(report().to_text(), @r"
        leads since 2026-02-22T10:00:00.000Z
        source      taken  synced  merged  filtered  in review  dead letter  erased  on the way
        demo        1,200   1,000     100         0          0            0       0         100
        newsletter    900       0     900         0          0            0       0           0
        all         2,100   1,000   1,000         0          0            0       0         100

        calls to Salesforce
        query              4
        upsert             9
        all               13
        per 1,000 leads  6.5

        budget, as told 5 minutes ago: leads are gathered, so that the org's calls last
          the org has used 9,000 of its 15,000 calls of 24 hours, 1,234 of them are ours
          we may make 6,000 more
          at the rate of the last hour, empty at 2026-03-01T12:00:00.000Z
        ");
    }

    #[test]
    fn without_leads_there_is_no_rate() {
        let mut report = report();
        report.sources.clear();
        report.budget = None;
        assert_eq!(report.calls_per_thousand(), None);
        let text = report.to_text();
        assert!(text.contains("per 1,000 leads   -"), "{text}");
        assert!(report.to_json()["calls_per_1000_leads"].is_null());
    }
}
