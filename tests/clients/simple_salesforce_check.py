"""Runs the real simple-salesforce against a sandbox.

    leadstream sandbox --listen 127.0.0.1:8090
    python3 simple_salesforce_check.py http://127.0.0.1:8090
    python3 simple_salesforce_check.py http://127.0.0.1:8090 --expect-lead-email jane@example.com

The first form proves that a public client is satisfied: it prints each thing that it checked and
exits 1 at the first one that does not hold. The second reads one lead by SOQL and prints it; it
exits 1 unless there is exactly one. Neither needs anything in the org beforehand.
"""

import argparse
import csv
import json
import sys
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from simple_salesforce import (
    Salesforce,
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)
from simple_salesforce.exceptions import SalesforceOperationError
from simple_salesforce.login import SalesforceLogin

EXTERNAL_ID = "Leadstream_Id__c"


class ToSandbox(HTTPAdapter):
    """simple-salesforce always talks to https://….salesforce.com; this sends it to loopback."""

    def __init__(self, sandbox_url):
        super().__init__()
        self.sandbox = urlsplit(sandbox_url)

    def send(self, request, **options):
        target = urlsplit(request.url)
        request.url = target._replace(scheme=self.sandbox.scheme, netloc=self.sandbox.netloc).geturl()
        return super().send(request, **options)


def session_to(sandbox_url):
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", ToSandbox(sandbox_url))
    return session


def connect(sandbox_url):
    return Salesforce(
        consumer_key="sandbox",
        consumer_secret="sandbox",
        domain="acme.my",
        version="62.0",
        session=session_to(sandbox_url),
    )


class Failed(Exception):
    """Something that does not hold."""


def check(what, holds, seen=None):
    if not holds:
        raise Failed(f"{what}: saw {seen!r}")
    print(f"ok  {what}")


def check_raises(what, error, action, says=""):
    try:
        seen = action()
    except error as raised:
        check(what, says in str(raised), str(raised))
        return raised
    raise Failed(f"{what}: no {error.__name__}, saw {seen!r}")


def collection(sf, path, method, body, headers=None):
    return sf.restful(path, method=method, data=json.dumps(body), headers=headers or {})


def lead(**fields):
    return {"attributes": {"type": "Lead"}, "Company": "Acme", **fields}


def check_signing_in(url, sf):
    check("token by client credentials", sf.session_id.startswith("00D"), sf.session_id[:3])
    check("instance_url is the sandbox", sf.sf_instance == urlsplit(url).netloc, sf.sf_instance)

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    token, _ = SalesforceLogin(
        session=session_to(url),
        username="leadstream@example.com",
        consumer_key="sandbox",
        privatekey=pem,
        domain="login",
    )
    check("token by JWT bearer", token.startswith("00D"), token[:3])

    session = session_to(url)
    claims = {"iss": "k", "sub": "u", "aud": "https://evil.example", "exp": 1}
    answer = session.post(
        "https://login.salesforce.com/services/oauth2/token",
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": jwt.encode(claims, pem, algorithm="RS256"),
        },
    )
    check("a JWT for another audience is refused", answer.json()["error"] == "invalid_grant", answer.text)

    check_raises(
        "the password flow is refused",
        SalesforceAuthenticationFailed,
        lambda: SalesforceLogin(
            session=session_to(url),
            username="u",
            password="p",
            consumer_key="k",
            consumer_secret="s",
            domain="login",
        ),
        "grant type not supported",
    )


def check_describe(sf):
    names = {entry["name"] for entry in sf.describe()["sobjects"]}
    check("describe lists the objects", {"Lead", "Contact", "Account", "Campaign"} <= names, names)
    fields = {field["name"]: field for field in sf.Lead.describe()["fields"]}
    key = fields[EXTERNAL_ID]
    check("the external id field is there", key["externalId"] and key["unique"], key)
    check("Company is required", not fields["Company"]["nillable"], fields["Company"])
    check("metadata of an object", sf.Lead.metadata()["objectDescribe"]["keyPrefix"] == "00Q")
    check("is_sandbox", sf.is_sandbox() is True, sf.is_sandbox())


