use super::{Exit, failed, hint_of, output};
use crate::config::StoreConfig;
use crate::store::{Migrated, Store};

pub(super) async fn run(store: &StoreConfig) -> Exit {
    match Store::migrate(store).await {
        Ok(migrated) => {
            for place in &migrated {
                output::line(&line(place));
            }
            Exit::Success
        }
        Err(error) => failed(&error, hint_of(&error)),
    }
}

fn line(Migrated { place, from, to }: &Migrated) -> String {
    match from {
        None => format!("{place}: tables made, version {to}"),
        Some(from) if from == to => format!("{place}: nothing to do, version {to}"),
        Some(from) => format!("{place}: brought from version {from} to {to}"),
    }
}
