//! `leadstream salesforce setup`: makes what is needed in the org.

use std::io::IsTerminal as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Exit, output};
use crate::config::Config;
use crate::diagnostic;
use crate::salesforce::{Client, TextField};
use crate::setup::{
    Applied, MAP_FIELDS, Outcome, PermissionSet, Plan, PlanError, apply, clicks, mapping_lines,
    plan, wanted,
};

/// Arguments of `salesforce setup`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Also make fields for UTM parameters and click ids on Lead.
    #[arg(long)]
    attribution: bool,
    /// The permission set through which the integration user may write the fields; the only one that it
    /// has, or a new one called Leadstream, if not said.
    #[arg(long, value_name = "NAME")]
    permission_set: Option<String>,
    /// Write without asking.
    #[arg(long)]
    yes: bool,
    /// Print the clicks that do the same by hand, and ask nobody.
    #[arg(long, conflicts_with = "yes")]
    print: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Looks, asks, makes.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let loaded = crate::cli::load(config_path);
    let Some(config) = loaded.config else {
        return Exit::Failure;
    };
    let fields = wanted(&config.salesforce.external_id_field, args.attribution);
    if args.print {
        let clicks = clicks(&fields, args.permission_set.as_deref());
        if args.json {
            output::line(&json!({ "clicks": clicks }).to_string());
        } else {
            say_clicks(&clicks);
        }
        return Exit::Success;
    }
    let (client, store) = super::client(&config).await;
    let exit = look_and_make(args, &config, &client, fields).await;
    if let Some(store) = store {
        drop(client);
        store.close().await;
    }
    exit
}

async fn look_and_make(
    args: &Args,
    config: &Config,
    client: &Client,
    fields: Vec<TextField>,
) -> Exit {
    let plan = match plan(client, fields.clone(), args.permission_set.as_deref()).await {
        Ok(plan) => plan,
        Err(error) => return say_error(args, &error),
    };
    if !args.json {
        say_plan(&plan);
    }
    if plan.is_done() {
        finish(args, config, &plan, &[], &[]);
        return Exit::Success;
    }
    if let PermissionSet::Unknown { .. } = &plan.set {
        // A field that nobody is allowed to see is worse than none: it looks as if it were missing.
        let left = clicks(&fields, args.permission_set.as_deref());
        if args.json {
            output::line(&told(&plan, &[], &left, "incomplete").to_string());
        } else {
            output::error_line("Nothing was written. By hand it is:\n");
            say_clicks(&left);
        }
        return Exit::Failure;
    }
    if !args.yes && !is_told_yes(args).await {
        if args.json {
            output::line(&told(&plan, &[], &[], "not_confirmed").to_string());
        } else {
            output::error_line("Nothing was written. Run it with --yes to do this.");
        }
        return Exit::Failure;
    }
    let applied = apply(client, &plan, |step| {
        if !args.json && step.outcome != Outcome::There {
            say_step(step);
        }
    })
    .await;
    let mut left: Vec<String> = Vec::new();
    if !applied.iter().all(Applied::is_well) {
        let set = match &plan.set {
            PermissionSet::Existing { name, .. } | PermissionSet::New { name, .. } => Some(name),
            PermissionSet::NotNeeded | PermissionSet::Unknown { .. } => None,
        };
        let of_left: Vec<TextField> = fields
            .into_iter()
            .filter(|field| is_left(field, &applied))
            .collect();
        left = clicks(&of_left, set.map(String::as_str));
    }
    finish(args, config, &plan, &applied, &left);
    if left.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    }
}

/// Whether a step of the field did not go well.
fn is_left(field: &TextField, applied: &[Applied]) -> bool {
    let name = format!("{}.{}", field.object, field.name);
    applied.iter().any(|step| {
        !step.is_well() && (step.what == name || step.what.starts_with(&format!("{name} ")))
    })
}

/// Whether whoever sits at the terminal says yes.
async fn is_told_yes(args: &Args) -> bool {
    if args.json || !std::io::stdin().is_terminal() {
        return false;
    }
    output::part("Do this in the org? [y/N] ");
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        // Who cannot be read has not said yes.
        let _ = std::io::stdin().read_line(&mut line);
        line
    });
    let answer = answer.await.unwrap_or_default();
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

fn say_error(args: &Args, error: &PlanError) -> Exit {
    let hint = match error {
        PlanError::SignIn(error) => error.hint.clone(),
        PlanError::Unreadable { error, .. } => error.explain().hint,
    };
    if args.json {
        let told = json!({ "state": "failed", "error": error.to_string(), "hint": hint });
        output::line(&told.to_string());
    } else {
        output::error_line(&format!("error: {error}\nhelp: {hint}"));
    }
    Exit::Failure
}

