-- What a lead is to be in: campaigns by name or id, as JSON. And how its record was in Salesforce
-- when we last looked, as JSON.
ALTER TABLE lead ADD COLUMN campaigns TEXT NOT NULL DEFAULT '{}';
ALTER TABLE lead ADD COLUMN followed TEXT NOT NULL DEFAULT '{}';
CREATE INDEX lead_salesforce ON lead (salesforce_id) WHERE salesforce_id IS NOT NULL;

-- What is to be done beside setting fields, as JSON: campaigns to join, whom to tell. `priority`: 0
-- waits for the others, 2 never does.
ALTER TABLE delivery ADD COLUMN also TEXT NOT NULL DEFAULT '{}';
ALTER TABLE delivery ADD COLUMN priority BIGINT NOT NULL DEFAULT 1;
CREATE INDEX delivery_first ON delivery (priority, next_at, id) WHERE state = 'pending';

-- The org's Leads and Contacts, so that nobody has to be looked up there: made anew from the org
-- whenever that is wanted, so no copy takes it along. No personal data: `org_key.key` is a keyed hash,
-- and what it finds is verified on the record's own values before anything is written.
CREATE TABLE org_person (
    id TEXT PRIMARY KEY,
    external_id TEXT,
    contact_id TEXT,
    master_id TEXT,
    is_converted BOOLEAN NOT NULL,
    is_deleted BOOLEAN NOT NULL,
    status TEXT,
    owner_id TEXT,
    opted_out BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE TABLE org_key (
    key BIGINT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (key, id)
);
CREATE INDEX org_key_id ON org_key (id);

-- How far each object has been read, as JSON.
CREATE TABLE org_mirror (
    object TEXT PRIMARY KEY,
    state TEXT NOT NULL
);
