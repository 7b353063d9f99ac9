// Runs the real jsforce against a sandbox.
//
//     leadstream sandbox --listen 127.0.0.1:8090
//     npm ci && node jsforce_check.mjs http://127.0.0.1:8090
//
// It proves that a public client is satisfied: it prints each thing that it checked and exits 1 at
// the first one that does not hold. Needs nothing in the org beforehand.

import jsforce from 'jsforce';

const EXTERNAL_ID = 'Leadstream_Id__c';
const VERSION = '62.0';
const url = process.argv[2];
const run = `jsforce-${Date.now().toString(36)}`;

class Failed extends Error {}

function check(what, holds, seen) {
  if (!holds) throw new Failed(`${what}: saw ${JSON.stringify(seen)}`);
  console.log(`ok  ${what}`);
}

async function checkRejects(what, promise, code, says = '') {
  let seen;
  try {
    seen = await promise;
  } catch (error) {
    const got = `${error.errorCode ?? error.name}: ${error.message}`;
    check(what, got.includes(code) && error.message.includes(says), got);
    return error;
  }
  throw new Failed(`${what}: not refused, saw ${JSON.stringify(seen)}`);
}

const lead = (fields) => ({ LastName: 'Lee', Company: 'Acme', ...fields });

/** The web-server flow, as a browser would go through it: PKCE with jsforce's own verifier. */
async function signIn() {
  const oauth2 = new jsforce.OAuth2({
    loginUrl: url,
    clientId: 'sandbox',
    redirectUri: 'http://localhost:1717/OauthRedirect',
    useVerifier: true,
  });
  const page = oauth2.getAuthorizationUrl({ scope: 'api refresh_token', state: 'a&b' });
  const answer = await fetch(page, { redirect: 'manual' });
  const back = new URL(answer.headers.get('location'));
  check('the browser is sent back with the state', back.searchParams.get('state') === 'a&b', back.href);
  const conn = new jsforce.Connection({ oauth2, instanceUrl: url, version: VERSION });
  const user = await conn.authorize(back.searchParams.get('code'));
  check('a code becomes a token', conn.accessToken.startsWith('00D') && user.id.startsWith('005'), user);
  check('with a refresh token', Boolean(conn.refreshToken), conn.refreshToken);
  await checkRejects('a code counts once', conn.authorize(back.searchParams.get('code')), 'invalid_grant');
  return conn;
}

async function checkSigningIn(conn) {
  const who = await conn.identity();
  check('identity', who.username === 'leadstream@example.com', who);

  const old = conn.accessToken;
  await fetch(`${url}/services/oauth2/revoke`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ token: old }),
  });
  const rows = await conn.query('SELECT Id FROM Organization');
  check('jsforce refreshes an ended token by itself', rows.totalSize === 1 && conn.accessToken !== old);

  const byToken = new jsforce.Connection({ instanceUrl: url, accessToken: conn.accessToken, version: VERSION });
  const limits = await byToken.limits();
  check('a token from elsewhere signs in, limits', limits.DailyApiRequests.Remaining > 0, limits);
  check('limits are complete', limits.DailyBulkApiBatches.Max === 15000 && limits.DataStorageMB.Max > 0, limits);
  const usage = byToken.limitInfo.apiUsage;
  check('Sforce-Limit-Info', usage.used > 0 && usage.limit > usage.used, usage);
  const gone = new jsforce.Connection({ instanceUrl: url, accessToken: '00Dxx!gone', version: VERSION });
  await checkRejects('an ended token without a refresh token', gone.limits(), 'INVALID_SESSION_ID');

  const bySoap = new jsforce.Connection({ loginUrl: url, version: VERSION });
  const user = await bySoap.login('leadstream@example.com', 'password' + 'token');
  check('login by SOAP', bySoap.accessToken.startsWith('00D') && user.organizationId.startsWith('00D'), user);
  check('and its token is one', (await bySoap.query('SELECT Id FROM User LIMIT 1')).totalSize === 1);
  const wrong = new jsforce.Connection({ loginUrl: url, version: VERSION });
  await checkRejects('a wrong user', wrong.login('nobody@example.com', 'x'), 'INVALID_LOGIN');
}

async function checkDescribe(conn) {
  const global = await conn.describeGlobal();
  const names = global.sobjects.map((sobject) => sobject.name);
  const wanted = ['Lead', 'Contact', 'Account', 'Campaign', 'CampaignMember', 'Opportunity', 'Task'];
  check('describeGlobal', wanted.every((name) => names.includes(name)), names);
  const described = await conn.describe('Lead');
  const field = described.fields.find((entry) => entry.name === EXTERNAL_ID);
  check('describe: the external id', field?.externalId && field.unique, field);
  const status = described.fields.find((entry) => entry.name === 'Status');
  check('describe: picklist values', status.picklistValues.some((value) => value.active), status);
}

