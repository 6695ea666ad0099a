-- The tenant's own books, beside its records. One statement each, all repeatable.
CREATE SCHEMA IF NOT EXISTS store.spire;
CREATE SCHEMA IF NOT EXISTS store.kept;
CREATE SCHEMA IF NOT EXISTS store.versions;
CREATE SCHEMA IF NOT EXISTS store.seen;
CREATE SCHEMA IF NOT EXISTS store.superseded;
CREATE SCHEMA IF NOT EXISTS store.records;

CREATE TABLE IF NOT EXISTS store.spire.meta (format INTEGER NOT NULL, duckdb VARCHAR NOT NULL);

CREATE TABLE IF NOT EXISTS store.spire.definitions (
    kind VARCHAR NOT NULL, id VARCHAR NOT NULL, version INTEGER NOT NULL, address VARCHAR NOT NULL,
    body JSON NOT NULL, author VARCHAR NOT NULL, moment TIMESTAMP NOT NULL, comment VARCHAR NOT NULL,
    deleted BOOLEAN NOT NULL
);

CREATE TABLE IF NOT EXISTS store.spire.runs (
    run INTEGER NOT NULL, pipeline VARCHAR NOT NULL, version INTEGER NOT NULL, kind VARCHAR NOT NULL,
    state VARCHAR NOT NULL, started TIMESTAMP NOT NULL, finished TIMESTAMP, started_by VARCHAR NOT NULL,
    body JSON NOT NULL, error JSON, stages JSON, notes JSON
);

