// Store schema: names of the files, format numbers and tables of the durable store. Knows neither threads nor the core.

export const DB_FILE = 'tandemq.db'
/** A store under construction; renamed to DB_FILE when it is whole, so that DB_FILE never exists half made. */
export const NEW_FILE = 'tandemq.db.new'

/** 'TdMQ', at byte 68 of the file. */
export const APPLICATION_ID = 0x54644d51
/** At byte 60 of the file. Raised with every change that an older TandeMQ would misread. */
export const FORMAT = 2

/** Each copy of the node record has a table, hence a page, of its own: one bad page leaves the other copy. */
export const RECORD_TABLES = ['node_a', 'node_b'] as const

// Rows are clustered by their key (WITHOUT ROWID) and have no second index: reading all rows at start visits every page.
export const SCHEMA = `
CREATE TABLE node_a (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, body TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE node_b (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, body TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE commits (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL) STRICT;
INSERT INTO commits VALUES (1, 0);

CREATE TABLE session (
  client TEXT PRIMARY KEY, mine INTEGER NOT NULL, epoch INTEGER NOT NULL, minter INTEGER NOT NULL, n INTEGER NOT NULL,
  ver INTEGER NOT NULL, lineage TEXT NOT NULL, expiry INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  packet_ids TEXT NOT NULL, next_pos INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (
  client TEXT NOT NULL, filter TEXT NOT NULL, options INTEGER NOT NULL, subscription_id INTEGER NOT NULL,
  PRIMARY KEY (client, filter)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
  id INTEGER PRIMARY KEY, origin INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL, topic TEXT NOT NULL,
  payload BLOB NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL, props BLOB, expires_at INTEGER NOT NULL,
  publisher TEXT NOT NULL, sum INTEGER NOT NULL
) STRICT;

CREATE TABLE queue (
  client TEXT NOT NULL, pos INTEGER NOT NULL, message INTEGER NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL,
  subscription_ids TEXT, state INTEGER NOT NULL, packet_id INTEGER NOT NULL, share TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (client, pos)
) STRICT, WITHOUT ROWID;

CREATE TABLE shadow (
  client TEXT NOT NULL, message INTEGER NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL, subscription_ids TEXT,
  share TEXT NOT NULL, PRIMARY KEY (client, message, share)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbound (
  client TEXT NOT NULL, packet_id INTEGER NOT NULL,
  PRIMARY KEY (client, packet_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE retained (
  topic TEXT PRIMARY KEY, message INTEGER NOT NULL, hlc INTEGER NOT NULL, node INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE presence (
  client TEXT PRIMARY KEY, boot INTEGER NOT NULL, n INTEGER NOT NULL, mine INTEGER NOT NULL, up INTEGER NOT NULL,
  expiry INTEGER NOT NULL, will_due_at INTEGER NOT NULL, will_topic TEXT, will_payload BLOB, will_qos INTEGER,
  will_retain INTEGER, will_delay INTEGER, will_props BLOB, will_expiry INTEGER
) STRICT, WITHOUT ROWID;
`

/** What brings a file of format 1 up to date, in one transaction: shared subscriptions by which a message was picked. */
export const UPGRADE_1 = `
ALTER TABLE queue ADD COLUMN share TEXT NOT NULL DEFAULT '';
ALTER TABLE shadow RENAME TO shadow_1;
CREATE TABLE shadow (
  client TEXT NOT NULL, message INTEGER NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL, subscription_ids TEXT,
  share TEXT NOT NULL, PRIMARY KEY (client, message, share)
) STRICT, WITHOUT ROWID;
INSERT INTO shadow SELECT client, message, qos, retain, subscription_ids, '' FROM shadow_1;
DROP TABLE shadow_1;
PRAGMA user_version = 2;
`
