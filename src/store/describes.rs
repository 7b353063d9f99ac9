//! What the org's objects are made of, as it was last read, and where the mapping does not fit it:
//! shared by all nodes, and there at the next start.

use super::dialect::{self, query};
use super::{Store, StoreError, Write};
use crate::model::Millis;

/// When an object was described, and how to ask whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeMark {
    /// Its API name.
    pub object: String,
    /// What to give back as `If-Modified-Since`.
    pub last_modified: Option<String>,
    /// A hash of the mapping that it was last checked against.
    pub mapping: String,
    /// When the org last sent it whole.
    pub read_at: Millis,
    /// When the org was last asked.
    pub checked_at: Millis,
    /// When it was last found to be another than before.
    pub changed_at: Millis,
}

/// A place where the mapping and the org do not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgProblem {
    /// The object.
    pub object: String,
    /// Stable code.
    pub code: String,
    /// What it is about: `Lead.Plan__c`.
    pub about: String,
    /// Whether leads are held by it, rather than lose something.
    pub is_error: bool,
    /// Whether it came by a change of the org.
    pub drifted: bool,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Since when it is known.
    pub since: Millis,
}

const MARKS: &str = "SELECT object, last_modified, mapping, read_at, checked_at, changed_at \
     FROM org_describe ORDER BY object";

const DESCRIBED: &str = "SELECT described FROM org_describe WHERE object = $1";

const MARK: &str = "UPDATE org_describe SET last_modified = $2, mapping = $3, read_at = $4, \
     checked_at = $5, changed_at = $6 WHERE object = $1";

const PUT: &str = "INSERT INTO org_describe (object, described, last_modified, mapping, read_at, \
     checked_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (object) DO UPDATE SET \
     described = excluded.described, last_modified = excluded.last_modified, \
     mapping = excluded.mapping, read_at = excluded.read_at, checked_at = excluded.checked_at, \
     changed_at = excluded.changed_at";

const PROBLEMS: &str = "SELECT object, code, about, is_error, drifted, message, hint, since \
     FROM org_problem ORDER BY object, code, about";

const FORGET_PROBLEMS: &str = "DELETE FROM org_problem WHERE object = $1";

const PUT_PROBLEMS: &str = "INSERT INTO org_problem (object, code, about, is_error, drifted, message, \
     hint, since) VALUES";

type MarkRow = (String, Option<String>, String, i64, i64, i64);
type ProblemRow = (String, String, String, bool, bool, String, String, i64);

impl Store {
    /// All objects that were ever described, without what they are made of.
    pub async fn describe_marks(&self) -> Result<Vec<DescribeMark>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<MarkRow> = query(MARKS).all(&mut reader.connection()).await?;
        let marks = rows.into_iter().map(
            |(object, last_modified, mapping, read_at, checked_at, changed_at)| DescribeMark {
                object,
                last_modified,
                mapping,
                read_at: Millis(read_at),
                checked_at: Millis(checked_at),
                changed_at: Millis(changed_at),
            },
        );
        Ok(marks.collect())
    }

    /// What an object is made of, as JSON, if it was ever described.
    pub async fn described(&self, object: &str) -> Result<Option<String>, StoreError> {
        let mut reader = self.database.read().await?;
        let row: Option<(String,)> = query(DESCRIBED)
            .bind(object)
            .first(&mut reader.connection())
            .await?;
        Ok(row.map(|(described,)| described))
    }

    /// Where mapping and org are known not to fit together.
    pub async fn org_problems(&self) -> Result<Vec<OrgProblem>, StoreError> {
        let mut reader = self.database.read().await?;
        let rows: Vec<ProblemRow> = query(PROBLEMS).all(&mut reader.connection()).await?;
        let problems = rows.into_iter().map(
            |(object, code, about, is_error, drifted, message, hint, since)| OrgProblem {
                object,
                code,
                about,
                is_error,
                drifted,
                message,
                hint,
                since: Millis(since),
            },
        );
        Ok(problems.collect())
    }
}

impl Write {
    /// Keeps what an object is made of, as JSON; none if that has not changed.
    pub async fn put_describe(
        &mut self,
        mark: &DescribeMark,
        described: Option<&str>,
    ) -> Result<(), StoreError> {
        let put = match described {
            Some(described) => query(PUT).bind(&*mark.object).bind(described),
            None => query(MARK).bind(&*mark.object),
        };
        put.bind(mark.last_modified.as_deref())
            .bind(&*mark.mapping)
            .bind(mark.read_at.0)
            .bind(mark.checked_at.0)
            .bind(mark.changed_at.0)
            .run(&mut self.connection())
            .await?;
        Ok(())
    }

    /// Says which problems there are with `object`; all others of it are over.
    pub async fn put_org_problems(
        &mut self,
        object: &str,
        problems: &[OrgProblem],
    ) -> Result<(), StoreError> {
        let connection = &mut self.connection();
        query(FORGET_PROBLEMS).bind(object).run(connection).await?;
        dialect::insert(connection, PUT_PROBLEMS, "", problems, |values, problem| {
            values.push(object)?;
            values.push(&*problem.code)?;
            values.push(&*problem.about)?;
            values.push(problem.is_error)?;
            values.push(problem.drifted)?;
            values.push(&*problem.message)?;
            values.push(&*problem.hint)?;
            values.push(problem.since.0)
        })
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::store::Access;
    use crate::store::plans::postgres;

    async fn check(url: &str) {
        let store = Store::open(&StoreConfig::at(url), Access::Daemon)
            .await
            .unwrap();
        let mut lead = DescribeMark {
            object: "Lead".to_owned(),
            last_modified: Some("Thu, 05 Jul 2026 15:31:30 GMT".to_owned()),
            mapping: "1".to_owned(),
            read_at: Millis(1),
            checked_at: Millis(2),
            changed_at: Millis(3),
        };
        let problem = |about: &str| OrgProblem {
            object: "Lead".to_owned(),
            code: "doctor.field_missing".to_owned(),
            about: about.to_owned(),
            is_error: true,
            drifted: false,
            message: "gone".to_owned(),
            hint: "mend".to_owned(),
            since: Millis(4),
        };
        let both = [problem("Lead.A"), problem("Lead.B")];
        let cases = [
            (Some("{}"), &both[..], "{}"),
            (Some("[]"), &both[1..], "[]"),
            (None, &[], "[]"),
        ];
        for (described, problems, kept) in cases {
            lead.checked_at = Millis(lead.checked_at.0 + 1);
            let mut write = store.write().await.unwrap();
            write.put_describe(&lead, described).await.unwrap();
            write.put_org_problems("Lead", problems).await.unwrap();
            write.put_org_problems("Contact", &[]).await.unwrap();
            write.commit().await.unwrap();
            assert_eq!(store.describe_marks().await.unwrap(), [lead.clone()]);
            assert_eq!(
                store.described("Lead").await.unwrap().as_deref(),
                Some(kept)
            );
            assert_eq!(store.org_problems().await.unwrap(), problems);
        }
        assert_eq!(store.described("Contact").await.unwrap(), None);
        store.close().await;
    }

    #[tokio::test]
    async fn the_last_reading_and_its_problems_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        check(&format!("sqlite:{}/test.db", folder.path().display())).await;
    }

    #[tokio::test]
    async fn the_last_reading_and_its_problems_are_kept_on_postgresql() {
        if let Some(url) = postgres::database() {
            check(&url).await;
        }
    }
}
