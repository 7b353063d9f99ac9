//! From a post to the record in Salesforce.

mod arriving;
mod batches;
mod people_win;
mod refused;
mod trouble;