def check_rows(sf, run):
    made = sf.Lead.create({"LastName": "Lee", "Company": "Acme", "Email": f"lee.{run}@example.com"})
    check("create", made["success"] and len(made["id"]) == 18, made)
    row = sf.Lead.get(made["id"])
    check("get", row["Status"] == "Open - Not Contacted", row)
    check("update", sf.Lead.update(made["id"], {"FirstName": " Ann "}) == 204)
    check("text is trimmed", sf.Lead.get(made["id"])["Name"] == "Ann Lee")

    key = f"{EXTERNAL_ID}/{run}-upsert"
    person = {"LastName": "Kim", "Company": "Acme"}
    check("upsert creates with 201", sf.Lead.upsert(key, person) == 201)
    check("upsert updates with 200", sf.Lead.upsert(key.upper().replace("__C", "__c"), person) == 200)
    found = sf.Lead.get_by_custom_id(EXTERNAL_ID, f"{run}-upsert")
    check("get by external id", found["LastName"] == "Kim", found)

    check("delete", sf.Lead.delete(made["id"]) == 204)
    check_raises("get of a deleted row is 404", SalesforceResourceNotFound, lambda: sf.Lead.get(made["id"]))
    check_raises(
        "a missing field is 400",
        SalesforceMalformedRequest,
        lambda: sf.Lead.create({"LastName": "Lee"}),
        "Required fields are missing: [Company]",
    )
    check_raises(
        "an unknown object is 404", SalesforceResourceNotFound, lambda: sf.Leed.create({"LastName": "x"})
    )
    twin = {"LastName": "Twin", "Company": "Acme", "Email": f"twin.{run}@example.com"}
    sf.Lead.create(twin)
    sf.Lead.create(twin)
    check_raises(
        "upsert that fits two rows is 300",
        SalesforceMoreThanOneRecord,
        lambda: sf.Lead.upsert(f"Email/twin.{run}@example.com", {"Title": "x"}),
    )


def check_collections(sf, run):
    path = f"composite/sobjects/Lead/{EXTERNAL_ID}"
    rows = [lead(LastName=f"Row {n}", **{EXTERNAL_ID: f"{run}-{n}"}) for n in range(200)]
    rows[7]["LastName"] = None
    rows[9]["Title"] = {"not": "text"}
    results = collection(sf, path, "PATCH", {"allOrNone": False, "records": rows})
    check("a collection answers each row", len(results) == 200, len(results))
    bad = {n: row["errors"][0]["statusCode"] for n, row in enumerate(results) if not row["success"]}
    expected = {7: "REQUIRED_FIELD_MISSING", 9: "JSON_PARSER_ERROR"}
    check("a bad row fails by itself", bad == expected, bad)
    check("new rows are created", results[0]["created"] is True, results[0])
    rows[7]["LastName"], rows[9]["Title"] = "Row 7", "CTO"
    results = collection(sf, path, "PATCH", {"allOrNone": False, "records": rows})
    created = [n for n, row in enumerate(results) if row["created"]]
    check("a repeat creates only what is missing", created == [7, 9], created)
    check_raises(
        "201 rows are refused",
        SalesforceMalformedRequest,
        lambda: collection(sf, path, "PATCH", {"records": rows + rows[:1]}),
        "EXCEEDED_ID_LIMIT",
    )
    ids = [row["id"] for row in results] + ["00Q000000000001AAA"]
    read = collection(sf, "composite/sobjects/Lead", "POST", {"ids": ids, "fields": ["Id", "LastName"]})
    check("rows are read by id, null for none", read[3]["LastName"] == "Row 3" and read[200] is None, read[200])
    made = collection(sf, "composite/sobjects", "POST", {"records": [lead(LastName="Plain")]})
    check("create by collection", made[0]["success"], made)

    body = {
        "allOrNone": True,
        "compositeRequest": [
            {
                "method": "PATCH",
                "url": f"/services/data/v62.0/sobjects/Lead/{EXTERNAL_ID}/{run}-composite",
                "referenceId": "lead",
                "body": {"LastName": "Park", "Company": "Acme"},
            },
            {
                "method": "POST",
                "url": "/services/data/v62.0/sobjects/Campaign",
                "referenceId": "campaign",
                "body": {"Name": run},
            },
            {
                "method": "POST",
                "url": "/services/data/v62.0/sobjects/CampaignMember",
                "referenceId": "member",
                "body": {"CampaignId": "@{campaign.id}", "LeadId": "@{lead.id}"},
            },
        ],
    }
    answer = collection(sf, "composite", "POST", body)["compositeResponse"]
    codes = [entry["httpStatusCode"] for entry in answer]
    check("a composite follows its references", codes == [201, 201, 201], answer)