fn say_plan(plan: &Plan) {
    for field in &plan.fields {
        let name = field.full_name();
        let detail = if field.field.is_key {
            ", external id, unique"
        } else {
            ""
        };
        if field.make {
            let length = field.field.length;
            output::line(&format!("to make:   {name} (Text {length}{detail})"));
        } else {
            output::line(&format!("is there:  {name}"));
        }
        if field.grant {
            output::line(&format!(
                "to allow:  {name}, to be read and written by the integration user"
            ));
        }
    }
    match &plan.set {
        PermissionSet::NotNeeded => {}
        PermissionSet::Existing { name, .. } => {
            output::line(&format!("by:        the permission set {name}"));
        }
        PermissionSet::New { name, id, .. } => {
            let new = if id.is_none() { "a new" } else { "the" };
            output::line(&format!(
                "by:        {new} permission set {name}, assigned to the integration user"
            ));
        }
        PermissionSet::Unknown { reason } => output::error_line(&format!(
            "warning: {reason}; say which permission set it is: --permission-set NAME"
        )),
    }
    if !plan.problems.is_empty() {
        output::error_line(&diagnostic::render(
            &plan.problems,
            output::stderr_takes_colour(),
        ));
    }
}

fn say_step(step: &Applied) {
    let what = match step.step {
        "field" => format!("the field {}", step.what),
        "permission_set" => format!("the permission set {}", step.what),
        "assignment" => format!("the assignment of {}", step.what),
        _ => format!("the right to write {}", step.what),
    };
    match &step.outcome {
        Outcome::Done => output::line(&format!("made:      {what}")),
        Outcome::There => output::line(&format!("is there:  {what}")),
        Outcome::Skipped => output::error_line(&format!("left out:  {what}")),
        Outcome::Refused(why) => {
            output::error_line(&format!("refused:   {what}: {}", why.message));
        }
    }
}

fn say_clicks(clicks: &[String]) {
    for (number, click) in clicks.iter().enumerate() {
        output::line(&format!("{}. {click}\n", number + 1));
    }
}

/// What is left to do by hand, and to write into the configuration.
fn finish(args: &Args, config: &Config, plan: &Plan, applied: &[Applied], left: &[String]) {
    let state = if left.is_empty() {
        "done"
    } else {
        "incomplete"
    };
    if args.json {
        output::line(&told(plan, applied, left, state).to_string());
        return;
    }
    if left.is_empty() {
        let done = if applied.is_empty() {
            "\nAll fields are there; nothing was written."
        } else {
            "\nAll fields are there now."
        };
        output::line(done);
        let key = &config.salesforce.external_id_field;
        output::line(&format!(
            "One click is left that no API does, unless it is done: {MAP_FIELDS}: map {key} of Lead to \
             {key} of Contact, so that the key survives conversion."
        ));
    } else {
        output::line(
            "\nWhat was refused needs the permission Customize Application while this runs. By hand:\n",
        );
        say_clicks(left);
    }
    if args.attribution {
        let lines = mapping_lines(|name| {
            let mut mapped = config.salesforce.lead.keys();
            mapped.any(|mapped| mapped.eq_ignore_ascii_case(name))
        });
        if !lines.is_empty() {
            output::line("\nTo fill them, add to [salesforce.lead]:\n");
            for line in lines {
                output::line(&line);
            }
        }
    }
}

fn told(plan: &Plan, applied: &[Applied], left: &[String], state: &str) -> Value {
    let planned = plan.fields.iter().map(|field| {
        json!({
            "field": field.full_name(),
            "make": field.make,
            "grant": field.grant,
        })
    });
    let set = match &plan.set {
        PermissionSet::NotNeeded => Value::Null,
        PermissionSet::Existing { name, .. } => json!({ "name": name, "make": false }),
        PermissionSet::New { name, id, .. } => json!({ "name": name, "make": id.is_none() }),
        PermissionSet::Unknown { reason } => json!({ "unknown": reason }),
    };
    let steps = applied.iter().map(|step| {
        let (outcome, why) = match &step.outcome {
            Outcome::Done => ("done", None),
            Outcome::There => ("there", None),
            Outcome::Skipped => ("left_out", None),
            Outcome::Refused(why) => ("refused", Some(&why.message)),
        };
        json!({ "step": step.step, "what": step.what, "outcome": outcome, "why": why })
    });
    json!({
        "state": state,
        "fields": planned.collect::<Vec<_>>(),
        "permission_set": set,
        "steps": steps.collect::<Vec<_>>(),
        "clicks": left,
        "problems": diagnostic::to_json(&plan.problems),
    })
}