async function checkRows(conn) {
  const leads = conn.sobject('Lead');
  const created = await leads.create(lead({ FirstName: 'Jo', Email: `${run}@example.com` }));
  check('create', created.success && created.id.startsWith('00Q'), created);
  const read = await leads.retrieve(created.id);
  check('retrieve', read.FirstName === 'Jo' && read.attributes.type === 'Lead', read);
  const updated = await leads.update({ Id: created.id, Title: 'CEO' });
  check('update', updated.success, updated);
  const found = await leads.findOne({ Email: `${run}@example.com` }, ['Id', 'Title']);
  check('find', found.Title === 'CEO', found);
  const removed = await leads.destroy(created.id);
  check('destroy', removed.success, removed);
  await checkRejects('a deleted row', leads.retrieve(created.id), 'NOT_FOUND');
  await checkRejects('a row without what it needs', leads.create({ FirstName: 'x' }), 'REQUIRED_FIELD_MISSING', 'LastName');

  const key = `${run}-upsert`;
  const first = await leads.upsert(lead({ [EXTERNAL_ID]: key }), EXTERNAL_ID);
  check('upsert creates', first.success && first.created === true, first);
  const second = await leads.upsert(lead({ [EXTERNAL_ID]: key, Title: 'CTO' }), EXTERNAL_ID);
  check('upsert updates', second.success && second.created === false && second.id === first.id, second);
}

async function checkCollections(conn) {
  const leads = conn.sobject('Lead');
  const rows = Array.from({ length: 450 }, (_, n) => lead({ LastName: `Row ${n}`, [EXTERNAL_ID]: `${run}-c${n}` }));
  const created = await leads.create(rows, { allowRecursive: true });
  check('450 rows are created by collections', created.length === 450 && created.every((row) => row.success));
  const mixed = await leads.create([lead({}), { LastName: 'No company' }, lead({ Email: 'no@@mail' })]);
  check('one bad row spoils no other', mixed.map((row) => row.success).join() === 'true,false,false', mixed);
  check('and says why', mixed[1].errors[0].statusCode === 'REQUIRED_FIELD_MISSING', mixed[1]);
  const changes = created.slice(0, 200).map((row) => ({ Id: row.id, Title: 'Changed' }));
  const updated = await leads.update(changes);
  check('200 rows are updated by a collection', updated.every((row) => row.success));
  const read = await leads.retrieve(created.slice(0, 3).map((row) => row.id));
  check('rows are read by a collection', read.every((row) => row.Title === 'Changed'), read);
  const upserted = await leads.upsert(
    [0, 1].map((n) => lead({ [EXTERNAL_ID]: `${run}-c${n}`, Title: 'Upserted' })),
    EXTERNAL_ID,
  );
  check('array upsert', upserted.every((row) => row.success && row.created === false), upserted);
  const removed = await leads.destroy(created.slice(440).map((row) => row.id));
  check('rows are deleted by a collection', removed.every((row) => row.success), removed);
}

async function checkQueries(conn) {
  const where = `${EXTERNAL_ID} LIKE '${run}-c%'`;
  const ids = new Set();
  const query = conn.query(`SELECT Id, LastName, Owner.Name FROM Lead WHERE ${where}`, {
    headers: { 'Sforce-Query-Options': 'batchSize=200' },
  });
  query.on('record', (row) => ids.add(row.Id));
  await query.run({ autoFetch: true, maxFetch: 1000 });
  check('autoFetch follows the pages', ids.size === 440 && query.totalFetched === 440, ids.size);
  const count = await conn.query(`SELECT COUNT() FROM Lead WHERE ${where}`);
  check('COUNT()', count.totalSize === 440, count);
  const deleted = await conn.query(`SELECT Id FROM Lead WHERE ${where} AND IsDeleted = true`, { scanAll: true });
  check('scanAll sees the recycle bin', deleted.totalSize === 10, deleted.totalSize);
  await checkRejects('a query of an unknown column', conn.query('SELECT Nope FROM Lead'), 'INVALID_FIELD', 'No such column');
  const now = new Date();
  const changed = await conn.sobject('Lead').updated(new Date(now - 3_600_000), new Date(now.getTime() + 300_000));
  check('updated', changed.ids.length > 400, changed.ids.length);
  const gone = await conn.sobject('Lead').deleted(new Date(now - 3_600_000), new Date(now.getTime() + 300_000));
  check('deleted', gone.deletedRecords.length >= 11, gone.deletedRecords.length);
}