def check_queries(sf, run):
    where = f"WHERE {EXTERNAL_ID} LIKE '{run}-%'"
    count = sf.query(f"SELECT COUNT() FROM Lead {where}")["totalSize"]
    check("COUNT()", count == 202, count)
    small = {"Sforce-Query-Options": "batchSize=200"}
    first = sf.query(f"SELECT Id FROM Lead {where}", headers=small)
    check("a page has as many rows as asked for", len(first["records"]) == 200 and not first["done"])
    rows = sf.query_all(f"SELECT Id, LastName, Owner.Name FROM Lead {where} ORDER BY LastName", headers=small)
    check("query_all follows the pages", rows["totalSize"] == count, rows["totalSize"])
    owner = rows["records"][0]["Owner"]["Name"]
    check("parents are followed", owner == "Integration User", owner)
    deleted = sf.query("SELECT Id FROM Lead WHERE IsDeleted = true", include_deleted=True)
    check("queryAll sees the recycle bin", deleted["totalSize"] >= 1, deleted["totalSize"])
    check_raises(
        "an unknown column is refused",
        SalesforceMalformedRequest,
        lambda: sf.query("SELECT Nope FROM Lead"),
        "No such column",
    )
    check_raises(
        "a query that is none is refused",
        SalesforceMalformedRequest,
        lambda: sf.query("SELECT FROM Lead"),
        "MALFORMED_QUERY",
    )


def check_bulk(sf, run):
    rows = [
        {EXTERNAL_ID: f"{run}-bulk-{n}", "LastName": f'Bulk, "{n}" Ü', "Company": "Acme", "Title": "CEO"}
        for n in range(1000)
    ]
    rows.append({EXTERNAL_ID: f"{run}-bulk-1000", "LastName": "No company", "Company": "", "Title": ""})
    [job] = sf.bulk2.Lead.upsert(records=rows, external_id_field=EXTERNAL_ID, wait=0.1)
    counts = (job["numberRecordsProcessed"], job["numberRecordsFailed"])
    check("bulk upsert", counts == (1001, 1), job)
    results = sf.bulk2.Lead.get_all_ingest_records(job["job_id"])
    good, bad = results["successfulRecords"], results["failedRecords"]
    check("bulk: each row that went well", len(good) == 1000 and good[0]["sf__Created"] == "true", good[:1])
    check("bulk: in another order", good[0][EXTERNAL_ID] != f"{run}-bulk-0", good[0])
    error = bad[0]["sf__Error"]
    expected = "REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --"
    check("bulk: each row that did not", error == expected, error)
    check("bulk: no row unprocessed", results["unprocessedRecords"] == [])

    changes = [
        {"Id": good[0]["sf__Id"], "Title": "#N/A", "LastName": "Changed"},
        {"Id": good[1]["sf__Id"], "Title": "", "LastName": "Kept"},
    ]
    [job] = sf.bulk2.Lead.update(records=changes, wait=0.1)
    check("bulk update", job["numberRecordsFailed"] == 0, job)
    titles = [sf.Lead.get(row["Id"])["Title"] for row in changes]
    check("bulk: #N/A clears, a blank changes nothing", titles == [None, "CEO"], titles)
    check_raises(
        "bulk: an unknown column fails the job",
        SalesforceOperationError,
        lambda: sf.bulk2.Lead.insert(records=[{"LastName": "Lee", "Foo": "1"}], wait=0.1),
        "InvalidBatch : Field name not found : Foo",
    )

    soql = f"SELECT Id, LastName, Owner.Name FROM Lead WHERE {EXTERNAL_ID} LIKE '{run}-bulk-%'"
    pages = list(sf.bulk2.Lead.query(soql, max_records=400, wait=0.1))
    read = [row for page in pages for row in csv.DictReader(page.splitlines())]
    check("bulk query by pages", (len(pages), len(read)) == (3, 1000), (len(pages), len(read)))
    check("bulk query: parents", read[0]["Owner.Name"] == "Integration User", read[0])
    [job] = sf.bulk2.Lead.delete(records=[{"Id": row["Id"]} for row in read], wait=0.1)
    check("bulk delete", job["numberRecordsFailed"] == 0, job)
    left = sf.query(f"SELECT COUNT() FROM Lead WHERE {EXTERNAL_ID} LIKE '{run}-bulk-%'")
    check("nothing is left of them", left["totalSize"] == 0, left)


