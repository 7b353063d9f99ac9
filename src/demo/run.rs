use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;

use super::leads::{Expect, Leads, Post};
use super::send::{SendError, Sender};
use super::stage::{DemoError, Options, Stage};
use super::verdict;
use super::view::{self, Said, View};
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Signals;
use crate::model::{EventId, SourceName};
use crate::store::{AuditLine, Store, StoreError};

/// How often it is looked what has become of the leads.
const LOOK: Duration = Duration::from_millis(100);

/// Looks between two lines with the books.
const LOOKS_PER_BOOKS: u32 = 10;

/// Looks between two leads of the gentle stream.
const LOOKS_PER_LEAD: u32 = 20;

/// The longest that `--once` may take to bring all leads to their end.
const MOST: Duration = Duration::from_secs(60);

/// Posts on their way at once.
const AT_ONCE: usize = 16;

/// How the demo ended.
#[derive(Debug)]
pub struct Finished {
    /// The books at the end.
    pub books: BTreeMap<SourceName, AuditLine>,
    /// What is not as it must be. Nothing, unless the demo ran once and was not stopped.
    pub wrong: Vec<String>,
    /// People in Salesforce.
    pub people: usize,
    /// Whether a signal ended it.
    pub stopped: bool,
    /// Where its files are; none if they were removed.
    pub directory: Option<PathBuf>,
}

/// Runs the demo to its end, or until Ctrl-C or SIGTERM. `say` takes what is to be shown.
pub async fn run(
    options: &Options,
    clock: SharedClock,
    say: impl Fn(Said<'_>),
) -> Result<Finished, DemoError> {
    let mut signals = Signals::new().map_err(DemoError::Signals)?;
    let stage = Stage::put_up(options, &clock).await?;
    say(Said::Line(&view::welcome(&stage.addresses)));
    let mut show = Show {
        sender: Sender::new(stage.addresses.daemon.clone()),
        store: stage.daemon.store(),
        clock: &clock,
        leads: Leads::new(options.seed),
        sent: Vec::new(),
        wrong: Vec::new(),
        view: View::new(),
        say: &say,
    };
    let played = tokio::select! {
        played = show.play(options) => Some(played),
        () = signals.next() => None,
    };
    let stopped = played.is_none();
    played.unwrap_or(Ok(()))?;

    let books = show.store.audit().await?;
    let records = stage.sandbox.records("Lead");
    let mut wrong = show.wrong;
    if !stopped {
        wrong.extend(verdict::judge(
            &show.sent,
            show.view.ends(),
            show.leads.wanted(),
            &records,
            &books,
        ));
    }
    let down = stage.take_down(options.once && wrong.is_empty());
    let directory = tokio::select! {
        directory = down => directory,
        () = signals.next() => None,
    };
    Ok(Finished {
        books,
        wrong,
        people: records.len(),
        stopped,
        directory,
    })
}

/// The leads on their way.
struct Show<'a, S> {
    sender: Sender,
    store: &'a Store,
    clock: &'a SharedClock,
    leads: Leads,
    sent: Vec<(EventId, Expect)>,
    wrong: Vec<String>,
    view: View,
    say: &'a S,
}

impl<S: Fn(Said<'_>)> Show<'_, S> {
    /// Sends the set and waits until all of it is at its end; then, unless once, goes on and on.
    async fn play(&mut self, options: &Options) -> Result<(), StoreError> {
        let deadline = self.clock.now().after(MOST);
        let set: Vec<Post> = (0..options.leads).map(|_| self.leads.next_post()).collect();
        let mut rest = set.as_slice();
        while !rest.is_empty() {
            let (together, later) = rest.split_at(together(rest));
            let answers = join_all(together.iter().map(|post| self.sender.post(post))).await;
            for (post, answer) in together.iter().zip(answers) {
                self.note(post.expect, answer);
            }
            self.look(false).await?;
            rest = later;
        }
        for look in 0.. {
            self.look(look % LOOKS_PER_BOOKS == 0).await?;
            if options.once && (self.all_at_their_end() || self.clock.now() >= deadline) {
                break;
            }
            if !options.once && look % LOOKS_PER_LEAD == LOOKS_PER_LEAD - 1 {
                let post = self.leads.next_post();
                let answer = self.sender.post(&post).await;
                self.note(post.expect, answer);
            }
            self.clock.sleep(LOOK).await;
        }
        self.look(true).await
    }

    fn note(&mut self, expect: Expect, answer: Result<EventId, SendError>) {
        match answer {
            Ok(event) => self.sent.push((event, expect)),
            Err(error) => {
                (self.say)(Said::Line(&format!("not taken: {error}")));
                self.wrong.push(format!("a lead was not taken: {error}"));
            }
        }
    }

    fn all_at_their_end(&self) -> bool {
        let ends = self.view.ends();
        self.sent.iter().all(|(event, _)| ends.contains_key(event))
    }

    /// Says what is new.
    async fn look(&mut self, with_books: bool) -> Result<(), StoreError> {
        let progress = self.store.progress(self.view.floor).await?;
        for line in self.view.news(&progress) {
            (self.say)(Said::Line(&line));
        }
        if with_books && let Some(line) = self.view.books(&self.store.audit().await?) {
            (self.say)(Said::Books(&line));
        }
        Ok(())
    }
}

/// How many of the next posts can be on their way at once. Two posts of one person are not: which of
/// them is taken first would decide whether the second can be known for theirs. A double click is
/// the same twice, so that it may.
fn together(posts: &[Post]) -> usize {
    let clashes = |post: &Post, before: &[Post]| {
        before
            .iter()
            .any(|earlier| earlier.is_of_the_person_of(post) && earlier != post)
    };
    let most = posts.len().min(AT_ONCE);
    (1..most)
        .find(|index| clashes(&posts[*index], &posts[..*index]))
        .unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_sends_later_is_sent_later() {
        let mut leads = Leads::new(1);
        let posts: Vec<Post> = (0..500).map(|_| leads.next_post()).collect();
        let mut rest = posts.as_slice();
        let mut most = 0;
        while !rest.is_empty() {
            let (together, later) = rest.split_at(together(rest));
            most = most.max(together.len());
            for (index, post) in together.iter().enumerate() {
                for other in &together[..index] {
                    assert!(
                        !post.is_of_the_person_of(other) || post == other,
                        "{post:?}"
                    );
                }
            }
            rest = later;
        }
        assert_eq!(most, AT_ONCE);
    }
}