async function checkBulk(conn) {
  conn.bulk2.pollInterval = 50;
  conn.bulk2.pollTimeout = 30_000;
  const input = Array.from({ length: 1000 }, (_, n) => lead({ LastName: `Bulk, "${n}"`, [EXTERNAL_ID]: `${run}-b${n}` }));
  input.push({ LastName: 'No company', Company: '', [EXTERNAL_ID]: `${run}-b1000` });
  const done = await conn.bulk2.loadAndWaitForResults({
    object: 'Lead',
    operation: 'upsert',
    externalIdFieldName: EXTERNAL_ID,
    input,
  });
  check('bulk upsert: successful', done.successfulResults.length === 1000, done.successfulResults.length);
  check('bulk upsert: created', done.successfulResults.every((row) => row.sf__Created === 'true'));
  const failed = done.failedResults[0];
  check('bulk upsert: failed', failed?.sf__Error.startsWith('REQUIRED_FIELD_MISSING:'), done.failedResults);
  check('bulk upsert: unprocessed', done.unprocessedRecords.length === 0, done.unprocessedRecords);

  const job = conn.bulk2.createJob({ object: 'Lead', operation: 'insert' });
  await job.open();
  await job.uploadData('LastName,Foo\nLee,1\n');
  await job.close();
  await checkRejects('bulk: an unknown column fails the job', job.poll(50, 30_000), '', 'Field name not found : Foo');
  await job.delete();

  const rows = [];
  const stream = await conn.bulk2.query(`SELECT Id, LastName FROM Lead WHERE ${EXTERNAL_ID} LIKE '${run}-b%'`);
  await new Promise((resolve, reject) => {
    stream.on('record', (row) => rows.push(row)).on('end', resolve).on('error', reject);
  });
  check('bulk query', rows.length === 1000, rows.length);
  check('bulk query: quotes and commas', rows.some((row) => row.LastName === 'Bulk, "7"'), rows[0]);
}

/** A field that the Tooling API makes is visible to nobody until it is permitted. */
async function checkTooling(conn) {
  const name = `Made_${run.replaceAll('-', '_')}__c`;
  const made = await conn.tooling.sobject('CustomField').create({
    FullName: `Lead.${name}`,
    Metadata: { type: 'Text', label: 'Made', length: 64, externalId: true, unique: true },
  });
  check('tooling: a field is made', made.success && made.id.startsWith('00N'), made);
  const hidden = await conn.describe('Lead');
  check('tooling: nobody sees it', !hidden.fields.some((field) => field.name === name));
  await checkRejects('tooling: nor writes it', conn.sobject('Lead').create(lead({ [name]: 'x' })), 'INVALID_FIELD');
  const sets = await conn.query(
    "SELECT PermissionSetId FROM PermissionSetAssignment WHERE Assignee.Username = 'leadstream@example.com'",
  );
  check('a permission set is assigned to us', sets.totalSize >= 1, sets);
  const permitted = await conn.sobject('FieldPermissions').create({
    ParentId: sets.records[0].PermissionSetId,
    SobjectType: 'Lead',
    Field: `Lead.${name}`,
    PermissionsRead: true,
    PermissionsEdit: true,
  });
  check('tooling: it is permitted', permitted.success, permitted);
  const written = await conn.sobject('Lead').upsert(lead({ [name]: 'x' }), name);
  check('tooling: and written', written.created, written);
  const known = await conn.tooling.query(
    `SELECT Id, DeveloperName FROM CustomField WHERE TableEnumOrId = 'Lead' AND DeveloperName = '${name.slice(0, -3)}'`,
  );
  check('tooling: and known', known.totalSize === 1, known);
}

/** Conversion is a SOAP call. */
async function checkConversion(conn) {
  const status = await conn.query('SELECT ApiName FROM LeadStatus WHERE IsConverted = true');
  const created = await conn.sobject('Lead').create(lead({ FirstName: 'Con', LastName: 'Verted' }));
  const wanted = {
    leadId: created.id,
    convertedStatus: status.records[0].ApiName,
    doNotCreateOpportunity: true,
    overwriteLeadSource: false,
    sendNotificationEmail: false,
  };
  const results = await conn.soap.convertLead([wanted]);
  const [converted] = Array.isArray(results) ? results : [results];
  check('convertLead', converted.success && converted.contactId.startsWith('003'), results);
  check('convertLead: no opportunity', !converted.opportunityId, converted);
  const after = await conn.sobject('Lead').retrieve(created.id);
  check('convertLead: the lead says so', after.IsConverted && after.ConvertedContactId === converted.contactId, after);
  await checkRejects('a converted lead is read-only', conn.sobject('Lead').update({ Id: created.id, Title: 'x' }), 'CANNOT_UPDATE_CONVERTED_LEAD');
  const again = await conn.soap.convertLead([wanted]);
  const [second] = Array.isArray(again) ? again : [again];
  check('convertLead: a second time is refused', second.success === false, again);
}

// A promise that is never settled ends the program, too: that is no success.
process.exitCode = 1;
try {
  const conn = await signIn();
  await checkSigningIn(conn);
  await checkDescribe(conn);
  await checkRows(conn);
  await checkCollections(conn);
  await checkQueries(conn);
  await checkBulk(conn);
  await checkTooling(conn);
  await checkConversion(conn);
  console.log('all held');
  process.exitCode = 0;
} catch (error) {
  console.error(error instanceof Failed ? `FAILED  ${error.message}` : error);
}