def check_soap_login(url):
    session_id, instance = SalesforceLogin(
        session=session_to(url),
        username="leadstream@example.com",
        password="password",
        security_token="token",
        domain="login",
        sf_version="62.0",
    )
    check("login by SOAP", session_id.startswith("00D") and instance == urlsplit(url).netloc, instance)
    check_raises(
        "a wrong user",
        SalesforceAuthenticationFailed,
        lambda: SalesforceLogin(
            session=session_to(url),
            username="nobody@example.com",
            password="password",
            security_token="token",
            domain="login",
            sf_version="62.0",
        ),
        "INVALID_LOGIN",
    )


def check_search(sf, run):
    email = f"find-me.{run}@example.com"
    made = sf.Lead.create({"LastName": "Findable", "Company": "Acme", "Email": email})
    escaped = email.replace("-", "\\-")
    found = sf.search(f"FIND {{{escaped}}} IN EMAIL FIELDS RETURNING Lead(Id, Email)")["searchRecords"]
    check("search", [row["Id"] for row in found] == [made["id"]], found)
    found = sf.quick_search(f"{run}")["searchRecords"]
    check("quick search", made["id"] in [row["Id"] for row in found], found)
    body = {"q": email, "in": "EMAIL", "sobjects": [{"name": "Lead"}, {"name": "Contact"}]}
    found = collection(sf, "parameterizedSearch", "POST", body)["searchRecords"]
    check("parameterized search", [row["Id"] for row in found] == [made["id"]], found)


def check_the_rest(url, sf):
    limits = sf.limits()["DailyApiRequests"]
    check("limits", limits["Remaining"] < limits["Max"], limits)
    usage = sf.api_usage["api-usage"]
    check("Sforce-Limit-Info", 0 < usage.used < usage.total, usage)
    now = datetime.now(timezone.utc)
    start, end = now - timedelta(hours=1), now + timedelta(minutes=5)
    check("updated", len(sf.Lead.updated(start, end)["ids"]) > 200)
    check("deleted", len(sf.Lead.deleted(start, end)["deletedRecords"]) >= 1)
    expired = Salesforce(
        instance=sf.sf_instance, session_id="00Dxx!gone", session=session_to(url), version="62.0"
    )
    check_raises(
        "an expired token is told", SalesforceExpiredSession, lambda: expired.query("SELECT Id FROM Lead"),
        "INVALID_SESSION_ID",
    )
    old = sf.session_id
    sf.session.post(f"https://{sf.sf_instance}/services/oauth2/revoke", {"token": old})
    check("the client signs in again by itself", sf.query("SELECT Id FROM Lead LIMIT 1")["done"])
    check("and has a new token", sf.session_id != old)


def expect_lead(sf, email):
    from simple_salesforce.format import format_soql

    query = format_soql("SELECT FIELDS(ALL) FROM Lead WHERE Email = {} LIMIT 10", email)
    rows = sf.query(query)["records"]
    for row in rows:
        print(json.dumps({name: value for name, value in row.items() if value is not None}, indent=2))
    if len(rows) != 1:
        raise Failed(f"leads of this e-mail: {len(rows)}, not 1")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the sandbox, as it printed it")
    parser.add_argument("--expect-lead-email", metavar="EMAIL", help="read this one lead, check nothing else")
    arguments = parser.parse_args()
    sf = connect(arguments.url)
    if arguments.expect_lead_email:
        expect_lead(sf, arguments.expect_lead_email)
        return
    run = f"check-{uuid.uuid4().hex[:8]}"
    check_signing_in(arguments.url, sf)
    check_describe(sf)
    check_rows(sf, run)
    check_collections(sf, run)
    check_queries(sf, run)
    check_bulk(sf, run)
    check_search(sf, run)
    check_soap_login(arguments.url)
    check_the_rest(arguments.url, sf)
    print("all held")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        print(f"FAILED  {failed}", file=sys.stderr)
        sys.exit(1)