CREATE TABLE IF NOT EXISTS store.spire.batches (
    run INTEGER NOT NULL, batch INTEGER NOT NULL, segment INTEGER NOT NULL, chunks INTEGER NOT NULL,
    position BIGINT NOT NULL, moment TIMESTAMP NOT NULL, read BIGINT NOT NULL, inserted BIGINT NOT NULL,
    updated BIGINT NOT NULL, unchanged BIGINT NOT NULL, duplicate BIGINT NOT NULL, rejected BIGINT NOT NULL,
    filtered BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS store.spire.findings (
    run INTEGER NOT NULL, batch INTEGER NOT NULL, mapping VARCHAR NOT NULL, rule VARCHAR NOT NULL,
    field VARCHAR, severity VARCHAR NOT NULL, message VARCHAR NOT NULL, rows BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS store.spire.segments (
    run INTEGER NOT NULL, number INTEGER NOT NULL, place VARCHAR NOT NULL, place_number INTEGER NOT NULL,
    name VARCHAR NOT NULL, size BIGINT NOT NULL, sha256 VARCHAR NOT NULL, cursor JSON
);

CREATE TABLE IF NOT EXISTS store.spire.cursors (
    pipeline VARCHAR NOT NULL, cursor JSON NOT NULL, run INTEGER NOT NULL, moment TIMESTAMP NOT NULL
);

CREATE SEQUENCE IF NOT EXISTS store.spire.reject_id;

CREATE TABLE IF NOT EXISTS store.spire.rejects (
    id BIGINT NOT NULL, run INTEGER NOT NULL, pipeline VARCHAR NOT NULL, mapping VARCHAR NOT NULL,
    segment INTEGER NOT NULL, line BIGINT NOT NULL, form VARCHAR NOT NULL, raw BLOB NOT NULL, fixed BLOB,
    rule VARCHAR NOT NULL, field VARCHAR, reason VARCHAR NOT NULL, checks JSON NOT NULL,
    state VARCHAR NOT NULL, moment TIMESTAMP NOT NULL, replay INTEGER, columns JSON
);

-- Stores of before have no such column: the header of the payload a row came from, where it was not the usual one.
ALTER TABLE store.spire.rejects ADD COLUMN IF NOT EXISTS columns JSON;

-- What is known of the source a pipeline's version was written for: the newest row holds.
CREATE TABLE IF NOT EXISTS store.spire.looks (
    pipeline VARCHAR NOT NULL, version INTEGER NOT NULL, look JSON NOT NULL, payloads JSON NOT NULL,
    runs INTEGER NOT NULL, moment TIMESTAMP NOT NULL
);

-- How a run's source differed from that, and what was done about it.
CREATE TABLE IF NOT EXISTS store.spire.drifts (
    run INTEGER NOT NULL, pipeline VARCHAR NOT NULL, version INTEGER NOT NULL, findings JSON NOT NULL,
    look JSON NOT NULL, state VARCHAR NOT NULL, who VARCHAR NOT NULL, moment TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS store.spire.drafts (
    subject VARCHAR NOT NULL, revision INTEGER NOT NULL, place INTEGER NOT NULL, who VARCHAR NOT NULL,
    moment TIMESTAMP NOT NULL
);

CREATE SEQUENCE IF NOT EXISTS store.spire.draft_revision;

CREATE TABLE IF NOT EXISTS store.spire.draft_states (
    subject VARCHAR NOT NULL, place INTEGER NOT NULL, content JSON NOT NULL
);

-- What a run saw of itself, a line each: sealed a payload, was interrupted, was cancelled.
CREATE TABLE IF NOT EXISTS store.spire.events (run INTEGER NOT NULL, moment TIMESTAMP NOT NULL, told VARCHAR NOT NULL);

-- What a batch leaves for the end of its run besides its ledger, so that an interrupted run knows it too.
CREATE TABLE IF NOT EXISTS store.spire.marks (
    run INTEGER NOT NULL, batch INTEGER NOT NULL, rule VARCHAR NOT NULL, newest TIMESTAMP, conflicting BIGINT
);

CREATE TABLE IF NOT EXISTS store.spire.dismissals (
    id BIGINT NOT NULL, reason VARCHAR NOT NULL, author VARCHAR NOT NULL, moment TIMESTAMP NOT NULL
);

CREATE SEQUENCE IF NOT EXISTS store.spire.asked_id;

CREATE TABLE IF NOT EXISTS store.spire.asked (
    id BIGINT NOT NULL, who VARCHAR NOT NULL, sql VARCHAR NOT NULL, moment TIMESTAMP NOT NULL,
    seconds DOUBLE NOT NULL, rows BIGINT, outcome VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS store.spire.preferences (
    who VARCHAR NOT NULL, name VARCHAR NOT NULL, body JSON NOT NULL
);

-- References to objects that are not here: which version names which id (`rh` is its hash), and which run brought it.
CREATE TABLE IF NOT EXISTS store.spire.waiting (
    run INTEGER NOT NULL, target VARCHAR NOT NULL, seq BIGINT NOT NULL, kh UBIGINT NOT NULL, ref VARCHAR NOT NULL,
    rh UBIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS store.spire.settled (run INTEGER NOT NULL, seq BIGINT NOT NULL, rh UBIGINT NOT NULL);

-- Sources that give all they hold: what a run under way met, and when an object appeared in a payload or was gone.
CREATE TABLE IF NOT EXISTS store.spire.met (
    run INTEGER NOT NULL, segment INTEGER NOT NULL, target VARCHAR NOT NULL, kh UBIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS store.spire.presence (
    run INTEGER NOT NULL, pipeline VARCHAR NOT NULL, payload VARCHAR NOT NULL, target VARCHAR NOT NULL,
    kh UBIGINT NOT NULL, there BOOLEAN NOT NULL
);

-- Deliveries of publications. `place` is where to and what, as an address: another place begins from the start.
CREATE TABLE IF NOT EXISTS store.spire.deliveries (
    delivery INTEGER NOT NULL, publication VARCHAR NOT NULL, version INTEGER NOT NULL, place VARCHAR NOT NULL,
    state VARCHAR NOT NULL, started TIMESTAMP NOT NULL, finished TIMESTAMP, started_by VARCHAR NOT NULL,
    until BIGINT NOT NULL, reached BIGINT NOT NULL, taken BIGINT NOT NULL, sent BIGINT NOT NULL,
    refused BIGINT NOT NULL, error JSON
);

ALTER TABLE store.spire.deliveries ADD COLUMN IF NOT EXISTS withdrawn BIGINT DEFAULT 0;

ALTER TABLE store.spire.deliveries ADD COLUMN IF NOT EXISTS less BIGINT DEFAULT 0;

-- What publications that withdraw have delivered: which version of each record, and what it became at the other side.
CREATE TABLE IF NOT EXISTS store.spire.published (
    publication VARCHAR NOT NULL, sink VARCHAR NOT NULL, target VARCHAR NOT NULL, kh UBIGINT NOT NULL,
    seq BIGINT NOT NULL, id VARCHAR NOT NULL, there VARCHAR NOT NULL, withdrawn TIMESTAMP
);

CREATE TABLE IF NOT EXISTS store.spire.refusals (delivery INTEGER NOT NULL, id VARCHAR NOT NULL, why VARCHAR NOT NULL);
